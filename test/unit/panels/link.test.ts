/** Links to a view: what they carry, and what hostile ones do not. */
import { describe, expect, it } from 'vitest';
import { insideFolder, linkQuery, parseLink, type Link } from '../../../src/panels/link';
import { bounded } from '../../../webview/canvas/linkedView';

const link: Link = {
  file: 'checkpoints/a b&c=ü.pth',
  selection: {
    layer: 3,
    neurons: [
      { layer: 3, neuron: 47 },
      { layer: 3, neuron: 0 },
    ],
    pixel: { row: 95, column: 127 },
  },
  view: { mode: 'map', zoom: 3.0517578125, signed: false, centreX: 0.25 },
};

describe('a link to a view', () => {
  it('says again what was put into it', () => {
    expect(parseLink('/open', linkQuery(link))).toEqual(link);
    const ofVideo = { ...link, selection: { ...link.selection, frame: 0 } };
    expect(parseLink('/open', linkQuery(ofVideo))).toEqual(ofVideo);
    expect(parseLink('/open', linkQuery({ file: 'x.pth', selection: {}, view: {} }))).toEqual({
      file: 'x.pth',
      selection: {},
      view: {},
    });
  });

  it.each([
    ['/run', 'file=x.pth'],
    ['/open', ''],
    ['/open', 'file='],
    ['/open', 'file=a%00.pth'],
    ['/open', 'file=a%0Ab.pth'],
    ['/open', `file=x.pth&mode=${'a'.repeat(9000)}`],
  ])('is refused in a sentence: %s?%s', (path, query) => {
    expect(parseLink(path, query)).toMatch(/^This link .*\.$/);
  });

  it('loses what is not understood, and keeps the rest', () => {
    const query =
      'file=x.pth&layer=-1&neurons=1.2 3 4.x 5.6.7 99999999999.1 8.9&pixel=1 2 3&frame=1e9' +
      '&mode=<img src=x>&zoom=1e400&size=1x2&__proto__=x&constructor=1&cover=0.5';
    expect(parseLink('/open', query)).toEqual({
      file: 'x.pth',
      selection: {
        neurons: [
          { layer: 1, neuron: 2 },
          { layer: 8, neuron: 9 },
        ],
      },
      view: { constructor: 1, cover: 0.5 },
    });
  });

  it('changes nothing in the canvas but what it knows, within bounds', () => {
    const view = { zoom: 1e9, centreX: -5, gamma: 'x', constructor: 1, parts: true, mode: 'map', wipe: 0.3 };
    expect(bounded(view as never)).toEqual({ zoom: 1000, centreX: 0, mode: 'map', wipe: 0.3 });
  });

  it('carries no more neurons than a link can hold', () => {
    const neurons = Array.from({ length: 4096 }, (_, neuron) => ({ layer: 0, neuron }));
    const query = linkQuery({ file: 'x.pth', selection: { neurons }, view: {} });
    expect(query.length).toBeLessThan(8192);
    const parsed = parseLink('/open', query);
    // The one chosen last decides what is shown.
    expect(typeof parsed !== 'string' && parsed.selection.neurons?.at(-1)).toEqual({
      layer: 0,
      neuron: 4095,
    });
  });
});

describe('a file of a link', () => {
  it.each([
    ['/home/me/project', 'checkpoints/x.pth', '/home/me/project/checkpoints/x.pth'],
    ['/home/me/project/', './a/../x.pth', '/home/me/project/x.pth'],
    ['/home/me/project', '/home/me/project/x.pth', '/home/me/project/x.pth'],
    ['/', 'x.pth', '/x.pth'],
    ['/c:/project', 'c:\\project\\x.pth', '/c:/project/x.pth'],
  ])('lies in %s: %s', (folder, file, path) => {
    expect(insideFolder(folder, file)).toBe(path);
  });

  it.each([
    ['/home/me/project', '../secret.pth'],
    ['/home/me/project', 'a/../../project2/x.pth'],
    ['/home/me/project', '..\\..\\x.pth'],
    ['/home/me/project', '/etc/passwd'],
    ['/home/me/project', '/home/me/project2/x.pth'],
    ['/home/me/project', '/home/me/project'],
    ['/home/me/project', '\\\\server\\share\\x.pth'],
    ['/c:/project', 'd:\\x.pth'],
  ])('does not lie in %s: %s', (folder, file) => {
    expect(insideFolder(folder, file)).toBeNull();
  });
});
