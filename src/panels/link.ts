/** Links that open a checkpoint as it was seen: `vscode://neural-canvas.neural-canvas/open?file=…&layer=…`. */
import type { Selection } from './protocol';

/** What a canvas keeps of the person's intent and a link may carry: numbers, words and yes or no. */
export type LinkView = Readonly<Record<string, string | number | boolean>>;

export interface Link {
  /** Absolute, or relative to a folder of the workspace; slashes forward. */
  readonly file: string;
  readonly selection: Partial<Selection>;
  readonly view: LinkView;
}

/** Longer ones are refused before anything is read from them. */
const LONGEST = 8192;
const MOST_NEURONS = 400;
const LARGEST_INDEX = 1e7;

/** Names in the query that are not part of the view. */
const reserved = new Set(['file', 'layer', 'neurons', 'pixel', 'frame']);

export function linkQuery({ file, selection, view }: Link): string {
  const { layer, neurons, pixel, frame } = selection;
  const query = new URLSearchParams({ file });
  if (layer !== undefined && layer >= 0) query.set('layer', String(layer));
  if (neurons && neurons.length > 0) {
    const listed = neurons.slice(-MOST_NEURONS).map((neuron) => `${neuron.layer}.${neuron.neuron}`);
    query.set('neurons', listed.join(' '));
  }
  if (pixel) query.set('pixel', `${pixel.row} ${pixel.column}`);
  if (frame !== undefined) query.set('frame', String(frame));
  for (const [name, value] of Object.entries(view)) if (!reserved.has(name)) query.set(name, String(value));
  return query.toString();
}

function index(text: string | undefined): number | null {
  return text !== undefined && /^\d{1,8}$/.test(text) && Number(text) <= LARGEST_INDEX ? Number(text) : null;
}

/**
 * What a link asks for. It may come from anywhere: only what is understood is taken, everything is bounded,
 * and nothing is looked up yet.
 * @returns a sentence when it cannot be used
 */
export function parseLink(path: string, query: string): Link | string {
  if (path !== '/open') return 'This link is not one of Neural Canvas; copy it anew from the canvas.';
  if (query.length > LONGEST) return 'This link is too long to be one of Neural Canvas.';
  const given = new URLSearchParams(query);
  const file = given.get('file') ?? '';
  // eslint-disable-next-line no-control-regex
  if (file === '' || /[\u0000-\u001f]/.test(file))
    return 'This link names no file; copy it anew from the canvas.';
  const selection: { -readonly [K in keyof Selection]?: Selection[K] } = {};
  const layer = index(given.get('layer') ?? undefined);
  if (layer !== null) selection.layer = layer;
  const neurons = (given.get('neurons') ?? '')
    .split(' ')
    .slice(0, MOST_NEURONS)
    .flatMap((pair) => {
      const [l, n, ...rest] = pair.split('.').map((part) => index(part));
      return rest.length === 0 && typeof l === 'number' && typeof n === 'number'
        ? [{ layer: l, neuron: n }]
        : [];
    });
  if (neurons.length > 0) selection.neurons = neurons;
  const [row, column, ...rest] = (given.get('pixel') ?? '').split(' ').map((part) => index(part));
  if (typeof row === 'number' && typeof column === 'number' && rest.length === 0)
    selection.pixel = { row, column };
  const frame = index(given.get('frame') ?? undefined);
  if (frame !== null) selection.frame = frame;
  const view: Record<string, string | number | boolean> = {};
  for (const [name, text] of given) {
    if (reserved.has(name) || !/^[a-zA-Z]{1,32}$/.test(name)) continue;
    if (text === 'true' || text === 'false') view[name] = text === 'true';
    else if (/^-?\d{1,9}(\.\d{1,17})?$/.test(text)) view[name] = Number(text);
    else if (/^[a-zA-Z]{1,32}$/.test(text)) view[name] = text;
  }
  return { file, selection, view };
}

/**
 * Where a path of a link leads from a folder of the workspace.
 * @param folder absolute path with forward slashes
 * @returns the file's path, or null when it does not lie in the folder
 */
export function insideFolder(folder: string, file: string): string | null {
  const root = normal(folder);
  const whole = normal(isAbsolutePath(file) ? file : `${root}/${file}`);
  return whole.startsWith(root === '/' ? root : `${root}/`) ? whole : null;
}

export const isAbsolutePath = (file: string): boolean => /^([/\\]|[a-z]:)/i.test(file);

/** Without `.`, `..`, doubled slashes and backslashes. */
function normal(path: string): string {
  const parts: string[] = [];
  for (const part of path.replaceAll('\\', '/').split('/')) {
    if (part === '..') parts.pop();
    else if (part !== '' && part !== '.') parts.push(part);
  }
  // A drive has no slash in front in paths, but in URIs.
  return `/${parts.join('/')}`;
}
