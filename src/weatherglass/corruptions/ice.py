"""Procedural frost: ice of our own, so that no photograph has to be shipped."""

import numpy as np


def procedural_ice() -> tuple[np.ndarray, ...]:
    """Five frost pictures, uint8 (height, width, 3), always the same."""
    return tuple(_picture(index) for index in range(5))


def _picture(index: int) -> np.ndarray:
    generator = np.random.default_rng(index)
    return generator.integers(0, 255, (320, 480, 3), np.uint8)
