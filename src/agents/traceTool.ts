/** What an agent in the chat may ask: inspect or trace a checkpoint of the workspace, as text. */
import fs from 'node:fs/promises';
import path from 'node:path';
import * as vscode from 'vscode';
import { UserError } from '../errors';
import { isInside } from '../checkpoint/source';
import type { WorkerClient } from '../worker/client';
import type { TraceOptions } from '../worker/protocol';
import { inspectionFindings, notAnInrFindings, traceFindings } from '../worker/traceText';

export const TOOL = 'neural-canvas_trace';

/** As the schema in package.json; checked again, because VS Code may not. */
export interface TraceToolInput {
  readonly file: string;
  readonly inspectOnly?: boolean;
  readonly layers?: readonly string[];
}

export interface TraceToolHost {
  readonly client: WorkerClient;
  readonly log: vscode.LogOutputChannel;
  traceOptions(file: vscode.Uri): TraceOptions;
}

/** Tokens that are kept for the model's own words. */
const MOST_CHARACTERS = 12_000;

export class TraceTool implements vscode.LanguageModelTool<TraceToolInput> {
  private static count = 0;

  constructor(private readonly host: TraceToolHost) {}

  async prepareInvocation({
    input,
  }: vscode.LanguageModelToolInvocationPrepareOptions<TraceToolInput>): Promise<vscode.PreparedToolInvocation> {
    const file = await checkpointInWorkspace(input.file);
    const name = vscode.workspace.asRelativePath(file);
    const message = new vscode.MarkdownString();
    message.appendText(
      input.inspectOnly
        ? `Read ${name} and say what network it holds?`
        : `Read ${name}, evaluate its network on this machine and say what its neurons contribute?`,
    );
    message.appendMarkdown('\n\nNothing in the checkpoint is run, and nothing is written.');
    const doing = input.inspectOnly ? 'Inspecting' : 'Tracing';
    return {
      invocationMessage: `${doing} ${path.basename(file.path)}`,
      confirmationMessages: { title: `${input.inspectOnly ? 'Inspect' : 'Trace'} a checkpoint`, message },
    };
  }

  async invoke(
    options: vscode.LanguageModelToolInvocationOptions<TraceToolInput>,
    token: vscode.CancellationToken,
  ): Promise<vscode.LanguageModelToolResult> {
    const abort = new AbortController();
    const cancelling = token.onCancellationRequested(() => abort.abort());
    if (token.isCancellationRequested) abort.abort();
    try {
      const file = await checkpointInWorkspace(options.input.file);
      const { tokenizationOptions: tokens } = options;
      // A token is rarely less than three characters of such text.
      const most = Math.min(MOST_CHARACTERS, 3 * (tokens?.tokenBudget ?? MOST_CHARACTERS));
      const text = await this.findings(file, options.input, most, abort.signal);
      return new vscode.LanguageModelToolResult([new vscode.LanguageModelTextPart(text)]);
    } catch (error) {
      if (abort.signal.aborted) throw new vscode.CancellationError();
      // The sentence tells the model what to do next; the stack would not.
      if (error instanceof UserError) throw new Error(error.message, { cause: error });
      this.host.log.error(String(error));
      throw error;
    } finally {
      cancelling.dispose();
    }
  }

  private async findings(
    file: vscode.Uri,
    input: TraceToolInput,
    most: number,
    signal: AbortSignal,
  ): Promise<string> {
    const { client } = this.host;
    const options = this.host.traceOptions(file);
    if (input.inspectOnly) {
      const result = await client.call('inspect', options, { signal });
      if ('notAnInr' in result) return notAnInrFindings(result.notAnInr, most);
      return inspectionFindings(result).join('\n').slice(0, most);
    }
    const trace = `tool#${++TraceTool.count}`;
    const layers = input.layers?.length ? { layers: input.layers.map(String) } : {};
    try {
      const result = await client.call('trace', { trace, options: { ...options, ...layers } }, { signal });
      return 'notAnInr' in result ? notAnInrFindings(result.notAnInr, most) : traceFindings(result, most);
    } finally {
      await client.call('close', { trace }).catch(() => undefined);
    }
  }
}

/**
 * The file a model named, which must be one of the workspace's, links followed.
 * @throws UserError as a sentence for the model
 */
export async function checkpointInWorkspace(named: unknown): Promise<vscode.Uri> {
  const refuse = (why: string) => new UserError(why, 3);
  const folders = vscode.workspace.workspaceFolders ?? [];
  if (folders.length === 0)
    throw refuse('No folder is open; ask the person to open the one with the checkpoint.');
  if (typeof named !== 'string' || named.trim() === '' || named.includes('\0')) {
    throw refuse('Give the path of a checkpoint file, relative to the workspace.');
  }
  for (const { uri } of folders) {
    const file = path.resolve(uri.fsPath, named);
    const real = await fs.realpath(file).catch(() => undefined);
    const root = await fs.realpath(uri.fsPath).catch(() => uri.fsPath);
    if (real === undefined) continue;
    if (!isInside(root, real)) continue;
    const stat = await fs.stat(real);
    if (!stat.isFile()) throw refuse(`${path.basename(file)} is no file; name a checkpoint file inside it.`);
    return vscode.Uri.file(file);
  }
  throw refuse(
    `There is no file ${JSON.stringify(named.slice(0, 200))} in the workspace; give a path relative to its folder.`,
  );
}
