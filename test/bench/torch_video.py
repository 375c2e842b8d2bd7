"""Times contribution maps of a decoder's kernels in plain PyTorch, for comparison; prints JSON.

    python3 torch_video.py FILE HxW FRAME/FRAMES [LIMIT]

By the rules of the code released with XINC: every map of a layer is made and held, then |map| is summed and
compared with an equal share. The head and the last two blocks, one after another. Of layers whose maps would
take more than LIMIT bytes (1 GiB), some input channels are timed and the rest is reckoned; the result says so.
Understands decoders in HNeRV's layout whose time is encoded (test/bench/lib/networks.ts).
"""

import json
import math
import re
import sys
import time

import torch
import torch.nn.functional as F

from torch_trace import load, peak_mebibytes


def mean_filter(x, kernel):
    return F.avg_pool2d(x, kernel, stride=1, padding=kernel // 2)


def channel_maps(x, layers, b, i):
    """Maps [outputs, H, W] of all kernels of layer b that read input channel i."""
    weight, bias, stride = layers[b]
    kernel = weight.shape[-1]
    c = F.conv2d(x[:, i : i + 1], weight[:, i : i + 1], padding=kernel // 2)[0] + (bias / weight.shape[1])[:, None, None]
    if b == len(layers) - 1:
        return c
    n, h, w = c.shape
    placed = torch.zeros(n, 1, h * stride, w * stride)
    for phase in range(stride**2):
        own = slice(phase, None, stride**2)
        placed[own, 0, phase // stride :: stride, phase % stride :: stride] = c[own]
    value = F.gelu(placed)
    for later, _, factor in layers[b + 1 : -1]:
        value = mean_filter(value, later.shape[-1])
        value = F.gelu(F.interpolate(value, scale_factor=factor, mode="nearest") if factor > 1 else value)
    return mean_filter(value, layers[-1][0].shape[-1])[:, 0]


def traced(x, layers, b, limit, size):
    inputs, outputs = layers[b][0].shape[1], layers[b][0].shape[0]
    count = max(1, min(inputs, limit // (4 * outputs * size)))
    began = time.perf_counter()
    maps = torch.stack([channel_maps(x, layers, b, i) for i in range(count)]).flatten(0, 1)
    maps = maps.abs()
    maps.sum((1, 2), dtype=torch.float64)
    fair = maps.sum(0) / len(maps)
    for one in maps:
        (one > fair).sum()
    return 1000 * (time.perf_counter() - began) * inputs / count, count == inputs


def main():
    path, size, frame = sys.argv[1:4]
    limit = int(sys.argv[4]) if len(sys.argv) > 4 else 2**30
    h, w = map(int, size.split("x"))
    found = load(path) if path.endswith(".safetensors") else torch.load(path, map_location="cpu")["state_dict"]
    tensors = {re.sub(r"^.*?(?=decoder\.|head_layer)", "", k): v for k, v in found.items()}
    names = sorted((k for k in tensors if k.endswith("upconv.0.weight")), key=lambda k: int(k.split(".")[1])) + ["head_layer.weight"]
    weights = [tensors[k] for k in names]
    strides = [math.isqrt(a.shape[0] // b.shape[1]) for a, b in zip(weights, weights[1:])] + [1]
    layers = [(v, tensors[k[: -len("weight")] + "bias"], s) for k, v, s in zip(names, weights, strides)]
    down = tensors["decoder.0.conv.downconv.weight"]
    a, b = map(float, frame.split("/"))
    angles = a / b * torch.pow(torch.tensor(1.25), torch.arange(down.shape[1] // 2)) * math.pi
    x = F.gelu(F.conv2d(torch.cat([angles.sin(), angles.cos()])[None, :, None, None], down, tensors["decoder.0.conv.downconv.bias"]))
    scale = math.prod(strides)
    x = x.view(1, -1, h // scale, w // scale)
    inputs = []
    for weight, bias, stride in layers:
        inputs.append(x)
        x = F.gelu(F.pixel_shuffle(F.conv2d(x, weight, bias, padding=weight.shape[-1] // 2), stride))
    chosen = range(len(layers) - 1, max(-1, len(layers) - 4), -1)
    times = {names[b]: traced(inputs[b], layers, b, limit, h * w) for b in chosen}
    result = {
        "torch": torch.__version__,
        "threads": torch.get_num_threads(),
        "milliseconds": sum(t for t, _ in times.values()),
        "layers": {name: round(t) for name, (t, _) in times.items()},
        "reckonedFromSome": [name for name, (_, whole) in times.items() if not whole],
        "peakMebibytes": peak_mebibytes(),
    }
    print(json.dumps(result))


with torch.no_grad():
    main()
