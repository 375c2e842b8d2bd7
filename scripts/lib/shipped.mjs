/** What is shipped of other people's work: its packages, their licences, and a bill of materials. */
import { createHash } from 'node:crypto';
import { existsSync } from 'node:fs';
import { readdir, readFile } from 'node:fs/promises';
import path from 'node:path';
import { manifest, root } from './project.mjs';
import { run } from './processes.mjs';

/** Licences whose text may be passed on with a program under ours, and of which we do no more than that. */
const ACCEPTED = new Set(['MIT', 'ISC', 'BSD-2-Clause', 'BSD-3-Clause', 'Apache-2.0', 'CC-BY-4.0', '0BSD']);

/** Packages that carry no licence file, with the notice that their sources carry. */
const HOLDERS = {
  '@tensorflow/tfjs-backend-cpu': 'Copyright Google LLC. All Rights Reserved.',
  '@tensorflow/tfjs-backend-wasm': 'Copyright Google LLC. All Rights Reserved.',
  '@tensorflow/tfjs-core': 'Copyright Google LLC. All Rights Reserved.',
  'fft.js': 'Copyright Fedor Indutny, 2017.',
  'onnxruntime-common': 'Copyright (c) Microsoft Corporation.',
  'onnxruntime-node': 'Copyright (c) Microsoft Corporation.',
  seedrandom: 'Copyright 2019 David Bau.',
};

/** What is compiled into the binaries of a package. */
const WITHIN = {
  '@tensorflow/tfjs-backend-wasm':
    'Its .wasm files contain XNNPACK, FXdiv, FP16 and cpuinfo (BSD licences), pthreadpool (BSD-2-Clause), and musl and compiler-rt as Emscripten links them (MIT).',
  'onnxruntime-node':
    'Its libraries contain what https://github.com/microsoft/onnxruntime/blob/main/ThirdPartyNotices.txt lists. On Windows they come with DirectML (Microsoft, https://www.nuget.org/packages/Microsoft.AI.DirectML).',
};

/**
 * @param folders of packages, relative to the project
 * @returns name, version, licence and its text, in the order of their names
 * @throws Error when a licence is not known to be acceptable or its text is missing
 */
export async function describePackages(folders) {
  const packages = await Promise.all(folders.map(describe));
  return packages.sort((a, b) => (a.name < b.name ? -1 : a.name > b.name ? 1 : 0));
}

async function describe(folder) {
  const read = (file) => readFile(path.join(root, folder, file), 'utf8');
  const { name, version, license, homepage } = JSON.parse(await read('package.json'));
  if (!ACCEPTED.has(license)) {
    throw new Error(`${name} ${version} has the licence ${license}; look whether it may be shipped.`);
  }
  const files = (await readdir(path.join(root, folder))).filter((file) =>
    /^(licen[cs]e|notice|copying)/i.test(file),
  );
  const texts = await Promise.all(files.sort().map(read));
  if (texts.length === 0) {
    if (!HOLDERS[name]) throw new Error(`${name} ${version} has no licence file; say whose it is.`);
    texts.push(`${HOLDERS[name]}\n\n${await standardText(license)}`);
  }
  return {
    name,
    version,
    license,
    homepage,
    folder,
    texts: texts.map((text) => text.replaceAll('\r\n', '\n').trim()),
    within: WITHIN[name],
  };
}

/** The text of a licence, from a package that carries it. */
async function standardText(license) {
  const sources = { 'Apache-2.0': 'node_modules/long/LICENSE', MIT: 'LICENSE' };
  if (!sources[license]) throw new Error(`There is no text of ${license} at hand.`);
  const text = await readFile(path.join(root, sources[license]), 'utf8');
  // Of our own licence, what is everybody's.
  return license === 'MIT' ? text.slice(text.indexOf('Permission is hereby granted')) : text;
}

/** The file that goes with the program. */
export function notices(packages) {
  const list = packages.map(({ name, version, license }) => `${name} ${version} (${license})`);
  const parts = packages.map(({ name, version, license, homepage, texts, within }) =>
    [`${name} ${version}`, `Licence: ${license}`, homepage, within, '', ...texts]
      .filter((line) => line !== undefined)
      .join('\n'),
  );
  const rule = '\n\n' + '='.repeat(80) + '\n\n';
  return `Neural Canvas contains the following work of others, each under its own licence.\n\n${list.join('\n')}${rule}${parts.join(rule)}\n`;
}

/**
 * A CycloneDX bill of materials: npm's own, cut down to what is shipped, with nothing that changes from one
 * run to the next.
 * @param epoch seconds, the date it bears
 */
export async function billOfMaterials(packages, epoch) {
  const bom = await npmSbom();
  const refs = new Set(packages.map(({ name, version }) => `${name}@${version}`));
  const { component } = bom.metadata;
  const own = `${manifest.name}@${manifest.version}`;
  bom.components = bom.components
    .filter(({ name, version }) => refs.has(`${name}@${version}`))
    .map((one) => ({ ...one, scope: 'required', properties: [] }));
  const known = new Set(bom.components.map(({ 'bom-ref': ref }) => ref));
  const missing = [...refs].filter(
    (ref) => !bom.components.some(({ name, version }) => `${name}@${version}` === ref),
  );
  if (missing.length > 0) throw new Error(`npm's bill of materials lacks ${missing.join(', ')}.`);
  bom.dependencies = bom.dependencies
    .filter(({ ref }) => ref === component['bom-ref'] || known.has(ref))
    .map(({ ref, dependsOn }) => ({ ref, dependsOn: dependsOn.filter((other) => known.has(other)) }));
  bom.metadata.timestamp = new Date(epoch * 1000).toISOString();
  // npm takes the folder's name.
  bom.metadata.component = { ...component, name: manifest.name, type: 'application', 'bom-ref': own };
  bom.dependencies.forEach((one) => one.ref === component['bom-ref'] && (one.ref = own));
  delete bom.serialNumber;
  const digest = createHash('sha256').update(JSON.stringify(bom)).digest('hex');
  const uuid = [8, 12, 16, 20, 32].map((end, i, ends) => digest.slice(ends[i - 1] ?? 0, end)).join('-');
  return { ...bom, serialNumber: `urn:uuid:${uuid}` };
}

let sbom;
/** npm is asked once. */
async function npmSbom() {
  sbom ??= run('npm', ['sbom', '--sbom-format', 'cyclonedx', '--package-lock-only', '--loglevel', 'silent'], {
    cwd: root,
    shell: process.platform === 'win32',
  });
  const text = await sbom;
  return JSON.parse(text.slice(text.indexOf('{')));
}

/** Folders of onnxruntime's two packages. */
export const onnxruntimeFolders = ['node_modules/onnxruntime-common', 'node_modules/onnxruntime-node'].filter(
  (folder) => existsSync(path.join(root, folder)),
);
