"""Robustness from accuracies: mean corrupted accuracy, retention, corruption errors, effective robustness.

Every function takes arrays whose leading axes are free, so that the same line computes a point estimate and all of
its bootstrap resamples. Rates and ratios are fractions: an mCE of 1.0 is printed as 100.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float

Rates = Float[np.ndarray, "*resamples severities"]
Numbers = Float[np.ndarray, "*resamples"]


def mean_corrupted_accuracy(accuracy: Mapping[str, Rates]) -> Numbers:
    """Mean over the corruptions of the mean over their severities; in [0, 1].

    Every corruption weighs the same, however many severities it has (Hendrycks & Dietterich 2019, section 4).
    """
    return np.mean([rates.mean(axis=-1) for rates in accuracy.values()], axis=0)


def retention(corrupted: Numbers, clean: Numbers) -> Numbers:
    """Share of the clean accuracy that is left under corruption (Zhou et al. 2022, "FAN", section 4); nan where
    the clean accuracy is 0. Usually in [0, 1], above 1 where corruption helps."""
    return _ratio(np.asarray(corrupted, dtype=np.float64), np.asarray(clean, dtype=np.float64))


def corruption_error(error: Rates, reference: Rates) -> Numbers:
    """CE: the sum over severities of the model's error over that of the reference (Hendrycks & Dietterich 2019,
    section 4.1). 1 where the model errs as often as the reference; nan where the reference never errs."""
    return _ratio(error.sum(axis=-1), reference.sum(axis=-1))


def relative_corruption_error(
    error: Rates, clean_error: Numbers | float, reference: Rates, reference_clean_error: Numbers | float
) -> Numbers:
    """Relative CE: like CE, of the errors in excess of the clean error, so that it measures the fall alone
    (Hendrycks & Dietterich 2019, section 4.1)."""
    excess = (error - np.expand_dims(clean_error, -1)).sum(axis=-1)
    return _ratio(excess, (reference - np.expand_dims(reference_clean_error, -1)).sum(axis=-1))


def mean_corruption_error(errors: Mapping[str, Numbers]) -> Numbers:
    """mCE or relative mCE: the plain mean of the (relative) CE of the corruptions given."""
    return np.mean(list(errors.values()), axis=0)


def smallest_failing_severity(
    clean: Bool[np.ndarray, " samples"],
    correct: Bool[np.ndarray, "severities samples"],
    severities: tuple[float, ...],
) -> Float[np.ndarray, " samples"]:
    """The smallest severity at which each image is misclassified: 0 where it is wrong when clean, inf where it
    never fails. `severities` ascend. A later success does not undo a failure."""
    wrong = np.vstack([~clean[None], ~correct])
    first = wrong.argmax(axis=0)
    return np.where(wrong.any(axis=0), np.array([0.0, *severities])[first], np.inf)


@dataclass(frozen=True)
class RobustnessLine:
    """The accuracy under disturbance that a model's clean accuracy lets one expect, on the logit scale."""

    slope: float
    intercept: float

    def expected(self, clean: Numbers) -> Numbers:
        """Expected accuracy under disturbance for a clean accuracy; both in (0, 1)."""
        return 1 / (1 + np.exp(-(self.slope * _logit(clean) + self.intercept)))

    def effective_robustness(self, clean: Numbers, disturbed: Numbers) -> Numbers:
        """What a model keeps beyond the expectation, as a difference of accuracies; positive is better.

        Taori et al., "Measuring Robustness to Natural Distribution Shifts in Image Classification" (NeurIPS 2020),
        equation 1."""
        return np.asarray(disturbed) - self.expected(clean)


def fit_robustness_line(clean: Float[np.ndarray, " models"], disturbed: Float[np.ndarray, " models"]) -> RobustnessLine:
    """Least-squares line logit(disturbed) = slope * logit(clean) + intercept over baseline models.

    Raises `ValueError` for fewer than three models or when all have the same clean accuracy.
    """
    if len(clean) < 3:
        raise ValueError(f"a line through {len(clean)} models says nothing; effective robustness needs at least 3")
    x, y = _logit(clean), _logit(disturbed)
    spread = ((x - x.mean()) ** 2).sum()
    if spread < 1e-12:
        raise ValueError("all baseline models have the same clean accuracy, so no line can be fitted")
    slope = float(((x - x.mean()) * (y - y.mean())).sum() / spread)
    return RobustnessLine(slope, float(y.mean() - slope * x.mean()))


def _logit(rate: Numbers) -> Numbers:
    # An accuracy of exactly 0 or 1 has no logit; a ten-thousandth keeps it on the chart without ruling the fit.
    inside = np.clip(np.asarray(rate, dtype=np.float64), 1e-4, 1 - 1e-4)
    return np.log(inside / (1 - inside))


def _ratio(numerator: Numbers, denominator: Numbers) -> Numbers:
    out = np.full(np.broadcast_shapes(np.shape(numerator), np.shape(denominator)), np.nan)
    return np.divide(numerator, denominator, out=out, where=np.asarray(denominator) != 0)
