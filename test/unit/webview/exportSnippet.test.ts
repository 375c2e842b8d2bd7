import { expect, it } from 'vitest';
import { exportSnippet } from '../../../src/panels/exportSnippet';

it.each(['best model.pth', 'a".pth', 'line\nbreak.ckpt', "'''.pt", '.pth', 'ünï.pth'])(
  'stays Python whatever the file is called: %j',
  (name) => {
    const lines = exportSnippet(name).split('\n');
    // The name appears in a comment and in one string that nothing in it can end.
    expect(lines).toHaveLength(10);
    expect(lines[2].indexOf(name.trim().slice(0, 4).split('\n')[0])).toBeGreaterThan(lines[2].indexOf('#'));
    expect(lines[5]).toMatch(/^ {4}model, \(coords,\), "[\w.-]+\.onnx",$/);
  },
);
