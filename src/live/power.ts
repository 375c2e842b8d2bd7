/** Whether the machine runs on battery. */
import { execFile } from 'node:child_process';
import fs from 'node:fs';
import path from 'node:path';
import { promisify } from 'node:util';

const run = promisify(execFile);

/** @returns undefined where it cannot be known */
export async function onBattery(): Promise<boolean | undefined> {
  if (process.platform === 'linux') return linuxOnBattery('/sys/class/power_supply');
  if (process.platform !== 'darwin') return undefined;
  try {
    const { stdout } = await run('/usr/bin/pmset', ['-g', 'batt'], { timeout: 5000 });
    return /drawing from 'Battery/i.test(stdout);
  } catch {
    return undefined;
  }
}

/**
 * Mains that are connected outrank a battery that discharges a little beside them.
 * @param folder the kernel's power_supply class
 */
export async function linuxOnBattery(folder: string): Promise<boolean | undefined> {
  const read = (...parts: string[]) =>
    fs.promises.readFile(path.join(folder, ...parts), 'utf8').then(
      (text) => text.trim(),
      () => '',
    );
  let supplies: string[];
  try {
    supplies = await fs.promises.readdir(folder);
  } catch {
    return undefined;
  }
  let discharging: boolean | undefined;
  for (const supply of supplies) {
    const type = await read(supply, 'type');
    if ((type === 'Mains' || type === 'USB') && (await read(supply, 'online')) === '1') return false;
    // A mouse or pen has a battery too.
    if (type !== 'Battery' || (await read(supply, 'scope')) === 'Device') continue;
    discharging = discharging || (await read(supply, 'status')) === 'Discharging';
  }
  return discharging;
}
