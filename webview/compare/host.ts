import { read } from '../../src/panels/numbers';
import type { VsCodeApi } from '../shared/host';

declare function acquireVsCodeApi(): VsCodeApi;

/** The view's end of `panels/compare/protocol.ts`. */
export function connect<Request, Message>(take: (message: Message) => void) {
  const api = acquireVsCodeApi();
  window.addEventListener('message', (event) => take(read((event as MessageEvent<Message>).data)));
  return {
    post: (message: Request) => api.postMessage(message),
    /** Kept by VS Code, to open the same comparison after a reload. */
    keep: (state: unknown) => api.setState(state),
  };
}
