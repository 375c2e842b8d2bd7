/** A sweep as a Slurm job array: its tasks run the same command on their share. */
import { execFile } from 'node:child_process';
import fs from 'node:fs';
import path from 'node:path';
import { promisify } from 'node:util';
import { UsageError } from '../errors';

const run = promisify(execFile);

/** For a shell: taken as it is, whatever it holds. */
export const quoted = (text: string) => `'${text.replaceAll("'", `'\\''`)}'`;

/** @param command the program and its arguments up to `--share`, which is added */
export function slurmScript(command: readonly string[], tasks: number): string {
  return `#!/bin/bash
# One task of a sweep. It may be killed and requeued at any time: it goes on where it was.
exec ${command.map(quoted).join(' ')} --share "\${SLURM_ARRAY_TASK_ID}/${tasks}"
`;
}

/** Names a task for its claims; the same after it was requeued. Undefined outside of Slurm. */
export function slurmOwner(environment: NodeJS.ProcessEnv = process.env): string | undefined {
  const { SLURM_ARRAY_JOB_ID: array, SLURM_ARRAY_TASK_ID: task, SLURM_JOB_ID: job } = environment;
  const id = array && task ? `${array}_${task}` : job;
  return id && `slurm:${id}`;
}

/**
 * Writes the script and submits it.
 * @param more further options of sbatch
 * @returns the job’s number
 * @throws UsageError when Slurm is not there, or refuses
 */
export async function submit(
  folder: string,
  command: readonly string[],
  tasks: number,
  jobs: number,
  more: readonly string[],
): Promise<string> {
  const script = path.join(folder, 'sweep.sbatch');
  const logs = path.join(folder, 'logs');
  fs.mkdirSync(logs, { recursive: true });
  fs.writeFileSync(script, slurmScript(command, tasks), { mode: 0o755 });
  const options = [
    '--parsable',
    '--requeue',
    '--job-name=neural-canvas-sweep',
    `--array=0-${tasks - 1}`,
    `--cpus-per-task=${jobs}`,
    '--open-mode=append',
    `--output=${path.join(logs, '%A_%a.txt').replaceAll('\\', '\\\\')}`,
    ...more,
  ];
  try {
    const { stdout } = await run('sbatch', [...options, script]);
    return stdout.trim().split(';')[0];
  } catch (error) {
    const { code, stderr } = error as { code?: unknown; stderr?: string };
    if (code === 'ENOENT') {
      throw new UsageError(
        `There is no sbatch here, so nothing was submitted; on a machine of the cluster run: sbatch ${options.slice(1).map(quoted).join(' ')} ${quoted(script)}`,
      );
    }
    throw new UsageError(`sbatch refused: ${(stderr ?? String(error)).trim().split('\n').at(-1)}`);
  }
}
