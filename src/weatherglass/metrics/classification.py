"""Scores of a classifier from what was kept for each sample: accuracy, calibration, likelihood."""

import numpy as np
from jaxtyping import Bool, Float, Int

from weatherglass.metrics.intervals import Bootstrap


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
    index = _bin_index(confidence, bins)
    gap = np.bincount(index, weights=correct.astype(np.float64) - confidence.astype(np.float64), minlength=bins)
    return float(np.abs(gap).sum() / len(confidence))


def mean_score(values: Float[np.ndarray, " samples"]) -> float:
    """Mean in float64, nan for no samples: the mean negative log-likelihood or Brier score of kept samples."""
    return float(np.mean(values, dtype=np.float64)) if len(values) else float("nan")


def resampled_calibration_error(
    confidence: Float[np.ndarray, "conditions samples"],
    correct: Bool[np.ndarray, "conditions samples"],
    bootstrap: Bootstrap,
    bins: int = 15,
) -> Float[np.ndarray, "resamples conditions"]:
    """`expected_calibration_error` of every condition in every resample of the images."""
    if not confidence.shape[1]:
        return np.full((bootstrap.resamples, len(confidence)), np.nan)
    # Whole numbers small enough that float32 adds them exactly, whatever the order: a sum stays below 2**24.
    steps = 2.0 ** np.floor(np.log2(2**24 / bootstrap.samples))
    index = np.stack([_bin_index(row, bins) for row in confidence]).astype(np.uint8)
    gap = np.rint((correct - confidence) * steps).astype(np.float32)
    blocks = []
    for counts in bootstrap.counts():
        sums = [
            np.abs(counts @ _in_bins(g, i, bins)).sum(axis=1, dtype=np.float64) for g, i in zip(gap, index, strict=True)
        ]
        blocks.append(np.stack(sums, axis=1))
    return np.concatenate(blocks) / (bootstrap.samples * steps)


def _in_bins(
    values: Float[np.ndarray, " samples"], index: Int[np.ndarray, " samples"], bins: int
) -> Float[np.ndarray, "samples bins"]:
    """Each value in the column of its bin, zeros elsewhere."""
    columns = np.zeros((len(values), bins), np.float32)
    columns[np.arange(len(values)), index] = values
    return columns


def _bin_index(confidence: Float[np.ndarray, " samples"], bins: int) -> Int[np.ndarray, " samples"]:
    # Bins are half-open on the left, (0, 1/bins], ..., so that confidence 1 falls into the last one.
    return np.clip(np.ceil(confidence.astype(np.float64) * bins).astype(int) - 1, 0, bins - 1)
