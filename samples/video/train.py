"""Fits a NeRV decoder to the clip in frames/ and saves it.

    python render.py
    python train.py
"""

import argparse
import math
import time
from pathlib import Path

import numpy as np
import torch
from PIL import Image

from models import Nerv

HERE = Path(__file__).parent


def parse_arguments():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--frames", type=Path, default=HERE / "frames")
    parser.add_argument("--out", type=Path, default=HERE / "checkpoints")
    parser.add_argument("--epochs", type=int, default=1000)
    parser.add_argument("--batch-size", type=int, default=2, help="frames drawn at random each step")
    parser.add_argument("--lr", type=float, default=3e-3)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--threads", type=int, default=1)
    return parser.parse_args()


def read_frames(folder):
    """[N, 3, H, W] in 0..1, in the order of the file names."""
    frames = [np.asarray(Image.open(path).convert("RGB")) for path in sorted(folder.glob("*.png"))]
    return torch.from_numpy(np.stack(frames)).permute(0, 3, 1, 2).float() / 255


def psnr(network, times, frames):
    """Peak signal-to-noise ratio in dB, averaged over the frames."""
    with torch.no_grad():
        errors = (network(times) - frames).square().mean(dim=(1, 2, 3))
    return sum(-10 * math.log10(error) for error in errors.tolist()) / len(frames)


def main():
    arguments = parse_arguments()
    torch.manual_seed(arguments.seed)
    torch.set_num_threads(arguments.threads)

    frames = read_frames(arguments.frames)
    count, _, height, width = frames.shape
    times = torch.arange(count) / count

    hparams = {
        "embed": "1.25_20",
        "stem_dim": 64,
        "fc_hw_dim": "4_8_32",
        "channels": (28, 24, 20),
        "strides": (4, 2, 2),
    }
    network = Nerv(**hparams)
    optimizer = torch.optim.Adam(network.parameters(), lr=arguments.lr, betas=(0.9, 0.99))
    steps = arguments.epochs * math.ceil(count / arguments.batch_size)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, arguments.lr, total_steps=steps, pct_start=0.1)

    begin = time.perf_counter()
    for epoch in range(1, arguments.epochs + 1):
        for batch in torch.randperm(count).split(arguments.batch_size):
            loss = (network(times[batch]) - frames[batch]).square().mean()
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            schedule.step()
        if epoch % 50 == 0 or epoch == arguments.epochs:
            seconds = time.perf_counter() - begin
            print(f"epoch {epoch}: {psnr(network, times, frames):.2f} dB after {seconds:.0f} s", flush=True)

    arguments.out.mkdir(parents=True, exist_ok=True)
    torch.save(
        {
            "epoch": arguments.epochs,
            "state_dict": network.state_dict(),
            "psnr": round(psnr(network, times, frames), 2),
            "hparams": {**hparams, "act": "gelu", "frames": count, "height": height, "width": width},
        },
        arguments.out / "nerv.pth",
    )


if __name__ == "__main__":
    main()
