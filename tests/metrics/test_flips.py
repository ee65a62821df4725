"""Flip rates of sequences whose flips are known."""

import numpy as np
import pytest

from weatherglass.metrics.flips import (
    flip_probability,
    mean_flip_rate,
    top5_distances,
    zipf_distances,
)


def test_constant_and_alternating_predictions() -> None:
    assert flip_probability(np.ones((31, 5), int)) == 0
    assert flip_probability((np.arange(31)[:, None] % 2).repeat(5, axis=1)) == 1


def test_noise_is_compared_with_the_first_frame() -> None:
    predictions = np.array([[0], [1], [1], [0]])
    assert flip_probability(predictions) == pytest.approx(2 / 3)
    assert flip_probability(predictions, noise=True) == pytest.approx(2 / 3)
    assert flip_probability(np.array([[0], [1], [1], [1]]), noise=True) == 1
    assert flip_probability(np.array([[0], [1], [1], [1]])) == pytest.approx(1 / 3)


def test_mean_flip_rate_and_what_it_needs() -> None:
    assert mean_flip_rate({"tilt": 0.1, "scale": 0.3}, {"tilt": 0.2, "scale": 0.2}) == pytest.approx(1.0)
    with pytest.raises(ValueError, match="no flips under scale"):
        mean_flip_rate({"scale": 0.1}, {"scale": 0.0})
    with pytest.raises(ValueError, match="at least 2"):
        flip_probability(np.ones((1, 5), int))


def test_difficulty_compares_frames_further_apart() -> None:
    predictions = np.array([[0], [1], [0], [1], [0]])
    assert flip_probability(predictions, step=2) == 0
    assert flip_probability(predictions, step=3) == 1
    # Noise grows with the difficulty; its frames are compared with the first at every one.
    assert flip_probability(predictions, noise=True, step=3) == 0.5
    with pytest.raises(ValueError, match="2 apart; got 2"):
        flip_probability(predictions[:2], step=2)


def top5(before: list[int], after: list[int]) -> int:
    return int(top5_distances(np.array([[before], [after]]))[0, 0])


def test_top5_distance_by_hand() -> None:
    assert top5([1, 2, 3, 4, 5], [1, 2, 3, 4, 5]) == 0
    assert top5([1, 2, 3, 4, 5], [2, 1, 3, 4, 5]) == 2
    assert top5([1, 2, 3, 4, 5], [6, 7, 8, 9, 10]) == 5 + 4 + 3 + 2 + 1
    assert top5([1, 2, 3, 4, 5], [1, 2, 3, 4, 9]) == 1
    # The first class leaves the five, the others move up by one: 5 + 1 + 1 + 1 + 1; the other way round 1 + 4 x 1.
    assert top5([1, 2, 3, 4, 5], [2, 3, 4, 5, 6]) == 9
    assert top5([2, 3, 4, 5, 6], [1, 2, 3, 4, 5]) == 5


def test_top5_distance_is_the_double_sum_of_the_paper() -> None:
    generator = np.random.default_rng(0)
    before, after = (np.stack([generator.permutation(8) for _ in range(50)]) for _ in range(2))
    rank = after.argsort(axis=1) + 1
    sums = []
    for order, place in zip(before, rank, strict=True):
        pairs = [(i, place[order[i - 1]]) for i in range(1, 6)]
        sums.append(sum(1 <= j - 1 <= 5 for i, s in pairs for j in range(min(i, s) + 1, max(i, s) + 1)))
    assert top5_distances(np.stack([before, after])[..., :5])[0].tolist() == sums


def test_zipf_distance_by_hand() -> None:
    same, swapped = np.array([[1, 2, 3]]), np.array([[2, 1, 3]])
    assert zipf_distances(np.stack([same, same]))[0, 0] == 0
    # |1/1 - 1/2| / 1 for the best class, |1/2 - 1/1| / 2 for the second.
    assert zipf_distances(np.stack([same, swapped]))[0, 0] == pytest.approx(0.5 + 0.25)
