"""Times contribution maps in plain PyTorch, for comparison; prints JSON.

    python3 torch_trace.py FILE [HxW] [RUNS] [released]

Two ways: "released", when asked for, builds every contribution of every neuron to every output unit, as the code released
with XINC does (where that tensor fits into 8 GiB), "closed" multiplies each activation by its summed
weights. Both compute totals, shares, pixels per neuron and the threshold of neurons per pixel.
Understands the networks of test/bench/lib/networks.ts that are coordinate MLPs.
"""

import json
import math
import os
import resource
import sys
import time
import types

import numpy as np
import torch


class Absent(types.ModuleType):
    """Stands for packages that a known file of ours names; its classes are empty."""

    def __getattr__(self, name):
        return type(name, (), {})


for module in ("", ".dictconfig", ".listconfig", ".base", ".nodes"):
    sys.modules.setdefault("omegaconf" + module, Absent("omegaconf" + module))


def peak_mebibytes():
    """Of this process alone: Linux counts the memory of the one that started it into ru_maxrss."""
    try:
        with open("/proc/self/status") as status:
            return next(int(line.split()[1]) for line in status if line.startswith("VmHWM")) / 1024
    except OSError:
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def load(path):
    if path.endswith(".safetensors"):
        data = open(path, "rb").read()
        length = int.from_bytes(data[:8], "little")
        header = json.loads(data[8 : 8 + length])
        tensors = {}
        for name, entry in header.items():
            start, end = entry["data_offsets"]
            raw = np.frombuffer(data[8 + length + start : 8 + length + end], np.float32)
            tensors[name] = torch.from_numpy(raw.reshape(entry["shape"]).copy())
        return tensors
    content = torch.load(path, map_location="cpu")
    while not any(torch.is_tensor(v) for v in content.values()):
        content = content.get("state_dict") or next(v for v in content.values() if isinstance(v, dict))
    return {k: v for k, v in content.items() if torch.is_tensor(v)}


def coordinates(h, w, longest):
    rows, columns = torch.meshgrid(torch.arange(h), torch.arange(w), indexing="ij")
    per = (max(h, w) - 1,) * 2 if longest else (h - 1, w - 1)
    axes = [rows.float() / per[0] * 2 - 1, columns.float() / per[1] * 2 - 1]
    return torch.stack(axes, -1).reshape(-1, 2)


def statistics(maps):
    """maps [n, P]"""
    magnitude = maps.abs()
    total = magnitude.sum(1, dtype=torch.float64)
    share = total / total.sum()
    fair = (magnitude * len(maps) > magnitude.sum(0)).sum(1)
    flat = magnitude.flatten().sort(descending=True).values
    threshold = flat[(flat.cumsum(0) >= 0.9 * flat.sum()).int().argmax()]
    return total, share, fair, (magnitude > threshold).float().mean(0)


def main():
    path = sys.argv[1]
    size = sys.argv[2] if len(sys.argv) > 2 else ""
    runs = int(sys.argv[3]) if len(sys.argv) > 3 else 3
    torch.set_num_threads(os.cpu_count())
    tensors = load(path)
    fourier = next((v for k, v in tensors.items() if v.dim() == 2 and k.endswith((".B", "encoding.B"))), None)
    weights = [k for k in tensors if k.endswith("weight") and tensors[k].dim() == 2]
    layers = [(tensors[k], tensors[k[: -len("weight")] + "bias"]) for k in weights]
    if fourier is None and layers[0][0].shape[1] != 2:
        sys.exit(1)
    h, w = map(int, size.split("x")) if size else ((128, 256) if fourier is not None else (192, 256))

    def forward():
        x = coordinates(h, w, fourier is not None)
        if fourier is not None:
            b = fourier if fourier.shape[1] == 2 else fourier.T
            z = 2 * math.pi * x @ b.T
            x = torch.cat([z.sin(), z.cos()], 1)
        inputs = []
        for i, (weight, bias) in enumerate(layers):
            inputs.append(x)
            x = torch.addmm(bias, x, weight.T)
            if i + 1 < len(layers):
                x = x.relu() if fourier is not None else torch.sin(30 * x)
        return inputs

    def closed(x, weight, bias, last):
        maps = x.T * weight.sum(0)[:, None] + bias.sum() / len(x.T)
        return maps.relu() if fourier is not None and not last else maps

    def released(x, weight, bias, last):
        every = weight[:, :, None] * x.T[None] + (bias / x.shape[1])[:, None, None]
        maps = every.sum(0)
        return maps.relu() if fourier is not None and not last else maps

    def timed(contributions, runs=runs):
        times = []
        for _ in range(runs):
            began = time.perf_counter()
            for i, x in enumerate(forward()):
                weight, bias = layers[i]
                statistics(contributions(x, weight, bias, i + 1 == len(layers)))
            times.append(1000 * (time.perf_counter() - began))
        return {"min": min(times), "median": sorted(times)[len(times) // 2], "max": max(times)}

    with torch.no_grad():
        result = {"torch": torch.__version__, "threads": torch.get_num_threads()}
        result["closed"] = timed(closed)
        result["closedPeakMebibytes"] = peak_mebibytes()
        largest = max(4 * weight.numel() * h * w for weight, _ in layers)
        if sys.argv[4:] != ["released"]:
            pass
        elif largest <= 8 * 2**30:
            # Once: it takes a minute or more.
            result["released"] = timed(released, 1)
            result["releasedPeakMebibytes"] = peak_mebibytes()
        else:
            result["released"] = f"would need {largest / 2**30:.0f} GiB for one layer"
        print(json.dumps(result))


if __name__ == "__main__":
    main()
