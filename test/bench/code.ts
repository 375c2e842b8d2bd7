/**
 * Reading Python: a 5,000-line file whole, first and later, and after a key press; a workspace of 500 files in
 * the thread, and what is at a place in one of them, as hovers ask. Prints one JSON line.
 */
import { cpSync, mkdtempSync, rmSync } from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { CodeClient } from '../../src/code/client';
import { pythonParser } from '../../src/code/python/grammar';
import { PythonDocument } from '../../src/code/python/document';

const layer = (i: number) => `
class Layer${i}(nn.Module):
    """Affine, then sine."""

    def __init__(self, in_features, out_features=${i}, omega_0=30.0, *, bias=True):
        super().__init__()
        self.omega_0 = omega_0
        layers = []
        for k in range(3):
            layers.append(nn.Linear(in_features if k == 0 else out_features, out_features, bias=bias))
        self.net = nn.Sequential(*layers, nn.Linear(out_features, 3))
        self.register_buffer("B", torch.randn(${i}, in_features) * 2.5)

    def forward(self, x, scale=1.0):
        for layer in self.net[:-1]:
            x = torch.sin(self.omega_0 * scale * layer(x))
        if self.training and scale > 0.5:
            x = x + 0.01 * torch.randn_like(x)
        return torch.sigmoid(self.net[-1](x)), {"omega": f"{self.omega_0:.1f}"}
`;
const FILES = 500;

/** Milliseconds: all files and the checkpoint, and one question about a place (20 of them). */
async function workspace() {
  const folder = mkdtempSync(path.join(os.tmpdir(), 'neural-canvas-code-'));
  const client = new CodeClient(path.resolve('dist/code.js'));
  try {
    const files = Array.from({ length: FILES }, (_, i) => {
      const file = path.join(folder, `models${i}.py`);
      cpSync('samples/pictures/models.py', file);
      return file;
    });
    const began = performance.now();
    await client.call('files', { files, roots: [folder] });
    const read = performance.now() - began;
    const layers = [0, 1, 2, 3].map((i) => ({
      name: `net.${i}.linear`,
      inputs: i === 0 ? 2 : 96,
      outputs: 96,
    }));
    await client.call('checkpoints', {
      checkpoints: [
        {
          file: path.join(folder, 'siren.pth'),
          layers: [...layers, { name: 'net.4', inputs: 96, outputs: 3 }],
        },
      ],
    });
    const asked: number[] = [];
    let found = 0;
    for (let i = 0; i < 20; i++) {
      const from = performance.now();
      // `return self.net(coords)`
      found += (await client.call('at', { file: files[20 * i], row: 39, column: 21 })).length;
      asked.push(Math.round(10 * (performance.now() - from)) / 10);
    }
    asked.sort((a, b) => a - b);
    return { files: FILES, read: Math.round(read), place: { found, median: asked[10], slowest: asked[19] } };
  } finally {
    await client.dispose();
    rmSync(folder, { recursive: true });
  }
}

async function main() {
  const text = `import torch\nfrom torch import nn\n${Array.from({ length: 240 }, (_, i) => layer(i)).join('\n')}`;
  const parser = await pythonParser();
  const time = (run: () => void) => {
    const began = performance.now();
    run();
    return Math.round(10 * (performance.now() - began)) / 10;
  };
  let document!: PythonDocument;
  const whole = time(() => (document = new PythonDocument(parser, 'a.py', text)));
  // The thread that reads code has read others before.
  const later = Array.from({ length: 9 }, () =>
    time(() => new PythonDocument(parser, 'b.py', text).dispose()),
  ).sort((a, b) => a - b);
  const parsed = Array.from({ length: 5 }, () => time(() => parser.parse(text)?.delete())).sort(
    (a, b) => a - b,
  );
  const at = text.indexOf('class Layer120');
  const edits = Array.from({ length: 20 }, (_, i) => {
    const place = text.indexOf('\n', at) + 1;
    const edited = `${text.slice(0, place)}${'    # note\n'.repeat(i + 1)}    x = ${i}\n${text.slice(place)}`;
    return time(() => document.update(edited));
  }).sort((a, b) => a - b);
  console.log(
    JSON.stringify({
      lines: text.split('\n').length,
      whole: { first: whole, later: later[4], fastest: later[0], 'of which tree-sitter': parsed[2] },
      edit: { median: edits[10], slowest: edits[19] },
      workspace: await workspace(),
    }),
  );
}
void main();
