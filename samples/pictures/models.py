"""Two networks that paint a picture: pixel coordinates in, colour out."""

import math

import torch
from torch import nn


class SineLayer(nn.Module):
    """sin(omega_0 * (Wx + b)), initialised as Sitzmann et al. (2020) prescribe."""

    def __init__(self, in_features, out_features, omega_0=30.0, is_first=False):
        super().__init__()
        self.omega_0 = omega_0
        self.linear = nn.Linear(in_features, out_features)
        bound = 1 / in_features if is_first else math.sqrt(6 / in_features) / omega_0
        nn.init.uniform_(self.linear.weight, -bound, bound)

    def forward(self, x):
        return torch.sin(self.omega_0 * self.linear(x))


class Siren(nn.Module):
    """Sine network. Coordinates (row, column) in [-1, 1] per side; colours in [-1, 1]."""

    output_range = (-1.0, 1.0)

    def __init__(self, hidden_features=96, hidden_layers=3, first_omega_0=30.0, hidden_omega_0=30.0):
        super().__init__()
        last = nn.Linear(hidden_features, 3)
        bound = math.sqrt(6 / hidden_features) / hidden_omega_0
        nn.init.uniform_(last.weight, -bound, bound)
        self.net = nn.Sequential(
            SineLayer(2, hidden_features, first_omega_0, is_first=True),
            *[SineLayer(hidden_features, hidden_features, hidden_omega_0) for _ in range(hidden_layers)],
            last,
        )

    def forward(self, coords):
        return self.net(coords)

    @staticmethod
    def coordinates(height, width):
        """[height * width, 2], row-major; both axes reach from -1 to 1."""
        rows = torch.linspace(-1, 1, height)
        columns = torch.linspace(-1, 1, width)
        return torch.cartesian_prod(rows, columns)


class FourierFeatures(nn.Module):
    """[sin 2πBx, cos 2πBx] with a fixed random B (Tancik et al., 2020)."""

    def __init__(self, in_features, num_frequencies, scale):
        super().__init__()
        self.register_buffer("B", scale * torch.randn(num_frequencies, in_features))

    def forward(self, x):
        projected = 2 * math.pi * x @ self.B.T
        return torch.cat([projected.sin(), projected.cos()], dim=-1)


class DenseLayer(nn.Module):
    def __init__(self, in_features, out_features, activation):
        super().__init__()
        self.linear = nn.Linear(in_features, out_features)
        self.activation = activation

    def forward(self, x):
        return self.activation(self.linear(x))


class FourierFeatureNet(nn.Module):
    """ReLU network on Fourier features. The longer side spans [-1, 1]; colours in [0, 1]."""

    output_range = (0.0, 1.0)

    def __init__(self, hidden_features=96, hidden_layers=2, num_frequencies=96, scale=5.0):
        super().__init__()
        self.positional_encoding = FourierFeatures(2, num_frequencies, scale)
        self.net = nn.Sequential(
            DenseLayer(2 * num_frequencies, hidden_features, nn.ReLU()),
            *[DenseLayer(hidden_features, hidden_features, nn.ReLU()) for _ in range(hidden_layers)],
            DenseLayer(hidden_features, 3, nn.Identity()),
        )

    def forward(self, coords):
        return self.net(self.positional_encoding(coords))

    @staticmethod
    def coordinates(height, width):
        """[height * width, 2], row-major; one step is as long down as it is across."""
        longest = max(height, width) - 1
        return 2 * torch.cartesian_prod(torch.arange(height), torch.arange(width)) / longest - 1
