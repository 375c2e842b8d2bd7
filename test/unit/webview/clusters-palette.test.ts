import { describe, expect, it } from 'vitest';
import { categoryColour, srgbToOklab } from '../../../webview/shared/colourMaps';
import { parseColour } from '../../../webview/shared/theme';

/** Linear RGB as seen by people who lack one kind of cone (G. Machado et al., 2009, severity 1). */
const sights: Readonly<Record<string, readonly (readonly number[])[]>> = {
  usual: [
    [1, 0, 0],
    [0, 1, 0],
    [0, 0, 1],
  ],
  protanopia: [
    [0.152286, 1.052583, -0.204868],
    [0.114503, 0.786281, 0.099216],
    [-0.003882, -0.048116, 1.051998],
  ],
  deuteranopia: [
    [0.367322, 0.860646, -0.227968],
    [0.280085, 0.672501, 0.047413],
    [-0.01182, 0.04294, 0.968881],
  ],
  tritanopia: [
    [1.255528, -0.076749, -0.178779],
    [-0.078411, 0.930809, 0.147602],
    [0.004733, 0.691367, 0.3039],
  ],
};

const linear = (x: number) => (x <= 0.04045 ? x / 12.92 : ((x + 0.055) / 1.055) ** 2.4);
const gamma = (x: number) => (x <= 0.0031308 ? 12.92 * x : 1.055 * x ** (1 / 2.4) - 0.055);
const rgb = (colour: string) =>
  parseColour(colour)!
    .slice(0, 3)
    .map((channel) => linear(channel / 255));

const seen = (colour: string, sight: readonly (readonly number[])[]) => {
  const [r, g, b] = rgb(colour);
  const [x, y, z] = sight.map((row) => gamma(Math.min(1, Math.max(0, row[0] * r + row[1] * g + row[2] * b))));
  return srgbToOklab(x, y, z);
};

const luminance = (colour: string) => {
  const [r, g, b] = rgb(colour);
  return 0.2126 * r + 0.7152 * g + 0.0722 * b;
};

describe.each([
  ['dark', '#1e1e1e'],
  ['light', '#ffffff'],
] as const)('colours of clusters on a %s background', (brightness, background) => {
  const colours = Array.from({ length: 12 }, (_, i) => categoryColour(i, brightness));

  it.each(Object.keys(sights))('are told apart by people with %s', (sight) => {
    const labs = colours.map((colour) => seen(colour, sights[sight]));
    for (let i = 0; i < labs.length; i++) {
      for (let j = 0; j < i; j++) {
        const distance = Math.hypot(...labs[i].map((value, k) => value - labs[j][k]));
        // Tritanopia is a thousand times rarer than the others, and numbers stand beside the colours.
        expect(distance, `${colours[i]} ${colours[j]}`).toBeGreaterThan(
          sight === 'tritanopia' ? 0.075 : 0.085,
        );
      }
    }
  });

  it('stand out', () => {
    for (const colour of colours) {
      const [low, high] = [luminance(colour), luminance(background)].sort((a, b) => a - b);
      expect((high + 0.05) / (low + 0.05), colour).toBeGreaterThanOrEqual(3);
    }
  });
});
