import fs from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { findSidecars, parseSidecar, readSidecar } from '../../../src/checkpoint/sidecar';
import { expectRefusal } from './helpers/files';

const parse = (name: string, text: string) => parseSidecar(name, Buffer.from(text)).values;

describe('configuration files', () => {
  it.each<[string, string, string, unknown]>([
    [
      'YAML',
      'a.yaml',
      'net:\n  w0: 30.0\n  act: null\n  lr: 1.0e-08\nlist: [1, 2]\nw: ${net.w0}\n',
      { net: { w0: 30, act: null, lr: 1e-8 }, list: [1, 2], w: 30 },
    ],
    [
      'YAML with Python tags',
      'a.yml',
      '!!python/object:argparse.Namespace\nlr: 0.1\nshape: !!python/tuple\n- 1\n- 2\nrun: !!python/object/apply:os.system ["x"]\n',
      { lr: 0.1, shape: [1, 2], run: ['x'] },
    ],
    [
      'YAML with anchors',
      'a.yaml',
      'base: &b {x: 1}\nuse:\n  <<: *b\n  y: 2\n',
      { base: { x: 1 }, use: { x: 1, y: 2 } },
    ],
    [
      'JSON',
      'args.json',
      '{"embed": "pe_1.25_80", "strides": [4, 2]}',
      { embed: 'pe_1.25_80', strides: [4, 2] },
    ],
    [
      'INI',
      'config.ini',
      '# comment\nlr = 1e-4\nname = run\n[model]\nhidden = 256\nflag = True\n',
      { lr: 1e-4, name: 'run', model: { hidden: 256, flag: true } },
    ],
    [
      'lines',
      'args.txt',
      'expname = blender\nN_samples: 64\n--lrate 5e-4\nnone = None\nlist = [1, 2,]\n',
      { expname: 'blender', N_samples: 64, lrate: 5e-4, none: null, list: [1, 2] },
    ],
    [
      'a printed Namespace',
      'rank0.txt',
      "started\nNamespace(act='gelu', fc_hw_dim='9_16_26', strides=[5, 2], lower=0.5)\n",
      { act: 'gelu', fc_hw_dim: '9_16_26', strides: [5, 2], lower: 0.5 },
    ],
    ['JSON in text', 'opt.txt', '{"a": 1}', { a: 1 }],
    [
      'a table',
      'epoch300.csv',
      'Embed,FC,Act\npe_1.25_80,9_16_26,gelu\n',
      { Embed: 'pe_1.25_80', FC: '9_16_26', Act: 'gelu' },
    ],
  ])('are read: %s', (_kind, name, text, values) => {
    expect(parse(name, text)).toEqual(values);
  });

  it('keep prototypes out', () => {
    for (const [name, text] of [
      ['a.json', '{"__proto__": {"polluted": 1}, "constructor": 2}'],
      ['a.yaml', '__proto__:\n  polluted: 1\nconstructor: 2\n'],
      ['a.ini', '[__proto__]\npolluted = 1\n'],
    ]) {
      const values = parse(name, text) as Record<string, unknown>;
      expect(Object.getPrototypeOf(values)).toBe(null);
      expect(({} as Record<string, unknown>).polluted).toBe(undefined);
    }
  });

  it.each<[string, string, string, RegExp]>([
    ['broken YAML', 'a.yaml', 'a: [1, 2', /a.yaml cannot be read as a configuration/],
    ['broken JSON', 'a.json', '{"a": ', /a.json cannot be read as a configuration/],
    ['100,000 nested lists', 'a.yaml', '['.repeat(100_000), /cannot be read as a configuration/],
    ['aliases without end', 'a.yaml', aliasBomb(), /cannot be read as a configuration/],
    ['more than 256 kB', 'a.yaml', 'a: 1\n'.repeat(60_000), /larger than/],
  ])('are refused: %s', (_kind, name, text, message) => {
    expectRefusal(() => parse(name, text), message);
  });

  it('are refused when they are no text', () => {
    expectRefusal(() => parseSidecar('a.yaml', Uint8Array.of(0xff, 0xfe, 0x00)), /is not UTF-8 text/);
  });

  it('are cut where JSON is deep', () => {
    expect(JSON.stringify(parse('a.json', '['.repeat(50_000) + ']'.repeat(50_000)))).toContain('…');
  });
});

describe('configuration files beside a checkpoint', () => {
  let folder: string;
  const write = (name: string, text: string) => {
    fs.mkdirSync(path.dirname(path.join(folder, name)), { recursive: true });
    fs.writeFileSync(path.join(folder, name), text);
  };
  beforeEach(() => {
    folder = fs.mkdtempSync(path.join(os.tmpdir(), 'sidecars-'));
    write('top/run/checkpoints/model.ckpt', '');
  });
  afterEach(() => fs.rmSync(folder, { recursive: true }));
  const find = () => {
    const { sidecars, warnings } = findSidecars(path.join(folder, 'top/run/checkpoints/model.ckpt'));
    return { paths: sidecars.map((sidecar) => sidecar.path), warnings };
  };

  it('are found beside it and one folder up, no further', () => {
    write('top/run/checkpoints/args.json', '{}');
    write('top/run/checkpoints/model.yaml', 'a: 1');
    write('top/run/checkpoints/epoch9.csv', 'a\n1');
    write('top/run/hparams.yaml', 'a: 1');
    write('top/run/.hydra/config.yaml', 'a: 1');
    write('top/cfg.yaml', 'a: 1');
    write('top/run/checkpoints/unknown.yaml', 'a: 1');
    expect(find()).toEqual({
      paths: ['model.yaml', 'args.json', 'epoch9.csv', '../hparams.yaml', '../.hydra/config.yaml'],
      warnings: [],
    });
  });

  it('are warned of when broken, and never too large', () => {
    write('top/run/checkpoints/args.json', '{');
    write('top/run/hparams.yaml', 'a: 1\n'.repeat(60_000));
    write('top/run/cfg.yaml', 'a: 1');
    const { paths, warnings } = find();
    expect(paths).toEqual(['../cfg.yaml']);
    expect(warnings.length).toBe(2);
    expect(warnings[0]).toMatch(/^args.json cannot be read as a configuration/);
    expect(warnings[1]).toMatch(/hparams.yaml is larger than/);
  });

  it('are not links that lead out, nor folders', () => {
    write('secret.yaml', 'secret: 1');
    fs.symlinkSync(path.join(folder, 'secret.yaml'), path.join(folder, 'top/run/checkpoints/cfg.yaml'));
    fs.mkdirSync(path.join(folder, 'top/run/checkpoints/args.json'));
    expect(find()).toEqual({ paths: [], warnings: [] });
  });

  it('may be the beginning of a long log', () => {
    write('rank0.txt', `Namespace(act='gelu')\n${'epoch 1 ω\n'.repeat(60_000)}`);
    expect(readSidecar(path.join(folder, 'rank0.txt')).values).toMatchObject({ act: 'gelu' });
  });

  it('can be named', () => {
    write('any.yaml', 'a: 1');
    expect(readSidecar(path.join(folder, 'any.yaml')).values).toEqual({ a: 1 });
    expectRefusal(() => readSidecar(path.join(folder, 'none.yaml')), /none.yaml does not exist/);
  });
});

/** Each list holds the one before nine times. */
function aliasBomb(): string {
  let text = 'a0: &a0 [x, x, x, x, x, x, x, x, x]\n';
  for (let i = 1; i < 12; i++)
    text += `a${i}: &a${i} [${Array(9)
      .fill(`*a${i - 1}`)
      .join(', ')}]\n`;
  return text;
}
