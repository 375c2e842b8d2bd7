import * as vscode from 'vscode';
import type { WorkerClient } from '../worker/client';
import type { Inspection, NotAnInr } from '../worker/protocol';
import { checkpointPattern, isOwn } from './fileTypes';

const MOST_FILES = 500;

interface Entry {
  readonly uri: vscode.Uri;
  readonly inspection?: Inspection;
  readonly notAnInr?: NotAnInr;
  readonly error?: string;
  readonly modified: number;
}

const byName = new Intl.Collator('en', { numeric: true });
const compact = new Intl.NumberFormat('en', { notation: 'compact', maximumFractionDigits: 1 });
/** Path without extension, so that `siren` comes before `siren_step0300`. */
const stem = ({ path }: vscode.Uri) => path.replace(/\.[^./]*$/, '');

/** The workspace's checkpoints: recognised ones first, the others greyed with the reason. */
export class CheckpointTree implements vscode.TreeDataProvider<Entry>, vscode.Disposable {
  private readonly changed = new vscode.EventEmitter<void>();
  readonly onDidChangeTreeData = this.changed.event;
  private readonly watcher = vscode.workspace.createFileSystemWatcher(checkpointPattern);
  private readonly known = new Map<string, Entry>();
  private timer: NodeJS.Timeout | undefined;
  /** Whether a file is traced whenever it is saved. */
  isPinned: (file: vscode.Uri) => boolean = () => false;

  constructor(
    private readonly client: WorkerClient,
    private readonly corrections: (file: vscode.Uri) => Readonly<Record<string, string>>,
  ) {
    // A training run may save every second: look again when it has been quiet for a moment.
    const later = () => {
      clearTimeout(this.timer);
      this.timer = setTimeout(() => this.refresh(), 500);
    };
    this.watcher.onDidCreate(later);
    this.watcher.onDidChange(later);
    this.watcher.onDidDelete(later);
  }

  refresh(): void {
    this.changed.fire();
  }

  async getChildren(entry?: Entry): Promise<Entry[]> {
    if (entry) return [];
    const files = await vscode.workspace.findFiles(checkpointPattern, undefined, MOST_FILES);
    const entries: Entry[] = [];
    for (const uri of files) {
      const entry = await this.look(uri);
      // A data set is not a failed checkpoint.
      if (entry.inspection || isOwn(uri.path)) entries.push(entry);
    }
    const rank = ({ inspection }: Entry) => (inspection ? 0 : 1);
    return entries.sort((a, b) => rank(a) - rank(b) || byName.compare(stem(a.uri), stem(b.uri)));
  }

  private async look(uri: vscode.Uri): Promise<Entry> {
    const modified = await vscode.workspace.fs.stat(uri).then(
      (stat) => stat.mtime,
      () => 0,
    );
    const key = uri.toString();
    const before = this.known.get(key);
    if (before?.modified === modified) return before;
    let entry: Entry;
    try {
      const result = await this.client.call('inspect', {
        file: uri.fsPath,
        corrections: this.corrections(uri),
      });
      entry =
        'notAnInr' in result
          ? { uri, modified, notAnInr: result.notAnInr }
          : { uri, modified, inspection: result };
    } catch (error) {
      entry = { uri, modified, error: error instanceof Error ? error.message : String(error) };
    }
    this.known.set(key, entry);
    return entry;
  }

  getTreeItem({ uri, inspection, notAnInr, error, modified }: Entry): vscode.TreeItem {
    const item = new vscode.TreeItem(uri, vscode.TreeItemCollapsibleState.None);
    if (inspection) {
      const { title, signal, parameters, untraceable } = inspection;
      const size = untraceable === undefined ? `${signal.height}×${signal.width}` : undefined;
      // The view is narrow: where the code came from and exact numbers are in the tooltip.
      const parts = [title.replace(/ \(.*\)$/, ''), size, compact.format(parameters)];
      item.description = parts.filter((part) => part !== undefined).join(' · ');
      item.tooltip = [
        vscode.workspace.asRelativePath(uri),
        `${title}, ${size === undefined ? '' : `${size} pixels, `}${parameters.toLocaleString('en')} parameters`,
        ...(untraceable === undefined ? [] : [`Cannot be traced: ${untraceable}`]),
        `Saved ${new Date(modified).toLocaleString()}`,
      ].join('\n');
      const pinned = this.isPinned(uri);
      item.contextValue = pinned ? 'recognised pinned' : 'recognised';
      item.iconPath = new vscode.ThemeIcon(pinned ? 'pinned' : 'symbol-color');
      if (pinned) item.tooltip += '\nPinned: traced whenever it is saved';
      item.command = {
        command: 'neuralCanvas.trace',
        title: 'Trace Contributions',
        arguments: [uri],
      };
    } else {
      item.description = error ? 'cannot be read' : 'not an INR';
      item.tooltip = error ?? notAnInr?.message ?? '';
      item.contextValue = 'other';
      item.iconPath = new vscode.ThemeIcon(
        error ? 'warning' : 'circle-slash',
        new vscode.ThemeColor('disabledForeground'),
      );
    }
    return item;
  }

  dispose(): void {
    clearTimeout(this.timer);
    this.watcher.dispose();
    this.changed.dispose();
  }
}
