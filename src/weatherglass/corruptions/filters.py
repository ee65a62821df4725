"""Linear filters along one axis, and the kernels that the blurs are made of."""

from collections.abc import Sequence
from functools import lru_cache
from math import ceil, cos, radians, sin

import numpy as np
import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor

TILE = 64
"""Outputs a block of the band matrix: wide enough for matrix products to be fast, narrow enough to skip zeros."""


@lru_cache(maxsize=64)
def gaussian_taps(sigma: float, truncate: float = 4.0) -> tuple[float, ...]:
    """Weights of a Gaussian of `sigma` pixels, cut at `truncate` sigma and normalised."""
    radius = int(truncate * sigma + 0.5)
    offsets = np.arange(-radius, radius + 1)
    weights = np.exp(-0.5 * (offsets / sigma) ** 2) if sigma > 0 else np.ones(1)
    return tuple(weights / weights.sum())


def gaussian_blur_2d(
    values: Float[Tensor, "*batch height width"], sigma: tuple[float, float], *, border: str, truncate: float = 4.0
) -> Float[Tensor, "*batch height width"]:
    """A separable Gaussian of `sigma` (vertical, horizontal) pixels; `border` as in `source_index`."""
    values = filter_axis(values, gaussian_taps(sigma[0], truncate), -2, border)
    return filter_axis(values, gaussian_taps(sigma[1], truncate), -1, border)


def filter_axis(
    values: Float[Tensor, "*batch height width"], taps: Sequence[float], dim: int, border: str
) -> Float[Tensor, "*batch height width"]:
    """Correlate along dim -2 or -1 as a product with a banded matrix that holds the border rule."""
    if len(taps) == 1:
        return values * taps[0]
    blocks = band_blocks(values.shape[dim], tuple(taps), border, values.device)
    parts = []
    for low, high, block in blocks:
        if dim == -2:
            parts.append(block @ values[..., low:high, :])
        else:
            parts.append(values[..., low:high] @ block.T)
    return parts[0] if len(parts) == 1 else torch.cat(parts, dim)


@lru_cache(maxsize=32)
def band_blocks(
    size: int, taps: tuple[float, ...], border: str, device: torch.device
) -> list[tuple[int, int, Float[Tensor, "outputs inputs"]]]:
    """The matrix of a correlation in blocks of rows: (first input, end of inputs, weights)."""
    radius = len(taps) // 2
    blocks = []
    for start in range(0, size, TILE):
        outputs = np.arange(start, min(start + TILE, size))
        sources = source_index(outputs[:, None] + np.arange(-radius, radius + 1), size, border)
        low, high = int(sources.min()), int(sources.max()) + 1
        weights = np.zeros((len(outputs), high - low))
        rows = np.broadcast_to(np.arange(len(outputs))[:, None], sources.shape)
        np.add.at(weights, (rows, sources - low), np.broadcast_to(np.asarray(taps), sources.shape))
        blocks.append((low, high, torch.from_numpy(weights.astype(np.float32)).to(device)))
    return blocks


def source_index(positions: np.ndarray, size: int, border: str) -> np.ndarray:
    """Where positions outside 0..size-1 read from, for any distance outside.

    'edge' repeats the last pixel (a a | a b c), 'half' mirrors between pixels (b a | a b c), 'whole' mirrors at the
    pixel (c b | a b c).
    """
    if border == "edge" or size == 1:
        return np.clip(positions, 0, size - 1)
    if border == "half":
        folded = positions % (2 * size)
        return np.where(folded < size, folded, 2 * size - 1 - folded)
    folded = positions % (2 * size - 2)
    return np.where(folded < size, folded, 2 * size - 2 - folded)


@lru_cache(maxsize=64)
def disk_kernel(radius: float, alias_sigma: float) -> np.ndarray:
    """The anti-aliased disk of defocus blur as the references make it.

    A grid of 17 x 17 up to radius 8, else 2 radius + 1, the disk normalised on it, then blurred by 3 x 3 (else 5 x 5)
    taps that mirror at the grid's border. Where the disk touches that border (severities 4 and 5) the result sums to
    1.0130 and 1.0108: those levels also brighten by a percent, as published.
    """
    half = 8 if radius <= 8 else ceil(radius)
    reach = 1 if radius <= 8 else 2
    axis = np.arange(-half, half + 1)
    disk = (axis[:, None] ** 2 + axis[None, :] ** 2 <= radius**2).astype(np.float64)
    disk /= disk.sum()
    taps = np.exp(-0.5 * (np.arange(-reach, reach + 1) / alias_sigma) ** 2)
    taps /= taps.sum()
    index = source_index(np.arange(2 * half + 1)[:, None] + np.arange(-reach, reach + 1), 2 * half + 1, "whole")
    disk = (disk[index] * taps[None, :, None]).sum(1)
    return (disk[:, index] * taps).sum(2)


def motion_path(radius: int, sigma: float, degrees: float) -> list[tuple[int, int, float]]:
    """The taps of a one-sided motion blur: (right, down, weight), where the image is read that far away.

    A half Gaussian over 0..2 radius; positions rounded as ImageMagick does. Weights below 1e-5 (0.003 levels) are
    left out.
    """
    steps = np.arange(2 * radius + 1)
    weights = np.exp(-(steps**2) / (2 * sigma**2))
    weights /= weights.sum()
    along, across = cos(radians(degrees)), sin(radians(degrees))
    return [
        (ceil(step * along - 0.5), ceil(step * across - 0.5), float(weight))
        for step, weight in zip(steps.tolist(), weights, strict=True)
        if weight > 1e-5
    ]


def motion_blur_2d(
    values: Float[Tensor, "channels height width"], path: list[tuple[int, int, float]]
) -> Float[Tensor, "channels height width"]:
    """The weighted sum of shifted copies of one image, edge pixels repeated.

    The sum stops where a shift reaches the image's size, and what is left of the weight is lost: images smaller than
    the streak darken (by up to 3 % at 32 pixels with the 224-pixel constants), as in the reference package.
    """
    height, width = values.shape[-2:]
    rights, downs = [right for right, _, _ in path], [down for _, down, _ in path]
    left, top = max(0, -min(rights)), max(0, -min(downs))
    padding = (left, max(0, *rights), top, max(0, *downs))
    padded = F.pad(values[None], padding, mode="replicate")[0]
    total = torch.zeros_like(values)
    for right, down, weight in path:
        if abs(right) >= width or abs(down) >= height:
            break
        total.add_(padded[..., top + down :, left + right :][..., :height, :width], alpha=weight)
    return total


def zoom_factors(factors: int, step: float) -> list[float]:
    """1, 1 + step, ... with the rounding of NumPy's arange, which decides between a row more or less."""
    exact_step = (1 + step) - 1
    return [1 + index * exact_step for index in range(factors)]


def zoom_window(size: int, factor: float) -> tuple[int, int, int]:
    """(start, length) of the centre crop that is enlarged, and the length it is enlarged to."""
    length = ceil(size / factor)
    return (size - length) // 2, length, round(length * factor)


def enlarge(
    values: Float[Tensor, "batch channels rows columns"], size: tuple[int, int]
) -> Float[Tensor, "batch channels height width"]:
    """Bilinear with the corners on each other."""
    return F.interpolate(values, size=size, mode="bilinear", align_corners=True)
