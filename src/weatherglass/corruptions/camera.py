"""Conditions of cameras and of delivery: physical parameters, models of our own unless a source is named."""

import math
from functools import lru_cache

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor

from weatherglass.corruptions.codecs import jpeg_round_trip, webp_round_trip
from weatherglass.corruptions.filters import gaussian_blur_2d
from weatherglass.corruptions.noise import shot_noise
from weatherglass.randomness import Draws
from weatherglass.types import Images, Pixels


def low_light(images: Images, *, exposure: float, photons: float, read_noise: float, draws: Draws) -> Images:
    """A scene `exposure` times as bright, counted by a sensor of `photons` at full well, and gained up.

    Light is linear (gamma 2.2); `read_noise` is in photons. The Poisson-Gaussian model of Foi et al. 2008, ours in
    its constants. The picture is brightened back to the square root of what was lost, as a phone would.
    """
    light = images.clamp(0, 1).pow(2.2) * exposure
    counted = shot_noise(light, photons=photons, draws=draws)
    noise = draws.normal("read", *images.shape[1:], device=images.device) * (read_noise / photons)
    gain = exposure**-0.5
    return ((counted + noise) * gain).clamp(0, 1).pow(1 / 2.2)


def disk_defocus(images: Images, *, radius: float) -> Images:
    """A lens out of focus: a disk of `radius` pixels with smooth rim, in linear light, so that lamps grow. Ours."""
    reach = math.ceil(radius + 0.5)
    axis = torch.arange(-reach, reach + 1, dtype=torch.float32, device=images.device)
    # The share of a pixel that the disk covers, to first order.
    disk = (radius + 0.5 - torch.hypot(axis[:, None], axis)).clamp(0, 1)
    kernel = (disk / disk.sum()).expand(3, 1, -1, -1)
    light = F.pad(images.clamp(0, 1).pow(2.2), [reach] * 4, mode="replicate")
    return F.conv2d(light, kernel, groups=3).clamp(0, 1).pow(1 / 2.2)


def recompression(pixels: Pixels, *, quality: int, times: int) -> Pixels:
    """Saved `times` times as JPEG and WebP in turns at `quality`, shifted by a pixel in between. Ours."""
    for index in range(times):
        # Shifting by one breaks the 8x8 grid that would make the second pass harmless.
        pixels = torch.roll(pixels, (1, 1), (-2, -1))
        pixels = jpeg_round_trip(pixels, quality) if index % 2 == 0 else webp_round_trip(pixels, quality)
    return torch.roll(pixels, (-times, -times), (-2, -1))


def resize_chain(images: Images, *, fraction: float, times: int) -> Images:
    """Bilinear without antialiasing to `fraction` of the size and bicubic back, `times` times. Ours."""
    height, width = images.shape[-2:]
    rows, columns = (max(4, round(side * fraction)) for side in (height, width))
    device = images.device
    for _ in range(times):
        images = _resizing(height, rows, "bilinear", device) @ images @ _resizing(width, columns, "bilinear", device).T
        images = _resizing(rows, height, "bicubic", device) @ images @ _resizing(columns, width, "bicubic", device).T
        images = images.clamp_(0, 1)
    return images


@lru_cache(maxsize=32)
def _resizing(size: int, new_size: int, mode: str, device: torch.device) -> Float[Tensor, "new old"]:
    """Resizing along one axis as a matrix: unlike interpolation itself, its sums do not depend on the threads."""
    impulses = torch.eye(size)[None, None]  # 1 1 rows columns
    return F.interpolate(impulses, (new_size, size), mode=mode, align_corners=False)[0, 0].to(device)


def dead_pixels(images: Images, *, share: float, draws: Draws) -> Images:
    """A `share` of the sensor's places is stuck: half dark, half full, in one colour of a Bayer pattern each. Ours."""
    height, width = images.shape[-2:]
    fate = draws.uniform("fate", height, width, device=images.device)
    rows = torch.arange(height, device=images.device)[:, None] % 2
    columns = torch.arange(width, device=images.device) % 2
    colour = rows + columns  # RGGB: 0 red, 1 green, 2 blue
    stuck = torch.stack([colour == channel for channel in range(3)]) & (fate < share)[:, None]
    return torch.where(stuck, (fate < share / 2).float()[:, None], images)


def rain(images: Images, *, drops: float, length: float, opacity: float, draws: Draws) -> Images:
    """Streaks of rain: `drops` a hundred pixels square, `length` pixels long, one slant an image. Ours.

    Streaks are seeds smeared along the slant; they add light, and the picture fades a little into grey, as rain does
    (Garg and Nayar 2007).
    """
    height, width = images.shape[-2:]
    density = drops / 1e4
    seeds = (draws.uniform("drop", height, width, device=images.device) < density).float()
    seeds = seeds * (draws.uniform("light", height, width, device=images.device) * 0.5 + 0.5)
    slant = (draws.uniform("slant", 1, 1, device=images.device) - 0.5) * 0.7  # tangent, within 19 degrees
    streaks = torch.zeros_like(seeds)
    rows = torch.arange(height, device=images.device)[None, :, None]
    columns = torch.arange(width, device=images.device)[None, None, :]
    for step in range(max(1, round(length))):
        shifted = (columns - (step * slant).round().long()).remainder(width).expand(-1, height, -1)
        above = (rows - step).remainder(height).expand(len(images), -1, width)
        streaks = torch.maximum(
            streaks, seeds.flatten(1).gather(1, (above * width + shifted).flatten(1)).view_as(seeds)
        )
    streaks = gaussian_blur_2d(streaks, (0.6, 0.6), border="edge")[:, None]
    veil = images * (1 - 0.3 * opacity) + 0.3 * opacity * 0.6
    return veil + opacity * streaks * (1 - veil)
