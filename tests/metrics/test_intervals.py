"""Intervals cover what they promise, repeat exactly, and claim no certainty where there is none."""

import numpy as np
import pytest

from weatherglass.metrics.classification import expected_calibration_error, resampled_calibration_error
from weatherglass.metrics.intervals import Bootstrap, centred, estimate, fixed_point, wilson_interval


def test_resamples_are_multinomial_and_repeat() -> None:
    counts = np.concatenate(list(Bootstrap(50, 400).counts()))
    assert counts.shape == (400, 50)
    assert (counts.sum(axis=1) == 50).all()
    assert counts.mean(axis=0) == pytest.approx(np.ones(50), abs=0.25)
    assert counts.var() == pytest.approx(1 - 1 / 50, abs=0.05)
    assert np.array_equal(counts, np.concatenate(list(Bootstrap(50, 400).counts())))
    assert not np.array_equal(counts, np.concatenate(list(Bootstrap(50, 400, seed=1).counts())))


def test_a_row_does_not_depend_on_how_many_there_are() -> None:
    few, many = (next(Bootstrap(30, resamples).counts()) for resamples in (3, 20))
    assert np.array_equal(few, many[:3])


def test_all_conditions_share_the_resamples() -> None:
    values = np.random.default_rng(0).random((1, 40)) < 0.5
    means = Bootstrap(40, 200).means(np.concatenate([values, values, ~values]))
    assert np.array_equal(means[:, 0], means[:, 1])
    assert means[:, 0] + means[:, 2] == pytest.approx(np.ones(200))


def test_means_are_the_plain_means_of_the_resampled_images() -> None:
    values = np.random.default_rng(1).normal(size=(3, 60))
    bootstrap = Bootstrap(60, 300)
    expected = np.array(
        [[np.average(row, weights=count) for row in values] for count in np.concatenate(list(bootstrap.counts()))]
    )
    assert bootstrap.means(values) == pytest.approx(expected, abs=2**-20)
    assert np.array_equal(fixed_point(np.array([0.25, -1.5])), [0.25, -1.5])


def test_the_interval_covers_the_truth_about_as_often_as_it_says() -> None:
    generator = np.random.default_rng(5)
    covered = 0
    for trial in range(300):
        right = generator.random((1, 150)) < 0.7
        means = Bootstrap(150, 200, seed=trial).means(right)[:, 0]
        found = estimate(float(right.mean()), means, samples=150)
        assert found is not None
        covered += found.low <= 0.7 <= found.high
    # 95 % of 300 is 285; the binomial standard deviation is 3.8 and the percentile interval errs a little low.
    assert 270 <= covered <= 296


def test_the_interval_of_a_paired_ratio_is_narrower_than_of_unpaired_parts() -> None:
    generator = np.random.default_rng(2)
    luck = generator.random(400)
    rows = Bootstrap(400, 500).means(np.stack([luck < 0.9, luck < 0.6]))
    ratio = rows[:, 1] / rows[:, 0]
    unpaired = rows[:, 1] / np.roll(rows[:, 0], 1)
    assert ratio.std() < 0.95 * unpaired.std()


@pytest.mark.parametrize("samples", [1, 2, 100])
@pytest.mark.parametrize("rate", [0.0, 1.0])
def test_all_right_or_all_wrong_is_not_certain(samples: int, rate: float) -> None:
    right = np.full((1, samples), rate == 1.0)
    found = estimate(rate, Bootstrap(samples, 100).means(right)[:, 0], samples=samples)
    assert found is not None
    assert found.method == "wilson"
    assert found.low <= rate <= found.high
    assert found.high - found.low == pytest.approx(3.8416 / (samples + 3.8416), abs=1e-4)


def test_without_bounds_nothing_is_claimed() -> None:
    found = estimate(2.5, np.full(100, 2.5), samples=1, span=None)
    assert found is not None
    assert (found.method, found.low, found.high, str(found.number(1))) == ("none", 2.5, 2.5, "2.5")
    assert estimate(float("nan"), np.ones(3), samples=1) is None


def test_a_collapsed_ratio_scales_the_rate() -> None:
    # Retention 0 of a model with clean accuracy 0.5: the corrupted rate may be as high as Wilson says, twice over.
    found = estimate(0.0, np.zeros(100), samples=50, scale=2.0)
    assert found is not None
    assert found.high == pytest.approx(2 * wilson_interval(0.0, 50)[1])


def test_wilson_published_example() -> None:
    # Newcombe (1998), table I: 15 of 148 gives 0.0624 .. 0.1605; 81 of 263 gives 0.2553 .. 0.3662.
    assert wilson_interval(15 / 148, 148) == (pytest.approx(0.0624, abs=5e-5), pytest.approx(0.1605, abs=5e-5))
    assert wilson_interval(81 / 263, 263) == (pytest.approx(0.2553, abs=5e-5), pytest.approx(0.3662, abs=5e-5))
    assert wilson_interval(0.5, 0) == (0.0, 1.0)


def test_resampled_calibration_error_is_the_error_of_the_resampled_images() -> None:
    generator = np.random.default_rng(3)
    confidence = generator.random((2, 80)).astype(np.float32)
    correct = generator.random((2, 80)) < confidence
    bootstrap = Bootstrap(80, 40)
    found = resampled_calibration_error(confidence, correct, bootstrap)
    for row, counts in enumerate(np.concatenate(list(bootstrap.counts())).astype(int)):
        picked = np.repeat(np.arange(80), counts)
        for column in range(2):
            expected = expected_calibration_error(confidence[column, picked], correct[column, picked])
            assert found[row, column] == pytest.approx(expected, abs=1e-4)
    assert centred(found[:, 0], 0.1).mean() == pytest.approx(0.1, abs=0.02)
