import type { Family } from '../family';
import { boosting } from './boosting';
import { coordinateMlps } from './coordinate-mlps';
import { enerv } from './enerv';
import { ffnerv } from './ffnerv';
import { finer } from './finer';
import { fourier } from './fourier';
import { gaussian } from './gaussian';
import { mfn } from './mfn';
import { mlp } from './mlp';
import { mrnet } from './mrnet';
import { modulated } from './modulated';
import { modulatedSiren } from './modulatedSiren';
import { named } from './named';
import { nerf } from './nerf';
import { hnerv, hnervTime, nerv } from './nerv';
import { posenc } from './posenc';
import { residuals } from './residual';
import { sdf } from './sdf';
import { sirens } from './siren';
import { wires } from './wire';
import { wireReal } from './wireReal';
import { xinc } from './xinc';

/** Every family that is tried, in no particular order. */
export const families: readonly Family[] = [
  ...xinc,
  ...sirens,
  ...posenc,
  ...wires,
  ...mfn,
  ...modulated,
  coordinateMlps,
  fourier,
  finer,
  gaussian,
  nerf,
  nerv,
  hnervTime,
  hnerv,
  enerv,
  ffnerv,
  boosting,
  mlp,
  ...residuals,
  mrnet,
  modulatedSiren,
  wireReal,
  sdf,
  ...named,
];

/** Those that build a plain chain of layers, between which normalisations and PReLUs may stand. */
export const chains: ReadonlySet<Family> = new Set([
  ...sirens,
  ...posenc,
  ...xinc,
  fourier,
  finer,
  gaussian,
  mlp,
]);
