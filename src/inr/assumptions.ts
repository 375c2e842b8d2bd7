import { UsageError } from '../errors';
import { comparable, type Configuration } from './configuration';
import type { Setting, SettingValue } from './settings';
import type { Assumption, AssumptionSource, Evidence } from './types';

/** What a setting is when neither the person nor a configuration says so. */
export interface Fallback<T> {
  readonly value: T;
  readonly source: Extract<AssumptionSource, 'state dict' | 'inferred' | 'default'>;
  readonly confidence: number;
  readonly detail?: string;
  /** Values worth trying against a picture; the setting's own when left out. */
  readonly choices?: readonly T[];
}

/** Sources from the most to the least trusted (recognition.md, “Order”). */
const TRUST: readonly AssumptionSource[] = [
  'correction',
  'state dict',
  'hyper-parameters',
  'sidecar file',
  // A picture that a network paints is stronger than code that may have changed since.
  'target',
  'training code',
  'inferred',
  'default',
];

const CONFIDENCE: Readonly<Partial<Record<AssumptionSource, number>>> = {
  correction: 1,
  'state dict': 1,
  'hyper-parameters': 0.98,
  'sidecar file': 0.95,
  'training code': 0.85,
};

/** The person set something that the network found does not have. */
export class UnknownSettingError extends UsageError {
  override name = 'UnknownSettingError';
  constructor(
    readonly setting: string,
    message: string,
  ) {
    super(message);
  }
}

/** Two numbers that differ by rounding are one value. */
const same = (a: SettingValue, b: SettingValue) =>
  a === b || (typeof a === 'number' && typeof b === 'number' && Math.abs(a - b) <= 1e-6 * Math.abs(a));

/** Resolves the settings of one network and keeps account of where each came from. */
export class Settings {
  readonly assumptions: Assumption[] = [];
  private readonly used = new Set<string>();

  /**
   * @param corrections what the person set, by name or alias
   * @param evidence what scoring against a picture or reading the training code found
   */
  constructor(
    private readonly configuration: Configuration,
    private readonly corrections: ReadonlyMap<string, string> = new Map(),
    private readonly evidence: readonly Evidence[] = [],
  ) {}

  /**
   * The value of a setting by its most trusted source; notes it as an assumption.
   * @throws UsageError when the person's value has no meaning
   */
  get<T extends SettingValue>(setting: Setting<T>, fallback: Fallback<T>): T {
    const found = this.correction(setting) ?? this.best(setting, fallback);
    const choices = fallback.choices ?? setting.choices;
    this.assumptions.push({
      name: setting.name,
      value: found.value,
      source: found.source,
      confidence: found.confidence,
      ...(found.detail !== undefined && { detail: found.detail }),
      ...(choices && choices.length > 1 && { choices: choices.map(String) }),
    });
    return found.value;
  }

  /** @throws UnknownSettingError when the person set something that this network does not have. */
  finish(title: string): void {
    for (const name of this.corrections.keys()) {
      if (this.used.has(name)) continue;
      const names = this.assumptions.map((assumption) => assumption.name);
      throw new UnknownSettingError(
        name,
        `${title} has no setting “${name}”; ` +
          (names.length ? `it takes ${names.join(', ')}.` : 'it takes none.'),
      );
    }
  }

  private correction<T extends SettingValue>(setting: Setting<T>) {
    // The own name first: `hiddenOmega=1` must not be overruled by `omega_0=30` given beside it.
    for (const name of [setting.name, ...setting.aliases].map(comparable)) {
      for (const [given, text] of this.corrections) {
        if (comparable(given) !== name) continue;
        this.used.add(given);
        const value = setting.read(text);
        if (value === undefined) {
          throw new UsageError(`“${text}” is no value for ${given}; give ${setting.expects}.`);
        }
        return { value, source: 'correction', confidence: 1, detail: 'set by you' } as const;
      }
    }
    return undefined;
  }

  private best<T extends SettingValue>(setting: Setting<T>, fallback: Fallback<T>) {
    const candidates: { value: T; source: AssumptionSource; confidence: number; detail?: string }[] = [
      fallback,
    ];
    // An entry of exactly this meaning is worth more than one derived from others.
    const configured =
      this.configuration.find([setting.name, ...setting.aliases], (value) => setting.read(value)) ??
      setting.derive?.(this.configuration);
    if (configured) candidates.push({ ...configured, confidence: CONFIDENCE[configured.source] ?? 0.9 });
    for (const { name, value: given, ...rest } of this.evidence) {
      if (name !== setting.name) continue;
      const value = setting.read(given);
      if (value !== undefined) candidates.push({ value, ...rest });
    }
    const rank = ({ source }: { source: AssumptionSource }) => TRUST.indexOf(source);
    const found = candidates.reduce((best, next) => (rank(next) < rank(best) ? next : best));
    // A configuration that agrees with what the weights say makes it surer.
    const agreeing = candidates.filter((other) => same(other.value, found.value));
    return { ...found, confidence: Math.max(...agreeing.map((other) => other.confidence)) };
  }
}
