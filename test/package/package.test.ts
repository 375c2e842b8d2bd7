/**
 * What people install: made by scripts/package.mjs, looked into, unpacked far from the project, and run. With
 * NEURAL_CANVAS_PACKAGES=all every target is made; otherwise those that this machine can run.
 */
import { execFile } from 'node:child_process';
import { chmodSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { promisify } from 'node:util';
import { unzipSync } from 'fflate';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';

const root = path.resolve(import.meta.dirname, '../..');
const version = (JSON.parse(readFileSync(path.join(root, 'package.json'), 'utf8')) as { version: string })
  .version;
// Outside of the project, whose node_modules would be found otherwise.
const folder = mkdtempSync(path.join(os.tmpdir(), 'neural-canvas-package-'));
const all = ['linux-x64', 'linux-arm64', 'darwin-arm64', 'win32-x64', 'win32-arm64'];
const here = `${process.platform}-${process.arch}`;
const platforms = process.env.NEURAL_CANVAS_PACKAGES === 'all' ? all : all.filter((name) => name === here);
const coin = path.join(root, 'test/fixtures/inr/siren-coin.pt');

const call = promisify(execFile);
const node = (...args: string[]) => call(process.execPath, args, { cwd: folder, maxBuffer: 64 << 20 });
const pack = (...args: string[]) => node(path.join(root, 'scripts/package.mjs'), '--outdir', folder, ...args);

/** Entries of a VSIX, without their `extension/`, and the contents of those that `wanted` names. */
function entries(target: string, wanted: (name: string) => boolean) {
  const names: string[] = [];
  const files = unzipSync(readFileSync(path.join(folder, `neural-canvas-${target}-${version}.vsix`)), {
    filter: ({ name }) => {
      const own = name.replace(/^extension\//, '');
      if (!name.endsWith('/')) names.push(own);
      return !name.endsWith('/') && wanted(own);
    },
  });
  const contents = Object.entries(files).map(
    ([name, bytes]) => [name.replace(/^extension\//, ''), bytes] as const,
  );
  return { names, contents: new Map(contents) };
}

const text = (bytes: Uint8Array | undefined) => Buffer.from(bytes ?? []).toString('utf8');

interface Traced {
  readonly engine: string;
  readonly engineNote?: string;
  readonly layers: readonly unknown[];
}

let output = '';
beforeAll(async () => {
  const twice = await pack('--target', 'universal', '--target', 'npm', '--twice');
  output = twice.stdout;
  if (platforms.length > 0) await pack(...platforms.flatMap((target) => ['--target', target]));
}, 400_000);
afterAll(() => rmSync(folder, { recursive: true, force: true, maxRetries: 3 }));

describe('packages', () => {
  it('are the same, byte for byte, when they are made again', () => {
    expect(output.match(/the same twice/g)).toHaveLength(2);
  });

  it.each(['universal', ...platforms])('%s holds what runs there and nothing else', (target) => {
    const { names, contents } = entries(target, (name) => /^(THIRD-PARTY|sbom|package\.json)/.test(name));
    const allowed =
      /^(extension\.vsixmanifest|\[Content_Types\]\.xml|package\.json|readme\.md|changelog\.md|LICENSE\.txt|THIRD-PARTY-NOTICES\.txt|sbom\.cdx\.json|media\/.+\.(png|jpe?g|svg|gif|webp|md|json)|samples\/.*\.(md|png|pth|py|yaml)|dist\/[\w.-]+\.(js|wasm)|dist\/webview\/[^/]+\.(js|css|ttf)|dist\/node_modules\/onnxruntime-(node|common)\/.+)$/i;
    expect(names.filter((name) => !allowed.test(name))).toEqual([]);
    expect(names.filter((name) => /\.map$|(^|\/)tests?\//.test(name))).toEqual([]);
    expect(names).toEqual(expect.arrayContaining(['dist/extension.js', 'dist/worker.js', 'dist/cli.js']));
    expect(names).toEqual(expect.arrayContaining(['dist/tfjs-backend-wasm-simd.wasm']));

    const binaries = names.filter((name) => /\.(node|dll|dylib|so)(\.[\d.]+)?$/.test(name));
    if (target === 'universal') expect(names.filter((name) => name.includes('node_modules'))).toEqual([]);
    else {
      const [platform, arch] = target.split('-');
      expect(binaries.some((name) => name.endsWith('onnxruntime_binding.node'))).toBe(true);
      expect(binaries.filter((name) => !name.includes(`/${platform}/${arch}/`))).toEqual([]);
    }

    const bom = JSON.parse(text(contents.get('sbom.cdx.json'))) as {
      bomFormat: string;
      components: { name: string; version: string; licenses: unknown[] }[];
    };
    expect(bom.bomFormat).toBe('CycloneDX');
    const licences = text(contents.get('THIRD-PARTY-NOTICES.txt'));
    for (const { name, version: release, licenses } of bom.components) {
      expect(licences).toContain(`\n${name} ${release} (`);
      expect(licenses.length).toBeGreaterThan(0);
    }
    const known = bom.components.map(({ name }) => name);
    expect(known).toEqual(
      expect.arrayContaining(['lit-html', 'chart.js', '@tensorflow/tfjs-core', 'fflate']),
    );
    expect(known.includes('onnxruntime-node')).toBe(target !== 'universal');
    expect(licences).toContain('Permission is hereby granted');
    expect(licences).toContain('Apache License');
  });

  it('universal: traces with TensorFlow.js, and says why', async () => {
    const { contents } = entries('universal', (name) => /^dist\/[^/]+$/.test(name));
    const unpacked = path.join(folder, 'unpacked');
    mkdirSync(path.join(unpacked, 'dist'), { recursive: true });
    for (const [name, bytes] of contents) writeFileSync(path.join(unpacked, name), bytes);
    const { stdout } = await node(
      path.join(unpacked, 'dist/cli.js'),
      'trace',
      coin,
      '--size',
      '12x20',
      '--json',
    );
    const traced = JSON.parse(stdout) as Traced;
    expect(traced.engine).toMatch(/^tensorflow\.js .*wasm/);
    expect(traced.engineNote).toMatch(/^onnxruntime cannot be loaded .* TensorFlow\.js runs instead/);
    expect(traced.layers.length).toBeGreaterThan(1);
    const asked = node(path.join(unpacked, 'dist/cli.js'), 'trace', coin, '--engine', 'onnxruntime');
    await expect(asked).rejects.toMatchObject({
      code: 2,
      stderr: expect.stringMatching(/cannot be loaded/) as string,
    });
  });

  it.runIf(platforms.includes(here))('of this platform: traces with its own onnxruntime', async () => {
    const { contents } = entries(here, (name) => name.startsWith('dist/'));
    const unpacked = path.join(folder, 'native');
    for (const [name, bytes] of contents) {
      const file = path.join(unpacked, name);
      mkdirSync(path.dirname(file), { recursive: true });
      writeFileSync(file, bytes);
      chmodSync(file, 0o755);
    }
    const { stdout } = await node(
      path.join(unpacked, 'dist/cli.js'),
      'trace',
      coin,
      '--size',
      '12x20',
      '--json',
    );
    expect((JSON.parse(stdout) as Traced).engine).toMatch(/^onnxruntime /);
  });

  it('npm: installs into an empty folder and runs by its name', async () => {
    const home = path.join(folder, 'project');
    mkdirSync(home);
    writeFileSync(path.join(home, 'package.json'), '{"private":true}');
    // Without the optional onnxruntime, so that nothing is fetched.
    const install = ['install', '--offline', '--omit=optional', '--no-audit', '--no-fund'];
    const shell = process.platform === 'win32';
    await call('npm', [...install, path.join(folder, `neural-canvas-${version}.tgz`)], { cwd: home, shell });
    const installed = path.join(home, 'node_modules/neural-canvas');
    const manifest = JSON.parse(readFileSync(path.join(installed, 'package.json'), 'utf8')) as object;
    expect(manifest).not.toHaveProperty('private');
    expect(manifest).not.toHaveProperty('devDependencies');
    expect(manifest).toHaveProperty('optionalDependencies.onnxruntime-node');
    const bin = path.join(home, 'node_modules/.bin/neural-canvas');
    const { stdout } = await call(bin, ['trace', coin, '--size', '12x20', '--json'], {
      cwd: home,
      shell,
      maxBuffer: 64 << 20,
    });
    expect((JSON.parse(stdout) as Traced).engine).toMatch(/^tensorflow\.js /);
  });

  it('refuses a target that there is not', async () => {
    await expect(pack('--target', 'beos-x64')).rejects.toMatchObject({
      code: 2,
      stderr: expect.stringMatching(/no target beos-x64; use linux-x64/) as string,
    });
  });
});
