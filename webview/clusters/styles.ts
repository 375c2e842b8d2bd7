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
    .toolbar {
      min-height: 32px;
    }
    .toolbar select {
      max-width: 100%;
    }
    .group {
      display: flex;
      gap: 2px;
    }
    .others {
      display: flex;
      align-items: center;
      gap: 4px;
      min-width: 0;
      white-space: nowrap;
    }
    .facts {
      flex: 1 1 0;
      min-width: 0;
    }
    .facts.failed {
      color: var(--vscode-errorForeground);
    }
    .pending {
      height: 2px;
      margin-bottom: -2px;
    }
    .pending .progress {
      width: 100%;
      background: none;
    }
    .content {
      flex: 1;
      display: grid;
      min-height: 0;
      border-top: 1px solid var(--line);
    }
    .content.stale {
      opacity: 0.5;
    }
    .cards {
      min-width: 0;
      min-height: 0;
      overflow: auto;
      border-left: 1px solid var(--line);
    }
    .cards > ol {
      display: grid;
      grid-template-columns: repeat(auto-fill, minmax(min(300px, 100%), 1fr));
      gap: 2px;
      margin: 0;
      padding: 6px;
      list-style: none;
    }
    .multiples {
      display: grid;
      grid-template-columns: repeat(auto-fill, minmax(130px, 1fr));
      grid-auto-rows: minmax(110px, 1fr);
      gap: 1px;
      min-height: 0;
      margin: 0;
      padding: 0;
      overflow: auto;
      list-style: none;
    }
    .multiples li {
      display: grid;
      grid-template-rows: auto minmax(0, 1fr);
      min-width: 0;
      border-right: 1px solid var(--line);
      border-bottom: 1px solid var(--line);
    }
    .multiples li > span {
      padding: 4px 8px 0;
      font-size: 11px;
    }
    .layers {
      display: flex;
      flex-wrap: wrap;
      gap: 2px 12px;
      padding: 8px 14px 0;
      font-size: 11px;
    }
    .layers i {
      display: inline-block;
      width: 8px;
      height: 8px;
      margin-right: 5px;
      border-radius: 1px;
    }

    @container panel (min-width: 600px) {
      .content {
        grid-template: minmax(0, 1fr) / minmax(0, 2fr) minmax(0, 3fr);
      }
    }
    @container panel (min-width: 600px) and (max-width: 1099px) {
      .content {
        grid-template-columns: minmax(0, 1fr) minmax(0, 1fr);
      }
    }
    @container panel (max-width: 599px) {
      .content {
        grid-template: minmax(160px, 2fr) minmax(0, 3fr) / minmax(0, 1fr);
      }
      .cards {
        border-top: 1px solid var(--line);
        border-left: none;
      }
      .facts {
        flex-basis: 100%;
      }
      nc-cluster-card {
        --mean-width: 56px;
      }
    }
    /* Too little room for both. */
    @container panel (max-width: 599px) and (max-height: 359px) {
      .content {
        grid-template-rows: minmax(0, 1fr);
      }
      .cards {
        display: none;
      }
    }
  `,
];
