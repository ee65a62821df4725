"""Perturbations as pictures and numbers: patch borders, foreground, coherence, spectrum."""

from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Bool, Float
from torch import Tensor

from weatherglass.types import Images

Perturbations = Float[Tensor, "batch 3 height width"]


@dataclass(frozen=True)
class PerturbationNumbers:
    """What the perturbations of one model look like, averaged over images."""

    border_scores: tuple[float, ...]
    """See `border_scores`; position 0 stands for lines between the patches of a model that starts at the corner."""
    aligned: bool
    """Whether the lines between patches are where the perturbation jumps most."""
    coherence: float
    """Correlation of neighbouring pixels, in [-1, 1]: near 0 for noise, near 1 for smooth perturbations."""
    spectrum: tuple[float, ...]
    """Share of the energy in each of eight rings of spatial frequency, from coarse to fine; sums to 1."""


def describe(perturbations: Perturbations, patch: int) -> PerturbationNumbers:
    """The numbers of `perturbations` for patches of `patch` pixels. Raises `ValueError` where they do not fit."""
    scores = border_scores(perturbations, patch)
    return PerturbationNumbers(
        border_scores=tuple(scores),
        aligned=int(np.argmax(scores)) == 0,
        coherence=coherence(perturbations),
        spectrum=tuple(ring_spectrum(perturbations)),
    )


def border_scores(perturbations: Perturbations, patch: int) -> list[float]:
    """How much more a perturbation jumps across the lines at each offset than across all others.

    For offset o: the mean of |delta[r] - delta[r - 1]| over rows (and columns) r = o mod `patch`, over the mean at all
    other lines. Patches that start at the corner meet at offset 0, so a model whose perturbation follows its patches
    has its largest score there.
    """
    height, width = perturbations.shape[2:]
    if not 2 <= patch <= min(height, width) // 2:
        raise ValueError(f"patches of {patch} pixels do not fit twice into images of {height}x{width}")
    rows = perturbations.diff(dim=2).abs().mean(dim=(0, 1, 3))
    columns = perturbations.diff(dim=3).abs().mean(dim=(0, 1, 2))
    jumps = torch.cat([rows, columns]).double()
    lines = torch.cat([torch.arange(1, height), torch.arange(1, width)]).to(jumps.device) % patch
    scores = []
    for offset in range(patch):
        here, elsewhere = jumps[lines == offset].mean(), jumps[lines != offset].mean()
        scores.append(float(here / elsewhere) if elsewhere > 0 else (float("inf") if here > 0 else 1.0))
    return scores


def foreground_concentration(
    magnitude: Float[Tensor, "batch height width"], foreground: Bool[Tensor, "batch height width"]
) -> Float[Tensor, " batch"]:
    """Share of the magnitude inside the foreground over its share of the area: 1 where spread evenly.

    nan for an image without foreground or without any magnitude.
    """
    inside = (magnitude * foreground).sum(dim=(1, 2)) / magnitude.sum(dim=(1, 2))
    return inside / foreground.float().mean(dim=(1, 2))


def coherence(perturbations: Perturbations) -> float:
    """Correlation between each pixel of a perturbation and its right and lower neighbours, in [-1, 1]."""
    centred = perturbations.double() - perturbations.double().mean(dim=(2, 3), keepdim=True)
    variance = centred.square().mean()
    if variance == 0:
        return 0.0
    right = (centred[..., :, 1:] * centred[..., :, :-1]).mean()
    down = (centred[..., 1:, :] * centred[..., :-1, :]).mean()
    return float((right + down) / (2 * variance))


def ring_spectrum(perturbations: Perturbations, rings: int = 8) -> list[float]:
    """Share of the energy in rings of equal width of spatial frequency, from 0 to half a cycle a pixel and beyond.

    The last ring also holds the corners of the spectrum. Zeros for perturbations that are zero.
    """
    height, width = perturbations.shape[2:]
    energy = torch.fft.fft2(perturbations.double()).abs().square().mean(dim=(0, 1))
    vertical, horizontal = torch.fft.fftfreq(height)[:, None], torch.fft.fftfreq(width)[None]
    radius = (vertical.square() + horizontal.square()).sqrt()
    ring = (radius / 0.5 * rings).long().clamp(max=rings - 1).to(energy.device)
    total = energy.sum()
    sums = torch.zeros(rings, dtype=energy.dtype, device=energy.device).index_add_(0, ring.flatten(), energy.flatten())
    return [float(one) for one in (sums / total if total > 0 else sums)]


def picture_of(perturbation: Float[Tensor, "3 height width"], largest: float) -> Float[Tensor, "3 height width"]:
    """A perturbation around grey: 0 is 0.5, and +-`largest` are 1 and 0."""
    return (0.5 + perturbation / (2 * max(largest, 1e-12))).clamp(0, 1)


def mean_magnitude(perturbations: Perturbations) -> Float[Tensor, "height width"]:
    """Mean over images and channels of |delta|: where all perturbations are large."""
    return perturbations.abs().mean(dim=(0, 1))


def mean_spectrum(perturbations: Perturbations) -> Float[Tensor, "height width"]:
    """Mean amplitude over images and channels by spatial frequency, frequency 0 in the middle."""
    return torch.fft.fftshift(torch.fft.fft2(perturbations.double()).abs().mean(dim=(0, 1))).float()


def panel(
    images: Images, perturbations: list[Perturbations], enlarge: int = 1, shown: int | None = None
) -> Float[Tensor, "3 height width"]:
    """One row an image, and its picture under each model in the columns; all share one scale.

    The first column is the image. Below the first `shown` images (None: all) stand, over all of them, the mean image,
    the mean magnitude of each column from black (0) to white (its largest), and its mean spectrum on a logarithmic
    scale. `enlarge` repeats every pixel so many times along both axes.
    """
    largest = max(float(one.abs().max()) for one in perturbations)
    rows = [[image, *(picture_of(one[k], largest) for one in perturbations)] for k, image in enumerate(images[:shown])]
    rows.append([images.mean(dim=0), *(_grey(mean_magnitude(one)) for one in perturbations)])
    rows.append([torch.ones_like(images[0]), *(_grey(mean_spectrum(one).log1p()) for one in perturbations)])
    return torch.cat([torch.cat([_framed(cell, enlarge) for cell in row], dim=2) for row in rows], dim=1)


def _grey(values: Float[Tensor, "height width"]) -> Float[Tensor, "3 height width"]:
    """Values from 0 up as brightness, the largest white."""
    return (values / values.max().clamp(min=1e-30)).clamp(0, 1).expand(3, -1, -1)


def _framed(image: Float[Tensor, "3 height width"], enlarge: int) -> Float[Tensor, "3 height width"]:
    larger = image.repeat_interleave(enlarge, dim=1).repeat_interleave(enlarge, dim=2)
    return torch.nn.functional.pad(larger, (2, 2, 2, 2), value=1.0)
