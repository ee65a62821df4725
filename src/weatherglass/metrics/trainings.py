"""The luck of a training: how far seeds of one recipe lie apart, and intervals that count it beside the images.

An interval over images says what other images would have shown of the same weights. Whether one *recipe* beats another
is asked of other weights too. Few recipes can be trained often, so their seeds are taken together: one variance of a
training about its recipe, whatever the recipe.
"""

from collections.abc import Hashable, Sequence
from dataclasses import dataclass, replace

import numpy as np
from jaxtyping import Float
from scipy.stats import t

from weatherglass.metrics.intervals import Estimate


@dataclass(frozen=True)
class TrainingNoise:
    """What a measure of one training varies by from seed to seed."""

    deviation: float
    """Standard deviation, in the measure's unit."""
    degrees: int
    """Of freedom: trainings less recipes, of those recipes that were trained more than once."""

    def margin(self, trainings: Sequence[int], level: float = 0.95) -> float:
        """Half the t interval of a sum or difference of means over so many trainings each."""
        return (
            float(t.ppf((1 + level) / 2, self.degrees)) * self.deviation * float(np.sqrt(sum(1 / n for n in trainings)))
        )


def training_noise(
    points: Float[np.ndarray, " models"],
    resampled: Float[np.ndarray, "resamples models"],
    recipes: Sequence[Hashable],
) -> TrainingNoise | None:
    """The pooled standard deviation of trainings about their recipe's mean; None where no recipe has two.

    `points` are a measure of each model on the same images, `resampled` the same in resamples of them (see
    `Bootstrap`), `recipes` what each model was trained by. Two trainings differ on these images by more than they do
    on all images: they are right about different ones. Resampling adds that part once more, so what it adds is taken
    off (the bootstrap's correction for bias), down to zero. Models and resamples whose measure is no number (retention
    of nothing) are left out.
    """
    known = np.isfinite(points)
    points, resampled = points[known], resampled[:, known]
    recipes = [recipe for recipe, here in zip(recipes, known, strict=True) if here]
    resampled = resampled[np.isfinite(resampled).all(axis=1)]
    groups = [[k for k, one in enumerate(recipes) if one == recipe] for recipe in dict.fromkeys(recipes)]
    groups = [group for group in groups if len(group) > 1]
    degrees = sum(len(group) - 1 for group in groups)
    if not degrees or not len(resampled):
        return None
    seen = _pooled_variance(points[None], groups, degrees)[0]
    again = _pooled_variance(resampled, groups, degrees).mean()
    return TrainingNoise(float(np.sqrt(max(2 * seen - again, 0.0))), degrees)


def over_trainings(found: Estimate, noise: TrainingNoise | None, trainings: Sequence[int]) -> Estimate:
    """`found`, an interval over images, widened by the noise of the trainings that its value averages.

    `trainings`: how many on each side of a difference, or one number for a mean. The two margins are squared and
    added on each side (Zou and Donner 2008), as for independent sources. Unchanged where the noise is not known.
    """
    if noise is None or found.method == "none":
        return found
    margin = noise.margin(trainings)
    below, above = np.hypot(found.value - found.low, margin), np.hypot(found.high - found.value, margin)
    return replace(found, low=found.value - float(below), high=found.value + float(above))


def _pooled_variance(
    values: Float[np.ndarray, "rows models"], groups: Sequence[Sequence[int]], degrees: int
) -> Float[np.ndarray, " rows"]:
    """Squared distances from the mean of the own group, over the degrees of freedom."""
    squares = [((values[:, group] - values[:, group].mean(axis=1, keepdims=True)) ** 2).sum(axis=1) for group in groups]
    return np.sum(squares, axis=0) / degrees
