import { askActivations } from '../ask';
import { isConstant } from '../constants';
import type { Candidate, Family } from '../family';
import { sizeInside } from '../inside';
import { joiningChain, unexplained, type CoordinateChain } from '../layouts';
import { buildMlp, noEncoding } from '../mlp';
import type { HiddenActivation, RangeName } from '../settings';
import type { CoordinateConvention } from '../types';

/** A network of one scalar activation that shares its layout with others. */
export interface ScalarFamily {
  readonly id: string;
  readonly title: string;
  /** Activations of this family, the usual one first. */
  readonly activations: readonly HiddenActivation[];
  /** How sure names, shapes and weights make it when nothing states the activation; 0 for not at all. */
  score(net: CoordinateChain, candidate: Candidate): number;
  readonly coords: CoordinateConvention;
  readonly range: RangeName;
  /** Scale of a Gaussian. */
  readonly scale?: number;
}

/** Coordinates straight into affine layers with this activation. */
export const scalarFamily = (spec: ScalarFamily): Family => ({
  id: spec.id,
  title: spec.title,
  match: (candidate) => {
    const net = joiningChain(candidate);
    if (!net || net.inputs > 3) return undefined;
    if (unexplained(candidate.others, (name) => isConstant(name, candidate.others.get(name))).length) {
      return undefined;
    }
    const stated = candidate.activation;
    if (stated !== undefined && !spec.activations.includes(stated)) return undefined;
    const score = stated === undefined ? spec.score(net, candidate) : 0.95;
    if (score === 0) return undefined;
    return {
      score,
      build: (settings) => {
        const acts = askActivations(settings, net.layers, {
          others: candidate.others,
          hidden: {
            value: spec.activations[0],
            source: 'inferred',
            confidence: Math.min(score, 0.7),
            detail: 'from the names and the size of the weights',
          },
          final: {
            value: 'identity',
            source: 'default',
            confidence: 0.6,
            choices: ['identity', 'sigmoid', 'tanh'],
          },
          ...(spec.scale !== undefined && {
            scale: { value: spec.scale, source: 'default' as const, confidence: 0.4 },
          }),
        });
        const size = sizeInside(candidate);
        return buildMlp(
          {
            layers: net.layers,
            acts,
            encoding: noEncoding(net.inputs),
            picture: {
              coords: { value: spec.coords, source: 'default', confidence: 0.4 },
              range: { value: spec.range, source: 'default', confidence: 0.6 },
              ...(size && { size }),
            },
          },
          settings,
        );
      },
    };
  },
});
