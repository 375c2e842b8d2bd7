/** Tensors of PyTorch inside a pickle. Source: torch/_utils.py, torch/serialization.py. */
import { CheckpointError } from '../../errors';
import { itemSize, type ByteOrder } from '../elements';
import { isSize, makeTensor, type Storage } from '../tensor';
import { Opaque, type DType, type Tensor } from '../types';
import { plainConstructors } from './constructors';
import { asBytes, Global, Pending, type Construct, type Constructors, type Item } from './pickle';

const maxTensors = 200_000;

/** Where a file keeps the bytes of its storages. */
export interface StorageFile {
  readonly order: ByteOrder;
  /** Bytes of the storage; undefined when the file has none of that key. */
  size(key: string): number | undefined;
  read(key: string, offset: number, length: number): Uint8Array<ArrayBuffer>;
}

const storageDTypes = new Map<string, DType>([
  ['FloatStorage', 'float32'],
  ['DoubleStorage', 'float64'],
  ['HalfStorage', 'float16'],
  ['BFloat16Storage', 'bfloat16'],
  ['ComplexFloatStorage', 'complex64'],
  ['ComplexDoubleStorage', 'complex128'],
  ['ByteStorage', 'uint8'],
  ['CharStorage', 'int8'],
  ['ShortStorage', 'int16'],
  ['IntStorage', 'int32'],
  ['LongStorage', 'int64'],
  ['BoolStorage', 'bool'],
]);

/** Names of `torch` that are dtypes, as `torch.float32`. */
const torchDTypes = new Map<string, DType>([
  ['float16', 'float16'],
  ['half', 'float16'],
  ['bfloat16', 'bfloat16'],
  ['float32', 'float32'],
  ['float', 'float32'],
  ['float64', 'float64'],
  ['double', 'float64'],
  ['complex64', 'complex64'],
  ['complex128', 'complex128'],
  ['uint8', 'uint8'],
  ['int8', 'int8'],
  ['uint16', 'uint16'],
  ['int16', 'int16'],
  ['uint32', 'uint32'],
  ['int32', 'int32'],
  ['uint64', 'uint64'],
  ['int64', 'int64'],
  ['bool', 'bool'],
]);

/** Bytes an element of storages whose tensors are not read, so that what follows them is found. */
const otherWidths = new Map<string, number>([
  ['QInt8Storage', 1],
  ['QUInt8Storage', 1],
  ['QUInt4x2Storage', 1],
  ['QUInt2x4Storage', 1],
  ['QInt32Storage', 4],
]);

/** A storage that a persistent id named. `dtype` is undefined for untyped and unsupported ones. */
class StorageReference extends Pending {
  constructor(
    readonly owner: TorchConstructors,
    readonly className: string,
    readonly key: string,
    readonly dtype: DType | undefined,
    /** Bytes that the pickle says it holds; NaN when the element type is unknown. */
    readonly bytes: number,
    /** Elements by which a view into an older storage is shifted. */
    readonly shift: number,
  ) {
    super();
  }

  override value(): Item {
    return new Opaque('torch', this.className, [this.key]);
  }
}

/**
 * The allow-list of a PyTorch file: plain containers, NumPy, and tensors over the storages of `file`.
 * Call `checkStorages` when the pickle is read.
 */
export class TorchConstructors implements Constructors {
  /** Bytes of each storage, as the pickle says; NaN where the element type is unknown. */
  readonly declared = new Map<string, number>();
  /** Storages that tensors read. */
  private readonly needed = new Map<string, number>();
  /** Views of one storage are one tensor: tied weights are read once. */
  private readonly tensors = new Map<string, Tensor>();
  private readonly rebuild: ReadonlyMap<string, Construct>;

  /**
   * @param loadStorage opens the complete file that a storage becomes inside a plain pickle.
   */
  constructor(
    private readonly file: StorageFile,
    loadStorage?: (bytes: Uint8Array<ArrayBuffer>) => Item,
  ) {
    const tensor: Construct = (args) => this.tensor(args);
    const first: Construct = ([data]) => data;
    this.rebuild = new Map<string, Construct>([
      ['torch._utils _rebuild_tensor', tensor],
      ['torch._utils _rebuild_tensor_v2', tensor],
      ['torch._utils _rebuild_tensor_v3', tensor],
      ['torch._utils _rebuild_parameter', first],
      ['torch._utils _rebuild_parameter_with_state', first],
      ['torch._tensor _rebuild_from_type', (args) => this.fromType(args)],
      ['torch._tensor _rebuild_from_type_v2', (args) => this.fromType(args)],
      ['torch Size', ([sizes]) => (Array.isArray(sizes) ? [...sizes] : [])],
      ['torch device', (args) => args.filter((part) => typeof part !== 'object').join(':')],
      ['torch.serialization _get_layout', first],
      ...(loadStorage
        ? [
            [
              'torch.storage _load_from_bytes',
              ([bytes]: readonly Item[]) => loadStorage(asBytes(bytes)),
            ] as const,
          ]
        : []),
    ]);
  }

  find(module: string, name: string): Construct | undefined {
    return this.rebuild.get(`${module} ${name}`) ?? plainConstructors.find(module, name);
  }

  isKnown(module: string, name: string): boolean {
    return (
      (module === 'torch' && torchDTypes.has(name)) ||
      storageClass(module, name) !== undefined ||
      this.rebuild.has(`${module} ${name}`) ||
      plainConstructors.isKnown(module, name)
    );
  }

  /** `('storage', class, key, location, elements[, view])`. */
  persistent(id: Item): Item {
    if (!Array.isArray(id)) throw malformed('a reference that is no storage');
    // Very old files keep the source code of a module beside its class.
    if (id[0] === 'module') return id[1] ?? null;
    const [kind, storage, key, , count, view] = id;
    const named = typeof key === 'string' || typeof key === 'number';
    if (kind !== 'storage' || !(storage instanceof Global) || !named || !isSize(count)) {
      throw malformed('a reference that is no storage');
    }
    const { module, name } = storage;
    const found = storageClass(module, name);
    const dtype = found === 'untyped' ? undefined : found;
    const width = dtype ? itemSize[dtype] : found === 'untyped' ? 1 : (otherWidths.get(name) ?? NaN);
    // Legacy files: (key of the view, offset into the storage, size of the view).
    const shift = Array.isArray(view) && isSize(view[1]) ? view[1] : 0;
    const reference = new StorageReference(this, name, String(key), dtype, count * width, shift);
    this.declared.set(reference.key, Math.max(reference.bytes, this.declared.get(reference.key) ?? 0));
    return reference;
  }

  /** @throws CheckpointError when a storage that a tensor needs is missing or short. */
  checkStorages(): void {
    for (const [key, bytes] of this.needed) {
      const stored = this.file.size(key);
      if (stored === undefined) throw malformed(`a tensor whose storage ${key.slice(0, 40)} is missing`);
      if (stored < bytes) {
        throw malformed(
          `a tensor that needs ${bytes} bytes of storage ${key.slice(0, 40)}, which has ${stored}`,
        );
      }
    }
  }

  /**
   * `(storage, offset, size, stride, requires_grad, hooks)`; v2 may add metadata, v3 adds a dtype before it.
   * Undefined, so opaque, when the element type is not supported.
   */
  private tensor(args: readonly Item[]): Item | undefined {
    const [storage, offset, shape, strides, , , ...rest] = args;
    const sizes =
      Array.isArray(shape) && Array.isArray(strides) && shape.every(isSize) && strides.every(isSize);
    if (!(storage instanceof StorageReference) || !isSize(offset) || !sizes) {
      throw malformed('a malformed tensor');
    }
    const dtype = storage.dtype ?? dtypeOf(rest[0]);
    if (!dtype) return undefined;
    if (rest.some(hasLazyFlag))
      throw malformed('a conjugated or negated view; call .resolve_conj() before saving it');
    const first = storage.shift + offset;
    const key = [storage.key, dtype, first, shape, strides].join(';');
    const { tensors } = storage.owner;
    let tensor = tensors.get(key);
    if (!tensor) {
      if (tensors.size >= maxTensors) throw malformed(`more than ${maxTensors} tensors`);
      tensor = makeTensor(
        {
          dtype,
          shape: shape,
          strides: strides,
          offset: first,
          order: this.file.order,
        },
        storage.owner.storage(storage.key, storage.bytes),
      );
      tensors.set(key, tensor);
    }
    return tensor;
  }

  private storage(key: string, bytes: number): Storage {
    this.needed.set(key, Math.max(bytes, this.needed.get(key) ?? 0));
    return { what: 'A tensor', bytes, read: (offset, length) => this.file.read(key, offset, length) };
  }

  /** A tensor subclass: `(function, class, args, state)`; the subclass itself is not needed. */
  private fromType([construct, , args]: readonly Item[]): Item | undefined {
    if (!(construct instanceof Global) || !Array.isArray(args)) return undefined;
    const isTensor = construct.module === 'torch._utils' && construct.name.startsWith('_rebuild_tensor');
    return isTensor ? construct.construct?.(args) : undefined;
  }
}

/** Element type of a storage class; undefined when it is none, or not supported. */
export function storageClass(module: string, name: string): DType | 'untyped' | undefined {
  if (!/^torch(\.cuda|\.storage)?$/.test(module)) return undefined;
  return /^_?UntypedStorage$/.test(name) ? 'untyped' : storageDTypes.get(name);
}

function dtypeOf(item: Item | undefined): DType | undefined {
  return item instanceof Global && item.module === 'torch' ? torchDTypes.get(item.name) : undefined;
}

/** Metadata that says the stored values are to be conjugated or negated when read. */
function hasLazyFlag(metadata: Item): boolean {
  return metadata instanceof Map && (metadata.get('conj') === true || metadata.get('neg') === true);
}

function malformed(what: string): CheckpointError {
  return new CheckpointError(`The pickle inside the file holds ${what}; save the checkpoint again.`);
}
