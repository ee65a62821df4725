"""Flip probability of a stored run along a sequence of its conditions."""

from collections.abc import Sequence

import numpy as np

from weatherglass.errors import UserError
from weatherglass.evaluation.runs import Run
from weatherglass.metrics.flips import flips
from weatherglass.metrics.intervals import Bootstrap, Estimate, estimate


def flip_estimate(run: Run, conditions: Sequence[str], *, noise: bool = False) -> Estimate:
    """FP over `conditions` in the order given, e.g. 'moved:angle=-15,down=0,right=0' ... '+15', with its interval.

    95 %, bootstrap over images. Raises `UserError` for fewer than two conditions or one that was not measured.
    """
    if len(conditions) < 2:
        raise UserError(f"A sequence has at least 2 conditions, got {len(conditions)}.")
    missing = [text for text in conditions if text not in run.records]
    if missing:
        raise UserError(f"'{run.name}' does not hold {missing[0]} ({len(missing)} of {len(conditions)} are missing).")
    predictions = np.stack([run.observations(text).columns["prediction"] for text in conditions])
    share = flips(predictions, noise=noise).mean(axis=0)  # of each image
    resampled = Bootstrap(len(share)).means(share[None])[:, 0]
    found = estimate(float(share.mean()), resampled, samples=len(share))
    assert found is not None  # a mean of at least one image is a number
    return found
