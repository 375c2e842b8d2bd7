/** Numbers as people read them: few digits, a true minus sign, thin grouping, always with their unit. */

const minus = (text: string) => text.replaceAll('-', '−');
const grouped = new Intl.NumberFormat('en-US');

export const integer = (value: number) => minus(grouped.format(value));

/** `digits` significant digits; very large or small numbers in powers of ten: 0.169, 31,300, 2.4e−7. */
export function significant(value: number, digits = 3): string {
  if (!Number.isFinite(value)) return Number.isNaN(value) ? 'NaN' : value > 0 ? '∞' : '−∞';
  const size = Math.abs(value);
  if (size !== 0 && (size < 1e-4 || size >= 1e7))
    return minus(value.toExponential(digits - 1)).replace('e+', 'e');
  if (size >= 10 ** (digits - 1)) return minus(grouped.format(Math.round(value)));
  return minus(String(Number(value.toPrecision(digits))));
}

export const signed = (value: number, digits = 3) => (value > 0 ? '+' : '') + significant(value, digits);

/** 0–1 as `6.7 %`, so that a column of them lines up. */
export const percent = (fraction: number, decimals = 1) => `${(fraction * 100).toFixed(decimals)} %`;

export const decibel = (value: number) =>
  value === Infinity ? 'identical' : `${minus(value.toFixed(1))} dB`;

export function duration(milliseconds: number): string {
  if (milliseconds < 1000) return `${Math.round(milliseconds)} ms`;
  if (milliseconds < 60_000) return `${(milliseconds / 1000).toFixed(1)} s`;
  const seconds = Math.round(milliseconds / 1000);
  return `${Math.floor(seconds / 60)} min ${seconds % 60} s`;
}

export const plural = (count: number, one: string, many = `${one}s`) =>
  `${integer(count)} ${count === 1 ? one : many}`;

const parameterNames: Readonly<Record<string, string>> = {
  omega0: 'ω₀',
  hiddenOmega: 'hidden ω₀',
  coords: 'coordinates',
  finalActivation: 'final activation',
  range: 'output range',
};

/** How an assumption's `--set` name is shown. */
export const parameterName = (name: string) => parameterNames[name] ?? name;
