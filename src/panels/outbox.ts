import type { HostToView } from './protocol';

type Layer = Extract<HostToView, { readonly type: 'layer' }>;

/** How long a layer waits in a panel that is not looked at first, milliseconds. */
const LATER = 500;

/**
 * Messages to one panel, in order. Layers are megabytes, and all panels are at the end of one line; where they may
 * wait, the canvas has them first. What comes after a layer never overtakes it, and of one layer the latest counts.
 */
export class Outbox {
  private readonly held = new Map<number, Layer>();
  private timer: NodeJS.Timeout | undefined;

  /** @param layersWait whether layers may come a little later */
  constructor(
    private readonly send: (message: HostToView) => void,
    private readonly layersWait: boolean,
  ) {}

  post(message: HostToView): void {
    if (message.type === 'layer' && this.layersWait) {
      this.held.set(message.index, message);
      this.timer ??= setTimeout(() => this.flush(), LATER);
      return;
    }
    this.flush();
    this.send(message);
  }

  private flush(): void {
    const layers = [...this.held.values()];
    this.clear();
    for (const layer of layers) this.send(layer);
  }

  /** Forgets what waits. */
  clear(): void {
    clearTimeout(this.timer);
    this.timer = undefined;
    this.held.clear();
  }
}
