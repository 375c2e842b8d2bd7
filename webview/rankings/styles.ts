import { css } from 'lit';
import { controls } from '../shared/controls';
import { statusStyles } from '../shared/status';
import { base } from '../shared/styles';

export const styles = [
  base,
  controls,
  statusStyles,
  css`
    :host {
      display: block;
      height: 100vh;
      container: panel / size;
      background: var(--vscode-panel-background, var(--vscode-editor-background));
    }
    .panel {
      display: flex;
      flex-direction: column;
      height: 100%;
    }
    .removals {
      white-space: nowrap;
    }
    .filter {
      position: relative;
      flex: 0 1 280px;
      min-width: 130px;
    }
    .frames {
      flex: none;
    }
    .filter > vscode-icon {
      position: absolute;
      top: 4px;
      left: 5px;
      color: var(--muted);
      pointer-events: none;
    }
    .filter input {
      width: 100%;
      padding: 0 26px;
    }
    .filter input[aria-invalid='true'] {
      border-color: var(--vscode-inputValidation-errorBorder, var(--vscode-errorForeground));
    }
    .filter .help {
      position: absolute;
      top: 2px;
      right: 2px;
      width: 20px;
      height: 20px;
      anchor-name: --help;
    }
    .error {
      position: absolute;
      z-index: 3;
      top: 23px;
      left: 0;
      width: max-content;
      min-width: 100%;
      max-width: min(480px, 100vw - 24px);
      padding: 4px 6px;
      color: var(--vscode-inputValidation-errorForeground, var(--vscode-foreground));
      background: var(--vscode-inputValidation-errorBackground, var(--vscode-editor-background));
      border: 1px solid var(--vscode-inputValidation-errorBorder, var(--vscode-errorForeground));
    }
    .examples {
      position-anchor: --help;
      position-area: bottom span-left;
      position-try-fallbacks: flip-inline, flip-block;
      width: max-content;
      max-width: calc(100vw - 16px);
      max-height: calc(100vh - 40px);
      margin: 2px 0;
      padding: 8px 10px;
      overflow: auto;
      color: var(--vscode-editorHoverWidget-foreground, var(--vscode-foreground));
      background: var(--vscode-editorHoverWidget-background, var(--vscode-editor-background));
      border: 1px solid var(--vscode-editorHoverWidget-border, var(--line));
      border-radius: 3px;
    }
    .examples p {
      margin: 0 0 6px;
    }
    .examples dl {
      display: grid;
      grid-template-columns: auto 1fr;
      gap: 2px 12px;
      align-items: baseline;
      margin: 0;
    }
    .examples dd {
      margin: 0;
    }
    .examples code {
      font-family: var(--vscode-editor-font-family, monospace);
      font-size: 12px;
    }
    .summary {
      flex: 1 1 96px;
      min-width: 0;
    }
    .content {
      flex: 1;
      display: grid;
      grid-template: minmax(0, 1fr) / minmax(0, 1fr);
      min-height: 0;
      border-top: 1px solid var(--line);
    }
    .table {
      position: relative;
      display: grid;
      min-width: 0;
      min-height: 0;
    }
    .none {
      position: absolute;
      inset: 24px 0 0;
      display: grid;
      place-content: center;
      justify-items: center;
      gap: 4px;
      text-align: center;
    }
    nc-rankings-charts {
      padding: 8px 12px;
      border-left: 1px solid var(--line);
    }
    .pending {
      flex: none;
      height: 2px;
    }
    .pending .progress {
      width: 100%;
      background: none;
    }

    /* Wide and low: both charts beside the table. */
    @container panel (min-width: 760px) {
      .charts {
        grid-template-columns: minmax(0, 1fr) min(46%, 640px);
      }
      nc-rankings-charts {
        grid-template-columns: minmax(0, 3fr) minmax(0, 2fr);
      }
    }
    @container panel (min-width: 760px) and (max-width: 1099px) and (min-height: 300px) {
      .charts {
        grid-template-columns: minmax(0, 1fr) 250px;
      }
      nc-rankings-charts {
        grid-template-columns: minmax(0, 1fr);
        grid-template-rows: minmax(0, 1fr) minmax(0, 1fr);
      }
    }
    /* Narrow and high: charts below the table. */
    @container panel (max-width: 759px) {
      .charts {
        grid-template-rows: minmax(0, 1fr) 168px;
      }
      nc-rankings-charts {
        grid-template-columns: minmax(0, 3fr) minmax(0, 2fr);
        border-top: 1px solid var(--line);
        border-left: none;
      }
    }
    @container panel (min-width: 480px) {
      .toolbar {
        flex-wrap: nowrap;
      }
    }
    @container panel (max-width: 479px) {
      nc-rankings-table {
        --w-neuron: 98px;
        --w-layer: 52px;
        --w-total: 54px;
        --w-share: 106px;
      }
      .filter {
        flex: 1 1 160px;
      }
      .scope,
      .frames,
      .summary {
        order: 1;
      }
      .scope {
        max-width: 50%;
      }
    }
    /* Too little room for both: the table comes first. */
    @container panel (max-width: 759px) and (max-height: 419px) {
      .charts {
        grid-template-rows: minmax(0, 1fr);
      }
      nc-rankings-charts,
      .toggle-charts {
        display: none;
      }
    }
  `,
];
