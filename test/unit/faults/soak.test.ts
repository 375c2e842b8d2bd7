/**
 * A checkpoint that is written over and traced again, as in training, leaves no file open and no trace behind.
 * `OVERWRITES=1000` for longer; `npm run bench soak` also measures memory.
 */
import fs from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { afterAll, expect, it } from 'vitest';
import { neverCancelled } from '../../../src/errors';
import { Service } from '../../../src/worker/service';
import { traceFile } from '../../support';

const overwrites = Number(process.env.OVERWRITES ?? 40);
const fixtures = path.resolve(import.meta.dirname, '../../fixtures/inr');
const folder = fs.mkdtempSync(path.join(os.tmpdir(), 'neural-canvas-soak-'));
afterAll(() => fs.rmSync(folder, { recursive: true, force: true }));

// Only Linux lists a process's open files.
it.runIf(process.platform === 'linux')(
  `${overwrites} saves over one checkpoint leave no file open`,
  async () => {
    const live = path.join(folder, 'live.pt');
    const saves = ['siren-coin.pt', 'siren-notebook.pt'].map((name) => path.join(fixtures, name));
    const open = () =>
      fs.readdirSync('/proc/self/fd').filter((descriptor) => {
        try {
          return fs.readlinkSync(`/proc/self/fd/${descriptor}`).startsWith(folder);
        } catch {
          return false;
        }
      });
    const service = new Service();
    for (let i = 0; i < overwrites; i++) {
      // In place, and by a rename over it, as trainers do.
      if (i % 4 < 2) fs.copyFileSync(saves[i % 2], live);
      else {
        fs.copyFileSync(saves[i % 2], `${live}.part`);
        fs.renameSync(`${live}.part`, live);
      }
      await traceFile(service, live, { size: '12x20' });
      expect(open()).toEqual([]);
    }
    await service.call('close', { trace: 'test' }, () => {}, neverCancelled);
    await expect(
      service.call('map', { trace: 'test', neuron: { layer: 0, neuron: 0 } }, () => {}, neverCancelled),
    ).rejects.toThrow(/no longer in memory/);
    expect(open()).toEqual([]);
  },
  overwrites * 2000,
);
