"""Random fields over the image plane: the plasma fractal of fog."""

import torch
from jaxtyping import Float, Int
from torch import Tensor


def map_side(height: int, width: int, smallest: int = 1) -> int:
    """The side of the plasma map: the power of two that covers the image, at least `smallest`."""
    return max(smallest, 1 << (max(height, width) - 1).bit_length())


def plasma(bits: Int[Tensor, "batch side side"], decay: float) -> Float[Tensor, "batch side side"]:
    """A periodic diamond-square fractal from 16 random bits a point, shifted and scaled to 0..1.

    At each level the middle of every square, then of every diamond, becomes the mean of its four neighbours plus a
    uniform number in +-wobble**2; the wobble starts at 100 and is divided by `decay` from level to level.
    """
    noise = (bits + 0.5).mul_(1 / 32768).sub_(1)
    field = torch.zeros_like(noise)
    step, wobble = bits.shape[-1], 100.0
    while step > 1:
        half, amplitude = step // 2, wobble * wobble
        corners = field[:, ::step, ::step]
        pairs = corners + corners.roll(-1, 1)
        middles = (pairs + pairs.roll(-1, 2)) * 0.25 + amplitude * noise[:, half::step, half::step]
        field[:, half::step, half::step] = middles
        across = (corners + corners.roll(-1, 2) + middles + middles.roll(1, 1)) * 0.25
        field[:, ::step, half::step] = across + amplitude * noise[:, ::step, half::step]
        upright = (corners + corners.roll(-1, 1) + middles + middles.roll(1, 2)) * 0.25
        field[:, half::step, ::step] = upright + amplitude * noise[:, half::step, ::step]
        step, wobble = half, wobble / decay
    low = field.amin((1, 2), keepdim=True)
    high = field.amax((1, 2), keepdim=True)
    return (field - low) / (high - low).clamp_min(1e-12)
