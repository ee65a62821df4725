"""Flip rates of sequences whose flips are known."""

import numpy as np
import pytest

from weatherglass.metrics.flips import flip_probability, mean_flip_rate


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
