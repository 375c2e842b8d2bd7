"""A network that is a clip: time in, a whole frame out (NeRV, Chen et al., 2021)."""

import math

import torch
from torch import nn


class TimeEncoding(nn.Module):
    """t in [0, 1) -> sin(b^k πt), cos(b^k πt) for k = 0 … levels − 1, sine and cosine in turn."""

    def __init__(self, base, levels):
        super().__init__()
        self.base, self.levels = base, levels

    def forward(self, t):
        angles = math.pi * t[:, None] * self.base ** torch.arange(self.levels)
        return torch.stack([angles.sin(), angles.cos()], dim=-1).flatten(1)


class UpConv(nn.Module):
    """A convolution that makes s² times the channels, folded into a picture s times as large."""

    def __init__(self, in_channels, out_channels, stride, kernel_size=3):
        super().__init__()
        self.conv = nn.Conv2d(in_channels, out_channels * stride**2, kernel_size, padding=kernel_size // 2)
        self.shuffle = nn.PixelShuffle(stride)

    def forward(self, x):
        return self.shuffle(self.conv(x))


class NervBlock(nn.Module):
    def __init__(self, in_channels, out_channels, stride):
        super().__init__()
        self.conv = UpConv(in_channels, out_channels, stride)
        self.act = nn.GELU()

    def forward(self, x):
        return self.act(self.conv(x))


class Nerv(nn.Module):
    """Frames [N, 3, H, W] in [0, 1] for times [N].

    `embed` is "base_levels" of the time encoding and `fc_hw_dim` "height_width_channels" of the first feature
    map, both spelt as on NeRV's command line. H and W are that height and width times the product of the strides.
    """

    def __init__(self, embed="1.25_20", stem_dim=64, fc_hw_dim="4_8_32", channels=(28, 24, 20), strides=(4, 2, 2)):
        super().__init__()
        base, levels = embed.split("_")
        height, width, first = map(int, fc_hw_dim.split("_"))
        self.encoding = TimeEncoding(float(base), int(levels))
        self.stem = nn.Sequential(
            nn.Linear(2 * int(levels), stem_dim),
            nn.GELU(),
            nn.Linear(stem_dim, first * height * width),
            nn.GELU(),
            nn.Unflatten(1, (first, height, width)),
        )
        widths = [first, *channels]
        self.layers = nn.ModuleList(NervBlock(*sizes) for sizes in zip(widths, channels, strides))
        # NeRV may paint after every block; here, as in its published runs, only after the last.
        self.head_layers = nn.ModuleList([None] * (len(strides) - 1) + [nn.Conv2d(channels[-1], 3, 1)])

    def forward(self, t):
        x = self.stem(self.encoding(t))
        for layer in self.layers:
            x = layer(x)
        return (torch.tanh(self.head_layers[-1](x)) + 1) / 2
