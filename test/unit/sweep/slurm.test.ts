/**
 * A sweep on a real Slurm: one node on loopback, started here and ended here. Skipped where Slurm is not
 * installed (Debian: slurm-wlm) or may not be started.
 */
import { execFile, spawn, type ChildProcess } from 'node:child_process';
import fs from 'node:fs';
import net from 'node:net';
import os from 'node:os';
import path from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { promisify } from 'node:util';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { bundle } from '../../bundle';

const run = promisify(execFile);
const root = path.resolve(import.meta.dirname, '../../..');
const programs =
  ['sbatch', 'scontrol', 'squeue', 'scancel'].every(onPath) &&
  ['munged', 'slurmctld', 'slurmd'].every(onPath);
const possible = process.platform === 'linux' && process.getuid?.() === 0 && programs;

function onPath(name: string): boolean {
  return `${process.env.PATH ?? ''}:/usr/sbin:/usr/local/sbin`
    .split(':')
    .some((folder) => fs.existsSync(path.join(folder, name)));
}

async function freePorts(count: number): Promise<number[]> {
  const servers = await Promise.all(
    Array.from(
      { length: count },
      () =>
        new Promise<net.Server>((resolve) => {
          const server = net.createServer().listen(0, '127.0.0.1', () => resolve(server));
        }),
    ),
  );
  const ports = servers.map((server) => (server.address() as net.AddressInfo).port);
  await Promise.all(servers.map((server) => new Promise((resolve) => server.close(resolve))));
  return ports;
}

describe.skipIf(!possible)('a sweep on Slurm', () => {
  // Under /tmp: munge’s socket and Slurm’s state must not lie below a folder that others may write.
  const folder = possible ? fs.mkdtempSync(path.join(os.tmpdir(), 'neural-canvas-slurm-')) : '';
  const daemons: ChildProcess[] = [];
  const bundles = path.join(root, 'test-results', `slurm-${process.pid}`);
  let env: NodeJS.ProcessEnv;
  const at = (...parts: string[]) => path.join(folder, ...parts);
  const slurm = async (program: string, ...args: string[]) => (await run(program, args, { env })).stdout;
  const cli = async (...args: string[]) =>
    (await run(process.execPath, [path.join(bundles, 'cli.js'), ...args], { env })).stdout;

  async function until(what: string, check: () => Promise<boolean> | boolean, seconds = 60): Promise<void> {
    for (const end = Date.now() + 1000 * seconds; Date.now() < end; await delay(200)) {
      if (await Promise.resolve(check()).catch(() => false)) return;
    }
    const logs = ['slurmctld.log', 'slurmd.log'].map((name) =>
      fs.readFileSync(at(name), 'utf8').slice(-3000),
    );
    throw new Error(`never ${what}\n${logs.join('\n---\n')}`);
  }

  beforeAll(async () => {
    await bundle(bundles, ['cli', 'worker', 'tiles']);
    const [controller, node] = await freePorts(2);
    const socket = at('munge.socket');
    fs.chmodSync(folder, 0o755);
    for (const name of ['state', 'spool']) fs.mkdirSync(at(name), { mode: 0o755 });
    fs.writeFileSync(at('munge.key'), Buffer.alloc(64, os.hostname()), { mode: 0o600 });
    const host = os.hostname().split('.')[0];
    fs.writeFileSync(
      at('slurm.conf'),
      `ClusterName=test
SlurmctldHost=${host}(127.0.0.1)
SlurmctldPort=${controller}
SlurmdPort=${node}
AuthType=auth/munge
AuthInfo=socket=${socket}
CredType=cred/munge
SlurmUser=root
StateSaveLocation=${at('state')}
SlurmdSpoolDir=${at('spool')}
SlurmctldPidFile=${at('slurmctld.pid')}
SlurmdPidFile=${at('slurmd.pid')}
SlurmctldLogFile=${at('slurmctld.log')}
SlurmdLogFile=${at('slurmd.log')}
ProctrackType=proctrack/pgid
TaskPlugin=task/none
SelectType=select/cons_tres
SelectTypeParameters=CR_CPU
SchedulerParameters=sched_interval=1,requeue_delay=0
MpiDefault=none
ReturnToService=2
KillWait=1
NodeName=${host} NodeAddr=127.0.0.1 CPUs=2 RealMemory=512 State=UNKNOWN
PartitionName=main Nodes=${host} Default=YES MaxTime=INFINITE State=UP
`,
    );
    env = {
      ...process.env,
      PATH: `${process.env.PATH ?? ''}:/usr/sbin:/usr/local/sbin`,
      SLURM_CONF: at('slurm.conf'),
    };
    const start = (program: string, ...args: string[]) => {
      // In groups of their own, and jobs are signalled by group: killing a task must never reach the tests.
      daemons.push(spawn(program, args, { env, stdio: 'ignore', detached: true }));
    };
    start(
      'munged',
      '--foreground',
      '--force',
      `--key-file=${at('munge.key')}`,
      `--socket=${socket}`,
      `--pid-file=${at('munged.pid')}`,
      `--seed-file=${at('munged.seed')}`,
      `--log-file=${at('munged.log')}`,
    );
    await until('a munge socket', () => fs.existsSync(socket));
    for (const name of ['slurmctld.log', 'slurmd.log']) fs.writeFileSync(at(name), '');
    start('slurmctld', '-D', '-f', at('slurm.conf'));
    start('slurmd', '-D', '-f', at('slurm.conf'), '-N', host);
    await until('an idle node', async () => (await slurm('sinfo', '-h', '-o', '%t')).trim() === 'idle');
  }, 120_000);

  afterAll(async () => {
    if (!possible) return;
    await slurm('scancel', '--me').catch(() => '');
    for (const daemon of daemons.reverse()) {
      daemon.kill('SIGTERM');
      await Promise.race([new Promise((resolve) => daemon.once('exit', resolve)), delay(5000)]);
      daemon.kill('SIGKILL');
    }
    fs.rmSync(folder, { recursive: true, force: true });
    fs.rmSync(bundles, { recursive: true, force: true });
  }, 30_000);

  it('gives every checkpoint its row once, although a task is killed and requeued', async () => {
    const samples = path.join(root, 'samples/pictures/checkpoints');
    const names = ['siren', 'siren_step0050', 'siren_step0300', 'fourier', 'fourier_step0100'];
    for (const [i, name] of [...names, 'siren'].entries()) {
      fs.mkdirSync(at('runs', `it's ${i}`), { recursive: true });
      fs.copyFileSync(path.join(samples, `${name}.pth`), at('runs', `it's ${i}`, 'model.pth'));
    }
    const out = at('out');
    const { job, tasks, files } = JSON.parse(
      await cli(
        'sweep',
        at('runs/**/*.pth'),
        '--out',
        out,
        '--slurm',
        '--tasks',
        '2',
        '--jobs',
        '1',
        '--size',
        '256x384',
        '--json',
      ),
    ) as { job: string; tasks: number; files: number };
    expect([tasks, files]).toEqual([2, 6]);

    // As soon as task 0 has claimed something it loses its node.
    const claims = () =>
      fs.readdirSync(path.join(out, 'claims')).filter((name) => /^[0-9a-f]{64}$/.test(name));
    const owned = () =>
      claims().some((name) => fs.readFileSync(path.join(out, 'claims', name), 'utf8') === `slurm:${job}_0`);
    await until('a claim of task 0', owned);
    await slurm('scontrol', 'requeue', `${job}_0`);
    expect(owned()).toBe(true);
    // Slurm would wait two minutes.
    await until('a requeued task', async () =>
      /PENDING/.test(await slurm('scontrol', 'show', 'job', `${job}_0`)),
    );
    await slurm('scontrol', 'update', `JobId=${job}_0`, 'StartTime=now');
    await until('an empty queue', async () => (await slurm('squeue', '-h')).trim() === '', 180);
    const restarts = /Restarts=(\d+)/.exec(await slurm('scontrol', 'show', 'job', `${job}_0`));
    expect(Number(restarts?.[1])).toBe(1);

    const merged = JSON.parse(await cli('sweep', '--merge', '--out', out, '--json')) as Record<
      string,
      number
    >;
    expect(merged).toMatchObject({ rows: 6, traced: 6, missing: 0 });
    // Two of the six are the same content.
    expect(fs.readdirSync(path.join(out, 'rows'))).toHaveLength(5);
    expect(fs.readdirSync(path.join(out, 'claims'))).toEqual([]);
    const table = fs.readFileSync(path.join(out, 'sweep.csv'), 'utf8').trim().split('\r\n');
    expect(table).toHaveLength(7);
    expect(table[1]).toMatch(/^it's 0\/model\.pth,traced,siren-notebook,/);
  }, 300_000);
});
