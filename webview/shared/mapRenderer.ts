import type { PreviewAtlas } from '../../src/tracing/types';
import { SIZE, type ColourMap } from './colourMaps';

/** Where to draw a neuron's preview; device pixels from the top left of the canvas. */
export interface Tile {
  readonly neuron: number;
  readonly x: number;
  readonly y: number;
  readonly width: number;
  readonly height: number;
}

export interface Look {
  readonly colours: ColourMap;
  /** Signed maps show −limit … +limit, magnitudes 0 … limit. */
  readonly signed: boolean;
  /** One limit for all maps, or each neuron's own when null. */
  readonly limit: number | null;
  /** Exponent of |value| / limit: below 1 shows weak contributions, above 1 only strong ones. */
  readonly gamma?: number;
}

/** Maps of some neurons with more pixels than their previews, for those that are large on the screen. */
export interface SharpMaps extends PreviewAtlas {
  /** Neuron of each map. */
  readonly neurons: readonly number[];
  /** |C| that the ends of each map's colours stand for on its own scale: as of its preview, or sharpening would show. */
  readonly shown: Float32Array;
  /** Longest side that was asked for; the picture may have fewer pixels. */
  readonly asked: number;
}

/** Draws previews of one layer, and sharp maps in their place where there are some. Sizes in device pixels. */
export interface MapRenderer {
  setAtlas(atlas: PreviewAtlas): void;
  setSharp(maps: SharpMaps | null): void;
  draw(tiles: readonly Tile[], look: Look): void;
  dispose(): void;
}

/** Factor from a neuron's own 8-bit range to the range that is shown. */
function gain(atlas: PreviewAtlas & Partial<SharpMaps>, neuron: number, limit: number | null): number {
  const shown = limit ?? atlas.shown?.[neuron] ?? 0;
  return shown > 0 ? atlas.limit[neuron] / shown : 1;
}

/** Entry of the colour map for an 8-bit preview value (128 is zero), scaled by `gain`. */
export function colourIndex(value: number, gain: number, signed: boolean, gamma = 1): number {
  const linear = Math.max(-1, Math.min(1, ((value - 128) / 127) * gain));
  const scaled = gamma === 1 ? linear : Math.sign(linear) * Math.abs(linear) ** gamma;
  return Math.round((SIZE - 1) * (signed ? (scaled + 1) / 2 : Math.abs(scaled)));
}

/** Writes one preview as RGBA, `[height, width, 4]`. */
export function paintPreview(
  into: Uint8ClampedArray,
  atlas: PreviewAtlas,
  neuron: number,
  { colours, signed, limit, gamma }: Look,
): void {
  const pixels = atlas.width * atlas.height;
  const factor = gain(atlas, neuron, limit);
  const palette = new Uint32Array(colours.buffer);
  const lookup = Uint32Array.from(
    { length: 256 },
    (_, value) => palette[colourIndex(value, factor, signed, gamma)],
  );
  const words = new Uint32Array(into.buffer, into.byteOffset, pixels);
  const offset = neuron * pixels;
  for (let i = 0; i < pixels; i++) words[i] = lookup[atlas.data[offset + i]]!;
}

/** The GPU when there is one and it is wanted, plain canvas when not. */
export function createMapRenderer(canvas: HTMLCanvasElement, gpu = true): MapRenderer {
  const gl = gpu ? canvas.getContext('webgl2', { antialias: false, premultipliedAlpha: true }) : null;
  return gl ? new GpuRenderer(gl) : new CanvasRenderer(canvas.getContext('2d')!);
}

class CanvasRenderer implements MapRenderer {
  private atlas: PreviewAtlas | null = null;
  private sharp: SharpMaps | null = null;
  private readonly scratch = document.createElement('canvas').getContext('2d')!;

  constructor(private readonly context: CanvasRenderingContext2D) {}

  setAtlas(atlas: PreviewAtlas): void {
    this.atlas = atlas;
  }

  setSharp(maps: SharpMaps | null): void {
    this.sharp = maps;
  }

  draw(tiles: readonly Tile[], look: Look): void {
    const { atlas, sharp, context } = this;
    context.clearRect(0, 0, context.canvas.width, context.canvas.height);
    if (!atlas) return;
    const { blurred, clear } = split(tiles, sharp);
    this.paint(blurred, atlas, look);
    if (sharp) this.paint(clear, sharp, look);
  }

  private paint(tiles: readonly Tile[], maps: PreviewAtlas, look: Look): void {
    const { context, scratch } = this;
    if (tiles.length === 0) return;
    [scratch.canvas.width, scratch.canvas.height] = [maps.width, maps.height];
    context.imageSmoothingQuality = 'high';
    const image = scratch.createImageData(maps.width, maps.height);
    for (const tile of tiles) {
      paintPreview(image.data, maps, tile.neuron, look);
      scratch.putImageData(image, 0, 0);
      context.drawImage(scratch.canvas, tile.x, tile.y, tile.width, tile.height);
    }
  }

  dispose(): void {
    this.atlas = this.sharp = null;
  }
}

/** Tiles drawn from previews, and those there is a sharp map for, with its index in place of the neuron. */
function split(tiles: readonly Tile[], sharp: SharpMaps | null) {
  const places = new Map(sharp?.neurons.map((neuron, i) => [neuron, i]));
  const [blurred, clear]: [Tile[], Tile[]] = [[], []];
  for (const tile of tiles) {
    const at = places.get(tile.neuron);
    if (at === undefined) blurred.push(tile);
    else clear.push({ ...tile, neuron: at });
  }
  return { blurred, clear };
}

/** How much smaller the reduced previews are, a side. */
const REDUCTION = 4;

/**
 * Previews at a quarter of their size for sheets of thousands, `[neurons, height, width, 2]`: mean value, and
 * mean |value| on the scale 0–255, because the mean of an oscillating map says nothing of its magnitude.
 */
export function reduce(atlas: PreviewAtlas): {
  readonly width: number;
  readonly height: number;
  readonly data: Uint8Array;
} {
  const { width, height, data } = atlas;
  const [w, h] = [Math.ceil(width / REDUCTION), Math.ceil(height / REDUCTION)];
  const count = atlas.limit.length;
  const out = new Uint8Array(count * w * h * 2);
  for (let map = 0, to = 0; map < count; map++) {
    for (let y = 0; y < h; y++) {
      const [top, bottom] = [y * REDUCTION, Math.min(height, (y + 1) * REDUCTION)];
      for (let x = 0; x < w; x++, to += 2) {
        const [left, right] = [x * REDUCTION, Math.min(width, (x + 1) * REDUCTION)];
        let [sum, size] = [0, 0];
        for (let row = top; row < bottom; row++) {
          for (let at = (map * height + row) * width + left, end = at + right - left; at < end; at++) {
            const value = data[at] - 128;
            sum += value;
            size += value < 0 ? -value : value;
          }
        }
        const pixels = (bottom - top) * (right - left);
        out[to] = 128 + Math.round(sum / pixels);
        out[to + 1] = Math.min(255, Math.round((size / pixels / 127) * 255));
      }
    }
  }
  return { width: w, height: h, data: out };
}

/** How previews are packed into the pages of a texture array. */
export interface Pages {
  readonly columns: number;
  readonly rows: number;
  readonly pages: number;
}

/** @throws Error when the GPU cannot hold that many */
export function packPages(
  count: number,
  width: number,
  height: number,
  largestSide: number,
  largestPages: number,
): Pages {
  const columns = Math.max(1, Math.min(Math.floor(largestSide / width), Math.ceil(Math.sqrt(count))));
  const rows = Math.max(1, Math.min(Math.floor(largestSide / height), Math.ceil(count / columns)));
  const pages = Math.ceil(count / (columns * rows));
  if (pages > largestPages) throw new Error(`${count} previews of ${width} × ${height} do not fit the GPU.`);
  return { columns, rows, pages };
}

const vertexShader = `#version 300 es
layout(location = 0) in vec4 rectangle; // x, y, width, height in device pixels
layout(location = 1) in vec2 which;     // neuron, gain
uniform vec2 canvas;
uniform ivec2 grid;                     // previews per row and per column of a page
out vec2 inside;                        // 0–1 over the preview
flat out ivec3 place;                   // column, row, page
flat out float gain;
flat out vec2 drawn;
void main() {
  vec2 corner = vec2(gl_VertexID & 1, gl_VertexID >> 1);
  vec2 at = (rectangle.xy + corner * rectangle.zw) / canvas;
  gl_Position = vec4(at.x * 2.0 - 1.0, 1.0 - at.y * 2.0, 0.0, 1.0);
  inside = corner;
  int neuron = int(which.x);
  int perPage = grid.x * grid.y;
  int rest = neuron % perPage;
  place = ivec3(rest % grid.x, rest / grid.x, neuron / perPage);
  gain = which.y;
  drawn = rectangle.zw;
}`;

const fragmentShader = `#version 300 es
precision highp float;
precision highp sampler2DArray;
uniform sampler2DArray atlas;
uniform sampler2D colours;
uniform vec2 preview;                   // preview's size in texels
uniform vec2 page;                      // page's size in texels
uniform bool isSigned;
uniform bool isReduced;                 // red is the mean, green the mean of magnitudes
uniform float gammaExponent;
in vec2 inside;
flat in ivec3 place;
flat in float gain;
flat in vec2 drawn;
out vec4 colour;
float value(vec2 texel) {
  // Half a texel from the edge, so that filtering never reaches into the neighbour.
  vec2 at = clamp(texel, vec2(0.5), preview - 0.5) + vec2(place.xy) * preview;
  vec2 stored = texture(atlas, vec3(at / page, float(place.z))).rg;
  if (isReduced && !isSigned) return clamp(stored.g * gain, 0.0, 1.0);
  float v = clamp((stored.r * 255.0 - 128.0) / 127.0 * gain, -1.0, 1.0);
  return isSigned ? v : abs(v);
}
void main() {
  // Smaller than the preview: average over the pixel's footprint, in place of mip maps that would mix neighbours.
  vec2 footprint = preview / drawn;
  ivec2 taps = clamp(ivec2(ceil(footprint - 0.1)), 1, 4);
  float sum = 0.0;
  for (int y = 0; y < taps.y; y++) {
    for (int x = 0; x < taps.x; x++) {
      vec2 offset = (vec2(x, y) + 0.5) / vec2(taps) - 0.5;
      sum += value(inside * preview + offset * footprint);
    }
  }
  float mean = sum / float(taps.x * taps.y);
  if (gammaExponent != 1.0) mean = sign(mean) * pow(abs(mean), gammaExponent);
  float t = isSigned ? (mean + 1.0) / 2.0 : mean;
  colour = texture(colours, vec2((t * 255.0 + 0.5) / 256.0, 0.5));
}`;

const uniforms = [
  'atlas',
  'colours',
  'canvas',
  'grid',
  'preview',
  'page',
  'isSigned',
  'isReduced',
  'gammaExponent',
] as const;

/** Maps in a texture array. */
interface Store {
  readonly texture: WebGLTexture;
  readonly pages: Pages;
  readonly width: number;
  readonly height: number;
}

/** One instanced draw for all visible previews; colours are looked up in the shader. */
class GpuRenderer implements MapRenderer {
  private readonly program: WebGLProgram;
  private readonly at: Readonly<Record<(typeof uniforms)[number], WebGLUniformLocation | null>>;
  private readonly instances: WebGLBuffer;
  private readonly colourTexture: WebGLTexture;
  private atlas: PreviewAtlas | null = null;
  private sharp: SharpMaps | null = null;
  private full: Store | null = null;
  private reduced: Store | null = null;
  private clear: Store | null = null;
  private colours: ColourMap | null = null;

  constructor(private readonly gl: WebGL2RenderingContext) {
    this.program = gl.createProgram();
    for (const [type, source] of [
      [gl.VERTEX_SHADER, vertexShader],
      [gl.FRAGMENT_SHADER, fragmentShader],
    ] as const) {
      const shader = gl.createShader(type)!;
      gl.shaderSource(shader, source);
      gl.compileShader(shader);
      gl.attachShader(this.program, shader);
    }
    gl.linkProgram(this.program);
    if (!gl.getProgramParameter(this.program, gl.LINK_STATUS) && !gl.isContextLost()) {
      throw new Error(`Shaders: ${gl.getProgramInfoLog(this.program)}`);
    }
    gl.useProgram(this.program);
    this.at = Object.fromEntries(
      uniforms.map((name) => [name, gl.getUniformLocation(this.program, name)]),
    ) as GpuRenderer['at'];
    gl.uniform1i(this.at.atlas, 0);
    gl.uniform1i(this.at.colours, 1);
    this.instances = gl.createBuffer();
    gl.bindBuffer(gl.ARRAY_BUFFER, this.instances);
    for (const [location, size, offset] of [
      [0, 4, 0],
      [1, 2, 16],
    ] as const) {
      gl.enableVertexAttribArray(location);
      gl.vertexAttribPointer(location, size, gl.FLOAT, false, 24, offset);
      gl.vertexAttribDivisor(location, 1);
    }
    this.colourTexture = gl.createTexture();
    gl.pixelStorei(gl.UNPACK_ALIGNMENT, 1);
  }

  setAtlas(atlas: PreviewAtlas): void {
    this.forget('full', 'reduced');
    this.full = this.store(atlas.limit.length, atlas, 1);
    this.atlas = atlas;
  }

  setSharp(maps: SharpMaps | null): void {
    this.forget('clear');
    this.sharp = null;
    if (!maps || maps.neurons.length === 0) return;
    this.clear = this.store(maps.neurons.length, maps, 1);
    this.sharp = maps;
  }

  private forget(...stores: ('full' | 'reduced' | 'clear')[]): void {
    for (const name of stores) {
      this.gl.deleteTexture(this[name]?.texture ?? null);
      this[name] = null;
    }
  }

  /** @param channels bytes a pixel, 1 or 2 */
  private store(
    count: number,
    { width, height, data }: { readonly width: number; readonly height: number; readonly data: Uint8Array },
    channels: 1 | 2,
  ): Store {
    const { gl } = this;
    const largest = gl.getParameter(gl.MAX_TEXTURE_SIZE) as number;
    const layers = gl.getParameter(gl.MAX_ARRAY_TEXTURE_LAYERS) as number;
    const pages = packPages(count, width, height, Math.min(2048, largest), layers);
    const { columns, rows } = pages;
    const [pageWidth, pageHeight] = [columns * width, rows * height];
    const texture = gl.createTexture();
    gl.activeTexture(gl.TEXTURE0);
    gl.bindTexture(gl.TEXTURE_2D_ARRAY, texture);
    const internal = channels === 1 ? gl.R8 : gl.RG8;
    gl.texStorage3D(gl.TEXTURE_2D_ARRAY, 1, internal, pageWidth, pageHeight, pages.pages);
    for (const wrap of [gl.TEXTURE_WRAP_S, gl.TEXTURE_WRAP_T]) {
      gl.texParameteri(gl.TEXTURE_2D_ARRAY, wrap, gl.CLAMP_TO_EDGE);
    }
    gl.texParameteri(gl.TEXTURE_2D_ARRAY, gl.TEXTURE_MIN_FILTER, gl.LINEAR);
    gl.texParameteri(gl.TEXTURE_2D_ARRAY, gl.TEXTURE_MAG_FILTER, gl.LINEAR);
    const line = width * channels;
    const page = new Uint8Array(pageWidth * pageHeight * channels);
    for (let p = 0; p < pages.pages; p++) {
      const first = p * columns * rows;
      for (let map = first; map < Math.min(count, first + columns * rows); map++) {
        const column = (map - first) % columns;
        const row = Math.floor((map - first) / columns);
        for (let y = 0; y < height; y++) {
          const from = (map * height + y) * line;
          page.set(data.subarray(from, from + line), ((row * height + y) * columns + column) * line);
        }
      }
      const format = channels === 1 ? gl.RED : gl.RG;
      const size = [pageWidth, pageHeight, 1] as const;
      gl.texSubImage3D(gl.TEXTURE_2D_ARRAY, 0, 0, 0, p, ...size, format, gl.UNSIGNED_BYTE, page);
    }
    return { texture, pages, width, height };
  }

  draw(tiles: readonly Tile[], look: Look): void {
    const { gl, atlas, sharp, full, clear } = this;
    if (gl.isContextLost()) return;
    gl.viewport(0, 0, gl.canvas.width, gl.canvas.height);
    gl.clearColor(0, 0, 0, 0);
    gl.clear(gl.COLOR_BUFFER_BIT);
    if (!atlas || !full || tiles.length === 0) return;
    if (look.colours !== this.colours) {
      gl.activeTexture(gl.TEXTURE1);
      gl.bindTexture(gl.TEXTURE_2D, this.colourTexture);
      gl.texImage2D(gl.TEXTURE_2D, 0, gl.RGBA, SIZE, 1, 0, gl.RGBA, gl.UNSIGNED_BYTE, look.colours);
      gl.texParameteri(gl.TEXTURE_2D, gl.TEXTURE_MIN_FILTER, gl.LINEAR);
      gl.texParameteri(gl.TEXTURE_2D, gl.TEXTURE_WRAP_S, gl.CLAMP_TO_EDGE);
      this.colours = look.colours;
    }
    gl.uniform2f(this.at.canvas, gl.canvas.width, gl.canvas.height);
    gl.uniform1i(this.at.isSigned, look.signed ? 1 : 0);
    gl.uniform1f(this.at.gammaExponent, look.gamma ?? 1);
    const { blurred, clear: large } = split(tiles, sharp);
    const isSmall = blurred.length > 0 && blurred[0].width * (REDUCTION - 1) < full.width;
    if (isSmall) this.reduced ??= this.store(atlas.limit.length, reduce(atlas), 2);
    this.drawFrom(isSmall && this.reduced ? this.reduced : full, blurred, atlas, look.limit, isSmall);
    if (sharp && clear) this.drawFrom(clear, large, sharp, look.limit, false);
  }

  private drawFrom(
    { texture, pages, width, height }: Store,
    tiles: readonly Tile[],
    maps: PreviewAtlas,
    limit: number | null,
    isReduced: boolean,
  ): void {
    const { gl, at } = this;
    if (tiles.length === 0) return;
    gl.activeTexture(gl.TEXTURE0);
    gl.bindTexture(gl.TEXTURE_2D_ARRAY, texture);
    const instances = new Float32Array(tiles.length * 6);
    for (let i = 0, to = 0; i < tiles.length; i++) {
      const tile = tiles[i];
      instances[to++] = tile.x;
      instances[to++] = tile.y;
      instances[to++] = tile.width;
      instances[to++] = tile.height;
      instances[to++] = tile.neuron;
      instances[to++] = gain(maps, tile.neuron, limit);
    }
    gl.bufferData(gl.ARRAY_BUFFER, instances, gl.STREAM_DRAW);
    gl.uniform2i(at.grid, pages.columns, pages.rows);
    gl.uniform2f(at.preview, width, height);
    gl.uniform2f(at.page, pages.columns * width, pages.rows * height);
    gl.uniform1i(at.isReduced, isReduced ? 1 : 0);
    gl.drawArraysInstanced(gl.TRIANGLE_STRIP, 0, 4, tiles.length);
  }

  dispose(): void {
    const { gl } = this;
    this.forget('full', 'reduced', 'clear');
    gl.deleteTexture(this.colourTexture);
    gl.deleteBuffer(this.instances);
    gl.deleteProgram(this.program);
  }
}
