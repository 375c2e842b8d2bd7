/** Buttons at the right of the toolbar; those without room are in its menu. To add one, name it here. */
import type { Canvas } from './canvas';

export interface Action {
  readonly id: string;
  /** Codicon. */
  readonly icon: string;
  /** A few words, in the menu and as tooltip. */
  label(canvas: Canvas): string;
  /** For buttons that stay down. */
  pressed?(canvas: Canvas): boolean;
  /** Left out while false. */
  possible?(canvas: Canvas): boolean;
  run(canvas: Canvas): void;
}

/** Two pictures at once; the second first shows what the first can be compared with. */
const layout = (id: 'beside' | 'wipe', icon: string, label: string): Action => ({
  id,
  icon,
  label: () => label,
  pressed: (canvas) => canvas.layout === id,
  run(canvas) {
    if (canvas.layout === id) return canvas.set({ layout: 'one' });
    const { other } = canvas.intent.value;
    const different =
      other !== canvas.mode.id ? other : canvas.mode.id === 'reconstruction' ? 'target' : 'reconstruction';
    canvas.set({ layout: id, other: different });
  },
});

export const actions: readonly Action[] = [
  layout('beside', 'split-horizontal', 'Two Pictures Side by Side'),
  layout('wipe', 'arrow-both', 'Wipe Between Two Pictures'),
  {
    id: 'export',
    icon: 'export',
    label: () => 'Export Figure or Maps…',
    pressed: (canvas) => canvas.exporting,
    run(canvas) {
      canvas.exporting = !canvas.exporting;
      canvas.requestUpdate();
    },
  },
  {
    id: 'findings',
    icon: 'checklist',
    label: () => 'Show Findings',
    run: ({ session }) => session.host.post({ type: 'command', command: 'showFindings' }),
  },
  {
    id: 'method',
    icon: 'symbol-operator',
    label: ({ session }) => `Method: ${session.view?.method ?? 'xinc'}…`,
    run: ({ session }) => session.host.post({ type: 'command', command: 'pickMethod' }),
  },
  {
    id: 'copyLink',
    icon: 'link',
    label: () => 'Copy Link to This View',
    run(canvas) {
      canvas.session.host.call('copyLink', { view: canvas.linkView }).then(
        () => canvas.say('The link is on the clipboard.'),
        (error: unknown) => canvas.say(error instanceof Error ? error.message : String(error)),
      );
    },
  },
  {
    id: 'copyCommandLine',
    icon: 'terminal',
    label: () => 'Copy Command Line',
    run(canvas) {
      canvas.session.host.post({ type: 'command', command: 'copyCommandLine' });
      canvas.say('The command line is on the clipboard.');
    },
  },
];
