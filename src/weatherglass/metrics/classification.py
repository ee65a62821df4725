"""Scores of a classifier from what was kept for each sample: accuracy, calibration, likelihood."""

import numpy as np
from jaxtyping import Bool, Float, Int


def top_k_accuracy(rank: Int[np.ndarray, " samples"], k: int = 1) -> float:
    """Share of samples whose true class is among the k largest outputs; `rank` 0 is the largest. In [0, 1]."""
    return float(np.mean(rank < k)) if len(rank) else float("nan")


def expected_calibration_error(
    confidence: Float[np.ndarray, " samples"], correct: Bool[np.ndarray, " samples"], bins: int = 15
) -> float:
    """Mean gap between confidence and accuracy over `bins` equal-width bins of confidence, weighted by their size.

    Guo et al., "On Calibration of Modern Neural Networks" (ICML 2017), equation 5, with their 15 bins. In [0, 1].
    """
    if not len(confidence):
        return float("nan")
    # Bins are half-open on the left, (0, 1/bins], ..., so that confidence 1 falls into the last one.
    index = np.clip(np.ceil(confidence.astype(np.float64) * bins).astype(int) - 1, 0, bins - 1)
    gap = np.bincount(index, weights=correct.astype(np.float64) - confidence.astype(np.float64), minlength=bins)
    return float(np.abs(gap).sum() / len(confidence))


def mean_score(values: Float[np.ndarray, " samples"]) -> float:
    """Mean in float64, nan for no samples: the mean negative log-likelihood or Brier score of kept samples."""
    return float(np.mean(values, dtype=np.float64)) if len(values) else float("nan")
