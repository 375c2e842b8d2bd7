import { describe, expect, it } from 'vitest';
import { Opaque, Tensor, type Checkpoint } from '../../../src/checkpoint/types';
import { hyperParameters, stateDicts, toPlain } from '../../../src/checkpoint/values';
import {
  entry,
  expected,
  expectRefusal,
  expectTensor,
  openBytes,
  openFixture,
  torchZip,
} from './helpers/files';
import * as p from './helpers/pickle';

const load = (...codes: p.Code[]): Checkpoint => openBytes(torchZip(p.program(p.proto(2), ...codes)));
const root = (...codes: p.Code[]) => load(...codes, p.stop).root;

describe('pickles as data', () => {
  it.each([0, 1, 2, 3, 4, 5])('reads what Python writes with protocol %i', (protocol) => {
    const { root, opaque } = openFixture(`protocol${protocol}.pkl`);
    const value = (key: string) => entry(root, key);
    expect(opaque).toEqual([]);
    expect(value('none')).toBe(null);
    expect(value('true')).toBe(true);
    expect(value('int')).toBe(-5);
    expect(value('long')).toBe(-(2n ** 70n));
    expect(value('float')).toBe(-0.1);
    expect(value('text')).toBe('aω\n\\');
    expect([...(value('bytes') as Uint8Array)]).toEqual([0, 255]);
    expect([...(value('bytearray') as Uint8Array)]).toEqual([97, 98]);
    expect(value('list')).toEqual([1, [2, [3, []]]]);
    expect([value('set'), value('frozen')]).toEqual([[4], [6]]);
    expect([value('5'), value('(1, a)')]).toEqual(['five', 'tuple']);
    expect([entry(value('ordered'), 'a'), entry(value('default'), 'b')]).toEqual([1, 2]);
    expect(entry(value('namespace'), 'lr')).toBe(0.5);
    expect(value('scalar')).toBe(0.5);
    const { array, f } = expected[`protocol${protocol}.pkl`].tensors;
    expectTensor(value('array') as Tensor, array);
    expectTensor(value('f') as Tensor, f);
  });

  it('reads the configuration objects of Lightning, OmegaConf, EasyDict and argparse', () => {
    const checkpoint = openFixture('lightning.ckpt');
    expect(checkpoint.opaque).toEqual(['my.project.Callback']);
    expect(hyperParameters(checkpoint)).toEqual({
      epoch: 7,
      global_step: 2 ** 40,
      'pytorch-lightning_version': '1.9.0',
      hparams_name: 'kwargs',
      width: 104,
      strides: [4, 2],
      network: { width: 104, missing: null },
      omega_0: 30,
      coords: 'ij',
      device: 'cuda:1',
      out: 'logs/a',
      easy: { w0: 30 },
      size: [128, 256],
    });
    const [weights] = stateDicts(checkpoint);
    expect(weights.path).toEqual(['state_dict']);
    for (const [name, wanted] of Object.entries(expected['lightning.ckpt'].tensors)) {
      expectTensor(weights.tensors.get(name), wanted);
    }
  });

  it('reads NumPy scalars and arrays', () => {
    const { root, opaque } = openFixture('numpy.pt');
    expect(opaque).toEqual([]);
    for (const [name, wanted] of Object.entries(expected['numpy.pt'].tensors)) {
      expectTensor(entry(root, name) as Tensor, wanted);
    }
    expect(['psnr', 'step', 'flag', 'single', 'nothing', 'text'].map((key) => entry(root, key))).toEqual([
      31.25,
      2n ** 60n,
      true,
      Math.fround(0.1),
      null,
      'ω',
    ]);
    expect(entry(root, 'objects', 0, 'w')).toBeInstanceOf(Tensor);
    expect([entry(root, 'objects', 1), entry(root, 'objects', 2)]).toEqual([null, 'text']);
  });
});

describe('names that are not on the allow-list', () => {
  const evil = p.group(p.text('touch pwned'));
  const system = p.global('os', 'system');

  it.each<[string, p.Code[]]>([
    ['GLOBAL and REDUCE', [system, evil, p.reduce]],
    ['STACK_GLOBAL', [p.text('os'), p.text('system'), p.stackGlobal, evil, p.reduce]],
    ['INST', [p.mark, p.text('touch pwned'), p.ascii('ios\nsystem\n')]],
    ['OBJ', [p.mark, system, p.text('touch pwned'), p.ascii('o')]],
    ['NEWOBJ', [system, evil, p.newObject]],
    ['NEWOBJ_EX', [system, evil, p.emptyDict, p.newObjectEx]],
    ['copyreg', [p.global('copyreg', '__newobj__'), p.group(system, p.text('touch pwned')), p.reduce]],
  ])('become opaque through %s', (_way, codes) => {
    const checkpoint = load(...codes, p.stop);
    expect(checkpoint.root).toEqual(new Opaque('os', 'system', ['touch pwned']));
    expect(checkpoint.opaque).toEqual(['os.system']);
  });

  it.each([
    ['builtins', 'eval'],
    ['__builtin__', 'exec'],
    ['builtins', 'getattr'],
    ['builtins', 'dict.fromkeys'],
    ['builtins', '__proto__'],
    ['collections', 'OrderedDict.__init__.__globals__'],
    ['torch', '_utils._rebuild_tensor_v2'],
    ['__proto__', 'constructor'],
    ['constructor', 'prototype'],
    ['', ''],
  ])('%s.%s stays a name', (module, name) => {
    const checkpoint = load(p.text(module), p.text(name), p.stackGlobal, p.emptyTuple, p.reduce, p.stop);
    expect(checkpoint.root).toEqual(new Opaque(module, name));
    expect(checkpoint.opaque).toEqual([`${module}.${name}`]);
  });

  it('keep the state, entries and items that the pickle gives them', () => {
    const instance = [p.global('my', 'Config'), p.emptyTuple, p.newObject];
    const state = [p.emptyDict, p.text('a'), p.integer(1), p.setItem];
    expect(entry((root(...instance, ...state, p.build) as Opaque).state, 'a')).toBe(1);
    const both = root(...instance, p.text('b'), p.integer(2), p.setItem, ...state, p.build) as Opaque;
    expect(both.state).toEqual(
      new Map([
        ['a', 1],
        ['b', 2],
      ]),
    );
    expect((root(...instance, p.integer(3), p.append) as Opaque).state).toEqual([3]);
  });

  it('are not called when their result is called', () => {
    const { root } = load(
      p.global('builtins', 'getattr'),
      p.group(p.text('os'), p.text('system')),
      p.reduce,
      evil,
      p.reduce,
      p.stop,
    );
    expect(root).toEqual(new Opaque('builtins', 'getattr()', ['touch pwned']));
  });

  it('are reported though the pickle drops them', () => {
    expect(load(system, evil, p.reduce, p.ascii('0'), p.none, p.stop).opaque).toEqual(['os.system']);
  });
});

describe('prototypes', () => {
  it('are out of reach of keys and names', () => {
    const before = Object.getOwnPropertyNames(Object.prototype).sort();
    const value = root(
      p.emptyDict,
      p.text('__proto__'),
      p.emptyDict,
      p.text('polluted'),
      p.integer(1),
      p.setItem,
      p.setItem,
      p.text('constructor'),
      p.integer(2),
      p.setItem,
    );
    expect(entry(value, '__proto__', 'polluted')).toBe(1);
    const plain = toPlain(value) as Record<string, unknown>;
    expect(Object.getPrototypeOf(plain)).toBe(null);
    expect(Object.keys(plain)).toEqual(['__proto__', 'constructor']);
    expect(Object.getOwnPropertyNames(Object.prototype).sort()).toEqual(before);
    expect(({} as Record<string, unknown>).polluted).toBe(undefined);
  });

  it('are out of reach of a state', () => {
    const namespace = root(
      p.global('argparse', 'Namespace'),
      p.emptyTuple,
      p.newObject,
      p.emptyDict,
      p.text('__proto__'),
      p.integer(1),
      p.setItem,
      p.build,
    );
    expect([...(namespace as Map<string, unknown>)]).toEqual([['__proto__', 1]]);
  });

  it('are out of reach of memo keys', () => {
    expectRefusal(() => load(p.none, p.ascii('p__proto__\n'), p.stop), /recalls a value that was not stored/);
    expectRefusal(() => load(p.ascii('gconstructor\n'), p.stop), /recalls a value that was not stored/);
  });
});

describe('hostile and broken pickles', () => {
  /** 60 pairs, each of the one before and itself again: 2⁶⁰ values when written out. */
  const laughs = [
    p.emptyList,
    ...Array.from({ length: 60 }, (_, i) => p.program(p.put(i), p.get(i), p.op(0x86))),
  ];

  it('shares what is repeated, and cuts it when it is made plain', () => {
    const value = root(...laughs);
    expect(entry(value, 0, 1)).toBe(entry(value, 1, 1));
    expect(JSON.stringify(toPlain(value)).length).toBeLessThan(5e6);
    expect(stateDicts({ format: '', root: value, opaque: [], warnings: [] })).toEqual([]);
  });

  it('shortens keys that repeat', () => {
    const value = root(p.emptyDict, ...laughs, p.none, p.setItem) as Map<string, unknown>;
    expect([...value.keys()][0].length).toBeLessThan(1000);
  });

  it('reads cycles', () => {
    const list = root(p.emptyList, p.put(0), p.get(0), p.append) as unknown[];
    expect(list[0]).toBe(list);
    expect(JSON.stringify(toPlain(list as never))).toContain('…');
    const node = root(
      p.global('omegaconf.nodes', 'AnyNode'),
      p.emptyTuple,
      p.newObject,
      p.put(0),
      p.emptyDict,
      p.text('_val'),
      p.get(0),
      p.setItem,
      p.build,
    );
    expect(node).toBe(null);
  });

  it.each<[string, p.Code[], RegExp]>([
    [
      '100,000 nested lists',
      [p.repeat(p.emptyList, 100_001), p.repeat(p.append, 100_000)],
      /nested more than 1000/,
    ],
    ['100,000 nested tuples', [p.none, p.repeat(p.op(0x85), 100_000)], /nested more than 1000/],
    [
      'a payload before a broken tail',
      [p.global('os', 'system'), p.group(p.text('x')), p.reduce],
      /ends early/,
    ],
    ['a broken tail', [p.none, p.op(0xff)], /unknown instruction 0xff/],
    ['an empty stack', [p.append], /empty stack/],
    ['STOP on an empty stack', [], /empty stack/],
    ['an underflow below a mark', [p.none, p.mark, p.none, p.op(0x86)], /empty stack/],
    ['a mark that is missing', [p.none, p.tuple], /group that was not opened/],
    [
      'SETITEM on a tensor',
      [p.tensor({ shape: [4], strides: [1] }), p.text('a'), p.none, p.setItem],
      /entry of something that has none/,
    ],
    ['SETITEM on a list', [p.emptyList, p.integer(0), p.none, p.setItem], /entry of something that has none/],
    ['an odd number of SETITEMS', [p.emptyDict, p.mark, p.none, p.setItems], /entry without a value/],
    ['APPEND on a number', [p.integer(1), p.none, p.append], /appends to something that is no list/],
    ['BUILD on a number', [p.integer(1), p.emptyDict, p.build], /attaches a state/],
    ['REDUCE of a number', [p.integer(1), p.emptyTuple, p.reduce], /calls something that is no class/],
    ['REDUCE without a tuple', [p.global('os', 'system'), p.none, p.reduce], /arguments that are no tuple/],
    ['STACK_GLOBAL without text', [p.none, p.none, p.stackGlobal], /class that is not text/],
    ['a huge LONG4', [p.op(0x8b, 0xff, 0xff, 0xff, 0x7f)], /integer of 2147483647 bytes/],
    ['a huge LONG', [p.ascii(`L${'9'.repeat(100_000)}L\n`)], /integer of 100000 digits/],
    ['a huge BINUNICODE8', [p.op(0x8d, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x7f)], /ends early/],
    ['a huge BINBYTES8', [p.op(0x8e, 0, 0, 0, 0, 0, 1, 0, 0)], /ends early/],
    ['a frame past the end', [p.op(0x95, 0, 0, 0, 0, 0, 0, 0, 0x10)], /ends early/],
    ['protocol 6', [p.proto(6)], /protocol 6/],
    ['a buffer outside', [p.op(0x97)], /outside the file/],
    ['a malformed number', [p.ascii('I1e5\n')], /malformed number/],
    ['a malformed float', [p.ascii('F0x10\n')], /malformed number/],
    ['text without quotes', [p.ascii('Sabc\n')], /text without quotes/],
    ['a recall of nothing', [p.get(7)], /recalls a value/],
    ['a persistent id that is no storage', [p.none, p.persistentId], /reference that is no storage/],
    [
      'a dictionary of numbers',
      [p.global('collections', 'OrderedDict'), p.group(p.group(p.integer(1))), p.reduce],
      /dictionary of something else/,
    ],
    [
      'a malformed array',
      [p.global('numpy', 'ndarray'), p.emptyTuple, p.newObject, p.none, p.build],
      /malformed NumPy array/,
    ],
    ['a memo that grows', [p.none, p.repeat(p.memoize, 1_000_001)], /remembers more than/],
    ['a stack that grows', [p.repeat(p.none, 1_000_001)], /stack grows/],
    ['marks that grow', [p.repeat(p.mark, 1_000_001)], /stack grows/],
    [
      'objects without end',
      [p.repeat(p.program(p.emptyList, p.ascii('0')), 1_000_001), p.none],
      /makes more than 320000 objects/,
    ],
    [
      'instructions without end',
      [p.repeat(p.program(p.none, p.ascii('0')), 10_000_001), p.none],
      /more than 20000000 instructions/,
    ],
  ])('refuses %s', (_what, codes, message) => {
    expectRefusal(() => load(...codes, ...(message.source === 'ends early' ? [] : [p.stop])), message);
  });

  it('refuses a missing STOP', () => {
    expectRefusal(() => load(p.none), /ends early/);
  });

  it('refuses constructors that copy one large value for ever', () => {
    const bytes = p.program(p.text('x'.repeat(100_000)), p.put(0), p.ascii('0'));
    const copy = p.program(p.global('_codecs', 'encode'), p.group(p.get(0), p.text('latin1')), p.reduce);
    expectRefusal(() => load(bytes, p.repeat(copy, 5000), p.stop), /copies the same values over and over/);
  });

  it('reads the first of stacked pickles and says so', () => {
    const { root, warnings } = load(p.integer(1), p.stop, p.global('os', 'system'), p.stop);
    expect(root).toBe(1);
    expect(warnings).toEqual(['12 bytes after the end of the pickle were ignored.']);
  });
});
