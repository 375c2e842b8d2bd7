"""Fits a network to one picture and saves what it has learnt.

    python train.py siren
    python train.py fourier
"""

import argparse
import math
import time
from pathlib import Path

import numpy as np
import torch
import yaml
from PIL import Image

from models import FourierFeatureNet, Siren

HERE = Path(__file__).parent


def parse_arguments():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model", choices=["siren", "fourier"])
    parser.add_argument("--target", type=Path, default=HERE / "target.png")
    parser.add_argument("--out", type=Path, default=HERE / "checkpoints")
    parser.add_argument("--hidden-features", type=int, default=96)
    parser.add_argument("--hidden-layers", type=int, default=None, help="default: 3 (siren), 2 (fourier)")
    parser.add_argument("--omega-0", type=float, default=30.0, help="siren: frequency of every sine layer")
    parser.add_argument("--num-frequencies", type=int, default=96, help="fourier: rows of B")
    parser.add_argument("--scale", type=float, default=5.0, help="fourier: standard deviation of B")
    parser.add_argument("--steps", type=int, default=4000)
    parser.add_argument("--batch-size", type=int, default=8192, help="pixels drawn at random each step")
    parser.add_argument("--lr", type=float, default=None, help="default: 1e-3 (siren), 5e-3 (fourier)")
    parser.add_argument("--save-at", type=int, nargs="*", default=[], help="also keep a checkpoint at these steps")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--threads", type=int, default=1)
    return parser.parse_args()


def build(arguments):
    """The network and the hyper-parameters needed to build it again."""
    if arguments.model == "siren":
        hparams = {
            "hidden_features": arguments.hidden_features,
            "hidden_layers": arguments.hidden_layers or 3,
            "first_omega_0": arguments.omega_0,
            "hidden_omega_0": arguments.omega_0,
        }
        return Siren(**hparams), hparams
    hparams = {
        "hidden_features": arguments.hidden_features,
        "hidden_layers": arguments.hidden_layers or 2,
        "num_frequencies": arguments.num_frequencies,
        "scale": arguments.scale,
    }
    return FourierFeatureNet(**hparams), hparams


def psnr(network, coords, colours):
    """Peak signal-to-noise ratio in dB over the whole picture, colours clamped to the displayable range."""
    low, high = network.output_range
    with torch.no_grad():
        error = (network(coords).clamp(low, high) - colours) / (high - low)
    return -10 * math.log10(error.square().mean().item())


def save(path, arguments, network, hparams):
    """SIREN: everything in one file. Fourier features: a bare state dict with a YAML file beside it."""
    if arguments.model == "siren":
        torch.save({"model_state_dict": network.state_dict(), "hparams": hparams}, path)
    else:
        torch.save(network.state_dict(), path)
        path.with_suffix(".yaml").write_text(yaml.safe_dump(hparams, sort_keys=False))


def main():
    arguments = parse_arguments()
    torch.manual_seed(arguments.seed)
    torch.set_num_threads(arguments.threads)

    network, hparams = build(arguments)
    picture = np.asarray(Image.open(arguments.target).convert("RGB"), dtype=np.float32) / 255
    height, width, _ = picture.shape
    low, high = network.output_range
    coords = network.coordinates(height, width)
    colours = torch.from_numpy(picture).reshape(-1, 3) * (high - low) + low
    hparams = {"model": arguments.model, **hparams, "height": height, "width": width}

    lr = arguments.lr or (1e-3 if arguments.model == "siren" else 5e-3)
    optimizer = torch.optim.Adam(network.parameters(), lr=lr)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, arguments.steps, eta_min=lr / 100)

    arguments.out.mkdir(parents=True, exist_ok=True)
    begin = time.perf_counter()
    for step in range(1, arguments.steps + 1):
        batch = torch.randint(len(coords), (arguments.batch_size,))
        loss = (network(coords[batch]) - colours[batch]).square().mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        schedule.step()

        if step in arguments.save_at or step == arguments.steps:
            quality = psnr(network, coords, colours)
            name = arguments.model if step == arguments.steps else f"{arguments.model}_step{step:04d}"
            progress = {"step": step, "psnr": round(quality, 2)}
            save(arguments.out / f"{name}.pth", arguments, network, {**hparams, **progress})
            print(f"step {step}: {quality:.2f} dB after {time.perf_counter() - begin:.0f} s")


if __name__ == "__main__":
    main()
