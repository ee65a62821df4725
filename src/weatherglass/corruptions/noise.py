"""Noise on every value by itself: Gaussian, shot, impulse, speckle.

Kernels take and return images in [0, 1]; what leaves the range is clipped by the engine.
"""

from functools import lru_cache

import numpy as np
import torch

from weatherglass.randomness import Draws
from weatherglass.types import Images


def gaussian_noise(images: Images, *, scale: float, draws: Draws) -> Images:
    """Add normal noise of standard deviation `scale` (Hendrycks and Dietterich 2019)."""
    noise = draws.normal("value", *images.shape[1:], device=images.device)
    return noise.mul_(scale).add_(images)


def speckle_noise(images: Images, *, scale: float, draws: Draws) -> Images:
    """Add normal noise of standard deviation `scale` times the value (Hendrycks and Dietterich 2019)."""
    noise = draws.normal("value", *images.shape[1:], device=images.device)
    return noise.mul_(scale).add_(1).mul_(images)


def impulse_noise(images: Images, *, amount: float, draws: Draws) -> Images:
    """Replace a share `amount` of all values, half by 0 and half by 1 (Hendrycks and Dietterich 2019)."""
    pepper, salt = impulse_thresholds(amount)
    bits = draws.bits16("value", *images.shape[1:], device=images.device)
    return images.masked_fill(bits < pepper, 0).masked_fill_(bits >= salt, 1)


def impulse_thresholds(amount: float) -> tuple[int, int]:
    """16-bit draws below the first become 0, from the second on 1."""
    pepper = round(amount / 2 * 65536)
    return pepper, 65536 - pepper


def shot_noise(images: Images, *, photons: float, draws: Draws) -> Images:
    """Count photons: Poisson(photons * value) / photons (Hendrycks and Dietterich 2019).

    A Poisson number of a sum of means is the sum of Poisson numbers: each value is split into its 8-bit level and a
    rest in 1/256 levels, and each part has an alias table. 8-bit images have no rest.
    """
    levels = images * 255
    whole = (levels + 1e-3).floor_()
    rest = (levels - whole).clamp_(min=0).mul_(256).round_()
    counts = _poisson(whole, photons / 255, photons, "value", draws)
    if rest.any():
        counts = counts + _poisson(rest, photons / 255 / 256, photons, "rest", draws)
    return counts / photons


def _poisson(steps: torch.Tensor, mean_a_step: float, largest: float, stream: str, draws: Draws) -> torch.Tensor:
    """Poisson numbers of mean steps * mean_a_step, for steps in 0..256; those above `largest` become ceil(largest)."""
    table, columns = poisson_table(mean_a_step, largest)
    packed = torch.from_numpy(table).to(steps.device)
    shift = 16 - (columns.bit_length() - 1)
    bits = draws.bits16(stream, *steps.shape[1:], device=steps.device)
    column = bits >> shift
    entry = packed.take(steps.int().mul_(columns).add_(column).long())
    keep = (bits & ((1 << shift) - 1)) < (entry & 0xFFFF)
    return torch.where(keep, column, entry >> 16).float()


@lru_cache(maxsize=32)
def poisson_table(mean_a_step: float, largest: float) -> tuple[np.ndarray, int]:
    """Alias tables (Vose 1991) of Poisson(step * mean_a_step), steps 0..256, for 16 random bits.

    Returns (257 * columns,) int32 entries, `alias << 16 | threshold`, and the number of columns, a power of two. The
    high bits of the draw choose the column; when the low bits are below the threshold the count is the column itself,
    else the alias. Counts from ceil(largest) on share one column: divided by `largest` they all clip to 1.
    """
    outcomes = int(np.ceil(largest)) + 1
    columns = max(2, 1 << (outcomes - 1).bit_length())
    counts = np.arange(outcomes)
    log_factorial = np.concatenate([[0.0], np.cumsum(np.log(np.arange(1, outcomes)))])
    means = np.maximum(np.arange(257) * mean_a_step, 1e-300)[:, None]
    chances = np.zeros((257, columns))
    chances[:, :outcomes] = np.exp(counts * np.log(means) - means - log_factorial)
    chances[:, outcomes - 1] = np.maximum(0, 1 - chances[:, : outcomes - 1].sum(1))
    resolution = 65536 // columns
    entries = np.concatenate([_alias_row(row / row.sum(), resolution) for row in chances])
    return entries, columns


def _alias_row(chances: np.ndarray, resolution: int) -> np.ndarray:
    columns = len(chances)
    share = chances * columns
    threshold, alias = np.full(columns, resolution), np.arange(columns)
    small = [column for column in range(columns) if share[column] < 1]
    large = [column for column in range(columns) if share[column] >= 1]
    while small and large:
        poor, rich = small.pop(), large[-1]
        threshold[poor], alias[poor] = round(share[poor] * resolution), rich
        share[rich] -= 1 - share[poor]
        if share[rich] < 1:
            small.append(large.pop())
    return (alias.astype(np.int32) << 16) | threshold.astype(np.int32)
