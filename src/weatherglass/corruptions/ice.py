"""Procedural frost: ice of our own, so that no photograph has to be shipped.

Needles grow from random seeds, fern-like, over noise; the picture then gets the brightness, spread, tint and radial
power spectrum measured on the five textures that the reference draws from. What remains different is the phase: the
shapes are ours. docs/corruptions.md compares the statistics of frost made with either.
"""

from dataclasses import dataclass

import cv2
import numpy as np
from jaxtyping import Float, UInt8

SIDE = 640
"""Pixels. The reference textures measure 323..600 x 485..900."""

RADII = np.array([1, 2, 4, 8, 16, 32, 64, 110]) / 256
"""Frequencies, in cycles a pixel, at which the spectra below are given."""


SHARES = (0.01, 0.1, 0.25, 0.5, 0.75, 0.9, 0.99)


@dataclass(frozen=True)
class Ice:
    """What one texture of the reference looks like in numbers (levels 0..255)."""

    mean: tuple[float, float, float]
    deviation: tuple[float, float, float]
    spectrum: tuple[float, ...]
    """log10 of the radial power at `RADII`, up to a constant."""
    tint: tuple[float, float, float] = (0.0, 0.0, 0.0)
    """Share of a second, coarse field in each channel: what makes the channels differ."""
    quantiles: tuple[float, ...] = ()
    """Grey levels at the shares `SHARES`: bright crystals on dark glass, or dark cracks in white ice."""


_WHITE = Ice(
    (200.8, 205.4, 214.5),
    (21.4, 22.1, 22.6),
    (9.79, 8.81, 8.31, 7.89, 7.77, 6.91, 6.52, 5.79),
    quantiles=(141, 177, 195, 210, 222, 231, 245),
)

ICE = (
    Ice(
        (77.7, 149.1, 165.7), (26.9, 16.5, 15.3), (9.43, 9.00, 8.20, 7.43, 6.64, 6.43, 6.22, 5.53),
        tint=(0.8, 0.25, -0.1), quantiles=(97, 109, 118, 129, 142, 155, 177),
    ),
    # The reference holds this texture twice, so that it is drawn with probability 0.4. So do we.
    _WHITE,
    _WHITE,
    Ice((137.6, 152.8, 165.2), (28.5, 28.5, 29.9), (9.02, 8.45, 8.46, 8.06, 7.80, 7.44, 6.93, 6.36),
        quantiles=(82, 116, 134, 152, 169, 186, 234)),
    Ice((112.4, 123.4, 134.8), (44.4, 43.3, 41.7), (9.41, 9.08, 8.83, 8.38, 7.83, 7.12, 6.80, 6.38),
        quantiles=(45, 71, 92, 119, 151, 183, 238)),
)  # fmt: skip


def procedural_ice() -> tuple[UInt8[np.ndarray, "side side 3"], ...]:
    """Five frost pictures, always the same ones."""
    return tuple(_picture(ice, np.random.default_rng(1000 + ICE.index(ice))) for ice in ICE)


def _picture(ice: Ice, generator: np.random.Generator) -> UInt8[np.ndarray, "side side 3"]:
    crystals = _with_spectrum(_needles(generator) + 0.3 * generator.standard_normal((SIDE, SIDE)), ice.spectrum)
    ranks = (crystals.ravel().argsort().argsort() + 0.5) / crystals.size
    span = ice.quantiles[-1] - ice.quantiles[0]
    ends = ice.quantiles[0] - 0.25 * span, *ice.quantiles, ice.quantiles[-1] + 0.25 * span
    crystals = np.interp(ranks, (0, *SHARES, 1), ends).reshape(crystals.shape)
    crystals = _standardised(crystals)
    coarse = _with_spectrum(generator.standard_normal((SIDE, SIDE)), tuple(-12 * np.log10(RADII * 256)))
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


def _with_spectrum(field: np.ndarray, spectrum: tuple[float, ...]) -> Float[np.ndarray, "side side"]:
    """The field with its phases kept and its radial power spectrum replaced, mean 0 and variance 1."""
    transform = np.fft.rfft2(field - field.mean())
    frequency = np.hypot(np.fft.fftfreq(SIDE)[:, None], np.fft.rfftfreq(SIDE)[None, :])
    ring = np.rint(frequency * SIDE).astype(int)
    power = np.bincount(ring.ravel(), (np.abs(transform) ** 2).ravel()) / np.bincount(ring.ravel())
    # Photographs fall off steeply towards the pixel grid, beyond the last frequency that was measured.
    radii, levels = np.r_[RADII, 0.7], np.r_[spectrum, spectrum[-1] - 1.6]
    wanted = np.interp(np.log(np.maximum(frequency, 0.3 / SIDE)), np.log(radii), levels)
    shaped = transform * np.sqrt(10**wanted / np.maximum(power[ring], 1e-9))
    return _standardised(np.fft.irfft2(shaped, (SIDE, SIDE)))


def _standardised(field: np.ndarray) -> np.ndarray:
    return (field - field.mean()) / field.std()
