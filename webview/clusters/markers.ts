/** Shapes that tell clusters apart where colours do not: SVG paths around the origin, about as large as a circle of radius 1. */
type Corner = readonly [number, number];

const path = (corners: readonly Corner[]) =>
  `M${corners.map(([x, y]) => `${x.toFixed(3)} ${y.toFixed(3)}`).join('L')}Z`;

/** @param radii of its corners, in turn @param turn of the first corner, clockwise from the top, in degrees */
function polygon(corners: number, radii: readonly number[], turn = 0): string {
  return path(
    Array.from({ length: corners }, (_, i) => {
      const angle = ((i / corners) * 360 + turn - 90) * (Math.PI / 180);
      const radius = radii[i % radii.length];
      return [radius * Math.cos(angle), radius * Math.sin(angle)];
    }),
  );
}

const [arm, thick] = [1.15, 0.4];
const plus: readonly Corner[] = [
  [-thick, -arm],
  [thick, -arm],
  [thick, -thick],
  [arm, -thick],
  [arm, thick],
  [thick, thick],
  [thick, arm],
  [-thick, arm],
  [-thick, thick],
  [-arm, thick],
  [-arm, -thick],
  [-thick, -thick],
];
const diagonal = plus.map(([x, y]): Corner => [(x - y) * Math.SQRT1_2, (x + y) * Math.SQRT1_2]);

export const circle = 'M1 0A1 1 0 1 1-1 0A1 1 0 1 1 1 0Z';

export const markers: readonly string[] = [
  circle,
  polygon(4, [1.25], 45),
  polygon(3, [1.4]),
  polygon(4, [1.3]),
  path(plus),
  path(diagonal),
  polygon(10, [1.45, 0.6]),
  polygon(3, [1.4], 180),
  path([
    [-1.1, -1.1],
    [1.1, -1.1],
    [-1.1, 1.1],
    [1.1, 1.1],
  ]),
  polygon(5, [1.2]),
  polygon(3, [1.4], 90),
  polygon(3, [1.4], 270),
];
