/**
 * How many of a folder of generated checkpoints (test/fixtures/variety/make.py) are opened, recognised, and
 * painted as PyTorch does: given everything, given the picture only, given nothing.
 * VARIETY=folder npm run bench recognition; with VERBOSE=1 every miss is listed on stderr.
 */
import { readdirSync } from 'node:fs';
import path from 'node:path';
import { examine, type Outcome } from '../conformance/inr/variety';

const folder = process.env.VARIETY;

async function main(): Promise<void> {
  if (!folder) return;
  const outcomes: Outcome[] = [];
  for (const name of readdirSync(folder).sort()) {
    const outcome = await examine(path.join(folder, name));
    outcomes.push(outcome);
    if (process.env.VERBOSE && outcome.misses.length > 0) {
      process.stderr.write(`${name} [${outcome.how}]: ${outcome.misses.join(' | ')}\n`);
    }
  }
  const rate = (of: (outcome: Outcome) => boolean | undefined) => {
    const asked = outcomes.map(of).filter((value) => value !== undefined);
    return `${asked.filter(Boolean).length} of ${asked.length}`;
  };
  const times = outcomes.flatMap(({ milliseconds }) => milliseconds ?? []).sort((a, b) => a - b);
  const summary = {
    files: outcomes.length,
    opened: rate(({ opened }) => opened),
    recognised: rate(({ recognised }) => recognised),
    rightFamily: rate(({ family }) => family),
    asPyTorchGivenAll: rate(({ given }) => given),
    asPyTorchGivenThePicture: rate(({ target }) => target),
    asPyTorchGivenTheSize: rate(({ blind }) => blind),
    rightPictureAmongThoseShown: rate(({ shown }) => shown),
    searchMilliseconds: {
      median: times[times.length >> 1],
      p95: times[Math.floor(times.length * 0.95)],
      most: times.at(-1),
    },
  };
  process.stdout.write(`${JSON.stringify(summary, null, 2)}\n`);
}

void main();
