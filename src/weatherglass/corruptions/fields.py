"""Random fields over the image plane: the plasma fractal of fog."""

import torch
from jaxtyping import Float, Int
from torch import Tensor


def map_side(height: int, width: int, smallest: int = 1) -> int:
    """The side of the plasma map: the power of two that covers the image, at least `smallest`."""
    return max(smallest, 1 << (max(height, width) - 1).bit_length())


def plasma(bits: Int[Tensor, "batch points"], decay: float) -> Float[Tensor, "batch side side"]:
    """A periodic diamond-square fractal from 16 random bits a point (side * side), shifted and scaled to 0..1.

    At each level the middle of every square, then of every diamond, becomes the mean of its four neighbours plus a
    uniform number in +-wobble**2; the wobble starts at 100 and is divided by `decay` from level to level.
    """
    noise = (bits + 0.5).mul_(1 / 32768).sub_(1)
    field = torch.zeros_like(noise[:, :1]).view(-1, 1, 1)
    wobble = 100.0
    while field.shape[1] ** 2 < bits.shape[1]:
        half, amplitude = field.shape[1], wobble * wobble
        # The points of a level follow those of the coarser ones: middles, then those to the right, then below.
        rough = noise[:, half * half : 4 * half * half].unflatten(1, (3, half, half)) * amplitude
        pairs = field + field.roll(-1, 1)
        middles = (pairs + pairs.roll(-1, 2)) * 0.25 + rough[:, 0]
        across = (field + field.roll(-1, 2) + middles + middles.roll(1, 1)) * 0.25 + rough[:, 1]
        upright = (pairs + middles + middles.roll(1, 2)) * 0.25 + rough[:, 2]
        even, odd = torch.stack([field, across], -1), torch.stack([upright, middles], -1)  # b half half 2
        field = torch.stack([even, odd], 2).view(-1, 2 * half, 2 * half)
        wobble /= decay
    low = field.amin((1, 2), keepdim=True)
    high = field.amax((1, 2), keepdim=True)
    return (field - low) / (high - low).clamp_min(1e-12)
