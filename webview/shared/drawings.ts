/** Line drawings of empty states, in the theme's colours: what the panel will show once there is something. */
import { html, svg } from 'lit';

const frame = (content: unknown) =>
  html`<svg
    viewBox="0 0 144 84"
    width="144"
    height="84"
    fill="none"
    stroke="currentColor"
    stroke-width="1.25"
    stroke-linejoin="round"
    stroke-linecap="round"
    aria-hidden="true"
  >
    ${content}
  </svg>`;

const waves = (x: number, y: number, width: number, height: number, turns: number) => {
  const points = Array.from({ length: 17 }, (_, i) => {
    const t = i / 16;
    return `${(x + t * width).toFixed(1)},${(y + (height / 2) * (1 - Math.sin(2 * Math.PI * turns * t) * 0.6)).toFixed(1)}`;
  });
  return svg`<polyline points=${points.join(' ')} />`;
};

/** A picture, and the maps that it is the sum of. */
export const mapsDrawing = () =>
  frame(svg`
    <rect x="1" y="1" width="70" height="52" rx="3" />
    <path d="M1 44 L20 26 L36 40 L50 30 L71 46" /><circle cx="54" cy="15" r="5" />
    <g opacity="0.7">
      <path d="M84 8h58M84 20h40M84 32h50M84 44h26" stroke-width="4" stroke="var(--vscode-charts-blue, currentColor)" opacity="0.6" />
    </g>
    ${[0, 1, 2, 3].map(
      (i) =>
        svg`<rect x=${1 + 36.5 * i} y="61" width="32" height="22" rx="2" opacity="0.7" />
          <g stroke=${i % 2 === 0 ? '#d8701f' : 'var(--vscode-charts-blue, currentColor)'} opacity="0.8">
            ${waves(4 + 36.5 * i, 64, 26, 16, 1 + i / 2)}
          </g>`,
    )}`);

/** Rows with bars that get shorter. */
export const rankingsDrawing = () =>
  frame(
    svg`${[0, 1, 2, 3, 4].map(
      (i) =>
        svg`<rect x="1" y=${3 + 17 * i} width="14" height="11" rx="2" opacity="0.7" />
        <path d="M24 ${8.5 + 17 * i}h18" opacity="0.6" />
        <path d="M54 ${8.5 + 17 * i}h${84 * 0.68 ** i}" stroke-width="5" stroke="var(--vscode-charts-blue, currentColor)" opacity="0.8" />`,
    )}`,
  );

/** Two groups of points. */
export const clustersDrawing = () =>
  frame(
    svg`${Array.from({ length: 26 }, (_, i) => {
      const [group, at] = [i % 2, Math.floor(i / 2)];
      const turn = at * 2.4;
      const out = 5.5 * Math.sqrt(at);
      const x = (group === 0 ? 42 : 102) + 1.3 * out * Math.cos(turn);
      const y = (group === 0 ? 46 : 34) + out * Math.sin(turn);
      const colour = group === 0 ? '#d8701f' : 'var(--vscode-charts-blue, currentColor)';
      return svg`<circle cx=${x.toFixed(1)} cy=${y.toFixed(1)} r="2.6" fill=${colour} stroke="none" opacity="0.85" />`;
    })}`,
  );

/** A sheet with a crack: the file could not be used. */
export const brokenDrawing = () =>
  frame(svg`
    <path d="M46 1h38l16 16v24l-12-6-14 10-16-8-12 7zM84 1v16h16" />
    <path d="M46 54l12-7 16 8 14-10 12 6v32H46z" />`);
