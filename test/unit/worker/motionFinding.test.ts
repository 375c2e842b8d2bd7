/** Findings of the sample video: the frame's own, and whether neurons follow motion. */
import path from 'node:path';
import { expect, it } from 'vitest';
import { neverCancelled } from '../../../src/errors';
import { findingsMarkdown, reportHtml } from '../../../src/findings/report';
import { Service } from '../../../src/worker/service';

it('the sample’s neurons change where the ball moves, against flow moved elsewhere', async () => {
  const service = new Service();
  const file = path.resolve('samples/video/checkpoints/nerv.pth');
  // The first block has most of the kernels, and its card most of the time.
  const layers = ['layers.1.conv.conv', 'layers.2.conv.conv', 'head_layers.2'];
  const options = { file, corrections: {}, method: 'xinc', memoryBudget: 2 ** 30, frame: 9, layers } as const;
  await service.call('trace', { trace: 'a', options }, () => {}, neverCancelled);
  const found = await service.call('findings', { trace: 'a' }, () => {}, neverCancelled);
  const { motion } = found;
  if (!motion || 'missing' in motion) throw new Error('no motion');
  expect(motion.frames).toEqual([1, 8, 15]);
  expect(motion.of).toBe('frames');
  expect(motion.layers).toHaveLength(found.layers.length);
  const head = motion.layers.at(-1)!;
  expect(head.pearson).toBeGreaterThan(0.3);
  expect(head.pearson).toBeGreaterThan(head.shifted + 0.2);
  expect(head.pValue).toBeLessThan(0.05);
  expect(motion.figure.changes).toHaveLength(motion.layers.length);
  const { card } = found;
  expect(card!.sample).toMatchObject({ frames: [9], pixels: 64 * 128, of: 64 * 128 });
  expect(card!.layers.map(({ layer }) => layer)).toEqual(found.layers.map(({ name }) => name));
  const text = findingsMarkdown(found);
  expect(text).toContain('frame 9');
  expect(text).toMatch(/## Do neurons follow motion\? (Yes|Partly)\./);
  expect(text).toMatch(/costs more than random ones.*of frame 9/s);
  const html = reportHtml(found);
  expect(html).toContain('what moves at frame 8');
  expect(html).toContain('output channels taken away');
  // Clusters by place: those over the ball's path change with it, against the flow moved elsewhere.
  const grouping = { features: 'space', seed: 0, layers: [2], clusters: 3 } as const;
  const { summaries } = await service.call(
    'cluster',
    { trace: 'a', options: grouping },
    () => {},
    neverCancelled,
  );
  for (const { motion: follows } of summaries) expect(Math.abs(follows!.elsewhere)).toBeLessThan(0.1);
  const best = Math.max(...summaries.map(({ motion: follows }) => follows!.correlation));
  expect(best).toBeGreaterThan(0.2);
  await service.call('close', { trace: 'a' }, () => {}, neverCancelled);
}, 60_000);
