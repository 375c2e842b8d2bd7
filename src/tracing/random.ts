/**
 * Uniform numbers in [0, 1) that a seed repeats exactly.
 * Source: mulberry32 (Tommy Ettinger, public domain).
 */
export function seededRandom(seed: number): () => number {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let z = state;
    z = Math.imul(z ^ (z >>> 15), z | 1);
    z ^= z + Math.imul(z ^ (z >>> 7), z | 61);
    return ((z ^ (z >>> 14)) >>> 0) / 2 ** 32;
  };
}

/** `count` different whole numbers below `below`, in ascending order; all of them when there are no more. */
export function sampleIndices(below: number, count: number, random: () => number): Uint32Array {
  if (count >= below) return Uint32Array.from({ length: below }, (_, i) => i);
  const chosen = new Set<number>();
  // Floyd's algorithm: as many draws as numbers wanted.
  for (let j = below - count; j < below; j++) {
    const drawn = Math.floor(random() * (j + 1));
    chosen.add(chosen.has(drawn) ? j : drawn);
  }
  return Uint32Array.from(chosen).sort();
}
