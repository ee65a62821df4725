"""Segmentation scores from pixel counts: IoU of every class, its mean, accuracies. Pixels to ignore count nowhere.

Every function takes counts whose leading axes are free, so that the same line serves one image, a data set and all
bootstrap resamples of it.
"""

import numpy as np
import torch
from jaxtyping import Float, Int, Num
from torch import Tensor

from weatherglass.types import IGNORE, Masks

Counts = Num[np.ndarray, "*rows classes"]
Numbers = Float[np.ndarray, "*rows"]


def pixel_counts(
    prediction: Int[Tensor, "batch height width"], masks: Masks, classes: int
) -> tuple[Int[Tensor, "batch classes"], Int[Tensor, "batch classes"], Int[Tensor, "batch classes"]]:
    """Pixels of each image and class that are (rightly found, predicted, true), as int64.

    Only pixels whose truth is not `IGNORE` count, in all three.
    """
    counted = masks != IGNORE
    found = torch.where(counted & (prediction == masks), prediction, classes)
    return (
        _histogram(found, classes),
        _histogram(torch.where(counted, prediction, classes), classes),
        _histogram(torch.where(counted, masks, classes), classes),
    )


def _histogram(values: Tensor, classes: int) -> Int[Tensor, "batch classes"]:
    """How often each class occurs in each image; the value `classes` stands for pixels that do not count."""
    values = values.flatten(1).long()
    rows = torch.arange(len(values), device=values.device)[:, None] * (classes + 1)
    counts = torch.bincount((values + rows).flatten(), minlength=len(values) * (classes + 1))
    return counts.view(len(values), classes + 1)[:, :classes]


def intersection_over_union(found: Counts, predicted: Counts, true: Counts) -> Float[np.ndarray, "*rows classes"]:
    """IoU of every class, found / (predicted + true - found); nan for a class that is neither there nor predicted."""
    return _ratio(found, np.asarray(predicted) + true - found)


def mean_iou(found: Counts, predicted: Counts, true: Counts) -> Numbers:
    """Mean IoU over the classes that occur in the truth or the prediction; nan where there is none."""
    return _mean_of_defined(intersection_over_union(found, predicted, true))


def pixel_accuracy(found: Counts, true: Counts) -> Numbers:
    """Share of the counted pixels that are right."""
    return _ratio(np.sum(found, axis=-1), np.sum(true, axis=-1))


def class_accuracy(found: Counts, true: Counts) -> Numbers:
    """Mean over the classes of the share of their pixels that is found."""
    return _mean_of_defined(_ratio(found, true))


def _mean_of_defined(values: np.ndarray) -> np.ndarray:
    defined = np.isfinite(values)
    return _ratio(np.where(defined, values, 0).sum(axis=-1), defined.sum(axis=-1))


def _ratio(numerator: Num[np.ndarray, "*rows"], denominator: Num[np.ndarray, "*rows"]) -> np.ndarray:
    numerator, denominator = np.asarray(numerator, np.float64), np.asarray(denominator, np.float64)
    out = np.full(np.broadcast_shapes(numerator.shape, denominator.shape), np.nan)
    return np.divide(numerator, denominator, out=out, where=denominator != 0)
