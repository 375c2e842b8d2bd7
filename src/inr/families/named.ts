/** Families that are recognised by name: what a file holds does not suffice to run them. */
import type { Candidate, Family, Near } from '../family';
import type { Signal } from '../types';

interface Named {
  readonly id: string;
  readonly title: string;
  readonly signal: Signal['kind'];
  readonly missing: string;
  /** Below 1 when a runnable family may know better. */
  readonly likeness?: number;
  readonly test: (candidate: Candidate) => boolean;
}

const some = ({ tensors }: Candidate, test: (name: string, shape: readonly number[]) => boolean) =>
  [...tensors].some(([name, { shape }]) => test(name, shape));
const all = (candidate: Candidate, ...patterns: readonly RegExp[]) =>
  patterns.every((pattern) => some(candidate, (name) => pattern.test(name)));

const RESOLUTIONS = 'its features are looked up in a hash grid whose resolutions are not in the file';

const NAMED: readonly Named[] = [
  {
    id: 'hash-grid-ngp',
    title: 'Hash-grid field (torch-ngp)',
    signal: 'field',
    missing: RESOLUTIONS,
    test: (candidate) => some(candidate, (name) => /(^|\.)encoder\w*\.embeddings$/.test(name)),
  },
  {
    id: 'hash-grid',
    title: 'Hash-grid field (HashNeRF)',
    signal: 'field',
    missing: RESOLUTIONS,
    test: (candidate) =>
      some(
        candidate,
        (name, shape) => /(^|\.)embeddings\.\d+\.weight$/.test(name) && shape.length === 2 && shape[1] <= 8,
      ),
  },
  {
    id: 'hash-grid-tcnn',
    title: 'Hash-grid field (tiny-cuda-nn)',
    signal: 'field',
    missing:
      'tiny-cuda-nn keeps all its weights in one row of numbers, and how they are arranged is not in the file',
    test: (candidate) => some(candidate, (name, shape) => /(^|\.|_)params$/.test(name) && shape.length === 1),
  },
  {
    id: 'incode',
    title: 'INCODE',
    signal: 'image',
    missing:
      'its activations are set by a network that looks at the original picture, which is an input of the model',
    test: (candidate) => all(candidate, /(^|\.)aux_mlp\./, /(^|\.)net\.\d+\.linear\.weight$/),
  },
  {
    id: 'liif',
    title: 'LIIF',
    signal: 'image',
    missing: 'it enlarges a picture that is an input of the model, so the file alone paints nothing',
    test: (candidate) => all(candidate, /(^|\.)imnet\.layers\.\d+\.weight$/, /(^|\.)encoder\./),
  },
  {
    id: 'hinerv',
    title: 'HiNeRV',
    signal: 'video',
    missing: 'the sizes and paddings of its feature grids are in args.yaml, not in the weights',
    test: (candidate) => all(candidate, /\.grids?\.\d+$/, /(^|\.)blocks\.\d+\./, /(^|\.)head\./),
  },
  {
    id: 'dictionary-field',
    title: 'Field over planes or lines (TensoRF, K-Planes)',
    signal: 'field',
    missing: 'how its planes and lines are combined is not in the file',
    test: (candidate) => all(candidate, /(density|app|sigma)_(plane|line)\.\d+$/),
  },
  {
    id: 'gaussian-splats',
    title: '3-D Gaussian splats',
    signal: 'field',
    missing: 'it is a cloud of Gaussians, not a network with neurons',
    test: (candidate) => all(candidate, /(^|\.)_?(opacity|opacities)$/, /(^|\.)_?(scaling|scales)$/),
  },
];

export const named: readonly Family[] = NAMED.map(
  ({ id, title, signal, missing, likeness = 0.95, test }): Family => ({
    id,
    title,
    signal,
    match: (candidate): Near | undefined =>
      test(candidate) ? { likeness, missing, certain: true } : undefined,
  }),
);
