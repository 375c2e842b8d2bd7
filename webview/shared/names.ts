/**
 * Layer names without the leading and trailing parts that all share, but never starting with a number:
 * `model.net.0.linear`, `model.net.1.linear` → `net.0`, `net.1`.
 */
export function shortNames(names: readonly string[]): string[] {
  if (names.length < 2) return [...names];
  const split = names.map((name) => name.split('.'));
  const shortest = Math.min(...split.map((parts) => parts.length));
  const shared = (part: (parts: string[]) => string | undefined) =>
    split.every((parts) => part(parts) === part(split[0]));
  let end = 0;
  while (end < shortest - 1 && shared((parts) => parts.at(-1 - end))) end++;
  let start = 0;
  while (start < shortest - end - 1 && shared((parts) => parts[start])) start++;
  while (start > 0 && split.some((parts) => /^\d/.test(parts[start]))) start--;
  return split.map((parts) => parts.slice(start, parts.length - end).join('.'));
}

/**
 * Each name up to the part that tells it from all others, for narrow columns:
 * `net.0.linear`, `net.1.linear`, `net.4` → `net.0`, `net.1`, `net.4`.
 */
export function distinctStarts(names: readonly string[]): string[] {
  return names.map((name, i) => {
    const parts = name.split('.');
    for (let end = 1; end < parts.length; end++) {
      const start = parts.slice(0, end).join('.');
      if (names.every((other, k) => k === i || (other !== start && !other.startsWith(`${start}.`))))
        return start;
    }
    return name;
  });
}

export const neuronName = (layer: string, neuron: number) => `${layer} #${neuron}`;
