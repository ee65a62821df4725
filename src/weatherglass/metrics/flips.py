"""Flips: how often a prediction changes along a sequence of slightly different versions of an image."""

from collections.abc import Mapping

import numpy as np
from jaxtyping import Bool, Int


def flips(predictions: Int[np.ndarray, "frames samples"], *, noise: bool = False) -> Bool[np.ndarray, "steps samples"]:
    """Where a frame is predicted otherwise than the frame before it; for noise, otherwise than the first frame.

    Hendrycks and Dietterich, "Benchmarking Neural Network Robustness to Common Corruptions and Perturbations" (ICLR
    2019), section 4.2: frames of noise have no order. Raises `ValueError` for fewer than two frames.
    """
    if len(predictions) < 2:
        raise ValueError(f"a sequence has at least 2 frames, got {len(predictions)}")
    return predictions[1:] != (predictions[:1] if noise else predictions[:-1])


def flip_probability(predictions: Int[np.ndarray, "frames samples"], *, noise: bool = False) -> float:
    """FP: the share of flips over all steps and images; in [0, 1]."""
    return float(flips(predictions, noise=noise).mean())


def mean_flip_rate(probability: Mapping[str, float], reference: Mapping[str, float]) -> float:
    """mFR: the mean over perturbations of FP over that of a reference model; 1 where it flips as often.

    Raises `ValueError` where the reference lacks a perturbation or never flips under one.
    """
    lacking = [name for name in probability if not reference.get(name)]
    if lacking:
        raise ValueError(f"the reference has no flips under {', '.join(lacking)}, so no rate can be formed")
    return float(np.mean([probability[name] / reference[name] for name in probability]))
