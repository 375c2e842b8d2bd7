/**
 * How fast the canvas answers in the real webview: `npm run bench:canvas`. Prints one line of JSON for each
 * number of maps: median and 95th percentile of the time between frames while the contact sheet is panned and
 * zoomed and while a pointer brushes over the picture, how long a probe and a linked selection take, and the
 * bytes that the host sent. Measurements, never assertions of time.
 */
import { writeFile } from 'node:fs/promises';
import path from 'node:path';
import type { Frame } from '@playwright/test';
import { expect, test } from '../../e2e/workbench.mjs';
import { wideSiren } from './checkpoint.mjs';

const counts = process.env.MAPS?.split(',').map(Number) ?? [416, 4096, 16_384];
const FRAMES = 120;

const files = Object.fromEntries(
  counts.flatMap((count): [string, string | Uint8Array][] => [
    [`wide-${count}.safetensors`, wideSiren(count)],
    [`wide-${count}.json`, JSON.stringify({ height: 64, width: 64 })],
  ]),
);
test.use({ files });

const quantiles = (times: readonly number[]) => {
  const sorted = times.toSorted((a, b) => a - b);
  const at = (part: number) =>
    Number(sorted[Math.min(sorted.length - 1, Math.floor(part * sorted.length))].toFixed(1));
  return { median: at(0.5), p95: at(0.95) };
};

/** Times between frames, in milliseconds, while something changes in each. */
const frames = (canvas: Frame, what: 'pan' | 'zoom' | 'brush') =>
  canvas.evaluate(
    async ([what, count]) => {
      const root = document.querySelector('nc-canvas')!.shadowRoot!;
      const sheet = root.querySelector('nc-sheet')!;
      const scroller = sheet.shadowRoot!.querySelector('.scroll')!;
      const screen = root.querySelector('nc-picture')!.shadowRoot!.querySelector('canvas')!;
      const box = screen.getBoundingClientRect();
      const change = {
        pan: (i: number) => (scroller.scrollTop = 37 * i),
        zoom: (i: number) =>
          sheet.dispatchEvent(new CustomEvent('size-change', { detail: 12 + 30 * (1 - Math.cos(i / 12)) })),
        brush: (i: number) =>
          screen.dispatchEvent(
            new PointerEvent('pointermove', {
              clientX: box.left + box.width * (0.5 + 0.2 * Math.cos(i / 9)),
              clientY: box.top + box.height * (0.5 + 0.2 * Math.sin(i / 9)),
              bubbles: true,
              composed: true,
            }),
          ),
      }[what];
      const next = () => new Promise<number>((resolve) => requestAnimationFrame(resolve));
      for (let i = 0; i < 5; i++) await next();
      const times: number[] = [];
      let last = await next();
      for (let i = 0; i < count; i++) {
        change(i);
        const now = await next();
        times.push(now - last);
        last = now;
      }
      return times;
    },
    [what, FRAMES] as const,
  );

/** Milliseconds from a question about a pixel to its answer. */
const probes = (canvas: Frame) =>
  canvas.evaluate(async () => {
    interface View {
      canvas: { session: { host: { call(name: string, params: unknown): Promise<unknown> } } };
    }
    const { host } = (document.querySelector('nc-canvas') as unknown as View).canvas.session;
    const times: number[] = [];
    for (let i = 0; i < 40; i++) {
      const start = performance.now();
      await host.call('probe', { row: (7 * i) % 64, column: (11 * i) % 64 });
      times.push(performance.now() - start);
    }
    return times;
  });

/** Milliseconds from a click in the rankings until the canvas knows of it, and to the frame in which it has drawn it. */
async function links(canvas: Frame, rankings: Frame) {
  const times: { readonly known: number; readonly drawn: number }[] = [];
  for (let i = 0; i < 15; i++) {
    const seen = canvas.evaluate(
      () =>
        new Promise<{ known: number; drawn: number }>((resolve) => {
          const receive = ({ data }: MessageEvent<{ type?: string }>) => {
            if (data.type !== 'selection') return;
            removeEventListener('message', receive);
            const known = performance.timeOrigin + performance.now();
            requestAnimationFrame(() =>
              setTimeout(() => resolve({ known, drawn: performance.timeOrigin + performance.now() })),
            );
          };
          addEventListener('message', receive);
        }),
    );
    const clicked = await rankings.evaluate((at) => {
      const table = document.querySelector('nc-rankings')!.shadowRoot!.querySelector('nc-rankings-table')!;
      const row = table.shadowRoot!.querySelectorAll<HTMLElement>('[data-testid=rankings-row]')[at];
      const now = performance.timeOrigin + performance.now();
      row.click();
      return now;
    }, i % 6);
    const { known, drawn } = await seen;
    times.push({ known: known - clicked, drawn: drawn - clicked });
  }
  return times;
}

/** Bytes of the messages that came from the host, by kind; numbers in JSON count as their text. */
function countBytes(): void {
  const bytes: Record<string, number> = {};
  const size = (value: unknown): number => {
    if (ArrayBuffer.isView(value) || value instanceof ArrayBuffer) return value.byteLength;
    if (Array.isArray(value)) return value.reduce<number>((sum, entry) => sum + size(entry) + 1, 2);
    if (typeof value === 'object' && value !== null) {
      return Object.entries(value).reduce((sum, [key, entry]) => sum + key.length + 4 + size(entry), 2);
    }
    return JSON.stringify(value)?.length ?? 0;
  };
  Object.assign(globalThis, { bytesFromHost: bytes });
  const count = ({ data }: MessageEvent<{ type?: string }>) => {
    const type = typeof data === 'object' && data !== null ? data.type : undefined;
    if (typeof type === 'string' && /^[a-z]+$/.test(type)) bytes[type] = (bytes[type] ?? 0) + size(data);
  };
  // VS Code writes the panel's document anew, which forgets listeners but not the window: the page's own
  // listener brings this one along.
  const listen = window.addEventListener.bind(window) as (...given: unknown[]) => void;
  let isCounting = false;
  window.addEventListener = (type: string, ...rest: unknown[]) => {
    if (type === 'message' && !isCounting) {
      isCounting = true;
      listen('message', count);
    }
    listen(type, ...rest);
  };
}

const results: unknown[] = [];
for (const count of counts) {
  test(`${count} maps`, async ({ workbench }) => {
    const { page } = workbench;
    await page.addInitScript(countBytes);
    await page.reload();
    await page.locator('.explorer-folders-view').getByRole('treeitem').first().waitFor({ timeout: 120_000 });
    await workbench.trace(`wide-${count}.safetensors`);
    const canvas = await workbench.panel('canvas');
    await expect(canvas.getByTestId('facts')).toContainText('traced in', { timeout: 240_000 });
    await canvas.getByTestId('layer-1').click();
    const rankings = await workbench.panel('rankings');
    await rankings.getByTestId('rankings-row').first().waitFor({ timeout: 60_000 });
    const bytes = await canvas.evaluate(
      () => (globalThis as unknown as { bytesFromHost: Record<string, number> }).bytesFromHost,
    );
    const result: Record<string, unknown> = { maps: count };
    for (const what of ['pan', 'zoom', 'brush'] as const)
      result[what] = quantiles(await frames(canvas, what));
    result.probe = quantiles(await probes(canvas));
    const linked = await links(canvas, rankings);
    result.linkKnown = quantiles(linked.map(({ known }) => known));
    result.linked = quantiles(linked.map(({ drawn }) => drawn));
    result.bytesToCanvas = bytes;
    console.log(JSON.stringify(result));
    results.push(result);
  });
}

test.afterAll(() =>
  writeFile(
    path.join(import.meta.dirname, '../../../test-results/bench-canvas.json'),
    JSON.stringify(results, null, 2),
  ),
);
