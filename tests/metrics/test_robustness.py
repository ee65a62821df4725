"""Formulas of robustness against values that are known without them."""

import numpy as np
import pytest

from weatherglass.metrics import alexnet, robustness

PUBLISHED_MEANS = {
    "gaussian_noise": 0.886428,
    "shot_noise": 0.894468,
    "impulse_noise": 0.922640,
    "defocus_blur": 0.819880,
    "glass_blur": 0.826268,
    "motion_blur": 0.785948,
    "zoom_blur": 0.798360,
    "snow": 0.866816,
    "frost": 0.826572,
    "fog": 0.819324,
    "brightness": 0.564592,
    "contrast": 0.853204,
    "elastic_transform": 0.646056,
    "pixelate": 0.717840,
    "jpeg_compression": 0.606500,
    "speckle_noise": 0.845388,
    "gaussian_blur": 0.787108,
    "spatter": 0.717512,
    "saturate": 0.658248,
}


def alexnet_errors() -> dict[str, np.ndarray]:
    return {kind: np.array(alexnet.ERROR[kind]) for kind in alexnet.MAIN_CORRUPTIONS}


def test_alexnet_scores_exactly_100_against_itself() -> None:
    errors = alexnet_errors()
    ce = {kind: robustness.corruption_error(row, row) for kind, row in errors.items()}
    assert 100 * float(robustness.mean_corruption_error(ce)) == 100.0
    clean = alexnet.CLEAN_ERROR
    relative = {k: robustness.relative_corruption_error(row, clean, row, clean) for k, row in errors.items()}
    assert 100 * float(robustness.mean_corruption_error(relative)) == 100.0


@pytest.mark.parametrize("kind", alexnet.ERROR)
def test_the_rows_of_the_table_have_their_published_means(kind: str) -> None:
    assert round(float(np.mean(alexnet.ERROR[kind])), 6) == PUBLISHED_MEANS[kind]


def test_a_perfect_model_scores_0() -> None:
    ce = {kind: robustness.corruption_error(0 * row, row) for kind, row in alexnet_errors().items()}
    assert float(robustness.mean_corruption_error(ce)) == 0.0


def test_published_resnet50_row() -> None:
    # The mean accuracies of torchvision's ResNet-50 on the released files, for nine of the corruptions.
    accuracy = {
        "brightness": 68.02,
        "contrast": 39.06,
        "defocus_blur": 38.75,
        "elastic_transform": 45.25,
        "fog": 45.83,
        "frost": 38.14,
        "gaussian_noise": 29.29,
        "glass_blur": 26.79,
        "impulse_noise": 23.81,
    }
    errors = {
        k: robustness.corruption_error(np.full(5, 1 - a / 100), np.array(alexnet.ERROR[k])) for k, a in accuracy.items()
    }
    # Published CE of ResNet-50 (Hendrycks & Dietterich 2019, table 1; the mCE of all 15 is 76.7).
    published = {"gaussian_noise": 80, "impulse_noise": 83, "defocus_blur": 75, "glass_blur": 89, "brightness": 57}
    for kind, ce in published.items():
        assert 100 * float(errors[kind]) == pytest.approx(ce, abs=0.6)


def test_every_corruption_weighs_the_same() -> None:
    accuracy = {"fog": np.array([0.8, 0.6]), "snow": np.array([0.1, 0.1, 0.1, 0.1])}
    assert robustness.mean_corrupted_accuracy(accuracy) == pytest.approx(0.4)
    assert robustness.retention(np.array(0.4), np.array(0.8)) == pytest.approx(0.5)
    assert np.isnan(robustness.retention(np.array(0.4), np.array(0.0)))


def test_resamples_ride_along() -> None:
    error = np.random.default_rng(0).random((7, 5))
    reference = np.array(alexnet.ERROR["fog"])
    together = robustness.corruption_error(error, reference)
    assert together.shape == (7,)
    assert together.tolist() == [float(robustness.corruption_error(row, reference)) for row in error]


def test_smallest_failing_severity() -> None:
    clean = np.array([True, True, False, True])
    correct = np.array([[True, False, True, True], [False, True, True, True]])
    found = robustness.smallest_failing_severity(clean, correct, (1.0, 3.0))
    assert found.tolist() == [3.0, 1.0, 0.0, np.inf]


def test_effective_robustness_is_the_residual_of_the_logit_line() -> None:
    clean = np.array([0.6, 0.7, 0.8, 0.9])
    logit = np.log(clean / (1 - clean))
    disturbed = 1 / (1 + np.exp(-(0.9 * logit - 0.7)))
    line = robustness.fit_robustness_line(clean, disturbed)
    assert (line.slope, line.intercept) == (pytest.approx(0.9), pytest.approx(-0.7))
    assert line.effective_robustness(clean, disturbed) == pytest.approx(np.zeros(4), abs=1e-12)
    above = line.effective_robustness(np.array(0.75), line.expected(np.array(0.75)) + 0.05)
    assert above == pytest.approx(0.05)


def test_a_line_needs_three_different_models() -> None:
    with pytest.raises(ValueError, match="at least 3"):
        robustness.fit_robustness_line(np.array([0.5, 0.6]), np.array([0.4, 0.5]))
    with pytest.raises(ValueError, match="same clean accuracy"):
        robustness.fit_robustness_line(np.full(3, 0.5), np.array([0.4, 0.5, 0.3]))
