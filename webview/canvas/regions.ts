/** Marking a region of the picture: tools, the marked region over the picture, and who paints it. */
import { html, nothing } from 'lit';
import type { Region } from '../../src/tracing/regionMask';
import type { Labels } from '../../src/worker/labels';
import type { Segmentation } from '../../src/worker/regions';
import { integer, percent } from '../shared/format';
import { OutdatedError } from '../shared/host';
import { lassoIcon } from '../shared/icons';
import type { Canvas } from './canvas';
import type { Part } from './parts';
import './regionLayer';
import type { RegionTool } from './regionLayer';
import './regionNeurons';

const icon = (name: string) => html`<vscode-icon name=${name}></vscode-icon>`;

const tools: Readonly<Record<RegionTool, { readonly title: string; readonly icon: unknown }>> = {
  rectangle: { title: 'Mark a Rectangle', icon: icon('screen-cut') },
  lasso: { title: 'Mark with a Lasso', icon: lassoIcon },
  color: { title: 'Mark All Pixels of a Colour', icon: icon('paintcan') },
  edge: { title: 'Mark All Edges of a Kind', icon: icon('wand') },
  mask: { title: 'Mark an Object of a Mask File…', icon: icon('layers') },
};

/** The tool in hand, and what the picture is divided into for it. */
class Marking {
  tool: RegionTool | null = null;
  maskFile: string | null = null;
  problem: string | null = null;
  private segments: { readonly key: string; readonly labels: Labels } | null = null;

  constructor(private readonly canvas: Canvas) {}

  private get by(): Segmentation | null {
    if (this.tool === 'color' || this.tool === 'edge') return { feature: this.tool };
    return this.tool === 'mask' && this.maskFile !== null ? { file: this.maskFile } : null;
  }

  private get key(): string {
    return `${this.canvas.session.view?.id} ${JSON.stringify(this.by)}`;
  }

  get labels(): Labels | null {
    return this.segments?.key === this.key ? this.segments.labels : null;
  }

  get waiting(): boolean {
    return this.by !== null && this.labels === null;
  }

  async choose(tool: RegionTool | null): Promise<void> {
    const { canvas } = this;
    const { host } = canvas.session;
    this.problem = null;
    if (tool === 'mask' && this.tool !== tool) {
      const file = await this.asked(host.call('pickMask', { folder: false }));
      if (file === null) return;
      this.maskFile = file;
      canvas.session.select({ region: { kind: 'mask', file, pixel: null } });
    }
    this.tool = this.tool === tool ? null : tool;
    canvas.requestUpdate();
    const { by, key } = this;
    if (!by || this.labels) return;
    const labels = await this.asked(host.call('segments', { by }));
    if (labels) this.segments = { key, labels };
    else if (this.key === key) this.tool = null;
    canvas.requestUpdate();
  }

  private async asked<T>(answer: Promise<T>): Promise<T | null> {
    try {
      return await answer;
    } catch (error) {
      if (!(error instanceof OutdatedError)) {
        this.problem = error instanceof Error ? error.message : String(error);
        this.canvas.requestUpdate();
      }
      return null;
    }
  }
}

const markings = new WeakMap<Canvas, Marking>();

function markingOf(canvas: Canvas): Marking {
  let marking = markings.get(canvas);
  if (!marking) markings.set(canvas, (marking = new Marking(canvas)));
  return marking;
}

export const regionTools: Part = {
  slot: 'pictureTools',
  render(canvas) {
    const marking = markingOf(canvas);
    return html`${(Object.keys(tools) as RegionTool[]).map(
      (name) =>
        html`<button
          type="button"
          class="icon"
          title=${tools[name].title}
          aria-label=${tools[name].title}
          aria-pressed=${marking.tool === name}
          data-testid="region-${name}"
          @click=${() => void marking.choose(name)}
        >
          ${tools[name].icon}
        </button>`,
    )}`;
  },
};

export const regionLayer: Part = {
  slot: 'overPicture',
  render(canvas) {
    const marking = markingOf(canvas);
    const { session, transform } = canvas;
    const problem = marking.problem ?? session.regionError;
    const { region } = session;
    const mark = (marked: Region | null) => {
      marking.problem = null;
      session.select({ region: marked });
    };
    return html`<nc-region-layer
        .picture=${session.reconstruction}
        .transform=${transform}
        .region=${session.selection.region}
        .measured=${region}
        .pixel=${session.selection.pixel}
        .tool=${marking.tool}
        .label=${marking.tool ? tools[marking.tool].title : ''}
        .labels=${marking.labels}
        .maskFile=${marking.maskFile}
        @mark-region=${({ detail }: CustomEvent<Region | null>) => mark(detail)}
        @leave=${() => void marking.choose(null)}
      ></nc-region-layer>
      ${
        region
          ? html`<div class="overlay region number" role="status" data-testid="region-facts">
              ${integer(region.mask.area)} px · ${percent(region.mask.area / region.mask.data.length)}
              <button
                type="button"
                class="icon"
                title="Unmark the Region"
                aria-label="Unmark the region"
                data-testid="region-clear"
                @click=${() => mark(null)}
              >
                ${icon('close')}
              </button>
            </div>`
          : problem
            ? html`<div class="overlay region error" role="alert">${problem}</div>`
            : marking.waiting
              ? html`<div class="overlay region muted" role="status">Dividing the picture …</div>`
              : nothing
      }`;
  },
};

export const regionSide: Part = {
  slot: 'side',
  render(canvas) {
    const { region } = canvas.session;
    if (!region) return nothing;
    return html`<nc-region-neurons
      .region=${region}
      .layer=${canvas.layerIndex}
      .selected=${new Set(canvas.selected)}
      @pick-neuron=${({ detail }: CustomEvent<number>) => canvas.choose([detail])}
    ></nc-region-neurons>`;
  },
};
