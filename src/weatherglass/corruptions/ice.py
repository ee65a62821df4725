"""Procedural frost: ice of our own, so that no photograph has to be shipped.

Needles grow from random seeds, fern-like, over noise; the picture then gets brightness, spread, tint, grey levels,
radial power spectrum and direction such that its crops have the statistics of crops of the five textures that the
reference draws from. What remains different is the phase: the shapes are ours. docs/corruptions.md has the numbers.
"""

from dataclasses import dataclass

import cv2
import numpy as np
from jaxtyping import Float, UInt8

SIDE = 640
"""Pixels. The reference textures measure 323..600 x 485..900."""

RADII = np.r_[1 / 640, 1 / 320, 1 / 160, 1 / 80, (np.arange(16) + 0.5) * 1.1 / 32]
"""Frequencies, in cycles a pixel, at which the spectra below are given. Frost enlarges its textures by 1.1, so the last
sixteen are the middles of sixteen equal bands of the picture."""

SHARES = (0.001, 0.01, 0.1, 0.25, 0.5, 0.75, 0.9, 0.99, 0.999)


@dataclass(frozen=True)
class Ice:
    """One texture in numbers (levels 0..255), fitted so that its crops have the statistics of the reference's."""

    mean: tuple[float, float, float]
    deviation: tuple[float, float, float]
    spectrum: tuple[float, ...]
    """log10 of the radial power at `RADII`, up to a constant."""
    slant: float
    """log10 of how much more power stands along the rows than in the mean of all directions."""
    quantiles: tuple[float, ...]
    """Grey levels at the shares `SHARES`: bright crystals on dark glass, or dark cracks in white ice."""
    tint: tuple[float, float, float] = (0.0, 0.0, 0.0)
    """Share of a second, coarse field in each channel: what makes the channels differ."""


# fmt: off
_WHITE = Ice(
    mean=(193.7, 197.9, 207.0), deviation=(22.2, 22.8, 23.7),
    spectrum=(1.96, 1.32, 0.95, 0.05, 0.00, -0.79, -1.21, -1.52, -1.75, -1.84,
              -1.87, -2.19, -2.39, -2.59, -2.79, -3.03, -3.28, -3.43, -3.80, -4.01),
    slant=-0.09, quantiles=(105, 140, 176, 193, 208, 220, 226, 235, 241),
)

ICE = (
    Ice(
        mean=(72.2, 145.6, 162.8), deviation=(27.1, 16.0, 15.3),
        spectrum=(2.71, 2.08, 1.73, 0.51, 0.00, -0.72, -0.89, -1.01, -1.09, -1.16,
                  -1.21, -1.29, -1.40, -1.49, -1.64, -1.77, -1.94, -2.09, -2.26, -2.46),
        slant=0.19, quantiles=(90, 95, 107, 116, 128, 141, 155, 175, 188), tint=(0.8, 0.25, -0.1),
    ),
    # The reference holds this texture twice, so that it is drawn with probability 0.4. So do we.
    _WHITE,
    _WHITE,
    Ice(
        mean=(137.5, 152.2, 164.6), deviation=(28.3, 28.4, 29.9),
        spectrum=(2.35, 1.54, 1.42, -0.01, 0.00, -0.52, -0.89, -1.08, -1.23, -1.34,
                  -1.42, -1.62, -1.73, -1.88, -2.04, -2.25, -2.44, -2.63, -2.88, -2.98),
        slant=0.01, quantiles=(50, 81, 114, 132, 150, 167, 180, 218, 240),
    ),
    Ice(
        mean=(97.4, 108.8, 120.8), deviation=(39.1, 38.6, 37.8),
        spectrum=(2.39, 1.67, 0.43, 0.23, 0.00, -0.68, -1.11, -1.36, -1.58, -1.75,
                  -1.89, -2.05, -2.16, -2.28, -2.37, -2.47, -2.57, -2.59, -2.69, -2.75),
        slant=-0.01, quantiles=(33, 43, 68, 89, 117, 149, 174, 217, 238),
    ),
)
# fmt: on


def procedural_ice() -> tuple[UInt8[np.ndarray, "side side 3"], ...]:
    """Five frost pictures, always the same ones."""
    return tuple(_picture(ice, np.random.default_rng(1000 + ICE.index(ice))) for ice in ICE)


def _picture(ice: Ice, generator: np.random.Generator) -> UInt8[np.ndarray, "side side 3"]:
    grown = _needles(generator) + 0.3 * generator.standard_normal((SIDE, SIDE))
    crystals = _with_spectrum(grown, ice.spectrum, ice.slant)
    ranks = (crystals.ravel().argsort().argsort() + 0.5) / crystals.size
    span = ice.quantiles[-1] - ice.quantiles[0]
    ends = ice.quantiles[0] - 0.02 * span, *ice.quantiles, ice.quantiles[-1] + 0.02 * span
    crystals = np.interp(ranks, (0, *SHARES, 1), ends).reshape(crystals.shape)
    crystals = _standardised(crystals)
    coarse = _with_spectrum(generator.standard_normal((SIDE, SIDE)), tuple(-3 * np.log10(RADII * SIDE)), 0.0)
    channels = [
        mean + spread * _standardised(np.sqrt(1 - share**2) * crystals + share * coarse)
        for mean, spread, share in zip(ice.mean, ice.deviation, ice.tint, strict=True)
    ]
    return np.clip(np.stack(channels, -1), 0, 255).round().astype(np.uint8)


def _needles(generator: np.random.Generator) -> Float[np.ndarray, "side side"]:
    """Ferns: a spine with shorter needles at 60 degrees on both sides, thinner towards the tip."""
    canvas = np.zeros((SIDE, SIDE), np.float32)
    for _ in range(420):
        x, y = generator.uniform(0, SIDE, 2)
        angle, length = generator.uniform(0, 2 * np.pi), generator.gamma(2.0, 18.0)
        light = float(generator.uniform(0.3, 1.0))
        direction = np.array([np.cos(angle), np.sin(angle)])
        _line(canvas, np.array([x, y]), direction * length, light)
        for along in np.arange(0.15, 1.0, 5 / max(length, 10)):
            for side in (-np.pi / 3, np.pi / 3):
                branch = np.array([np.cos(angle + side), np.sin(angle + side)]) * length * 0.45 * (1 - along)
                _line(canvas, np.array([x, y]) + direction * length * along, branch, light * 0.7)
    return _standardised(cv2.GaussianBlur(canvas, (0, 0), 0.7))


def _line(canvas: np.ndarray, start: np.ndarray, step: np.ndarray, light: float) -> None:
    ends = [tuple(int(value) for value in np.rint(point * 16)) for point in (start, start + step)]
    cv2.line(canvas, ends[0], ends[1], light, 1, cv2.LINE_8, shift=4)


def _with_spectrum(field: np.ndarray, spectrum: tuple[float, ...], slant: float) -> Float[np.ndarray, "side side"]:
    """The field with its phases kept and its power spectrum replaced, mean 0 and variance 1."""
    transform = np.fft.rfft2(field - field.mean())
    down, right = np.fft.fftfreq(SIDE)[:, None], np.fft.rfftfreq(SIDE)[None, :]
    frequency = np.hypot(down, right)
    direction = (right**2 - down**2) / np.maximum(frequency, 1e-9) ** 2  # 1 along the rows, -1 along the columns
    ring = np.rint(frequency * SIDE).astype(int)
    power = np.bincount(ring.ravel(), (np.abs(transform) ** 2).ravel()) / np.bincount(ring.ravel())
    # Photographs fall off steeply towards the pixel grid, beyond the last frequency that was measured.
    radii, levels = np.r_[RADII, 0.75], np.r_[spectrum, spectrum[-1] - 1.0]
    wanted = np.interp(np.log(np.maximum(frequency, 0.5 / SIDE)), np.log(radii), levels) + slant * direction
    shaped = transform * np.sqrt(10**wanted / np.maximum(power[ring], 1e-9))
    return _standardised(np.fft.irfft2(shaped, (SIDE, SIDE)))


def _standardised(field: np.ndarray) -> np.ndarray:
    return (field - field.mean()) / field.std()
