/**
 * Packages the extension and the command line. A target is a platform (linux-x64, linux-arm64, darwin-arm64,
 * win32-x64, win32-arm64), whose VSIX carries that platform's onnxruntime; `universal`, a VSIX with
 * TensorFlow.js alone; or `npm`, the command line as an npm package. See docs/packaging.md.
 *   --target TARGET  may be repeated; this machine's when omitted
 *   --all            every target
 *   --outdir FOLDER  where the packages go; the project's folder when omitted
 *   --out FILE       the package, of one target
 *   --twice          makes everything a second time and fails when a byte differs
 */
import { createHash } from 'node:crypto';
import { chmod, cp, glob, mkdir, readdir, readFile, rm, stat, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { parseArgs } from 'node:util';
import { pinnedNode, manifest, root } from './lib/project.mjs';
import { run } from './lib/processes.mjs';
import { billOfMaterials, describePackages, notices, onnxruntimeFolders } from './lib/shipped.mjs';

/** Largest size in MiB. */
const BUDGETS = {
  'linux-x64': 25,
  'linux-arm64': 25,
  'darwin-arm64': 25,
  'win32-x64': 40,
  'win32-arm64': 40,
  universal: 5,
  npm: 2,
};

const { values } = parseArgs({
  options: {
    target: { type: 'string', multiple: true },
    all: { type: 'boolean', default: false },
    outdir: { type: 'string', default: '.' },
    out: { type: 'string' },
    twice: { type: 'boolean', default: false },
  },
});
const targets = values.all
  ? Object.keys(BUDGETS)
  : (values.target ?? [`${process.platform}-${process.arch}`]);
const unknown = targets.filter((target) => !(target in BUDGETS));
if (unknown.length > 0) {
  console.error(`There is no target ${unknown.join(', ')}; use ${Object.keys(BUDGETS).join(', ')}.`);
  process.exit(2);
}
if (values.out && targets.length !== 1) {
  console.error('--out names the package of one --target.');
  process.exit(2);
}

// Put together in a folder of its own, so that dist/ stays as a running editor has it. Runs side by side
// must not meet.
const stage = path.join(root, 'out', `package-${process.pid}`);
const modules = path.join(root, 'node_modules');
const node = pinnedNode();
const epoch = await sourceDate();

try {
  await packageAll();
} catch (error) {
  console.error(error.message);
  process.exitCode = 1;
} finally {
  await rm(stage, { recursive: true, force: true });
}

async function packageAll() {
  const bundled = await buildOnce();
  await mkdir(path.resolve(root, values.outdir), { recursive: true });
  for (const target of targets) {
    const extension = target === 'npm' ? 'tgz' : 'vsix';
    const name =
      target === 'npm'
        ? `${manifest.name}-${manifest.version}`
        : `${manifest.name}-${target}-${manifest.version}`;
    const file = path.resolve(root, values.out ?? path.join(values.outdir, `${name}.${extension}`));
    await make(target, bundled, file);
    const size = (await stat(file)).size / 2 ** 20;
    if (size > BUDGETS[target]) {
      throw new Error(`${path.basename(file)} has ${size.toFixed(1)} MiB; ${BUDGETS[target]} are allowed.`);
    }
    const lines = [path.relative(root, file), `${size.toFixed(1)} MiB`];
    if (values.twice) {
      const before = await digest(file);
      await make(target, await buildOnce(), file);
      if ((await digest(file)) !== before)
        throw new Error(`${path.basename(file)} differs from one packaging to the next.`);
      lines.push(`sha256 ${before}, the same twice`);
    }
    console.log(lines.join('  '));
  }
}

/** Bundles for all targets. @returns folders of the packages in them */
async function buildOnce() {
  await rm(stage, { recursive: true, force: true });
  await mkdir(stage, { recursive: true });
  const bundled = path.join(stage, 'bundled.json');
  const build = [path.join(root, 'scripts/build.mjs'), '--production', '--bundled', bundled];
  await run(node, [...build, '--outdir', path.join(stage, 'dist')], { cwd: root });
  return JSON.parse(await readFile(bundled, 'utf8'));
}

async function make(target, bundled, file) {
  const folder = path.join(stage, target);
  await rm(folder, { recursive: true, force: true });
  await mkdir(folder, { recursive: true });
  for (const name of ['README.md', 'CHANGELOG.md', 'LICENSE']) {
    await cp(path.join(root, name), path.join(folder, name));
  }
  const native = target !== 'universal' && target !== 'npm';
  const packages = await describePackages([...bundled, ...(native ? onnxruntimeFolders : [])]);
  await writeFile(path.join(folder, 'THIRD-PARTY-NOTICES.txt'), notices(packages));
  const bom = JSON.stringify(await billOfMaterials(packages, epoch), null, 2);
  await writeFile(path.join(folder, 'sbom.cdx.json'), `${bom}\n`);
  if (target === 'npm') await packNpm(folder, file);
  else await packVsix(folder, target, file);
}

async function packVsix(folder, target, file) {
  for (const name of ['package.json', '.vscodeignore', 'media', 'samples']) {
    await cp(path.join(root, name), path.join(folder, name), { recursive: true });
  }
  await cp(path.join(stage, 'dist'), path.join(folder, 'dist'), { recursive: true });
  if (target !== 'universal') await copyOnnxruntime(path.join(folder, 'dist'), ...target.split('-'));
  await sameModes(folder);
  const vsce = [path.join(modules, '@vscode/vsce/vsce'), 'package', '--out', file];
  if (target !== 'universal') vsce.push('--target', target);
  // The dependencies are copied above; the README is read beside its pictures, there is no address to point to.
  const options = ['--no-dependencies', '--no-rewrite-relative-links', '--allow-missing-repository'];
  // Zip archives keep local time, and the order of files follows the language.
  const env = { ...process.env, NO_COLOR: '1', SOURCE_DATE_EPOCH: String(epoch), TZ: 'UTC', LC_ALL: 'C' };
  const output = await run(node, [...vsce, ...options], { cwd: folder, env });
  const warnings = output.split('\n').filter((line) => /^\s*(WARNING|ERROR)\b/.test(line));
  if (warnings.length > 0) throw new Error(warnings.join('\n'));
}

/** The command line needs no editor: a manifest of its own, and of the bundles its two. */
async function packNpm(folder, file) {
  const { name, version, description, license, keywords, engines, dependencies } = manifest;
  const own = {
    name,
    version,
    description,
    license,
    keywords,
    bin: { [name]: 'dist/cli.js' },
    files: ['dist', 'CHANGELOG.md', 'THIRD-PARTY-NOTICES.txt', 'sbom.cdx.json'],
    engines: { node: engines.node },
    // Where it has no binary or cannot be installed, TensorFlow.js runs.
    optionalDependencies: dependencies,
  };
  await writeFile(path.join(folder, 'package.json'), `${JSON.stringify(own, null, 2)}\n`);
  await mkdir(path.join(folder, 'dist'));
  for (const one of await readdir(path.join(stage, 'dist'))) {
    if (!/\.(js|wasm)$/.test(one) || one === 'extension.js') continue;
    await cp(path.join(stage, 'dist', one), path.join(folder, 'dist', one));
  }
  await sameModes(folder);
  await run('npm', ['pack', '--pack-destination', stage, '--loglevel', 'error'], {
    cwd: folder,
    shell: process.platform === 'win32',
  });
  await mkdir(path.dirname(file), { recursive: true });
  await cp(path.join(stage, `${name}-${version}.tgz`), file);
}

/** `onnxruntime-node` and `onnxruntime-common` as `require` of dist/worker.js finds them. */
async function copyOnnxruntime(dist, platform, arch) {
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

/** Modes depend on who checked the project out. */
async function sameModes(folder) {
  for await (const entry of glob('**', { cwd: folder, withFileTypes: true })) {
    const file = path.join(entry.parentPath, entry.name);
    if (entry.isFile()) await chmod(file, entry.name === 'cli.js' ? 0o755 : 0o644);
  }
}

/** Seconds: what packages bear as their date, that of the commit they are made from. */
async function sourceDate() {
  const given = Number(process.env.SOURCE_DATE_EPOCH);
  if (given > 0) return given;
  const commit = await run('git', ['log', '-1', '--format=%ct'], { cwd: root }).catch(() => '');
  return Number(commit.trim()) || Date.UTC(2026, 0, 1) / 1000;
}

async function digest(file) {
  return createHash('sha256')
    .update(await readFile(file))
    .digest('hex');
}
