import path from 'node:path';
import * as vscode from 'vscode';
import { CanvasEditor } from '../../panels/canvasEditor';
import type { CheckpointTree } from '../../panels/checkpointTree';
import { columnFor } from '../../panels/commands';
import type { TraceSession } from '../../panels/session';
import type { Sessions } from '../../panels/sessions';
import type { LayerTrace } from '../../tracing/types';
import type { FloatMap, Inspection } from '../../worker/protocol';
import type { CodeClient } from '../client';
import type { PlaceFound } from '../protocol';
import { excluded, isPython, pythonSelector, showPlace, textOf, textPlace } from './documents';
import { tracedHover, untracedHover, type HoverLayer } from './markdown';
import { reduced, strongest, tiles, type SmallMap, type Tile } from './strip';

const MOST_FILES = 2000;
/** Sessions that hovers keep without a canvas. */
const MOST_HELD = 2;
/** Larger maps are not fetched for a hover. */
const MOST_PIXELS = 1 << 22;

interface Known {
  readonly uri: vscode.Uri;
  readonly inspection: Inspection;
  readonly modified: number;
}

const setting = (name: string) =>
  vscode.workspace.getConfiguration('neuralCanvas.code').get<boolean>(name, true);

const age = (milliseconds: number): string => {
  const minutes = Math.floor(milliseconds / 60_000);
  if (minutes < 1) return 'just now';
  if (minutes < 60) return `${minutes} min ago`;
  const hours = Math.floor(minutes / 60);
  if (hours < 24) return `${hours} h ago`;
  const days = Math.floor(hours / 24);
  return days < 60 ? `${days} d ago` : `${Math.floor(days / 30)} months ago`;
};

/** Hovers, lenses and links between code and checkpoints. */
export class CodeFeature implements vscode.Disposable, vscode.HoverProvider, vscode.CodeLensProvider {
  private readonly subscriptions: vscode.Disposable[] = [];
  private readonly lensesChanged = new vscode.EventEmitter<void>();
  readonly onDidChangeCodeLenses = this.lensesChanged.event;
  private started: Promise<void> | undefined;
  private readonly dirty = new Map<string, string | null>();
  private checkpoints = new Map<string, Known>();
  /** Sessions that are followed; what is kept of one that is closed would keep all its maps. */
  private readonly watched = new Map<TraceSession, vscode.Disposable>();
  private readonly held: TraceSession[] = [];
  /** Tiles by trace, layer and theme. */
  private readonly drawn = new Map<string, Tile[]>();
  private readonly timers = new Map<string, NodeJS.Timeout>();

  constructor(
    private readonly client: CodeClient,
    private readonly sessions: Sessions,
    private readonly tree: CheckpointTree,
    private readonly state: vscode.Memento,
    private readonly log: vscode.LogOutputChannel,
  ) {
    const { workspace, window, commands, languages } = vscode;
    const watcher = workspace.createFileSystemWatcher('**/*.py');
    const changed = (document: vscode.TextDocument) => this.note(document);
    this.client.onEnd = () => (this.started = undefined);
    this.subscriptions.push(
      watcher,
      this.lensesChanged,
      languages.registerHoverProvider(pythonSelector, this),
      languages.registerCodeLensProvider(pythonSelector, this),
      workspace.onDidOpenTextDocument(changed),
      workspace.onDidChangeTextDocument(({ document }) => changed(document)),
      workspace.onDidCloseTextDocument((document) => {
        if (document.uri.scheme === 'file' && isPython(document)) this.mark(document.uri.fsPath, null);
      }),
      workspace.onDidCloseNotebookDocument(({ uri }) => this.mark(uri.fsPath, null)),
      watcher.onDidChange(({ fsPath }) => this.onDisk(fsPath)),
      watcher.onDidCreate(() => this.later('files', 1000, () => this.scan())),
      watcher.onDidDelete(() => this.later('files', 1000, () => this.scan())),
      tree.onDidChangeTreeData(() => this.later('checkpoints', 300, () => this.listCheckpoints())),
      workspace.onDidChangeConfiguration((event) => {
        if (event.affectsConfiguration('neuralCanvas.code')) this.lensesChanged.fire();
      }),
      window.onDidChangeTextEditorSelection(({ textEditor, selections }) => {
        if (isPython(textEditor.document))
          this.later('caret', 150, () => this.caret(textEditor.document, selections[0].active));
      }),
      sessions.onDidChangeActive((session) => session && this.watch(session)),
      sessions.onDidClose((session) => {
        this.watched.get(session)?.dispose();
        this.watched.delete(session);
      }),
      commands.registerCommand('neuralCanvas.code.open', (uri: string, layer: string, neuron?: number) =>
        this.open(vscode.Uri.parse(uri), layer, neuron),
      ),
      commands.registerCommand('neuralCanvas.code.rank', async (uri: string, layer: string) => {
        await this.open(vscode.Uri.parse(uri), layer);
        await commands.executeCommand('neuralCanvas.rankings.focus');
      }),
      commands.registerCommand(
        'neuralCanvas.code.traceAndShow',
        (uri: string, document: string, line: number, character: number) =>
          this.traceAndShow(
            vscode.Uri.parse(uri),
            vscode.Uri.parse(document),
            new vscode.Position(line, character),
          ),
      ),
      commands.registerCommand('neuralCanvas.code.choose', (document?: unknown) =>
        this.choose(
          typeof document === 'string' ? vscode.Uri.parse(document) : window.activeTextEditor?.document.uri,
        ),
      ),
      commands.registerCommand('neuralCanvas.code.reveal', (uri?: vscode.Uri, layer?: string) =>
        this.reveal(uri, layer),
      ),
    );
    if (sessions.active) this.watch(sessions.active);
    // Ages in the lenses go by.
    const minute = setInterval(() => this.lensesChanged.fire(), 60_000);
    this.subscriptions.push({ dispose: () => clearInterval(minute) });
    if (window.visibleTextEditors.some(({ document }) => isPython(document))) void this.ready();
  }

  // ---- keeping up

  /** The thread knows the workspace; started by the first question. */
  ready(): Promise<void> {
    // Begins in a later turn: what it notes must find that it has begun.
    return (this.started ??= Promise.resolve()
      .then(async () => {
        for (const document of vscode.workspace.textDocuments) this.note(document);
        await this.flush();
        await Promise.all([this.scan(), this.listCheckpoints()]);
        this.lensesChanged.fire();
      })
      .catch((error: unknown) => {
        this.started = undefined;
        this.log.error(`Reading Python code failed: ${String(error)}`);
      }));
  }

  private later(what: string, milliseconds: number, work: () => Promise<void> | void): void {
    clearTimeout(this.timers.get(what));
    this.timers.set(
      what,
      setTimeout(() => {
        Promise.resolve(work()).catch((error: unknown) => this.log.error(String(error)));
      }, milliseconds),
    );
  }

  private note(document: vscode.TextDocument): void {
    if (!isPython(document)) return;
    const text = textOf(document);
    if (text) this.mark(text.file, text.text);
  }

  private mark(file: string, text: string | null): void {
    this.dirty.set(file, text);
    // Whoever asks first sends what has changed; otherwise a pause in typing does.
    if (this.started) this.later('texts', 300, () => this.flush());
    else if (text !== null) void this.ready();
  }

  private onDisk(file: string): void {
    const open = vscode.workspace.textDocuments.some(
      ({ uri, isClosed }) => !isClosed && uri.scheme === 'file' && uri.fsPath === file,
    );
    if (!open) this.mark(file, null);
  }

  private async flush(): Promise<void> {
    if (this.dirty.size === 0) return;
    const changes = [...this.dirty].map(([file, text]) => ({ file, text }));
    this.dirty.clear();
    await this.client.call('texts', { changes });
    this.lensesChanged.fire();
  }

  private async scan(): Promise<void> {
    const files = await vscode.workspace.findFiles('**/*.py', excluded, MOST_FILES);
    const began = performance.now();
    const { read } = await this.client.call('files', {
      files: files.map(({ fsPath }) => fsPath),
      roots: (vscode.workspace.workspaceFolders ?? []).map(({ uri }) => uri.fsPath),
    });
    this.log.debug(`${read} Python files read in ${Math.round(performance.now() - began)} ms`);
  }

  private async listCheckpoints(): Promise<void> {
    const known = new Map<string, Known>();
    for (const { uri, inspection, modified } of await this.tree.getChildren()) {
      if (inspection) known.set(uri.fsPath, { uri, inspection, modified });
    }
    this.checkpoints = known;
    await this.client.call('checkpoints', {
      checkpoints: [...known].map(([file, { inspection }]) => ({
        file,
        layers: inspection.layers.map(({ name, inputs, outputs }) => ({ name, inputs, outputs })),
      })),
    });
    this.lensesChanged.fire();
  }

  /** Follows a session: its PSNR is shown above the code, its layers learn which of them the code makes. */
  private watch(session: TraceSession): void {
    if (this.watched.has(session)) return;
    let trace = '';
    const look = () => {
      const { id, status, psnr } = session.view;
      if (status.state !== 'ready' || id === trace) return;
      trace = id;
      if (psnr !== null) void this.state.update(`psnr:${session.uri.toString()}`, { psnr, time: Date.now() });
      this.lensesChanged.fire();
      void this.ready()
        .then(() => this.client.call('known', { checkpoint: session.uri.fsPath }))
        .then((known) => session.setCode({ known }))
        .catch((error: unknown) => this.log.error(String(error)));
    };
    this.watched.set(
      session,
      session.onMessage(({ type }) => type === 'session' && look()),
    );
    look();
  }

  // ---- which checkpoint

  private choiceKey = (file: string) => `code.checkpoint:${file}`;

  /** The person's choice for a file, then what is open, then what lies nearest, then the newest. */
  private ranked(file: string, checkpoints: readonly string[]): Known[] {
    const choice = this.state.get<string>(this.choiceKey(file));
    const active = this.sessions.active?.uri.fsPath;
    const distance = (checkpoint: string) =>
      path.relative(path.dirname(file), checkpoint).split(path.sep).length;
    const rank = (known: Known): readonly number[] => {
      const at = known.uri.fsPath;
      return [
        at === choice ? 0 : 1,
        at === active ? 0 : this.sessions.find(known.uri) ? 1 : 2,
        distance(at),
        -known.modified,
      ];
    };
    return checkpoints
      .map((checkpoint) => this.checkpoints.get(checkpoint))
      .filter((known) => known !== undefined)
      .map((known) => ({ known, order: rank(known) }))
      .sort((a, b) => {
        const i = a.order.findIndex((n, k) => n !== b.order[k]);
        return i < 0 ? 0 : a.order[i] - b.order[i];
      })
      .map(({ known }) => known);
  }

  /** `siren.pth · 40.1 dB · 3 min ago` */
  private facts({ uri, modified }: Known): string {
    const open = this.sessions.find(uri)?.view.psnr;
    const remembered = this.state.get<{ psnr: number; time: number }>(`psnr:${uri.toString()}`);
    const psnr = open ?? (remembered && remembered.time > modified ? remembered.psnr : undefined);
    return [
      path.basename(uri.fsPath),
      ...(typeof psnr === 'number' ? [`${psnr.toFixed(1)} dB`] : []),
      age(Date.now() - modified),
    ].join(' · ');
  }

  async choose(document: vscode.Uri | undefined): Promise<void> {
    if (!document) return;
    await this.ready();
    const opened = await vscode.workspace.openTextDocument(document);
    const place = textPlace(opened);
    if (!place) return;
    const lines = await this.client.call('lines', { file: place.file });
    const fitting = new Set(lines.flatMap(({ checkpoints }) => checkpoints));
    const choice = this.state.get<string>(this.choiceKey(place.file));
    const items = this.ranked(place.file, [...this.checkpoints.keys()])
      .map((known) => ({
        label: `${known.uri.fsPath === choice ? '$(check) ' : ''}${path.basename(known.uri.fsPath)}`,
        description: `${this.facts(known).split(' · ').slice(1).join(' · ')} · ${vscode.workspace.asRelativePath(known.uri)}`,
        fits: fitting.has(known.uri.fsPath),
        file: known.uri.fsPath,
      }))
      .sort((a, b) => Number(b.fits) - Number(a.fits));
    const separated: (vscode.QuickPickItem & { file?: string | undefined })[] = [
      { label: '$(sparkle) Newest that fits', description: 'not chosen by hand' },
      { label: 'Built by this code', kind: vscode.QuickPickItemKind.Separator },
      ...items.filter(({ fits }) => fits),
      { label: 'Other layers', kind: vscode.QuickPickItemKind.Separator },
      ...items.filter(({ fits }) => !fits),
    ];
    const picked = await vscode.window.showQuickPick(separated, {
      title: `Checkpoint for ${path.basename(place.file)}`,
      placeHolder: 'Hovers and lenses of this file show it',
      matchOnDescription: true,
    });
    if (!picked) return;
    await this.state.update(this.choiceKey(place.file), picked.file);
    this.lensesChanged.fire();
  }

  // ---- hovers

  async provideHover(
    document: vscode.TextDocument,
    position: vscode.Position,
    token: vscode.CancellationToken,
  ): Promise<vscode.Hover | undefined> {
    if (!setting('hovers')) return undefined;
    const found = await this.at(document, position);
    if (token.isCancellationRequested || !found || found.length === 0) return undefined;
    const place = textPlace(document)!;
    const all = this.ranked(
      place.file,
      found.flatMap(({ checkpoints }) => checkpoints),
    );
    const [known] = all;
    if (!known) return undefined;
    const here = found.find(({ checkpoints }) => checkpoints.includes(known.uri.fsPath))!;
    const { span } = here;
    const range = new vscode.Range(
      span.row - place.offset,
      span.column,
      span.endRow - place.offset,
      span.endColumn,
    );
    const what = {
      checkpoint: known.uri,
      facts: this.facts(known),
      others: all.length - 1,
      document: document.uri,
    };
    const session = this.sessions.find(known.uri);
    const traces = session ? layersOf(session) : new Map<string, LayerTrace>();
    const layers = known.inspection.layers
      .filter(({ name }) => here.layers.includes(name))
      .map(({ name, inputs, outputs }): HoverLayer => {
        const trace = traces.get(name);
        return { name, inputs, outputs, ...(trace && { trace }) };
      });
    // Of several, the one nearest to the picture.
    const shown = layers.findLast(({ trace }) => trace !== undefined)?.trace;
    if (!session || !shown) {
      const status = session?.view.status;
      return new vscode.Hover(
        untracedHover(
          layers,
          what,
          {
            ...(status?.state === 'tracing' && { working: status.detail }),
            ...(status?.state === 'failed' && { failed: status.message }),
          },
          position,
        ),
        range,
      );
    }
    return new vscode.Hover(tracedHover(layers, shown, this.tiles(session, shown), what), range);
  }

  private async at(
    document: vscode.TextDocument,
    position: vscode.Position,
  ): Promise<readonly PlaceFound[] | undefined> {
    const place = textPlace(document);
    if (!place) return undefined;
    await this.ready();
    await this.flush();
    const { file, offset } = place;
    return this.client.call('at', { file, row: position.line + offset, column: position.character });
  }

  /** Drawn once a trace, layer and theme: from the previews at once, finer ones when they have come. */
  private tiles(session: TraceSession, layer: LayerTrace): Tile[] {
    const { kind } = vscode.window.activeColorTheme;
    const brightness =
      kind === vscode.ColorThemeKind.Light || kind === vscode.ColorThemeKind.HighContrastLight
        ? 'light'
        : 'dark';
    const key = `${session.view.id} ${layer.name} ${brightness}`;
    const known = this.drawn.get(key);
    if (known) return known;
    const first = tiles(layer, brightness);
    this.drawn.set(key, first);
    if (this.drawn.size > 64) this.drawn.delete(this.drawn.keys().next().value!);
    void this.refine(session, layer).then(
      (maps) => this.drawn.set(key, tiles(layer, brightness, maps)),
      (error: unknown) => this.log.debug(String(error)),
    );
    return first;
  }

  /** Maps at twice the hover's size, where the picture has as many pixels. */
  private async refine(session: TraceSession, layer: LayerTrace): Promise<Map<number, SmallMap>> {
    const maps = new Map<number, SmallMap>();
    const { signal, layers } = session.view.inspection ?? {};
    if (!signal || !layers || signal.height * signal.width > MOST_PIXELS) return maps;
    const index = [...layersOf(session).keys()].indexOf(layer.name);
    for (const neuron of strongest(layer)) {
      const map = (await session.answer('map', { neuron: { layer: index, neuron } })) as FloatMap;
      maps.set(neuron, reduced(map));
    }
    return maps;
  }

  // ---- lenses

  async provideCodeLenses(document: vscode.TextDocument): Promise<vscode.CodeLens[]> {
    const place = textPlace(document);
    if (!place || !setting('lenses')) return [];
    await this.ready();
    await this.flush();
    const { file, offset } = place;
    const lines = await this.client.call('lines', { file });
    return lines.flatMap(({ row, column, checkpoints }) => {
      const line = row - offset;
      // The other cells of the notebook have lenses of their own.
      if (line < 0 || line >= document.lineCount) return [];
      const all = this.ranked(file, checkpoints);
      const choice = this.state.get<string>(this.choiceKey(file));
      // Of what fits, the newest: a lens says how training goes on, whatever is open.
      const known =
        all.find(({ uri }) => uri.fsPath === choice) ?? [...all].sort((a, b) => b.modified - a.modified)[0];
      if (!known) return [];
      const range = new vscode.Range(line, column, line, column);
      const lenses = [
        new vscode.CodeLens(range, {
          command: 'neuralCanvas.trace',
          title: `$(symbol-color) Trace contributions · ${this.facts(known)}`,
          tooltip: known.uri.fsPath,
          arguments: [known.uri],
        }),
      ];
      if (all.length > 1) {
        lenses.push(
          new vscode.CodeLens(range, {
            command: 'neuralCanvas.code.choose',
            title: `${all.length - 1} more`,
            tooltip: 'Choose the checkpoint that belongs to this code',
            arguments: [document.uri.toString()],
          }),
        );
      }
      return lenses;
    });
  }

  // ---- links

  private async caret(document: vscode.TextDocument, position: vscode.Position): Promise<void> {
    const sessions = this.sessions.all();
    if (sessions.length === 0) return;
    const found = setting('highlightCaret') ? ((await this.at(document, position)) ?? []) : [];
    for (const session of sessions) {
      const here = found.find(({ checkpoints }) => checkpoints.includes(session.uri.fsPath));
      session.setCode({ caret: here?.layers ?? [] });
    }
  }

  /** Opens the canvas of a checkpoint with a layer, and a neuron of it. */
  async open(uri: vscode.Uri, layer: string, neuron?: number): Promise<void> {
    // The hover that was clicked would cover what it opens.
    await vscode.commands.executeCommand('editor.action.hideHover');
    await vscode.commands.executeCommand('vscode.openWith', uri, CanvasEditor.viewType, columnFor(uri));
    const session = this.sessions.find(uri);
    if (!session) return;
    await settled(session);
    const index = [...layersOf(session).keys()].indexOf(layer);
    if (index < 0) return;
    session.select({ layer: index, ...(neuron !== undefined && { neurons: [{ layer: index, neuron }] }) });
  }

  /** Traces without a canvas, then shows the hover again where it was. */
  async traceAndShow(uri: vscode.Uri, document: vscode.Uri, position: vscode.Position): Promise<void> {
    let session = this.sessions.find(uri);
    if (!session) {
      session = this.sessions.acquire(uri);
      this.held.push(session);
      if (this.held.length > MOST_HELD) this.sessions.release(this.held.shift()!);
    } else if (session.view.status.state !== 'tracing') {
      void this.sessions.trace(session);
    }
    this.watch(session);
    await settled(session);
    const editor = vscode.window.visibleTextEditors.find(
      ({ document: { uri: own } }) => own.toString() === document.toString(),
    );
    if (!editor) return;
    const shown =
      document.scheme === 'file'
        ? await vscode.window.showTextDocument(editor.document, {
            viewColumn: editor.viewColumn ?? vscode.ViewColumn.Active,
          })
        : editor;
    shown.selection = new vscode.Selection(position, position);
    // A hover that is still there, because the pointer rests on it, would stay as it is.
    await vscode.commands.executeCommand('editor.action.hideHover');
    await vscode.commands.executeCommand('editor.action.showHover');
  }

  /** Shows the line that makes a layer; of the active canvas's layer when none is given. */
  async reveal(uri?: vscode.Uri, layer?: string): Promise<void> {
    const session = uri ? this.sessions.find(uri) : this.sessions.active;
    const file = uri ?? session?.uri;
    if (!file) return;
    let name = layer;
    if (name === undefined && session) {
      for (const message of session.replay()) {
        if (message.type === 'selection') name = [...layersOf(session).keys()][message.selection.layer];
      }
    }
    if (name === undefined) return;
    await this.ready();
    await this.flush();
    const site = await this.client.call('reveal', { checkpoint: file.fsPath, layer: name });
    if (site) await showPlace(site.file, site.span);
    else {
      void vscode.window.showInformationMessage(
        `No Python code in this workspace builds the layer ${name} of ${path.basename(file.fsPath)}. Open the folder with the training code.`,
      );
    }
  }

  dispose(): void {
    for (const timer of this.timers.values()) clearTimeout(timer);
    for (const session of this.held.splice(0)) this.sessions.release(session);
    for (const subscription of this.subscriptions) subscription.dispose();
    void this.client.dispose();
  }
}

/** Traced layers by name, in order. */
function layersOf(session: TraceSession): Map<string, LayerTrace> {
  const layers = new Map<string, LayerTrace>();
  for (const message of session.replay()) {
    if (message.type === 'layer') layers.set(message.layer.name, message.layer);
  }
  return layers;
}

function settled(session: TraceSession): Promise<void> {
  const over = () => session.view.status.state !== 'tracing';
  if (over()) return Promise.resolve();
  return new Promise((resolve) => {
    const subscription = session.onMessage(() => {
      if (!over()) return;
      subscription.dispose();
      resolve();
    });
  });
}
