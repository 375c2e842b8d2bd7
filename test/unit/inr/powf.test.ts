import { expect, it } from 'vitest';
import { powf } from '../../../src/inr/powf';

// `1.25 ** torch.arange(80)` and so on in PyTorch 1.13 on x86-64; the marked one differs from the
// correctly rounded power in the last bit.
it.each([
  [1.25, 0, 1],
  [1.25, 45, 22958.873046875], // correctly rounded: 22958.875
  [1.25, 79, 45278396.0],
  [1.15, 20, 16.3665313720703125],
  [1.3, 28, 1550.2916259765625],
  [2, 30, 1073741824],
] as const)('%f to the power %i', (base, exponent, expected) => {
  expect(powf(base, exponent)).toBe(expected);
});
