/** A network in the person's code: its class, and a variable that holds one. */
export interface NetworkInCode {
  readonly className: string;
  readonly variable?: string;
}

/** The first network that Python code defines, or makes of a class it imports. Text only: nothing is run. */
export function networkIn(code: string): NetworkInCode | undefined {
  const classes = [
    ...code.matchAll(/^class\s+(\w+)\s*\([^)\n]*\b(?:Module|LightningModule)\b[^)\n]*\)\s*:/gm),
  ].map((match) => match[1]);
  const made = [...code.matchAll(/^[ \t]*(\w+)\s*=\s*(?:\w+\.)*([A-Z]\w*)\s*\(/gm)].map((match) => ({
    variable: match[1],
    className: match[2],
  }));
  const own = made.findLast(({ className }) => classes.includes(className));
  if (own) return own;
  const like = made.findLast(({ className }) =>
    /siren|inr|mlp|nerv|wire|field|network|net$/i.test(className),
  );
  if (like) return like;
  const [className] = classes.slice(-1);
  return className === undefined ? undefined : { className };
}

/**
 * Python that turns the network in the person's own code into an ONNX file, which opens whatever the
 * architecture. Shown by the canvas and inserted by the host.
 * @param name file name of the checkpoint, text only
 * @param coordinates how many the network takes
 */
export function exportSnippet(name: string, network?: NetworkInCode, coordinates = 2): string {
  const output = name.replace(/\.[^.]*$/, '').replace(/[^\w.-]/g, '_') || 'model';
  const file = name.replace(/[\r\n]/g, ' ');
  const model = network?.variable ?? 'model';
  const meaning = ['', 'time', 'row, column', 'x, y, z'][coordinates] ?? 'coordinates';
  const made =
    network && network.variable === undefined
      ? `model = ${network.className}()  # with the arguments of your training, and ${file} loaded\nmodel.eval()`
      : `${model}.eval()  # your network, with ${file} loaded`;
  return `import torch

${made}
device = next(${model}.parameters()).device
coords = torch.zeros(1024, ${coordinates}, device=device)  # pixels × (${meaning}), as in training
torch.onnx.export(
    ${model}, (coords,), "${output}.onnx", opset_version=14,
    input_names=["coords"], output_names=["output"],
    dynamic_axes={"coords": {0: "pixels"}, "output": {0: "pixels"}},
)
`;
}
