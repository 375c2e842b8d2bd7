import fs from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { afterEach, describe, expect, it, vi } from 'vitest';
import { SaveWatch, signatureOf, type Signature } from '../../../src/live/saveWatch';

const folder = fs.mkdtempSync(path.join(tmpdir(), 'neural-canvas-watch-'));
const file = path.join(folder, 'run', 'model.pth');
const watches: SaveWatch[] = [];

function watch(times = { settle: 60, poll: 40 }) {
  fs.mkdirSync(path.dirname(file), { recursive: true });
  const saves: { signature: Signature; content: string }[] = [];
  const watch = new SaveWatch(file, { settle: () => times.settle, poll: () => times.poll }, (signature) =>
    saves.push({ signature, content: fs.readFileSync(file, 'utf8') }),
  );
  watches.push(watch);
  return { watch, saves, contents: () => saves.map(({ content }) => content) };
}

afterEach(() => {
  vi.restoreAllMocks();
  for (const watch of watches.splice(0)) watch.dispose();
  fs.rmSync(folder, { recursive: true, force: true });
});

const until = (check: () => void) => vi.waitFor(check, { timeout: 5000, interval: 10 });

describe('SaveWatch', () => {
  it('tells of a file written in pieces once, when it is whole', async () => {
    const { saves, contents } = watch({ settle: 250, poll: 40 });
    for (const piece of ['a', 'b', 'c', 'd']) {
      fs.appendFileSync(file, piece);
      await delay(50);
    }
    await until(() => expect(contents()).toEqual(['abcd']));
    expect(saves[0].signature).toBe(await signatureOf(file));
  });

  it('notices another file renamed over it, deletion with making again, and the folder made again', async () => {
    const { contents } = watch();
    fs.writeFileSync(file, 'one');
    await until(() => expect(contents()).toEqual(['one']));
    fs.writeFileSync(`${file}.tmp`, 'two');
    fs.renameSync(`${file}.tmp`, file);
    await until(() => expect(contents()).toEqual(['one', 'two']));
    fs.rmSync(file);
    await delay(100);
    fs.writeFileSync(file, 'three');
    await until(() => expect(contents()).toEqual(['one', 'two', 'three']));
    fs.rmSync(path.dirname(file), { recursive: true });
    await delay(100);
    fs.mkdirSync(path.dirname(file));
    fs.writeFileSync(file, 'four');
    await until(() => expect(contents()).toEqual(['one', 'two', 'three', 'four']));
  });

  it('looks for itself where there are no events', async () => {
    vi.spyOn(fs, 'watch').mockImplementation(() => {
      throw Object.assign(new Error('no handles'), { code: 'ENOSPC' });
    });
    const { contents } = watch();
    fs.writeFileSync(file, 'silent');
    await until(() => expect(contents()).toEqual(['silent']));
  });

  it('says nothing of what was accepted, nor after it was disposed', async () => {
    fs.mkdirSync(path.dirname(file), { recursive: true });
    fs.writeFileSync(file, 'known');
    const signature = await signatureOf(file);
    const { watch: accepted, contents } = watch();
    accepted.accept(signature);
    await delay(200);
    expect(contents()).toEqual([]);
    accepted.dispose();
    fs.writeFileSync(file, 'later');
    await delay(200);
    expect(contents()).toEqual([]);
  });
});
