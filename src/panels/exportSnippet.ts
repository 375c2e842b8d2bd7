/**
 * Python that turns the network in the person's own code into an ONNX file, which opens whatever the
 * architecture. Shown by the canvas and inserted by the host.
 * @param name file name of the checkpoint, text only
 */
export function exportSnippet(name: string): string {
  const output = name.replace(/\.[^.]*$/, '').replace(/[^\w.-]/g, '_') || 'model';
  return `import torch

model.eval()  # your network, with ${name.replace(/[\r\n]/g, ' ')} loaded
coords = torch.zeros(1024, 2)  # pixels × (row, column), as in training
torch.onnx.export(
    model, (coords,), "${output}.onnx",
    input_names=["coords"], output_names=["output"],
    dynamic_axes={"coords": {0: "pixels"}, "output": {0: "pixels"}},
)
`;
}
