"""From numbers to a verdict on a claim, always by a stated rule."""

import numpy as np
from jaxtyping import Float

from weatherglass.evaluation.studies import Verdict
from weatherglass.metrics.intervals import Bootstrap, Estimate

KEPT = 0.9
"""A removed part is called dispensable when at least this share of the accuracy is left."""


def mean_estimate(values: Float[np.ndarray, " images"], seed: int = 0) -> Estimate:
    """The mean over images with its 95 % percentile-bootstrap interval; images without a value (NaN) are left out."""
    known = np.asarray(values, dtype=np.float64)
    known = known[np.isfinite(known)]
    if not len(known):
        return Estimate(float("nan"), float("nan"), float("nan"), "none")
    value = float(known.mean())
    if len(known) == 1:
        return Estimate(value, value, value, "none")
    low, high = np.quantile(Bootstrap(len(known), seed=seed).means(known[None])[:, 0], [0.025, 0.975])
    return Estimate(value, min(float(low), value), max(float(high), value))


def beyond(estimate: Estimate, threshold: float = 0.0) -> Verdict:
    """'agrees' where the whole interval lies above the threshold, 'disagrees' where it lies below, else 'open'."""
    if estimate.low > threshold:
        return "agrees"
    return "disagrees" if estimate.high < threshold else "open"


def graded(value: float, *, agrees: float, disagrees: float) -> Verdict:
    """'agrees' at or beyond one mark, 'disagrees' at or beyond the other, 'open' between them and for NaN."""
    upwards = agrees > disagrees
    if not np.isfinite(value):
        return "open"
    if value >= agrees if upwards else value <= agrees:
        return "agrees"
    return "disagrees" if (value <= disagrees if upwards else value >= disagrees) else "open"


def points(estimate: Estimate) -> str:
    """A difference of shares in points with its interval: '+3.1 [0.2, 6.0] points'."""
    return f"{100 * estimate.value:+.1f} [{100 * estimate.low:+.1f}, {100 * estimate.high:+.1f}] points"


def rank_correlation(first: Float[np.ndarray, " n"], second: Float[np.ndarray, " n"]) -> float:
    """Spearman's; NaN where one side is constant or fewer than three pairs are finite."""
    from scipy.stats import spearmanr

    known = np.isfinite(first) & np.isfinite(second)
    one, two = np.asarray(first)[known], np.asarray(second)[known]
    if len(one) < 3 or np.ptp(one) == 0 or np.ptp(two) == 0:
        return float("nan")
    return float(np.asarray(spearmanr(one, two))[0])
