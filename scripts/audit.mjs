/**
 * Known vulnerabilities (npm's advisories) in what is shipped: the packages in the bundles and onnxruntime.
 * Tools of development are no part of a package. Exit code 0 clean, 1 not, 3 when the registry does not say.
 */
import { spawnSync } from 'node:child_process';
import { readFile } from 'node:fs/promises';
import path from 'node:path';
import { pinnedNode, root, temporaryFolder } from './lib/project.mjs';
import { run } from './lib/processes.mjs';
import { describePackages, onnxruntimeFolders } from './lib/shipped.mjs';

const folder = temporaryFolder('audit');
const bundled = path.join(folder, 'bundled.json');
const build = [path.join(root, 'scripts/build.mjs'), '--production', '--bundled', bundled];
await run(pinnedNode(), [...build, '--outdir', path.join(folder, 'dist')], { cwd: root });
const folders = [...JSON.parse(await readFile(bundled, 'utf8')), ...onnxruntimeFolders];
const shipped = await describePackages(folders);

// It fails when it finds anything anywhere: what it prints counts.
const { stdout } = spawnSync('npm', ['audit', '--json'], {
  cwd: root,
  encoding: 'utf8',
  shell: process.platform === 'win32',
  maxBuffer: 64 << 20,
});
const report = parsed(stdout);
if (!report?.vulnerabilities) {
  const reason = report?.error?.summary || report?.message || 'it gives no advisories';
  console.error(
    `The registry in use does not answer npm audit (${reason}); the ${shipped.length} shipped packages were not checked. Run this where npm's own registry can be reached.`,
  );
  process.exit(3);
}
const found = folders.flatMap((one) =>
  Object.values(report.vulnerabilities)
    .filter(({ nodes }) => nodes.includes(one))
    .map(({ name, severity, via }) => {
      const titles = via.map((cause) => (typeof cause === 'string' ? cause : cause.title));
      return `${name}: ${severity}: ${titles.join('; ')}`;
    }),
);
for (const line of found) console.error(line);
console.log(
  found.length === 0
    ? `No known vulnerability in the ${shipped.length} shipped packages.`
    : `${found.length} of the ${shipped.length} shipped packages have known vulnerabilities.`,
);
process.exit(found.length === 0 ? 0 : 1);

function parsed(text) {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}
