/** Assembles src/tracing/video/loops.wat into the module beside it. `--check` fails when that is another. */
import { readFile, writeFile } from 'node:fs/promises';
import path from 'node:path';
import wabt from 'wabt';
import { root } from './lib/project.mjs';

const source = path.join(root, 'src/tracing/video/loops.wat');
const target = path.join(root, 'src/tracing/video/loops.wasm.ts');
const { parseWat } = await wabt();
const module = parseWat(source, await readFile(source, 'utf8'));
module.validate();
const { buffer } = module.toBinary({});
const text = [
  '/** Made from loops.wat by `node scripts/wat.mjs`. */',
  '// prettier-ignore',
  'export const wasm =',
  `  '${Buffer.from(buffer).toString('base64')}';`,
  '',
].join('\n');
if (!process.argv.includes('--check')) await writeFile(target, text);
else if ((await readFile(target, 'utf8')) !== text) {
  throw new Error('loops.wasm.ts is not what loops.wat says; run node scripts/wat.mjs');
}
