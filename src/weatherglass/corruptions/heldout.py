"""Corruptions unlike the 15: to see whether a model learned robustness or the benchmark.

The names and ideas are those of ImageNet-C-bar (Mintun, Kirillov and Xie, "On Interaction Between Augmentations and
Corruptions in Natural Corruption Robustness", NeurIPS 2021). Each is written here from its published description; the
parameters are ours, so the numbers are not comparable with theirs.
"""

import math

import torch
import torch.nn.functional as F

from weatherglass.corruptions.fields import map_side, plasma
from weatherglass.randomness import Draws
from weatherglass.types import Images


def blue_noise(images: Images, *, scale: float, draws: Draws) -> Images:
    """Noise whose power grows with the square of the frequency, of standard deviation `scale`."""
    return images + _coloured(images, 1.0, draws) * scale


def brown_noise(images: Images, *, scale: float, draws: Draws) -> Images:
    """Noise whose power falls with the square of the frequency, of standard deviation `scale`."""
    return images + _coloured(images, -1.0, draws) * scale


def _coloured(images: Images, exponent: float, draws: Draws) -> Images:
    """Normal noise, amplitude proportional to frequency ** exponent, mean 0 and variance 1 in each image."""
    height, width = images.shape[-2:]
    noise = draws.normal("value", *images.shape[1:], device=images.device)
    down = torch.fft.fftfreq(height, device=images.device)[:, None]
    right = torch.fft.rfftfreq(width, device=images.device)
    frequency = torch.hypot(down, right)
    frequency[0, 0] = 1
    gain = frequency**exponent
    gain[0, 0] = 0
    field = torch.fft.irfft2(torch.fft.rfft2(noise) * gain, s=(height, width))
    return field / field.std((1, 2, 3), keepdim=True)


def checkerboard(images: Images, *, share: float, cells: int, draws: Draws) -> Images:
    """A board of `cells` squares along the height; a random `share` of the dark squares hides the picture."""
    height, width = images.shape[-2:]
    across = max(1, round(cells * width / height))
    rows = torch.arange(height, device=images.device) * cells // height
    columns = torch.arange(width, device=images.device) * across // width
    hidden = draws.uniform("square", cells, across, device=images.device) < share
    board = (torch.arange(cells, device=images.device)[:, None] + torch.arange(across, device=images.device)) % 2 == 0
    mask = (hidden & board)[:, rows][:, :, columns]
    return images.masked_fill(mask[:, None], 0.5)


def cocentric_waves(images: Images, *, amplitude: float, wavelength: float, draws: Draws) -> Images:
    """Light and dark rings of `wavelength` pixels around a random centre, added with `amplitude`."""
    height, width = images.shape[-2:]
    centre = draws.uniform("centre", 2, device=images.device) * torch.tensor([height, width], device=images.device)
    down = torch.arange(height, device=images.device)[None, :, None] - centre[:, :1, None]
    right = torch.arange(width, device=images.device)[None, None, :] - centre[:, 1:, None]
    phase = draws.uniform("phase", 1, 1, device=images.device)
    rings = torch.sin(2 * math.pi * (torch.hypot(down, right) / wavelength + phase))
    return images + amplitude * rings[:, None]


def single_frequency(images: Images, *, amplitude: float, wavelength: float, draws: Draws) -> Images:
    """A grating of `wavelength` pixels in a random direction, other in each channel by its phase."""
    height, width = images.shape[-2:]
    angle = draws.uniform("angle", 1, 1, 1, device=images.device) * math.pi
    phase = draws.uniform("phase", 3, 1, 1, device=images.device)
    down = torch.arange(height, device=images.device)[:, None]
    right = torch.arange(width, device=images.device)
    position = (right * angle.cos() + down * angle.sin()) / wavelength
    return images + amplitude * torch.sin(2 * math.pi * (position + phase))


def plasma_overlay(images: Images, *, weight: float, decay: float, draws: Draws) -> Images:
    """Blend with a coloured plasma fractal of the given `weight`."""
    height, width = images.shape[-2:]
    side = map_side(height, width)
    bits = draws.bits16("plasma", 3, side * side, device=images.device)
    colours = torch.stack([plasma(bits[:, channel], decay) for channel in range(3)], 1)[..., :height, :width]
    return images * (1 - weight) + colours * weight


def transverse_chromatic_aberration(images: Images, *, spread: float) -> Images:
    """Red magnified and blue reduced by `spread` around the centre, as a simple lens does; green stays."""
    factors = (1 + spread, 1.0, 1 - spread)
    return torch.cat([_magnified(images[:, i : i + 1], factor) for i, factor in enumerate(factors)], 1)


def _magnified(channel: torch.Tensor, factor: float) -> torch.Tensor:
    transform = torch.tensor([[1 / factor, 0, 0], [0, 1 / factor, 0]], device=channel.device)
    grid = F.affine_grid(transform.expand(len(channel), 2, 3), list(channel.shape), align_corners=False)
    return F.grid_sample(channel, grid, mode="bilinear", padding_mode="border", align_corners=False)


def pinch_and_twirl(images: Images, *, twirl: float, radius_of_side: float, draws: Draws) -> Images:
    """Turn by `twirl` radians around a random point, fading out at `radius_of_side` times the shorter side."""
    height, width = images.shape[-2:]
    centre = draws.uniform("centre", 2, device=images.device) * 0.5 + 0.25
    down = torch.arange(height, device=images.device)[None, :, None] - centre[:, :1, None] * height
    right = torch.arange(width, device=images.device)[None, None, :] - centre[:, 1:, None] * width
    reach = radius_of_side * min(height, width)
    fade = (1 - torch.hypot(down, right) / reach).clamp_min(0).square()
    angle = twirl * fade
    source_x = right * angle.cos() - down * angle.sin() + centre[:, 1:, None] * width
    source_y = right * angle.sin() + down * angle.cos() + centre[:, :1, None] * height
    grid = torch.stack([(2 * source_x + 1) / width - 1, (2 * source_y + 1) / height - 1], -1)
    return F.grid_sample(images, grid, mode="bilinear", padding_mode="reflection", align_corners=False)


def sparkles(images: Images, *, count: int, size: float, draws: Draws) -> Images:
    """`count` stars of light, four-rayed, about `size` pixels wide."""
    height, width = images.shape[-2:]
    place = draws.uniform("place", count, 2, device=images.device)
    strength = draws.uniform("strength", count, device=images.device) * 0.5 + 0.5
    down, right = torch.arange(height, device=images.device), torch.arange(width, device=images.device)
    light = torch.zeros_like(images[:, 0])
    for index in range(count):
        y = (down - place[:, index, :1] * height).abs()[:, :, None]
        x = (right - place[:, index, 1:] * width).abs()[:, None, :]
        # |x|^(1/2) + |y|^(1/2) = const is a star with four rays.
        light += strength[:, index, None, None] * torch.exp(-((x.sqrt() + y.sqrt()) ** 2) / size)
    return images + light[:, None]


def inverse_sparkles(images: Images, *, count: int, size: float, draws: Draws) -> Images:
    """`count` dark stars, four-rayed, about `size` pixels wide."""
    return 1 - sparkles(1 - images, count=count, size=size, draws=draws)
