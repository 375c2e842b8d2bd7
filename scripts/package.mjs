/**
 * Packages the extension for one platform, with that platform's onnxruntime only.
 *   --target PLATFORM   linux-x64, linux-arm64, darwin-arm64, win32-x64 or win32-arm64; this machine's when omitted
 *   --out FILE          the VSIX; neural-canvas-PLATFORM-VERSION.vsix in the project's folder when omitted
 */
import { cp, glob, mkdir, readdir, readFile, rm, stat } from 'node:fs/promises';
import path from 'node:path';
import { parseArgs } from 'node:util';
import { pinnedNode, manifest, root } from './lib/project.mjs';
import { run } from './lib/processes.mjs';

const { target, out } = parseArgs({
  options: {
    target: { type: 'string', default: `${process.platform}-${process.arch}` },
    out: { type: 'string' },
  },
}).values;
const vsix = path.resolve(root, out ?? `${manifest.name}-${target}-${manifest.version}.vsix`);
// Put together in a folder of its own, so that dist/ stays as a running editor has it.
const stage = path.join(root, 'out', 'package');
const modules = path.join(root, 'node_modules');

await rm(stage, { recursive: true, force: true });
await mkdir(stage, { recursive: true });
for (const name of [
  'package.json',
  '.vscodeignore',
  'README.md',
  'CHANGELOG.md',
  'LICENSE',
  'media',
  'samples',
]) {
  await cp(path.join(root, name), path.join(stage, name), { recursive: true });
}
const node = pinnedNode();
const dist = path.join(stage, 'dist');
await run(node, [path.join(root, 'scripts/build.mjs'), '--production', '--outdir', dist], { cwd: root });
await copyOnnxruntime(...target.split('-'));

const vsce = [path.join(modules, '@vscode/vsce/vsce'), 'package', '--target', target, '--out', vsix];
// The dependencies are copied above; the README is read beside its pictures, there is no address to point to.
const options = ['--no-dependencies', '--no-rewrite-relative-links', '--allow-missing-repository'];
const output = await run(node, [...vsce, ...options], { cwd: stage, env: { ...process.env, NO_COLOR: '1' } });
const warnings = output.split('\n').filter((line) => /^\s*(WARNING|ERROR)\b/.test(line));
if (warnings.length > 0) {
  console.error(warnings.join('\n'));
  process.exit(1);
}
console.log(`${path.relative(root, vsix)}  ${((await stat(vsix)).size / 2 ** 20).toFixed(1)} MiB`);

/** `onnxruntime-node` and `onnxruntime-common` as `require` of dist/worker.js finds them. */
async function copyOnnxruntime(platform, arch) {
  const copy = async (file) => {
    await cp(path.join(modules, file), path.join(dist, 'node_modules', file), { recursive: true });
  };
  const scripts = ['onnxruntime-node/dist/*.js', 'onnxruntime-common/dist/cjs/*.{js,json}'];
  for await (const file of glob([...scripts, 'onnxruntime-{node,common}/package.json'], { cwd: modules })) {
    await copy(file);
  }
  const [folder] = await Array.fromAsync(
    glob(`onnxruntime-node/bin/napi-v*/${platform}/${arch}`, { cwd: modules }),
  );
  if (!folder) throw new Error(`onnxruntime-node has no binary for ${platform}-${arch}; see --target.`);
  for (const file of await loaded(path.join(modules, folder))) await copy(path.join(folder, file));
}

/** The libraries of a folder that its Node binding names, itself or through another: some are there twice. */
async function loaded(folder) {
  const found = new Set();
  const others = new Set(await readdir(folder));
  const take = async (file) => {
    found.add(file);
    others.delete(file);
    const bytes = await readFile(path.join(folder, file));
    for (const other of [...others]) {
      if (others.has(other) && bytes.includes(other)) await take(other);
    }
  };
  await take('onnxruntime_binding.node');
  return found;
}
