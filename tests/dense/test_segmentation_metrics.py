"""mIoU against a confusion matrix written another way, its resamples, and the paired test."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from weatherglass.metrics.comparison import exchange_test
from weatherglass.metrics.intervals import Bootstrap
from weatherglass.metrics.segmentation import class_accuracy, mean_iou, pixel_accuracy, pixel_counts
from weatherglass.tasks.segmentation import Segmentation
from weatherglass.tasks.task import InvalidOutput


def confusion(prediction: np.ndarray, truth: np.ndarray, classes: int) -> np.ndarray:
    """Pixel by pixel, true class down, predicted class across; 255 counts nowhere."""
    matrix = np.zeros((classes, classes), int)
    for true, predicted in zip(truth.ravel(), prediction.ravel(), strict=True):
        if true != 255:
            matrix[true, predicted] += 1
    return matrix


def oracle_miou(matrix: np.ndarray) -> float:
    union = matrix.sum(0) + matrix.sum(1) - np.diag(matrix)
    return float(np.mean([matrix[k, k] / union[k] for k in range(len(matrix)) if union[k]]))


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 10_000), st.integers(2, 6), st.floats(0, 0.9))
def test_counts_and_scores_equal_a_confusion_matrix(seed: int, classes: int, ignored: float) -> None:
    random = np.random.default_rng(seed)
    truth = random.integers(0, classes, (3, 5, 7)).astype(np.uint8)
    truth[random.random(truth.shape) < ignored] = 255
    truth[0, 0, 0] = 0
    prediction = random.integers(0, classes, truth.shape)
    counts = [c.numpy() for c in pixel_counts(torch.from_numpy(prediction), torch.from_numpy(truth), classes)]
    sums = [count.sum(axis=0) for count in counts]
    matrix = confusion(prediction, truth, classes)
    assert np.array_equal(sums[0], np.diag(matrix))
    assert np.array_equal(sums[1], matrix.sum(0))
    assert np.array_equal(sums[2], matrix.sum(1))
    assert mean_iou(*sums) == pytest.approx(oracle_miou(matrix), abs=1e-12)
    assert pixel_accuracy(sums[0], sums[2]) == pytest.approx(np.trace(matrix) / matrix.sum())
    rows = [matrix[k, k] / matrix[k].sum() for k in range(classes) if matrix[k].sum()]
    assert class_accuracy(sums[0], sums[2]) == pytest.approx(np.mean(rows))


def test_miou_is_of_totals_not_a_mean_of_images() -> None:
    truth = torch.tensor([[[0, 0, 0, 0]], [[0, 1, 1, 1]]], dtype=torch.uint8)
    scores = torch.nn.functional.one_hot(torch.tensor([[[0, 0, 0, 1]], [[0, 0, 1, 1]]]), 2).permute(0, 3, 1, 2).float()
    task = Segmentation()
    seen = task.observe(scores, truth)
    assert task.summarise(seen)["miou"] == pytest.approx((4 / 6 + 2 / 4) / 2)
    assert float(seen["iou"].mean()) != pytest.approx((4 / 6 + 2 / 4) / 2)


def test_resamples_are_those_of_the_images() -> None:
    random = np.random.default_rng(0)
    columns = {name: random.integers(1, 50, (2, 6, 3)) for name in Segmentation.kept}
    columns["predicted"] += columns["found"]
    columns["true"] += columns["found"]
    bootstrap = Bootstrap(6, 20)
    rows = Segmentation().tables(columns, bootstrap)["miou"]
    weights = np.concatenate(list(bootstrap.counts()))
    for row, weight in [(0, np.ones(6)), (1, weights[0]), (20, weights[19])]:
        sums = [np.tensordot(weight, columns[name][1], axes=1) for name in Segmentation.kept]
        assert rows[row, 1] == pytest.approx(mean_iou(*sums))


def test_an_image_without_counted_pixels_has_no_score_and_harms_nothing() -> None:
    truth = torch.full((1, 2, 2), 255, dtype=torch.uint8)
    seen = Segmentation().observe(torch.zeros(1, 3, 2, 2), truth)
    assert np.isnan(seen["iou"][0])
    assert seen["predicted"].sum() == 0


def test_outputs_that_are_not_numbers_are_refused() -> None:
    with pytest.raises(InvalidOutput, match="1 of 1"):
        Segmentation().observe(torch.full((1, 2, 2, 2), torch.nan), torch.zeros(1, 2, 2, dtype=torch.uint8))


def test_exchange_test() -> None:
    random = np.random.default_rng(3)
    first = np.abs(random.normal(10, 2, (40, 1)))

    def score(sums: np.ndarray) -> np.ndarray:
        return sums[:, 0]

    assert exchange_test(first, first, score, exchanges=500) == 1.0
    assert exchange_test(first, first + 3, score, exchanges=2000) == pytest.approx(1 / 2001)
    noisy = [exchange_test(first, random.permutation(first), score, exchanges=400, seed=s) for s in range(40)]
    assert np.mean(np.array(noisy) < 0.05) < 0.2


def test_the_exchange_test_is_exact_where_it_can_be_counted() -> None:
    first, second = np.array([[1.0], [2.0], [4.0]]), np.zeros((3, 1))

    def score(sums: np.ndarray) -> np.ndarray:
        return sums[:, 0]

    # Of the 8 exchanges only none and all reach |7|.
    assert exchange_test(first, second, score, exchanges=20_000) == pytest.approx(2 / 8, abs=0.01)
