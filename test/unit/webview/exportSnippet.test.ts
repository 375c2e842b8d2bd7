import { describe, expect, it } from 'vitest';
import { exportSnippet, networkIn } from '../../../src/panels/exportSnippet';

it.each(['best model.pth', 'a".pth', 'line\nbreak.ckpt', "'''.pt", '.pth', 'ünï.pth'])(
  'stays Python whatever the file is called: %j',
  (name) => {
    const lines = exportSnippet(name).split('\n');
    // The name appears in a comment and in one string that nothing in it can end.
    expect(lines).toHaveLength(11);
    expect(lines[2].indexOf(name.trim().slice(0, 4).split('\n')[0])).toBeGreaterThan(lines[2].indexOf('#'));
    expect(lines[6]).toMatch(/^ {4}model, \(coords,\), "[\w.-]+\.onnx", opset_version=14,$/);
  },
);

describe('the network in the person’s code', () => {
  const own = `import torch
from torch import nn

class Painter(nn.Module):
    def __init__(self, width=64):
        super().__init__()

class Data(torch.utils.data.Dataset):
    pass
`;

  it('is the class it defines, held by a variable or not', () => {
    expect(networkIn(own)).toEqual({ className: 'Painter' });
    expect(networkIn(`${own}\npainter = Painter(width=32).cuda()\ndata = Data()\n`)).toEqual({
      className: 'Painter',
      variable: 'painter',
    });
  });

  it('is one of an imported class with the name of a network', () => {
    expect(networkIn('from siren import Siren\noptimizer = Adam(x)\nnet = Siren(2, 256)\n')).toEqual({
      className: 'Siren',
      variable: 'net',
    });
    expect(networkIn('loss = MSELoss()\n')).toBeUndefined();
  });

  it('is what the snippet exports', () => {
    expect(exportSnippet('a.pth', { className: 'Painter', variable: 'painter' })).toContain(
      '    painter, (coords,), "a.onnx"',
    );
    expect(exportSnippet('a.pth', { className: 'Painter' }, 3)).toMatch(
      /model = Painter\(\) {2}# with the arguments[\s\S]*zeros\(1024, 3, device/,
    );
  });
});
