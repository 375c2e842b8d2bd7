/**
 * Colour maps as tables of 256 RGBA entries.
 *
 * Signed values: two straight lines in OKLab (B. Ottosson, “A perceptual color space for image
 * processing”, 2020) from a neutral zero to blue and to orange, equally light and equally far away: equal
 * steps look equal, and blue against orange stays apart for the common forms of colour blindness.
 * Magnitudes: viridis (S. van der Walt, N. Smith, 2015) by M. Zucker's polynomial fit (CC0).
 */
export const SIZE = 256;

export type ColourMap = Uint8Array<ArrayBuffer>;

/** Lightness, green–red, blue–yellow. */
type Lab = readonly [number, number, number];

const gamma = (x: number) => (x <= 0.0031308 ? 12.92 * x : 1.055 * x ** (1 / 2.4) - 0.055);
const linear = (x: number) => (x <= 0.04045 ? x / 12.92 : ((x + 0.055) / 1.055) ** 2.4);

/** OKLab → sRGB, 0–1 when inside the gamut. */
export function oklabToSrgb([L, a, b]: Lab): Lab {
  const l = (L + 0.3963377774 * a + 0.2158037573 * b) ** 3;
  const m = (L - 0.1055613458 * a - 0.0638541728 * b) ** 3;
  const s = (L - 0.0894841775 * a - 1.291485548 * b) ** 3;
  return [
    gamma(4.0767416621 * l - 3.3077115913 * m + 0.2309699292 * s),
    gamma(-1.2684380046 * l + 2.6097574011 * m - 0.3413193965 * s),
    gamma(-0.0041960863 * l - 0.7034186147 * m + 1.707614701 * s),
  ];
}

/** sRGB, 0–1 → OKLab. */
export function srgbToOklab(red: number, green: number, blue: number): Lab {
  const [r, g, b] = [linear(red), linear(green), linear(blue)];
  const l = Math.cbrt(0.4122214708 * r + 0.5363325363 * g + 0.0514459929 * b);
  const m = Math.cbrt(0.2119034982 * r + 0.6806995451 * g + 0.1073969566 * b);
  const s = Math.cbrt(0.0883024619 * r + 0.2817188376 * g + 0.6299787005 * b);
  return [
    0.2104542553 * l + 0.793617785 * m - 0.0040720468 * s,
    1.9779984951 * l - 2.428592205 * m + 0.4505937099 * s,
    0.0259040371 * l + 0.7827717662 * m - 0.808675766 * s,
  ];
}

const lch = (L: number, chroma: number, hueDegrees: number): Lab => {
  const hue = (hueDegrees * Math.PI) / 180;
  return [L, chroma * Math.cos(hue), chroma * Math.sin(hue)];
};

/** Zero is near the editor's background, so that what a neuron does not touch recedes. */
const signedEnds = {
  dark: { zero: lch(0.2, 0, 0), negative: lch(0.76, 0.115, 245), positive: lch(0.76, 0.115, 62) },
  light: { zero: lch(0.97, 0, 0), negative: lch(0.5, 0.12, 250), positive: lch(0.5, 0.12, 52) },
};

export type Brightness = keyof typeof signedEnds;

/** Entry 0 is −limit, 127.5 is zero, 255 is +limit. */
export function signedMap(brightness: Brightness): ColourMap {
  const { zero, negative, positive } = signedEnds[brightness];
  return table((t) => {
    const value = 2 * t - 1;
    const end = value < 0 ? negative : positive;
    return oklabToSrgb(zero.map((z, i) => z + (end[i] - z) * Math.abs(value)) as unknown as Lab);
  });
}

const viridis: readonly Lab[] = [
  [0.2777273272234177, 0.005407344544966578, 0.3340998053353061],
  [0.1050930431085774, 1.404613529898575, 1.384590162594685],
  [-0.3308618287255563, 0.214847559468213, 0.09509516302823659],
  [-4.634230498983486, -5.799100973351585, -19.33244095627987],
  [6.228269936347081, 14.17993336680509, 56.69055260068105],
  [4.776384997670288, -13.74514537774601, -65.35303263337234],
  [-5.435455855934631, 4.645852612178535, 26.3124352495832],
];

/** Entry 0 is zero, 255 the limit. */
export function magnitudeMap(): ColourMap {
  return table((t) =>
    viridis.reduceRight<Lab>(
      (sum, term) => [sum[0] * t + term[0], sum[1] * t + term[1], sum[2] * t + term[2]],
      [0, 0, 0],
    ),
  );
}

function table(colour: (t: number) => Lab): ColourMap {
  const map = new Uint8Array(SIZE * 4);
  for (let i = 0; i < SIZE; i++) {
    const rgb = colour(i / (SIZE - 1));
    for (let c = 0; c < 3; c++) map[4 * i + c] = Math.round(255 * Math.min(1, Math.max(0, rgb[c])));
    map[4 * i + 3] = 255;
  }
  return map;
}

/**
 * Twelve colours at least 0.085 apart in OKLab for usual sight, protanopia and deuteranopia, and 0.075 for
 * tritanopia (G. Machado et al., 2009), with a contrast of 3 : 1 or more against the editor.
 */
const categories: Readonly<Record<Brightness, readonly string[]>> = {
  dark: '5baff4 e66e20 f8e445 af4da9 61fdf7 cb4453 4d7de8 bbe6ac e49d89 bc7fa5 c6c102 9bcbed'.split(' '),
  light: '136dbf b85207 11a1b4 66196e ae8a0d 3d4900 8c7aef 905b5c 173fa4 d16b7a 882c50 70558c'.split(' '),
};

/** Colour of a category, such as a cluster; repeats after twelve. */
export function categoryColour(index: number, brightness: Brightness): string {
  const colours = categories[brightness];
  return `#${colours[index % colours.length]}`;
}
