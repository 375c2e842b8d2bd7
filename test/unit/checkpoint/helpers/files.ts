import fs from 'node:fs';
import path from 'node:path';
import { expect } from 'vitest';
import { openCheckpoint } from '../../../../src/checkpoint/open';
import { bytesSource, fileSource } from '../../../../src/checkpoint/source';
import type { ByteSource, Checkpoint, Tensor, Value } from '../../../../src/checkpoint/types';
import { CheckpointError } from '../../../../src/errors';
import { makeZip, type ZipFile, type ZipOptions } from './zip';

export const fixtures = path.join(import.meta.dirname, '../../../fixtures/checkpoint');

export interface ExpectedTensor {
  readonly dtype: string;
  readonly shape: readonly number[];
  readonly values: readonly (number | string)[];
}

export const expected = JSON.parse(fs.readFileSync(path.join(fixtures, 'expected.json'), 'utf8')) as Record<
  string,
  { tensors: Record<string, ExpectedTensor>; [more: string]: unknown }
>;

export const openFixture = (name: string): Checkpoint =>
  openCheckpoint(fileSource(path.join(fixtures, name)));
export const openBytes = (bytes: Uint8Array<ArrayBuffer>, name = 'file.pt'): Checkpoint =>
  openCheckpoint(bytesSource(name, bytes));

/** A file of a folder in memory, beside the others that it may name. */
export function inFolder(files: ReadonlyMap<string, Uint8Array<ArrayBuffer>>, name: string): ByteSource {
  const bytes = files.get(name);
  if (!bytes) throw new CheckpointError(`${name} does not exist; check its name and folder.`);
  return { ...bytesSource(name, bytes), sibling: (sibling) => inFolder(files, sibling) };
}

export const fixtureBytes = (name: string): Uint8Array<ArrayBuffer> =>
  new Uint8Array(fs.readFileSync(path.join(fixtures, name)));

/** A PyTorch archive around a pickle. */
export function torchZip(
  pickle: Uint8Array,
  more: readonly ZipFile[] = [],
  options: ZipOptions = {},
): Uint8Array<ArrayBuffer> {
  return makeZip([{ name: 'archive/data.pkl', data: pickle }, ...more], options);
}

/** Expects exactly this dtype and shape, and these values (`nan`, `inf`, `-inf` as text). */
export function expectTensor(actual: Tensor | undefined, wanted: ExpectedTensor): void {
  expect(actual).toBeDefined();
  expect([actual!.dtype, actual!.shape]).toEqual([wanted.dtype, wanted.shape]);
  const special: Record<string, number> = { nan: NaN, inf: Infinity, '-inf': -Infinity };
  const numbers = wanted.values.map((value) => (typeof value === 'string' ? special[value] : value));
  expect([...actual!.read()]).toEqual(numbers);
}

/** Expects a CheckpointError whose one sentence matches. */
export function expectRefusal(action: () => unknown, message: RegExp): void {
  let error: unknown;
  try {
    action();
  } catch (caught) {
    error = caught;
  }
  expect(error).toBeInstanceOf(CheckpointError);
  expect((error as Error).message).toMatch(message);
  expect((error as Error).message).toMatch(/^\S.*[^.]\.$/s);
}

export function entry(value: Value | undefined, ...keys: (string | number)[]): Value | undefined {
  for (const key of keys) {
    if (value instanceof Map) value = (value as ReadonlyMap<string, Value>).get(String(key));
    else if (Array.isArray(value)) value = value[Number(key)] as Value;
    else return undefined;
  }
  return value;
}
