/** Keeps up with a training run: traces checkpoints that are open or pinned when they are overwritten. */
import path from 'node:path';
import * as vscode from 'vscode';
import { CancelledError, ExitCode, NotRecognisedError, UserError } from '../errors';
import type { HistoryView, Following } from '../panels/protocol';
import type { Past, TraceSession } from '../panels/session';
import type { Sessions } from '../panels/sessions';
import type { WorkerClient } from '../worker/client';
import type { SavedFile, TraceEvent, TraceOptions } from '../worker/protocol';
import { figuresOf, saveId, type PastSave, type TracedSave } from './figures';
import type { HistoryStore } from './historyStore';
import { onBattery } from './power';
import { SaveWatch, signatureOf, type Signature } from './saveWatch';

/** A save that cannot be read although it no longer changes is looked at again after this, then ever later, ms. */
const FIRST_RETRY = 1000;
const LAST_RETRY = 60_000;
/** A writer may pause for so long before the person is told that the save is not complete, ms. */
const PATIENCE = 8000;
const POWER_INTERVAL = 30_000;

export interface LiveHost {
  readonly client: WorkerClient;
  readonly sessions: Sessions;
  readonly store: HistoryStore;
  readonly log: vscode.LogOutputChannel;
  /** `neuralCanvas.live.…` and others. */
  setting<T>(name: string, otherwise: T): T;
  traceOptions(file: vscode.Uri): TraceOptions;
  readonly pins: {
    get(): readonly string[];
    set(files: readonly string[]): Thenable<void>;
  };
}

interface Followed {
  readonly uri: vscode.Uri;
  readonly watch: SaveWatch;
  session: TraceSession | null;
  listening: vscode.Disposable | null;
  pinned: boolean;
  /** The newest settled save that is not shown yet; older ones are passed over. */
  wanted: Signature | null;
  /** State of the file when the session's own trace began. */
  began: Promise<Signature | null> | null;
  current: string | null;
  note: string | null;
  retry: NodeJS.Timeout | undefined;
  failures: number;
  failingSince: number;
}

export class Live implements vscode.Disposable {
  private readonly followed = new Map<string, Followed>();
  private readonly subscriptions: vscode.Disposable[] = [];
  private readonly status = vscode.window.createStatusBarItem(
    'neuralCanvas.live',
    vscode.StatusBarAlignment.Right,
    90,
  );
  private readonly pinsChanged = new vscode.EventEmitter<void>();
  readonly onDidChangePins = this.pinsChanged.event;
  private paused = false;
  private battery = false;
  private powerTimer: NodeJS.Timeout | undefined;
  /** The file that is being traced; there is never more than one. */
  private busy: Followed | null = null;
  private tracing: Followed | null = null;
  private readonly ending = new AbortController();

  constructor(private readonly host: LiveHost) {
    const { sessions } = host;
    this.status.name = 'Neural Canvas: Live Tracing';
    this.subscriptions.push(
      this.status,
      this.pinsChanged,
      sessions.onDidOpen((session) => this.opened(session)),
      sessions.onDidClose((session) => this.closedSession(session)),
      vscode.workspace.onDidChangeConfiguration((change) => {
        if (change.affectsConfiguration('neuralCanvas.live'))
          void this.checkPower().then(() => this.changed());
      }),
    );
    for (const pin of host.pins.get()) this.follow(vscode.Uri.parse(pin, true)).pinned = true;
    this.changed();
  }

  // What is followed.

  private get enabled(): boolean {
    return this.host.setting('live.enabled', true);
  }

  private follow(uri: vscode.Uri): Followed {
    const key = uri.toString();
    const known = this.followed.get(key);
    if (known) return known;
    const times = {
      settle: () => this.host.setting('live.settleTime', 400),
      poll: () => this.host.setting('live.pollingInterval', 2) * 1000,
    };
    const followed: Followed = {
      uri,
      watch: new SaveWatch(uri.fsPath, times, (signature) => this.saved(followed, signature)),
      session: null,
      listening: null,
      pinned: false,
      wanted: null,
      began: null,
      current: null,
      note: null,
      retry: undefined,
      failures: 0,
      failingSince: 0,
    };
    this.followed.set(key, followed);
    return followed;
  }

  private unfollow(followed: Followed): void {
    if (followed.session || followed.pinned) return;
    clearTimeout(followed.retry);
    followed.wanted = null;
    followed.watch.dispose();
    this.followed.delete(followed.uri.toString());
  }

  private opened(session: TraceSession): void {
    const followed = this.follow(session.uri);
    followed.session = session;
    let state = '';
    followed.listening = session.onMessage((message) => {
      if (message.type !== 'session' || !message.session) return;
      const { state: now } = message.session.status;
      if (now === state) return;
      state = now;
      if (now === 'tracing') followed.began = signatureOf(session.uri.fsPath);
      else if (now === 'cancelled') void this.skip(followed).then(() => this.pump());
      else this.pump();
    });
    followed.began = signatureOf(session.uri.fsPath);
    void this.showHistory(followed);
    this.changed();
  }

  private closedSession(session: TraceSession): void {
    const followed = this.followed.get(session.uri.toString());
    if (followed?.session !== session) return;
    followed.listening?.dispose();
    followed.session = followed.listening = followed.began = null;
    this.unfollow(followed);
    this.changed();
  }

  isPinned(uri: vscode.Uri): boolean {
    return this.followed.get(uri.toString())?.pinned ?? false;
  }

  async pin(uri: vscode.Uri, pinned: boolean): Promise<void> {
    const followed = this.follow(uri);
    followed.pinned = pinned;
    this.unfollow(followed);
    const pins = [...this.followed.values()].filter((other) => other.pinned).map(({ uri }) => uri.toString());
    await this.host.pins.set(pins);
    this.pinsChanged.fire();
    this.changed();
  }

  pause(paused: boolean): void {
    this.paused = paused;
    this.changed();
  }

  // One trace at a time, the newest save of each file.

  private saved(followed: Followed, signature: Signature): void {
    clearTimeout(followed.retry);
    followed.failures = 0;
    followed.wanted = signature;
    this.pump();
  }

  /** The person did not want to see this state of the file. */
  private async skip(followed: Followed): Promise<void> {
    const signature = (await followed.began) ?? null;
    followed.began = null;
    followed.watch.accept(signature);
    if (followed.wanted === signature) followed.wanted = null;
  }

  private get waiting(): boolean {
    return this.paused || this.battery || !this.enabled;
  }

  /** Does the next thing that is to be done, when nothing else is. Never rejects. */
  private pump(): void {
    if (this.busy || this.ending.signal.aborted) return;
    const all = [...this.followed.values()];
    const tracing = ({ session }: Followed) => session?.view.status.state === 'tracing';
    // What the person has just traced is noted even while following waits.
    const noted = all.find((one) => one.began && one.session?.view.status.state === 'ready');
    const next = noted ?? all.find((one) => one.wanted !== null && !tracing(one));
    if (!next) return;
    this.busy = next;
    const work = noted ? this.note(next) : this.refresh(next);
    void work
      .catch((error: unknown) => this.host.log.error(String(error)))
      .then((more) => {
        this.busy = null;
        if (more !== false) this.pump();
      });
  }

  /** Puts the trace that the person has made into the history. */
  private async note(followed: Followed): Promise<void> {
    const { session, began } = followed;
    const traced = session?.traced;
    followed.began = null;
    const signature = await began;
    if (!session || !traced || signature === null) return;
    const file = await this.host.client
      .call('digest', { file: followed.uri.fsPath }, { signal: this.ending.signal })
      .catch(() => undefined);
    // It was saved again meanwhile: the watch tells of that save.
    if (!file || (await signatureOf(followed.uri.fsPath)) !== signature) return;
    followed.watch.accept(signature);
    if (followed.wanted === signature) followed.wanted = null;
    await this.remember(followed, file, traced);
  }

  /** @returns false when there is a reason to wait */
  private async refresh(followed: Followed): Promise<boolean> {
    if (this.host.setting('live.pauseOnBattery', true)) await this.checkPower();
    if (this.waiting) {
      void this.showHistory(followed);
      return false;
    }
    const signature = followed.wanted;
    followed.wanted = null;
    this.tracing = followed;
    void this.showHistory(followed);
    try {
      const file = await this.host.client.call(
        'digest',
        { file: followed.uri.fsPath },
        { signal: this.ending.signal },
      );
      const { session } = followed;
      // Touched, or copied over itself.
      const same = saveId(file.sha256) === followed.current;
      if (!same || session?.view.status.state === 'failed') {
        const traced = session ? await this.traceOpen(session) : await this.tracePinned(followed);
        if (traced) await this.remember(followed, file, traced);
      }
      followed.note = null;
      followed.failures = 0;
      this.tracing = null;
      await this.showHistory(followed);
      if (!same && session && followed.session === session && !session.view.past) await session.regroup();
    } catch (error) {
      this.tracing = null;
      this.failed(followed, signature, error);
    }
    await this.showHistory(followed);
    return true;
  }

  private async traceOpen(session: TraceSession): Promise<TracedSave | undefined> {
    const result = await session.refresh(this.ending.signal);
    return result ? session.traced : undefined;
  }

  /** Traces a file that no canvas shows, for its history only. */
  private async tracePinned({ uri }: Followed): Promise<TracedSave | undefined> {
    const { client } = this.host;
    const trace = `${uri.toString()}#pinned`;
    let picture: Extract<TraceEvent, { type: 'reconstruction' }> | undefined;
    const result = await client.call(
      'trace',
      { trace, options: this.host.traceOptions(uri) },
      {
        signal: this.ending.signal,
        onEvent: (event) => {
          if (event.type === 'reconstruction') picture = event;
        },
      },
    );
    await client.call('close', { trace });
    if ('notAnInr' in result) throw new NotRecognisedError(result.notAnInr.message);
    if (!picture) return undefined;
    const { inspection, layers, psnr } = result;
    return { inspection, layers, picture: picture.picture, psnr: psnr ?? null };
  }

  private async remember(followed: Followed, file: SavedFile, traced: TracedSave): Promise<void> {
    const { store } = this.host;
    const key = followed.uri.toString();
    const saves = await store.list(key);
    const id = saveId(file.sha256);
    const before = saves.findLast((save) => save.kept && save.savedAt < file.modified && save.id !== id);
    const past = before && (await store.load(key, before.id));
    const { inspection, picture, layers } = traced;
    await store.add(key, figuresOf(file, traced, past), { inspection, picture, layers });
    followed.current = id;
    await this.showHistory(followed);
  }

  /** The file may still be being written: nothing is shown until it has been unreadable for a while. */
  private failed(followed: Followed, signature: Signature | null, error: unknown): void {
    if (error instanceof CancelledError || this.ending.signal.aborted) return;
    const message = error instanceof Error ? error.message : String(error);
    const now = performance.now();
    if (followed.failures++ === 0) followed.failingSince = now;
    if (!(error instanceof UserError)) this.host.log.error(message);
    if (now - followed.failingSince >= PATIENCE && followed.note !== message) {
      this.host.log.warn(`${followed.uri.fsPath}: ${message}`);
      followed.note = message;
    }
    // What was read as a whole and is no INR will be none at the next look either.
    const final = error instanceof UserError && error.exitCode !== ExitCode.unreadable;
    if (final) followed.note = message;
    if (final || followed.wanted !== null) return;
    const delay = Math.min(LAST_RETRY, FIRST_RETRY * 2 ** (followed.failures - 1));
    clearTimeout(followed.retry);
    followed.retry = setTimeout(() => {
      followed.wanted ??= signature;
      this.pump();
    }, delay);
    followed.retry.unref();
  }

  // History.

  private async showHistory(followed: Followed): Promise<void> {
    const { session } = followed;
    if (!session) return;
    const saves = await this.host.store.list(followed.uri.toString());
    const history: HistoryView = {
      saves: [...saves],
      current: followed.current,
      following: this.following(followed),
      note: followed.note,
    };
    if (followed.session === session) session.showHistory(history);
  }

  private following(followed: Followed): Following {
    if (!this.enabled) return 'off';
    if (this.paused) return 'paused';
    if (this.battery) return 'on-battery';
    return this.tracing === followed ? 'tracing' : 'following';
  }

  /** For `SessionHost.past`. */
  async past(uri: vscode.Uri, id: string): Promise<Past | undefined> {
    const key = uri.toString();
    const figures = (await this.host.store.list(key)).find((save) => save.id === id);
    const past: PastSave | undefined = figures && (await this.host.store.load(key, id));
    const followed = this.followed.get(key);
    if (!past && followed) void this.showHistory(followed);
    return figures && past && { ...past, figures };
  }

  async clearHistory(): Promise<void> {
    await this.host.store.clear();
    for (const followed of this.followed.values()) {
      if (followed.session?.view.past) await followed.session.look(null);
      await this.showHistory(followed);
    }
  }

  // Waiting.

  private async checkPower(): Promise<void> {
    clearTimeout(this.powerTimer);
    const before = this.battery;
    this.battery = this.host.setting('live.pauseOnBattery', true) && ((await onBattery()) ?? false);
    if (this.battery && !this.ending.signal.aborted) {
      this.powerTimer = setTimeout(() => void this.checkPower(), POWER_INTERVAL);
      this.powerTimer.unref();
    }
    if (this.battery !== before) this.changed();
  }

  private changed(): void {
    const { status, paused, battery } = this;
    void vscode.commands.executeCommand('setContext', 'neuralCanvas.livePaused', paused);
    void vscode.commands.executeCommand(
      'setContext',
      'neuralCanvas.pinned',
      [...this.followed.values()].filter(({ pinned }) => pinned).map(({ uri }) => uri.path),
    );
    const files = [...this.followed.values()];
    if (files.length === 0 || !this.enabled) status.hide();
    else {
      const names = files.map(({ uri, pinned }) => `${path.basename(uri.path)}${pinned ? ' (pinned)' : ''}`);
      const waits = paused || battery;
      status.text = waits ? '$(debug-pause) Neural Canvas' : '$(eye) Neural Canvas';
      status.command = paused ? 'neuralCanvas.resumeLive' : 'neuralCanvas.pauseLive';
      const why = paused ? 'Paused' : battery ? 'Paused while on battery' : 'Traced again when saved';
      status.tooltip = `${why}:\n${names.join('\n')}\n\nClick to ${paused ? 'resume' : 'pause'}.`;
      const label = `Neural Canvas live tracing, ${waits ? 'paused' : 'on'}, ${files.length} checkpoints`;
      status.accessibilityInformation = { label, role: 'button' };
      status.show();
    }
    for (const followed of files) void this.showHistory(followed);
    this.pump();
  }

  dispose(): void {
    this.ending.abort();
    clearTimeout(this.powerTimer);
    for (const followed of this.followed.values()) {
      clearTimeout(followed.retry);
      followed.listening?.dispose();
      followed.watch.dispose();
    }
    this.followed.clear();
    for (const subscription of this.subscriptions) subscription.dispose();
  }
}
