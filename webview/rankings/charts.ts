import {
  BarController,
  BarElement,
  CategoryScale,
  Chart,
  Filler,
  LinearScale,
  LineController,
  LineElement,
  PointElement,
  Tooltip,
  type ChartConfiguration,
} from 'chart.js';
import { css, html, LitElement, type PropertyValues } from 'lit';
import { customElement, property, query } from 'lit/decorators.js';
import { percent, significant } from '../shared/format';
import type { Modifiers } from '../shared/selection';
import { base } from '../shared/styles';
import { Theme, withOpacity } from '../shared/theme';
import type { CurvePoint } from './lorenz';

Chart.register(
  BarController,
  BarElement,
  CategoryScale,
  Filler,
  LinearScale,
  LineController,
  LineElement,
  PointElement,
  Tooltip,
);

/** Nothing moves: what changes is at once what it is. */
const common = { responsive: true, maintainAspectRatio: false, animation: false } as const;

function show(
  chart: { data: unknown; options: unknown; update(): void },
  { data, options }: { readonly data: unknown; readonly options?: unknown },
): void {
  chart.data = data;
  chart.options = options;
  chart.update();
}

export interface Bar {
  /** Short, below the bar. */
  readonly label: string;
  /** Full, in the tooltip. */
  readonly name: string;
  readonly share: number;
  readonly selected: boolean;
}

const sameBars = (a: readonly Bar[], b: readonly Bar[]) =>
  a.length === b.length && a.every((bar, k) => bar.name === b[k].name && bar.share === b[k].share);

export interface Curve {
  readonly layer: number;
  readonly name: string;
  readonly gini: number;
  readonly points: readonly CurvePoint[];
}

/**
 * Shares of the strongest neurons as bars, and how evenly layers spread their work as Lorenz curves.
 * @fires pick-bar detail: { index: number, modifiers: Modifiers }
 */
@customElement('nc-rankings-charts')
export class RankingsCharts extends LitElement {
  static override styles = [
    base,
    css`
      :host {
        display: grid;
        gap: 12px;
        min-height: 0;
      }
      figure {
        display: flex;
        flex-direction: column;
        gap: 4px;
        min-width: 0;
        min-height: 0;
        margin: 0;
      }
      figcaption {
        display: flex;
        gap: 8px;
        font-size: 11px;
        white-space: nowrap;
      }
      .legend i {
        display: inline-block;
        width: 10px;
        height: 3px;
        margin-right: 4px;
        vertical-align: middle;
      }
      .plot {
        position: relative;
        flex: 1;
        min-width: 0;
        min-height: 0;
      }
      canvas {
        position: absolute;
        inset: 0;
      }
    `,
  ];

  /** Largest share first. */
  @property({ attribute: false }) bars: readonly Bar[] = [];
  @property({ attribute: false }) curves: readonly Curve[] = [];
  /** Number of traced layers, for the curves' colours. */
  @property({ attribute: false }) layerCount = 1;

  @query('.bars') private readonly barCanvas!: HTMLCanvasElement;
  @query('.curves') private readonly curveCanvas!: HTMLCanvasElement;
  private charts: { readonly bars: Chart<'bar'>; readonly curves: Chart<'line', CurvePoint[]> } | null = null;
  private readonly theme = new Theme(this);

  override connectedCallback(): void {
    super.connectedCallback();
    // Moved in the page: the charts were destroyed on the way.
    if (this.hasUpdated) this.requestUpdate();
  }

  override disconnectedCallback(): void {
    super.disconnectedCallback();
    this.charts?.bars.destroy();
    this.charts?.curves.destroy();
    this.charts = null;
  }

  override render() {
    const { bars, curves } = this;
    const listed = bars.map(({ name, share }) => `${name} ${percent(share)}`).join(', ');
    const spread = curves.map(({ name, gini }) => `${name} ${gini.toFixed(2)}`).join(', ');
    return html`
      <figure>
        <figcaption>
          <h2>${bars.length > 0 ? `Top ${bars.length} by share` : 'Largest shares'}</h2>
        </figcaption>
        <div class="plot">
          <canvas
            class="bars"
            role="img"
            aria-label="Largest shares: ${listed}"
            data-testid="rankings-chart"
          ></canvas>
        </div>
      </figure>
      <figure>
        <figcaption>
          <h2>${curves.length === 1 ? `Gini ${curves[0].gini.toFixed(2)}` : 'Gini'}</h2>
          <span class="legend ellipsis muted">
            ${
              curves.length === 1
                ? 'Lorenz curve'
                : curves.map(
                    ({ layer, name, gini }) =>
                      html`<i style="background: ${this.theme.depth(layer, this.layerCount)}"></i>${name}
                        ${gini.toFixed(2)} `,
                  )
            }
          </span>
        </figcaption>
        <div class="plot">
          <canvas
            class="curves"
            role="img"
            aria-label="Part of the total against part of the neurons, weakest first. Gini coefficient: ${spread}"
            data-testid="rankings-lorenz"
          ></canvas>
        </div>
      </figure>
    `;
  }

  override updated(changed: PropertyValues<this>): void {
    if (!this.charts) {
      this.charts = {
        bars: new Chart(this.barCanvas, this.barChart()),
        curves: new Chart(this.curveCanvas, this.curveChart()),
      };
      return;
    }
    const before = changed.get('bars');
    if (changed.size === 1 && before && sameBars(before, this.bars)) {
      // A selection elsewhere: the panels are to follow at once, and layout is most of a chart's time.
      if (before.every(({ selected }, k) => selected === this.bars[k].selected)) return;
      const [bars] = this.charts.bars.data.datasets;
      bars.backgroundColor = this.barColours;
      this.charts.bars.update('none');
      return;
    }
    show(this.charts.bars, this.barChart());
    show(this.charts.curves, this.curveChart());
  }

  private get barColours(): string[] {
    const strong = this.theme.colour('charts-orange', '#d18616');
    const usual = this.theme.colour('charts-blue', '#3794ff');
    return this.bars.map(({ selected }) => (selected ? strong : usual));
  }

  private barChart(): ChartConfiguration<'bar'> {
    const { bars } = this;
    return {
      type: 'bar',
      data: {
        labels: bars.map(({ label }) => label),
        datasets: [
          {
            data: bars.map(({ share }) => share),
            backgroundColor: this.barColours,
            categoryPercentage: 0.9,
            barPercentage: 0.9,
            borderRadius: 1,
          },
        ],
      },
      options: {
        ...common,
        onClick: ({ native }, [bar]) => {
          if (!bar) return;
          const { ctrlKey, metaKey } = native as MouseEvent;
          const modifiers: Modifiers = { ctrlKey, metaKey, shiftKey: false };
          this.dispatchEvent(new CustomEvent('pick-bar', { detail: { index: bar.index, modifiers } }));
        },
        onHover: (_, hovered, { canvas }) => (canvas.style.cursor = hovered.length > 0 ? 'pointer' : ''),
        interaction: { mode: 'index', intersect: false },
        scales: {
          x: {
            border: this.axis,
            grid: { display: false },
            ticks: { ...this.ticks, maxRotation: 0, autoSkipPadding: 4 },
          },
          y: { ...this.parts, beginAtZero: true },
        },
        plugins: {
          tooltip: {
            ...this.tooltip,
            callbacks: {
              title: ([{ dataIndex }]) => bars[dataIndex].name,
              label: ({ dataIndex }) => percent(bars[dataIndex].share, 2),
            },
          },
        },
      },
    };
  }

  private curveChart(): ChartConfiguration<'line', CurvePoint[]> {
    const { curves, theme } = this;
    const single = curves.length === 1;
    const blue = theme.rgba('charts-blue', [55, 148, 255, 1]);
    return {
      type: 'line',
      data: {
        datasets: [
          ...curves.map(({ layer, points }) => {
            return {
              data: [...points],
              borderColor: single ? withOpacity(blue, 1) : theme.depth(layer, this.layerCount),
              backgroundColor: withOpacity(blue, 0.18),
              borderWidth: single ? 2 : 1.5,
              fill: single,
            };
          }),
          {
            data: [
              { x: 0, y: 0 },
              { x: 1, y: 1 },
            ],
            borderColor: theme.muted,
            borderWidth: 1,
            borderDash: [3, 3],
          },
        ],
      },
      options: {
        ...common,
        elements: { point: { radius: 0, hitRadius: 6 } },
        interaction: { mode: 'nearest', intersect: false },
        scales: {
          x: { ...this.parts, type: 'linear', min: 0, max: 1 },
          y: { ...this.parts, min: 0, max: 1 },
        },
        plugins: {
          tooltip: {
            ...this.tooltip,
            filter: ({ datasetIndex }) => datasetIndex < curves.length,
            callbacks: {
              title: ([item]) =>
                item
                  ? `${curves[item.datasetIndex].name}, Gini ${curves[item.datasetIndex].gini.toFixed(2)}`
                  : '',
              label: ({ parsed: { x, y } }) =>
                `the weakest ${percent(x ?? 0, 0)} of neurons hold ${percent(y ?? 0)}`,
            },
          },
        },
      },
    };
  }

  private get font() {
    return { family: this.theme.colour('font-family', 'sans-serif'), size: 10 };
  }

  private get ticks() {
    return { color: this.theme.muted, font: this.font };
  }

  private get axis() {
    return { color: this.line };
  }

  private get line() {
    return withOpacity(this.theme.rgba('charts-lines', [128, 128, 128, 0.6]), 0.35);
  }

  /** An axis of parts of a whole, 0–1. */
  private get parts() {
    return {
      border: { display: false },
      grid: { color: this.line, drawTicks: false },
      ticks: {
        ...this.ticks,
        maxTicksLimit: 5,
        callback: (value: string | number) => `${significant(Number(value) * 100, 2)} %`,
      },
    };
  }

  private get tooltip() {
    const { theme } = this;
    return {
      backgroundColor: theme.colour('editorHoverWidget-background', theme.background),
      borderColor: theme.colour('editorHoverWidget-border', this.line),
      borderWidth: 1,
      titleColor: theme.foreground,
      bodyColor: theme.foreground,
      titleFont: { ...this.font, size: 11, weight: 'bold' as const },
      bodyFont: { ...this.font, size: 11 },
      cornerRadius: 2,
      padding: 6,
      displayColors: false,
    };
  }
}
