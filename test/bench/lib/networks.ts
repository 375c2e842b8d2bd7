/** Networks to measure, written as files: what is timed is what a person's own checkpoint takes. */
import { existsSync, readFileSync, truncateSync, writeFileSync } from 'node:fs';
import path from 'node:path';

/** Random tensors, always the same, as safetensors. */
class RandomFile {
  private state = 1;
  private readonly header: Record<string, object> = {};
  private readonly parts: Float32Array[] = [];
  private at = 0;

  /** Uniform in ±bound. */
  add(name: string, shape: readonly number[], bound: number): void {
    const data = Float32Array.from({ length: shape.reduce((a, b) => a * b, 1) }, () => {
      this.state = (Math.imul(this.state, 1664525) + 1013904223) >>> 0;
      return (this.state / 2 ** 31 - 1) * bound;
    });
    this.header[name] = { dtype: 'F32', shape, data_offsets: [this.at, (this.at += data.byteLength)] };
    this.parts.push(data);
  }

  write(file: string): void {
    const json = Buffer.from(JSON.stringify(this.header));
    const length = Buffer.alloc(8);
    length.writeBigUInt64LE(BigInt(json.length));
    const parts = this.parts.map(({ buffer }) => new Uint8Array(buffer));
    writeFileSync(file, Buffer.concat([length, json, ...parts]));
  }
}

/** A SIREN (notebook layout, random initialisation). */
export function writeSiren(file: string, width: number, layers: number): void {
  const tensors = new RandomFile();
  const hidden = Math.sqrt(6 / width) / 30;
  for (let i = 0; i < layers; i++) {
    const inputs = i === 0 ? 2 : width;
    tensors.add(`net.${i}.linear.weight`, [width, inputs], i === 0 ? 0.5 : hidden);
    tensors.add(`net.${i}.linear.bias`, [width], 1 / Math.sqrt(inputs));
  }
  tensors.add(`net.${layers}.weight`, [3, width], hidden);
  tensors.add(`net.${layers}.bias`, [3], 1 / Math.sqrt(width));
  tensors.write(file);
}

/**
 * A decoder of frames of 640 × 1280 with HNeRV's strides, kernels and widths, 1.45 million parameters; the
 * first map comes from the time, so that one file holds everything.
 */
export function writeDecoder(file: string): void {
  const tensors = new RandomFile();
  const [strides, kernels] = [
    [5, 4, 4, 2, 2],
    [1, 3, 5, 5, 5],
  ];
  const channels = [68, 56, 46, 38, 31, 25];
  const add = (name: string, outputs: number, inputs: number, kernel: number) => {
    // Keeps the variance of the values.
    const bound = Math.sqrt(6 / (inputs * kernel ** 2));
    tensors.add(`${name}.weight`, [outputs, inputs, kernel, kernel], bound);
    tensors.add(`${name}.bias`, [outputs], 0.1);
  };
  add('decoder.0.conv.downconv', channels[0] * 2 * 4, 160, 1);
  for (const [k, stride] of strides.entries()) {
    add(`decoder.${k + 1}.conv.upconv.0`, channels[k + 1] * stride ** 2, channels[k], kernels[k]);
  }
  add('head_layer', 3, channels.at(-1)!, 3);
  tensors.write(file);
}

/** The same checkpoint with another tensor of about so many bytes behind it, which takes no room on disk. */
export function padSafetensors(from: string, to: string, bytes: number): void {
  const file = readFileSync(from);
  const length = Number(file.readBigUInt64LE());
  const header = JSON.parse(file.toString('utf8', 8, 8 + length)) as Record<string, object>;
  const body = file.subarray(8 + length);
  const elements = Math.floor(bytes / 4);
  header['other.table'] = {
    dtype: 'F32',
    shape: [elements],
    data_offsets: [body.length, body.length + 4 * elements],
  };
  const json = Buffer.from(JSON.stringify(header));
  const head = Buffer.alloc(8);
  head.writeBigUInt64LE(BigInt(json.length));
  writeFileSync(to, Buffer.concat([head, json, body]));
  truncateSync(to, 8 + json.length + body.length + 4 * elements);
}

export interface Network {
  readonly name: string;
  readonly file: string;
  readonly corrections: Readonly<Record<string, string>>;
  /** Takes minutes: measured once, and not beside others. */
  readonly large?: boolean;
}

/** The networks of the benchmark that are there; the shared ones may not be. */
export function networks(folder: string): Network[] {
  const siren = path.join(folder, 'siren-256x5.safetensors');
  writeSiren(siren, 256, 5);
  const found: Network[] = [
    {
      name: 'XINC example, 128×256',
      file: path.resolve('../shared/data/xinc-ffn/best_model.ckpt'),
      corrections: {},
    },
    {
      name: 'SIREN sample, 192×256',
      file: path.resolve('samples/pictures/checkpoints/siren.pth'),
      corrections: {},
    },
    { name: 'SIREN 256×5, 512×512', file: siren, corrections: { size: '512x512', coords: 'rc-per-side' } },
    {
      name: 'SIREN 256×5, 2048×2048',
      file: siren,
      corrections: { size: '2048x2048', coords: 'rc-per-side' },
      large: true,
    },
    {
      name: 'NeRV sample, one frame',
      file: path.resolve('samples/video/checkpoints/nerv.pth'),
      corrections: {},
    },
    {
      name: 'NeRV bunny, one frame of 128×256',
      file: path.resolve('../shared/data/nerv-bunny/model_best.pth'),
      corrections: {},
    },
  ];
  return found.filter(({ file }) => existsSync(file));
}
