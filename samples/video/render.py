"""Renders the clip: a beach ball bounces across a hilly landscape while the camera pans after it.

Writes frames/ (16 pictures, 64 x 128) and labels/ (0 sky, 1 far hills, 2 near hills, 3 meadow, 4 ball).
The loop of the clip is open: the last frame is not followed by the first.
"""

from pathlib import Path

import numpy as np
from PIL import Image

FRAMES, HEIGHT, WIDTH = 16, 64, 128
OVERSAMPLING = 4
BALL_RADIUS = 8.5  # pixels, as all lengths below
GROUND = 52.0  # where the ball touches down
HERE = Path(__file__).parent

# Heights are sums of sines of the horizontal position: (amplitude, wavelength, phase).
FAR_HILLS = [(4.0, 90, 0.3), (2.0, 37, 1.0), (0.5, 8, 2.0)]
NEAR_HILLS = [(4.5, 70, 2.2), (1.5, 23, 0.5), (0.5, 6, 1.0)]


def profile(x, waves):
    return sum(amplitude * np.sin(2 * np.pi * x / length + phase) for amplitude, length, phase in waves)


def texture(x, y, rng_seed, lengths, strength):
    """A smooth texture fixed to the landscape: plane waves in random directions."""
    rng = np.random.default_rng(rng_seed)
    total = 0.0
    for length in lengths:
        angle, phase = rng.uniform(0, 2 * np.pi, 2)
        total = total + np.sin(2 * np.pi * (x * np.cos(angle) + y * np.sin(angle)) / length + phase)
    return (strength * total / len(lengths))[..., None]


def mix(a, b, weight):
    return np.asarray(a) * (1 - weight[..., None]) + np.asarray(b) * weight[..., None]


def ball_position(time):
    """Centre (x, y) in the world: two and a half bounces, each parabola lower than the one before."""
    bounce = 2.5 * time
    phase = bounce % 1
    height = 34 * 0.72 ** np.floor(bounce) * 4 * phase * (1 - phase)
    return 24 + 96 * time, GROUND - BALL_RADIUS - height


def render(time):
    """Colours [H, W, 3] in 0..1 and labels [H, W] at time 0..1, oversampled."""
    step = 1 / OVERSAMPLING
    y, x = np.mgrid[step / 2 : HEIGHT : step, step / 2 : WIDTH : step]
    pan = 40 * time
    labels = np.zeros(x.shape, dtype=np.uint8)

    colour = mix([0.25, 0.50, 0.80], [0.98, 0.86, 0.70], np.clip(y / 34, 0, 1))

    # Farther layers move less: the pan has depth.
    far = x + 0.25 * pan
    mask = y > 27 + profile(far, FAR_HILLS)
    colour[mask] = ([0.46, 0.55, 0.68] + texture(far, y, 1, [7, 9, 12], 0.05))[mask]
    labels[mask] = 1

    near = x + 0.55 * pan
    mask = y > 36 + profile(near, NEAR_HILLS)
    colour[mask] = ([0.24, 0.45, 0.36] + texture(near, y, 2, [4, 5, 7, 9], 0.12))[mask]
    labels[mask] = 2

    world = x + pan
    mask = y > 45
    meadow = mix([0.55, 0.66, 0.26], [0.36, 0.52, 0.18], np.clip((y - 45) / 19, 0, 1))
    colour[mask] = (meadow + texture(world, 2 * y, 3, [5, 6, 8, 11], 0.14))[mask]
    labels[mask] = 3

    ball_x, ball_y = ball_position(time)
    dx, dy = (world - ball_x) / BALL_RADIUS, (y - ball_y) / BALL_RADIUS

    # The shadow is larger and fainter the higher the ball.
    spread = 1 + (GROUND - BALL_RADIUS - ball_y) / 40
    shadow = np.exp(-((dx / spread) ** 2 + ((y - GROUND) / (2.2 * spread)) ** 2) * 1.6)
    colour = colour * (1 - (0.55 / spread) * shadow * (labels == 3))[..., None]

    # A rolling beach ball: six segments in turn, shaded as a sphere lit from the upper left.
    radius2 = dx**2 + dy**2
    mask = radius2 < 1
    segment = np.floor((np.arctan2(dy, dx) - 2 * np.pi * 0.9 * time) / (np.pi / 3)).astype(int) % 3
    stripes = np.array([[0.92, 0.22, 0.20], [0.98, 0.95, 0.88], [0.99, 0.74, 0.16]])[segment]
    stripes[radius2 < 0.05] = [0.98, 0.95, 0.88]
    depth = np.sqrt(np.clip(1 - radius2, 0, 1))
    light = np.clip(0.45 + 0.6 * (-0.5 * dx - 0.6 * dy + 0.62 * depth), 0.2, 1.1)[..., None]
    colour[mask] = (stripes * light)[mask]
    labels[mask] = 4
    return np.clip(colour, 0, 1), labels


def main():
    for folder in ("frames", "labels"):
        (HERE / folder).mkdir(exist_ok=True)
    for frame in range(FRAMES):
        colour, labels = render(frame / FRAMES)
        colour = colour.reshape(HEIGHT, OVERSAMPLING, WIDTH, OVERSAMPLING, 3).mean(axis=(1, 3))
        labels = labels[OVERSAMPLING // 2 :: OVERSAMPLING, OVERSAMPLING // 2 :: OVERSAMPLING]
        name = f"{frame:03d}.png"
        Image.fromarray(np.uint8(np.rint(255 * colour))).save(HERE / "frames" / name, optimize=True)
        Image.fromarray(labels).save(HERE / "labels" / name, optimize=True)


if __name__ == "__main__":
    main()
