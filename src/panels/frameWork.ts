/** Frames of a video for one session: the one shown, and what is asked about all of them. */
import * as vscode from 'vscode';
import { CancelledError } from '../errors';
import type { WorkerClient } from '../worker/client';
import type {
  FrameResult,
  Motion,
  ObjectsThroughTime,
  OverClip,
  Series,
  TraceEvent,
} from '../worker/protocol';
import type { ViewCalls } from './protocol';

export class FrameWork {
  /** Frame whose maps are shown; null for a picture and while there is none. */
  traced: number | null = null;
  error: string | null = null;
  private moving: AbortController | null = null;
  /** What was asked about the whole clip, by kind: the latest of a kind counts. */
  private readonly asked = new Map<string, AbortController>();
  private folder: string | null = null;

  constructor(
    private readonly client: WorkerClient,
    private readonly log: vscode.LogOutputChannel,
  ) {}

  reset(): void {
    this.cancel();
    this.traced = this.error = null;
  }

  cancel(): void {
    this.moving?.abort();
    for (const work of this.asked.values()) work.abort();
    this.asked.clear();
  }

  /** @returns null when another frame was asked for meanwhile, or it failed: then `error` says why */
  async move(
    trace: string,
    frame: number,
    first: string | undefined,
    onEvent: (event: TraceEvent) => void,
  ): Promise<FrameResult | null> {
    this.moving?.abort();
    const work = (this.moving = new AbortController());
    this.error = null;
    try {
      const result = await this.client.call(
        'frame',
        { trace, frame, ...(first !== undefined && { first }) },
        { signal: work.signal, onEvent: (event) => this.moving === work && onEvent(event) },
      );
      if (this.moving !== work) return null;
      this.traced = frame;
      return result;
    } catch (error) {
      if (error instanceof CancelledError || this.moving !== work) return null;
      this.log.error(String(error));
      this.error = error instanceof Error ? error.message : String(error);
      return null;
    }
  }

  /** A folder of label images: beside the checkpoint, or the one that the person chooses; null for none. */
  async labels(trace: string, file: vscode.Uri): Promise<string | null> {
    return (this.folder ??= (await this.client.call('findLabels', { trace })) ?? (await pickFolder(file)));
  }

  /** @throws Error with a sentence for the view */
  async answer(
    call: 'motion' | 'overClip' | 'series' | 'objects',
    trace: string,
    file: vscode.Uri,
    params: unknown,
  ): Promise<Motion | OverClip | Series | ObjectsThroughTime> {
    this.asked.get(call)?.abort();
    const work = new AbortController();
    this.asked.set(call, work);
    const { signal } = work;
    if (call === 'motion' || call === 'overClip') return this.client.call(call, { trace }, { signal });
    if (call === 'series') {
      return this.client.call('series', { trace, ...(params as ViewCalls['series']['params']) }, { signal });
    }
    const folder = await this.labels(trace, file);
    if (folder === null) throw new Error('Choose a folder with one label image a frame to see objects.');
    try {
      return await this.client.call(
        'objects',
        { trace, folder, ...(params as ViewCalls['objects']['params']) },
        { signal },
      );
    } catch (error) {
      // One that does not fit is asked for anew.
      if (!(error instanceof CancelledError)) this.folder = null;
      throw error;
    }
  }
}

async function pickFolder(file: vscode.Uri): Promise<string | null> {
  const picked = await vscode.window.showOpenDialog({
    title: 'Folder with one label image a frame (PNG)',
    openLabel: 'Use these labels',
    canSelectFiles: false,
    canSelectFolders: true,
    defaultUri: vscode.Uri.joinPath(file, '..'),
  });
  return picked?.[0]?.fsPath ?? null;
}
