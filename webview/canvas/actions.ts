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

export const actions: readonly Action[] = [
  {
    id: 'copyCommandLine',
    icon: 'terminal',
    label: () => 'Copy Command Line',
    run: ({ session }) => session.host.post({ type: 'command', command: 'copyCommandLine' }),
  },
];
