"""Blurs: defocus, glass, motion, zoom, Gaussian. Kernels take and return images in [0, 1]."""

from functools import lru_cache

import numpy as np
import scipy.fft
import torch
from jaxtyping import Bool, Int
from torch import Tensor

from weatherglass.corruptions.filters import (
    disk_kernel,
    enlarge,
    gaussian_blur_2d,
    motion_blur_2d,
    motion_path,
    source_index,
    zoom_factors,
    zoom_window,
)
from weatherglass.randomness import Draws
from weatherglass.types import Images


def gaussian_blur(images: Images, *, sigma: float) -> Images:
    """A Gaussian of `sigma` pixels, cut at 4 sigma, edge pixels repeated (Hendrycks and Dietterich 2019)."""
    return gaussian_blur_2d(images, (sigma, sigma), border="edge")


def defocus_blur(images: Images, *, radius: float, alias_sigma: float) -> Images:
    """Filter with a disk of `radius` pixels, the border mirrored (Hendrycks and Dietterich 2019). See `disk_kernel`."""
    kernel = disk_kernel(radius, alias_sigma)
    half = len(kernel) // 2
    height, width = images.shape[-2:]
    rows = torch.from_numpy(source_index(np.arange(-half, height + half), height, "whole")).to(images.device)
    columns = torch.from_numpy(source_index(np.arange(-half, width + half), width, "whole")).to(images.device)
    padded = images.index_select(-2, rows).index_select(-1, columns)
    size = tuple(scipy.fft.next_fast_len(length, real=True) for length in padded.shape[-2:])
    spectrum = torch.fft.rfft2(padded, s=size) * _disk_spectrum(radius, alias_sigma, size, images.device)
    return torch.fft.irfft2(spectrum, s=size)[..., 2 * half : 2 * half + height, 2 * half : 2 * half + width]


@lru_cache(maxsize=16)
def _disk_spectrum(radius: float, alias_sigma: float, size: tuple[int, int], device: torch.device) -> Tensor:
    # The kernel is symmetric, so convolution and correlation are the same.
    return torch.fft.rfft2(torch.from_numpy(disk_kernel(radius, alias_sigma)), s=size).to(torch.complex64).to(device)


def motion_blur(images: Images, *, radius: int, sigma: float, draws: Draws) -> Images:
    """A one-sided streak at an angle U(-45, 45) degrees (Hendrycks and Dietterich 2019). See `motion_path`."""
    angles = draws.uniform("angle").mul(90).sub(45).tolist()
    return torch.stack(
        [motion_blur_2d(image, motion_path(radius, sigma, angle)) for image, angle in zip(images, angles, strict=True)]
    )


def zoom_blur(images: Images, *, factors: int, step: float) -> Images:
    """The mean of the image and its enlargements by 1, 1 + step, ... (Hendrycks and Dietterich 2019).

    The factor 1 is among them, so the sharp image counts twice. An enlargement may be a row or column too large: the
    top left part is kept.
    """
    height, width = images.shape[-2:]
    images = images.contiguous(memory_format=torch.channels_last)
    total = images * 2
    for factor in zoom_factors(factors, step)[1:]:
        top, rows, new_height = zoom_window(height, factor)
        left, columns, new_width = zoom_window(width, factor)
        crop = images[..., top : top + rows, left : left + columns]
        total += enlarge(crop, (new_height, new_width))[..., :height, :width]
    return (total / (factors + 1)).contiguous()


def glass_blur(images: Images, *, sigma: float, reach: int, passes: int, eight_bit: bool, draws: Draws) -> Images:
    """Blur, shuffle pixels within `reach`, blur again (Hendrycks and Dietterich 2019).

    The published shuffle means to swap two pixels and copies one instead, in descending raster order, with offsets in
    -reach..reach - 1: up to 40 % of the pixels vanish. That is the corruption; it is kept. 8-bit images are truncated
    to 8 bits between blur and shuffle.
    """
    images = gaussian_blur_2d(images, (sigma, sigma), border="edge")
    if eight_bit:
        images = (images.clamp_(0, 1) * 255 + 1e-3).floor_().div_(255)
    height, width = images.shape[-2:]
    source = None
    bits = draws.bits16("offset", passes, height, width, device=images.device)
    for index in range(passes):
        latest = shuffle_source(bits[:, index], reach)
        source = latest if source is None else source.gather(1, latest)
    if source is not None:
        index = source[:, None].expand(-1, 3, -1)  # b 3 (h w)
        images = images.flatten(2).gather(2, index).unflatten(2, (height, width))
    return gaussian_blur_2d(images, (sigma, sigma), border="edge")


def shuffle_source(bits: Int[Tensor, "batch height width"], reach: int) -> Int[Tensor, "batch pixels"]:
    """Where each pixel's value comes from after one pass of glass blur's shuffle.

    Destinations are visited from the last pixel back, so a pixel that reads a later one reads what that one has
    become: its source is found at the end of a chain, and all chains are followed at once.
    """
    height, width = bits.shape[-2:]
    steps, pixels = 2 * reach, height * width
    offset = torch.arange(steps * steps, device=bits.device)
    moves = (offset // steps - reach) * width + offset % steps - reach
    pixel = torch.arange(pixels, device=bits.device)
    inner = _destinations(height, width, reach, bits.device).flatten()
    chosen = bits.flatten(1).long().mul_(steps * steps).bitwise_right_shift_(16)
    target = torch.where(inner, pixel + moves.take(chosen), pixel)  # b (h w)
    goes_on = (target > pixel) & inner.take(target)
    # Half of the chains end at each step, so following the rest costs about one step for all.
    first = torch.arange(len(target), device=bits.device)[:, None] * pixels
    target, goes_on = (target + first).flatten(), goes_on.flatten()
    source, active = target.clone(), goes_on.nonzero()[:, 0]
    while len(active):
        reached = source.take(active)
        source[active] = target.take(reached)
        active = active[goes_on.take(reached)]
    return source.view(len(bits), pixels) - first


def _destinations(height: int, width: int, reach: int, device: torch.device) -> Bool[Tensor, "height width"]:
    """Rows reach + 1 .. height - reach and columns alike: the frame is read but never written."""
    rows = torch.arange(height, device=device)[:, None]
    columns = torch.arange(width, device=device)
    return (rows > reach) & (rows <= height - reach) & (columns > reach) & (columns <= width - reach)
