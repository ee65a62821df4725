"""The luck of a training: found where there is some, not made up by few images, counted in intervals."""

import numpy as np
import pytest
from scipy.stats import t

from weatherglass.metrics.intervals import Bootstrap, Estimate
from weatherglass.metrics.trainings import TrainingNoise, over_trainings, training_noise

IMAGES = 400


def trainings(deviation: float, *, recipes: int, seeds: int, seed: int) -> tuple[np.ndarray, np.ndarray, list[str]]:
    """Accuracies, and resamples of them, of trainings whose true accuracies lie about 0.7."""
    generator = np.random.default_rng(seed)
    true = 0.7 + deviation * generator.standard_normal(recipes * seeds)
    right = generator.random((recipes * seeds, IMAGES)) < true[:, None]
    names = [f"recipe {k // seeds}" for k in range(recipes * seeds)]
    return right.mean(axis=1), Bootstrap(IMAGES, 200).means(right), names


@pytest.mark.parametrize("deviation", [0.0, 0.05])
def test_the_deviation_is_that_of_trainings_and_not_of_images(deviation: float) -> None:
    found = [training_noise(*trainings(deviation, recipes=4, seeds=5, seed=seed)) for seed in range(20)]
    assert all(noise is not None and noise.degrees == 16 for noise in found)
    variance = np.mean([noise.deviation**2 for noise in found if noise is not None])
    chance = 0.7 * 0.3 / IMAGES  # what 400 images add to the variance of each
    assert variance == pytest.approx(deviation**2, abs=0.3 * chance)


def test_one_training_a_recipe_says_nothing() -> None:
    points, resampled, _ = trainings(0.05, recipes=3, seeds=1, seed=0)
    assert training_noise(points, resampled, ["a", "b", "c"]) is None
    found = Estimate(0.5, 0.4, 0.6)
    assert over_trainings(found, None, [1, 1]) == found


def test_measures_that_are_no_number_are_left_out() -> None:
    points, resampled, names = trainings(0.05, recipes=3, seeds=2, seed=0)
    whole = training_noise(points[2:], resampled[5:, 2:], names[2:])
    points[0], resampled[:, 0] = np.nan, np.nan
    resampled[:5, 3] = np.nan
    assert training_noise(points, resampled, names) == whole
    assert training_noise(points[:2], resampled[:, :2], names[:2]) is None


def test_margins_are_squared_and_added() -> None:
    noise = TrainingNoise(0.02, 4)
    margin = t.ppf(0.975, 4) * 0.02 * np.sqrt(1 / 3 + 1 / 2)
    assert noise.margin([3, 2]) == pytest.approx(margin)
    found = over_trainings(Estimate(0.5, 0.4, 0.53), noise, [3, 2])
    assert found.value == 0.5
    assert found.low == pytest.approx(0.5 - np.hypot(0.1, margin))
    assert found.high == pytest.approx(0.5 + np.hypot(0.03, margin))


def test_the_interval_holds_the_difference_of_recipes_as_often_as_it_says() -> None:
    """Two recipes with three trainings each, equally good: about one interval in twenty leaves 0 out."""
    missed = 0
    for seed in range(200):
        points, resampled, names = trainings(0.03, recipes=2, seeds=3, seed=seed)
        noise = training_noise(points, resampled, names)
        value = points[3:].mean() - points[:3].mean()
        draws = resampled[:, 3:].mean(axis=1) - resampled[:, :3].mean(axis=1)
        low, high = np.quantile(draws, [0.025, 0.975])
        found = over_trainings(Estimate(float(value), float(low), float(high)), noise, [3, 3])
        missed += not found.low <= 0 <= found.high
    assert missed <= 20
