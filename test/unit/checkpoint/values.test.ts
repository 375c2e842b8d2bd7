import { describe, expect, it } from 'vitest';
import { Opaque, Tensor, type Value } from '../../../src/checkpoint/types';
import {
  asTensor,
  hyperParameters,
  resolveReferences,
  stateDicts,
  stripPrefix,
  toPlain,
} from '../../../src/checkpoint/values';
import { entry, expected, expectTensor, openFixture } from './helpers/files';

const tensor = (...values: number[]) =>
  new Tensor('float32', [values.length], () => Float32Array.from(values));
type Tree = Value | { [key: string]: Tree } | Tree[];
function value(tree: Tree): Value {
  if (Array.isArray(tree)) return tree.map((item: Tree) => value(item));
  const isData = typeof tree !== 'object' || tree === null || tree.constructor !== Object;
  if (isData) return tree as Value;
  return new Map(Object.entries(tree).map(([key, item]) => [key, value(item as Tree)]));
}
const checkpoint = (tree: Tree) => ({ format: 'test', root: value(tree), opaque: [], warnings: [] });
const candidates = (tree: Tree) =>
  stateDicts(checkpoint(tree)).map(({ path, tensors }) => [path.join('/'), [...tensors.keys()].join(' ')]);
const w = tensor(1, 2);

describe('state dicts', () => {
  it.each<[string, Tree, string, string]>([
    ['at the top', { 'net.0.weight': w, 'net.0.bias': w }, '', 'net.0.weight net.0.bias'],
    ['with wrappers', { 'module.net.0.weight': w }, '', 'module.net.0.weight'],
    [
      'beside numbers',
      { epoch: 3, loss: tensor(1), state_dict: { 'a.weight': w } },
      'state_dict',
      'a.weight',
    ],
    [
      'beside a picture (FINER)',
      { pred_img: w, model_state: { 'net.0.weight': w } },
      'model_state',
      'net.0.weight',
    ],
    [
      'NeRF',
      { network_fn_state_dict: { 'p.weight': w }, network_fine_state_dict: { 'p.weight': w } },
      'network_fn_state_dict',
      'p.weight',
    ],
    [
      'two levels down (LIIF)',
      { model: { name: 'liif', args: {}, sd: { 'imnet.weight': w } } },
      'model/sd',
      'imnet.weight',
    ],
    [
      'rather than averages',
      { model_ema: { 'a.weight': w }, ema: { 'a.weight': w }, net: { 'a.weight': w } },
      'net',
      'a.weight',
    ],
    ['of averages alone', { ema_state_dict: { 'a.weight': w } }, 'ema_state_dict', 'a.weight'],
    [
      'not of the optimiser',
      { optimizer: { state: { 0: { weight: w, exp_avg: w } } }, net: { 'a.x': w } },
      'net',
      'a.x',
    ],
    ['of one layer', { state_dict: { weight: w, bias: w } }, 'state_dict', 'weight bias'],
    [
      'nested (Flax)',
      { params: { Dense_0: { kernel: w, bias: w }, Dense_1: { kernel: w } } },
      'params',
      'Dense_0.kernel Dense_0.bias Dense_1.kernel',
    ],
    [
      'nested (Haiku)',
      { params: { 'net/~/linear_0': { w, b: w }, 'net/~/linear_1': { w, b: w } }, config: { z: 1 } },
      'params',
      'net/~/linear_0.w net/~/linear_0.b net/~/linear_1.w net/~/linear_1.b',
    ],
    ['as lists (stax)', { params: [[w, w], [], [w, w]] }, 'params', '0.0 0.1 2.0 2.1'],
    ['as a list of tensors', [w, w], '', '0 1'],
    [
      'by level (MR-Net)',
      { omega_0: [30], module0_state_dict: { 'first_layer.linear.weight': w } },
      'module0_state_dict',
      'first_layer.linear.weight',
    ],
  ])('are found %s', (_where, tree, path, names) => {
    expect(candidates(tree)[0]).toEqual([path, names]);
  });

  it('lists the other candidates after the best', () => {
    expect(
      candidates({ generator: { 'a.weight': w }, discriminator: { 'b.weight': w }, ema: { 'a.weight': w } }),
    ).toEqual([
      ['generator', 'a.weight'],
      ['discriminator', 'b.weight'],
      ['ema', 'a.weight'],
    ]);
  });

  it('end on cycles, deep and wide values', () => {
    const cycle = new Map<string, Value>([['weight', w]]);
    cycle.set('self', cycle);
    expect(stateDicts({ format: '', root: cycle, opaque: [], warnings: [] }).length).toBeGreaterThan(0);
    let nest: Value = w;
    for (let i = 0; i < 900; i++) nest = [nest, nest];
    expect(stateDicts({ format: '', root: nest, opaque: [], warnings: [] }).length).toBeLessThan(100);
  });

  it('are dequantised as HNeRV does', () => {
    const file = openFixture('hnerv-quantised.pth');
    const [{ path, tensors }] = stateDicts(file);
    expect(path).toEqual(['model']);
    const { tensors: wanted, embed } = expected['hnerv-quantised.pth'];
    expect([...tensors.keys()]).toEqual(Object.keys(wanted));
    for (const [name, description] of Object.entries(wanted)) {
      const actual = tensors.get(name)!;
      expect(actual.shape).toEqual(description.shape);
      description.values.forEach((number, i) => expect(actual.read()[i]).toBeCloseTo(number as number, 6));
    }
    const { shape } = embed as { shape: number[] };
    expect(asTensor(entry(file.root, 'embed')!)?.shape).toEqual(shape);
  });

  it('leave a triple of other shapes alone', () => {
    expect(asTensor(value({ quant: tensor(1, 2, 3), min: tensor(1, 2), scale: 1 }))).toBe(undefined);
    expect(asTensor(value({ quant: 1, min: 1, scale: 1 }))).toBe(undefined);
  });

  it('are taken from modules that were saved whole', () => {
    for (const name of ['module.pt', 'module-legacy.pt', 'scripted.pt']) {
      const [{ tensors }] = stateDicts(openFixture(name));
      for (const [key, wanted] of Object.entries(expected[name].tensors))
        expectTensor(tensors.get(key), wanted);
    }
  });
});

describe('prefixes', () => {
  it('of wrappers are removed when all names share them', () => {
    const strip = (...names: string[]) => {
      const { prefix, named } = stripPrefix(new Map(names.map((name) => [name, 0])));
      return [prefix, ...named.keys()];
    };
    expect(strip('module._orig_mod.net.0', 'module._orig_mod.b')).toEqual([
      'module._orig_mod.',
      'net.0',
      'b',
    ]);
    expect(strip('module.a', 'b')).toEqual(['', 'module.a', 'b']);
    expect(strip()).toEqual(['']);
  });
});

describe('plain values', () => {
  it('describe tensors, bytes and opaque objects', () => {
    const long = new Tensor('float16', [100, 2], () => new Float32Array(200));
    const scalar = new Tensor('float32', [], () => Float32Array.of(5));
    const tree = value([w, long, scalar, 2n ** 70n, new Uint8Array(3)]);
    expect(toPlain(tree)).toEqual([[1, 2], 'float16 [100, 2]', 5, '1180591620717411303424', '3 bytes']);
    expect(toPlain(new Opaque('my', 'Mode', ['sine', 2, w]))).toBe('my.Mode(sine, 2, …)');
    expect(toPlain(new Opaque('my', 'Config', [], new Map([['a', 1]])))).toEqual({ a: 1 });
  });

  it('have no prototype', () => {
    const plain = toPlain(JSON.parse('{"__proto__": {"polluted": 1}}')) as Record<string, unknown>;
    expect(Object.getPrototypeOf(plain)).toBe(null);
    expect(plain.polluted).toBe(undefined);
  });

  it('are cut where they are deep', () => {
    let nest: Value = 1;
    for (let i = 0; i < 1000; i++) nest = [nest];
    expect(JSON.stringify(toPlain(nest))).toMatch(/^\[+"…"\]+$/);
  });
});

describe('hyper-parameters', () => {
  it('are merged, the more telling last', () => {
    const file = checkpoint({
      omega_0: [30, 60],
      psnr: 31.5,
      args: { lr: 1, w0: 20 },
      hyper_parameters: { w0: 30, cfg: { width: 64 } },
      model: { args: { depth: 3 } },
      state_dict: { 'net.weight': w },
      optimizer: { lr: 5 },
    });
    expect(hyperParameters(file)).toEqual({
      omega_0: [30, 60],
      psnr: 31.5,
      lr: 1,
      w0: 30,
      width: 64,
      depth: 3,
    });
  });

  it('end on configurations that contain themselves', () => {
    const args = new Map<string, Value>([['a', 1]]);
    args.set('args', args);
    expect(hyperParameters({ format: '', root: args, opaque: [], warnings: [] })).toMatchObject({ a: 1 });
  });

  it('resolve references of OmegaConf', () => {
    const tree = toPlain({
      w: 8,
      n: { a: '${w}', b: '${..w}', c: '${.a}', d: { e: '${...w}', f: '${n.c}' } },
    });
    expect(resolveReferences(tree)).toEqual({ w: 8, n: { a: 8, b: 8, c: 8, d: { e: 8, f: 8 } } });
  });

  it('leave references that lead nowhere, to dictionaries or to themselves', () => {
    const tree = toPlain({
      a: '${b}',
      b: '${a}',
      c: '${none}',
      d: '${e}',
      e: { x: 1 },
      f: '${....a}',
      g: '${__proto__}',
    });
    const resolved = resolveReferences(tree) as Record<string, unknown>;
    expect([resolved.c, resolved.d, resolved.f, resolved.g]).toEqual([
      '${none}',
      '${e}',
      '${....a}',
      '${__proto__}',
    ]);
    expect([resolved.a, resolved.b].every((text) => /^\$\{[ab]\}$/.test(text as string))).toBe(true);
  });
});
