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
}

/** Draws previews of one layer. Sizes in device pixels. */
export interface MapRenderer {
  setAtlas(atlas: PreviewAtlas): void;
  draw(tiles: readonly Tile[], look: Look): void;
  dispose(): void;
}

/** Factor from a neuron's own 8-bit range to the range that is shown. */
const gain = (atlas: PreviewAtlas, neuron: number, limit: number | null) =>
  limit === null || limit === 0 ? 1 : atlas.limit[neuron] / limit;

/** Entry of the colour map for an 8-bit preview value (128 is zero), scaled by `gain`. */
export function colourIndex(value: number, gain: number, signed: boolean): number {
  const scaled = Math.max(-1, Math.min(1, ((value - 128) / 127) * gain));
  return Math.round((SIZE - 1) * (signed ? (scaled + 1) / 2 : Math.abs(scaled)));
}

/** Writes one preview as RGBA, `[height, width, 4]`. */
export function paintPreview(
  into: Uint8ClampedArray,
  atlas: PreviewAtlas,
  neuron: number,
  { colours, signed, limit }: Look,
): void {
  const pixels = atlas.width * atlas.height;
  const factor = gain(atlas, neuron, limit);
  const palette = new Uint32Array(colours.buffer);
  const lookup = Uint32Array.from({ length: 256 }, (_, value) => palette[colourIndex(value, factor, signed)]);
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
  private readonly scratch = document.createElement('canvas').getContext('2d')!;

  constructor(private readonly context: CanvasRenderingContext2D) {}

  setAtlas(atlas: PreviewAtlas): void {
    this.atlas = atlas;
    this.scratch.canvas.width = atlas.width;
    this.scratch.canvas.height = atlas.height;
  }

  draw(tiles: readonly Tile[], look: Look): void {
    const { atlas, context, scratch } = this;
    context.clearRect(0, 0, context.canvas.width, context.canvas.height);
    if (!atlas) return;
    const image = scratch.createImageData(atlas.width, atlas.height);
    for (const tile of tiles) {
      paintPreview(image.data, atlas, tile.neuron, look);
      scratch.putImageData(image, 0, 0);
      context.drawImage(scratch.canvas, tile.x, tile.y, tile.width, tile.height);
    }
  }

  dispose(): void {
    this.atlas = null;
  }
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
in vec2 inside;
flat in ivec3 place;
flat in float gain;
flat in vec2 drawn;
out vec4 colour;
float value(vec2 texel) {
  // Half a texel from the edge, so that filtering never reaches into the neighbour.
  vec2 at = clamp(texel, vec2(0.5), preview - 0.5) + vec2(place.xy) * preview;
  float stored = texture(atlas, vec3(at / page, float(place.z))).r;
  return clamp((stored * 255.0 - 128.0) / 127.0 * gain, -1.0, 1.0);
}
void main() {
  // Smaller than the preview: average over the pixel's footprint, in place of mip maps that would mix neighbours.
  vec2 footprint = preview / drawn;
  ivec2 taps = clamp(ivec2(ceil(footprint)), 1, 4);
  float sum = 0.0;
  for (int y = 0; y < taps.y; y++) {
    for (int x = 0; x < taps.x; x++) {
      vec2 offset = (vec2(x, y) + 0.5) / vec2(taps) - 0.5;
      float v = value(inside * preview + offset * footprint);
      sum += isSigned ? v : abs(v);
    }
  }
  float mean = sum / float(taps.x * taps.y);
  float t = isSigned ? (mean + 1.0) / 2.0 : mean;
  colour = texture(colours, vec2((t * 255.0 + 0.5) / 256.0, 0.5));
}`;

/** One instanced draw for all visible previews; colours are looked up in the shader. */
class GpuRenderer implements MapRenderer {
  private readonly program: WebGLProgram;
  private readonly instances: WebGLBuffer;
  private readonly colourTexture: WebGLTexture;
  private atlasTexture: WebGLTexture | null = null;
  private atlas: PreviewAtlas | null = null;
  private pages: Pages = { columns: 1, rows: 1, pages: 1 };
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
    gl.uniform1i(this.uniform('atlas'), 0);
    gl.uniform1i(this.uniform('colours'), 1);
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

  private uniform(name: string): WebGLUniformLocation | null {
    return this.gl.getUniformLocation(this.program, name);
  }

  setAtlas(atlas: PreviewAtlas): void {
    const { gl } = this;
    const { width, height, data } = atlas;
    const largest = gl.getParameter(gl.MAX_TEXTURE_SIZE) as number;
    const layers = gl.getParameter(gl.MAX_ARRAY_TEXTURE_LAYERS) as number;
    const count = atlas.limit.length;
    const { columns, rows, pages } = (this.pages = packPages(
      count,
      width,
      height,
      Math.min(2048, largest),
      layers,
    ));
    gl.deleteTexture(this.atlasTexture);
    this.atlasTexture = gl.createTexture();
    gl.activeTexture(gl.TEXTURE0);
    gl.bindTexture(gl.TEXTURE_2D_ARRAY, this.atlasTexture);
    gl.texStorage3D(gl.TEXTURE_2D_ARRAY, 1, gl.R8, columns * width, rows * height, pages);
    for (const wrap of [gl.TEXTURE_WRAP_S, gl.TEXTURE_WRAP_T]) {
      gl.texParameteri(gl.TEXTURE_2D_ARRAY, wrap, gl.CLAMP_TO_EDGE);
    }
    gl.texParameteri(gl.TEXTURE_2D_ARRAY, gl.TEXTURE_MIN_FILTER, gl.LINEAR);
    gl.texParameteri(gl.TEXTURE_2D_ARRAY, gl.TEXTURE_MAG_FILTER, gl.LINEAR);
    const pageWidth = columns * width;
    const page = new Uint8Array(pageWidth * rows * height);
    for (let p = 0; p < pages; p++) {
      const first = p * columns * rows;
      for (let neuron = first; neuron < Math.min(count, first + columns * rows); neuron++) {
        const column = (neuron - first) % columns;
        const row = Math.floor((neuron - first) / columns);
        for (let y = 0; y < height; y++) {
          const from = (neuron * height + y) * width;
          page.set(data.subarray(from, from + width), (row * height + y) * pageWidth + column * width);
        }
      }
      gl.texSubImage3D(
        gl.TEXTURE_2D_ARRAY,
        0,
        0,
        0,
        p,
        pageWidth,
        rows * height,
        1,
        gl.RED,
        gl.UNSIGNED_BYTE,
        page,
      );
    }
    this.atlas = atlas;
  }

  draw(tiles: readonly Tile[], { colours, signed, limit }: Look): void {
    const { gl, atlas, pages } = this;
    if (gl.isContextLost()) return;
    gl.viewport(0, 0, gl.canvas.width, gl.canvas.height);
    gl.clearColor(0, 0, 0, 0);
    gl.clear(gl.COLOR_BUFFER_BIT);
    if (!atlas || tiles.length === 0) return;
    if (colours !== this.colours) {
      gl.activeTexture(gl.TEXTURE1);
      gl.bindTexture(gl.TEXTURE_2D, this.colourTexture);
      gl.texImage2D(gl.TEXTURE_2D, 0, gl.RGBA, SIZE, 1, 0, gl.RGBA, gl.UNSIGNED_BYTE, colours);
      gl.texParameteri(gl.TEXTURE_2D, gl.TEXTURE_MIN_FILTER, gl.LINEAR);
      gl.texParameteri(gl.TEXTURE_2D, gl.TEXTURE_WRAP_S, gl.CLAMP_TO_EDGE);
      this.colours = colours;
    }
    const instances = new Float32Array(tiles.length * 6);
    tiles.forEach(({ neuron, x, y, width, height }, i) => {
      instances.set([x, y, width, height, neuron, gain(atlas, neuron, limit)], 6 * i);
    });
    gl.bufferData(gl.ARRAY_BUFFER, instances, gl.STREAM_DRAW);
    gl.uniform2f(this.uniform('canvas'), gl.canvas.width, gl.canvas.height);
    gl.uniform2i(this.uniform('grid'), pages.columns, pages.rows);
    gl.uniform2f(this.uniform('preview'), atlas.width, atlas.height);
    gl.uniform2f(this.uniform('page'), pages.columns * atlas.width, pages.rows * atlas.height);
    gl.uniform1i(this.uniform('isSigned'), signed ? 1 : 0);
    gl.drawArraysInstanced(gl.TRIANGLE_STRIP, 0, 4, tiles.length);
  }

  dispose(): void {
    const { gl } = this;
    gl.deleteTexture(this.atlasTexture);
    gl.deleteTexture(this.colourTexture);
    gl.deleteBuffer(this.instances);
    gl.deleteProgram(this.program);
  }
}
