import { describe, expect, it } from 'vitest';
import { UsageError } from '../../../src/errors';
import { Settings, UnknownSettingError } from '../../../src/inr/assumptions';
import { Configuration } from '../../../src/inr/configuration';
import {
  activation,
  coords,
  finalActivation,
  hiddenOmega,
  omega0,
  range,
  size,
} from '../../../src/inr/settings';
import type { Plain } from '../../../src/checkpoint/types';

const hyper = (values: Plain) => ({ source: 'hyper-parameters', label: 'hyper-parameters', values }) as const;
const sidecar = (values: Plain) => ({ source: 'sidecar file', label: 'cfg.yaml', values }) as const;
const guess = <T>(value: T) => ({ value, source: 'default', confidence: 0.5 }) as const;
const settingsOf = (values: Plain, corrections: Record<string, string> = {}) =>
  new Settings(new Configuration([hyper(values)]), new Map(Object.entries(corrections)));

describe('order of sources', () => {
  const configuration = new Configuration([hyper({ net: { w0: 20 } }), sidecar({ w0: 10, final_act: null })]);

  it('prefers a correction, then the file’s hyper-parameters, then a sidecar, then the default', () => {
    const corrected = new Settings(configuration, new Map([['omega0', '7']]));
    expect(corrected.get(omega0, guess(30))).toBe(7);
    const settings = new Settings(configuration);
    expect(settings.get(omega0, guess(30))).toBe(20);
    expect(settings.get(finalActivation, guess('sigmoid'))).toBe('identity');
    expect(settings.get(size, guess('256x256'))).toBe('256x256');
    expect(settings.assumptions.map(({ source, detail }) => [source, detail])).toEqual([
      ['hyper-parameters', 'hyper-parameters: net.w0'],
      ['sidecar file', 'cfg.yaml: final_act'],
      ['default', undefined],
    ]);
  });

  it('trusts the state dict more than a configuration', () => {
    const settings = new Settings(configuration);
    expect(settings.get(omega0, { value: 15, source: 'state dict', confidence: 1 })).toBe(15);
  });

  it('ranks a score against a picture below configurations and above guesses', () => {
    const found = (name: string, value: number) =>
      ({ name, value, source: 'target', confidence: 0.9, detail: '34 dB' }) as const;
    const settings = new Settings(configuration, new Map(), [found('omega0', 60), found('hiddenOmega', 25)]);
    expect(settings.get(omega0, guess(30))).toBe(20);
    const silent = new Settings(new Configuration([]), new Map(), [found('hiddenOmega', 25)]);
    expect(silent.get(hiddenOmega, { value: 30, source: 'inferred', confidence: 0.85 })).toBe(25);
  });
});

describe('names in the wild', () => {
  it.each<[Plain, number, number]>([
    [{ w0: 20, w0_initial: 45 }, 45, 20],
    [{ first_omega_0: 50, hidden_omega_0: 10 }, 50, 10],
    [{ model: { omega_0: '25' } }, 25, 25],
    [{ 'first-omega': 12, hiddenOmega: 6 }, 12, 6],
  ])('%j gives ω', (values, first, hidden) => {
    const settings = settingsOf(values);
    expect(settings.get(omega0, guess(30))).toBe(first);
    expect(settings.get(hiddenOmega, guess(30))).toBe(hidden);
  });

  it.each<[Plain, string]>([
    [{ data_shape: [128, 256] }, '128x256'],
    [{ data: { data_shape: [128, 256] }, network: { sidelength: 256 } }, '128x256'],
    [{ sidelength: 64 }, '64x64'],
    [{ img_wh: [300, 200] }, '200x300'],
    [{ image_height: 48, image_width: 72 }, '48x72'],
    [{ resolution: '32x40' }, '32x40'],
    [{ image_size: [3, 20, 30] }, '20x30'],
    [{ image_size: [20, 30, 3] }, '20x30'],
    [{ data_shape: '${data.shape}', resolution: '[5, 6]' }, '5x6'],
  ])('%j gives the size', (values, expected) => {
    expect(settingsOf(values).get(size, guess('1x1'))).toBe(expected);
  });

  it.each<[Plain, string]>([
    [{ coord_separate_norm: false, coord_normalize_range: [-1, 1] }, 'rc-longest'],
    [{ coord_separate_norm: true, coord_normalize_range: [0, 1] }, 'rc-per-side-01'],
    [{ coords: 'xy-per-side' }, 'xy-per-side'],
  ])('%j gives the coordinates', (values, expected) => {
    expect(settingsOf(values).get(coords, guess('rc-height' as const))).toBe(expected);
  });

  it.each<[Plain, string]>([
    [{ data_range: [0, 1] }, '0..1'],
    [{ data_range: [-1, 1] }, '-1..1'],
    [{ zero_mean: true }, '-1..1'],
    [{ not_zero_mean: true }, '0..1'],
  ])('%j gives the range', (values, expected) => {
    expect(settingsOf(values).get(range, guess('0..255' as const))).toBe(expected);
  });

  it.each<[Plain, string]>([
    [{ activation: 'ReLU' }, 'relu'],
    [{ nonlin: 'siren' }, 'sine'],
    [{ act: 'SiLU' }, 'swish'],
    [{ activation: { type: 'gelu' }, model_type: 'gauss' }, 'gaussian'],
  ])('%j gives the activation', (values, expected) => {
    expect(settingsOf(values).get(activation, guess('tanh' as const))).toBe(expected);
  });
});

describe('corrections', () => {
  it('accept aliases', () => {
    const settings = settingsOf({}, { omega_0: '12', hiddenOmega: '3' });
    expect([settings.get(omega0, guess(30)), settings.get(hiddenOmega, guess(30))]).toEqual([12, 3]);
    settings.finish('SIREN');
  });

  it('are refused when no setting has the name, which lists those that exist', () => {
    const settings = settingsOf({}, { colour: 'red' });
    settings.get(omega0, guess(30));
    settings.get(range, guess('0..1'));
    expect(() => settings.finish('SIREN')).toThrow(
      new UnknownSettingError('colour', 'SIREN has no setting “colour”; it takes omega0, range.'),
    );
  });

  it.each([
    [omega0, '-3'],
    [omega0, 'thirty'],
    [omega0, ''],
    [size, '0x5'],
    [size, '65537x1'],
    [size, '65536x65536'],
    [size, '12'.repeat(40)],
    [coords, 'diagonal'],
    [range, '0..2'],
    [finalActivation, 'cosine'],
  ])('of $0.name to “%s” are refused', (setting, text) => {
    const settings = settingsOf({}, { [setting.name]: text });
    // The union of settings is called with its own fallback type.
    expect(() => settings.get(setting as typeof omega0, guess(30))).toThrow(UsageError);
  });
});
