/**
 * The components that make up the canvas. To add one, write it in a file of its own and name it here with the
 * slot it belongs into. A part renders from the `Canvas` whenever anything changes; it hands its custom element
 * plain properties, as the others do, so that only what changed is drawn again. What the person chose about it
 * is kept with `canvas.kept(id, defaults)` and `canvas.keep(id, change)`. Buttons of the toolbar are `actions.ts`,
 * what the picture shows is `modes.ts`.
 */
import type { nothing, TemplateResult } from 'lit';
import { ablationControls } from './ablation';
import { assumptions } from './assumptions';
import type { Canvas } from './canvas';
import { channelsPart } from './channels';
import { regionLayer, regionSide, regionTools } from './regions';
import { history } from './history';
import { timePart } from './time';

export type Slot =
  /** Full-width rows below the toolbar. */
  | 'banner'
  /** Tools at the left edge over the picture, one below the other: `button.icon` of `shared/controls.ts`. */
  | 'pictureTools'
  /** Covers the picture, lets the pointer through unless styled otherwise. `canvas.transform` places things. */
  | 'overPicture'
  /** Full-width rows below picture and probe, such as a time line. */
  | 'underPicture'
  /** The column beside the picture, below the probe. */
  | 'side'
  /** Among sort, colours and scale of the contact sheet. */
  | 'sheetControls'
  /** Full-width rows between the layers' tabs and their maps. */
  | 'overSheet';

export interface Part {
  readonly slot: Slot;
  render(canvas: Canvas): TemplateResult | typeof nothing;
}

const parts: readonly Part[] = [
  timePart,
  channelsPart,
  { slot: 'banner', render: assumptions },
  regionTools,
  regionLayer,
  regionSide,
  ablationControls,
  { slot: 'underPicture', render: history },
];

export const inSlot = (canvas: Canvas, slot: Slot) =>
  parts.filter((part) => part.slot === slot).map((part) => part.render(canvas));
