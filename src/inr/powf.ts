/**
 * xʸ in float32 to the last bit as PyTorch computes it on a CPU: SLEEF's powf with error below 1 ULP,
 * in pairs of floats (a value and its rounding error). NeRV's encoding of time multiplies such powers
 * to phases of 10⁴ and more, where a last bit is seen in the frame.
 */
type Pair = readonly [number, number];

const f = Math.fround;
/** Fused multiply-add; the product of two floats is exact in a double. */
const fma = (a: number, b: number, c: number) => f(a * b + c);

const add = (x: number, y: number): Pair => {
  const s = f(x + y);
  const v = f(s - x);
  return [s, f(f(x - f(s - v)) + f(y - v))];
};
const addToPair = (x: Pair, y: number): Pair => {
  const [s, error] = add(x[0], y);
  return [s, f(error + x[1])];
};
/** Of pairs of any size. */
const addPairs = (x: Pair, y: Pair): Pair => {
  const [s, error] = add(x[0], y[0]);
  return [s, f(error + f(x[1] + y[1]))];
};
/** Of pairs of which the first is the larger. */
const addSmaller = (x: Pair, y: Pair): Pair => {
  const s = f(x[0] + y[0]);
  return [s, f(f(f(f(x[0] - s) + y[0]) + x[1]) + y[1])];
};
const multiply = (x: Pair, y: number): Pair => {
  const s = f(x[0] * y);
  return [s, fma(x[1], y, fma(x[0], y, -s))];
};
const multiplyPairs = (x: Pair, y: Pair): Pair => {
  const s = f(x[0] * y[0]);
  return [s, fma(x[0], y[1], fma(x[1], y[0], fma(x[0], y[0], -s)))];
};
const square = (x: Pair): Pair => {
  const s = f(x[0] * x[0]);
  return [s, fma(f(x[0] + x[0]), x[1], fma(x[0], x[0], -s))];
};
const divide = (n: Pair, d: Pair): Pair => {
  const t = f(1 / d[0]);
  const s = f(n[0] * t);
  const u = fma(t, n[0], -s);
  const v = fma(-d[1], t, fma(-d[0], t, 1));
  return [s, fma(s, v, fma(n[1], t, u))];
};
const polynomial = (x: number, coefficients: readonly number[]) =>
  coefficients.map(f).reduce((sum, c) => fma(sum, x, c));

/** ln d, for normal d > 0. */
function logarithm(d: number): Pair {
  const e = Math.floor(Math.log2(f(d * f(1 / 0.75))));
  const m = f(d * 2 ** -e);
  const x = divide(add(-1, m), add(1, m));
  const x2 = square(x);
  const t = polynomial(x2[0], [0.2403203547, 0.285112679, 0.400007993]);
  const c: Pair = [f(0.66666662693023681640625), f(3.69183861259614332084311e-9)];
  const exponent = multiply([f(0.69314718246459960938), f(-1.904654323148236017e-9)], e);
  const s = addSmaller(exponent, [f(2 * x[0]), f(2 * x[1])]);
  return addSmaller(s, multiplyPairs(multiplyPairs(x2, x), addPairs(multiply(x2, t), c)));
}

/** exp(d) */
function exponential(d: Pair): number {
  const q = Math.round(f(f(d[0] + d[1]) * f(Math.LOG2E)));
  const reduced = addToPair(addToPair(d, f(q * -f(0.693145751953125))), f(q * -f(1.428606765330187045e-6)));
  const head = f(reduced[0] + reduced[1]);
  const s: Pair = [head, f(f(reduced[0] - head) + reduced[1])];
  const u = polynomial(
    s[0],
    [
      0.00136324646882712841033936, 0.00836596917361021041870117, 0.0416710823774337768554688,
      0.166665524244308471679688, 0.499999850988388061523438,
    ],
  );
  const [high, low] = addSmaller([1, 0], addSmaller(s, multiply(square(s), u)));
  return f(f(high + low) * 2 ** q);
}

/** @param x a positive, normal float32 */
export const powf = (x: number, y: number): number =>
  y === 0 ? 1 : exponential(multiply(logarithm(f(x)), y));
