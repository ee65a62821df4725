"""Segmentation: pixel counts of every image and class are kept, and every score is made of their sums."""

from collections.abc import Mapping

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from weatherglass.metrics.comparison import exchange_test
from weatherglass.metrics.intervals import Bootstrap
from weatherglass.metrics.segmentation import (
    class_accuracy,
    intersection_over_union,
    mean_iou,
    pixel_accuracy,
    pixel_counts,
)
from weatherglass.tasks.task import ClassTable, Columns, InvalidOutput, Kinds, Score, ScoreTable
from weatherglass.types import Masks, PixelLogits, Predictor


class Segmentation:
    """Semantic segmentation over a fixed set of classes. Final."""

    name = "segmentation"
    headline = "miou"
    measure = "mIoU"
    kept = ("found", "predicted", "true")
    counts_images = False
    resampled_images = None
    scores: Mapping[str, Score] = {
        "miou": Score("clean mIoU", "mean corrupted mIoU (mPC)"),
        "pixel_accuracy": Score("clean pixel accuracy", "mean corrupted pixel accuracy"),
        "class_accuracy": Score("clean mean class accuracy", "mean corrupted class accuracy"),
    }

    def output_shape(self, predictor: Predictor, images: Tensor) -> tuple[int, ...]:
        return (len(images), predictor.classes, *images.shape[-2:])

    def observe(self, output: PixelLogits, truth: Masks) -> dict[str, np.ndarray]:
        """What is kept of each image.

        `found`, `predicted`, `true`: int64, shape (samples, classes), pixels of each class that are rightly found,
        predicted and true, among those that count. `iou`: float32, the image's own mIoU (nan where nothing counts).
        Raises `InvalidOutput` when an output is not finite.
        """
        if not torch.isfinite(output).all():
            bad = int((~torch.isfinite(output)).flatten(1).any(dim=1).sum())
            raise InvalidOutput(f"the model returned NaN or infinite outputs for {bad} of {len(output)} images")
        counts = pixel_counts(output.argmax(dim=1), truth.to(output.device), output.shape[1])
        kept = {name: value.cpu().numpy() for name, value in zip(self.kept, counts, strict=True)}
        return kept | {"iou": mean_iou(**kept).astype(np.float32)}

    def summarise(self, observations: Columns) -> dict[str, float]:
        """Scores of one cell from the sums over its images: `miou`, `pixel_accuracy`, `class_accuracy` in [0, 1]."""
        sums = {name: observations[name].sum(axis=0) for name in self.kept}
        return {name: float(value) for name, value in _scores(sums).items()}

    def tables(self, columns: Columns, bootstrap: Bootstrap) -> dict[str, ScoreTable]:
        """Scores of stacked conditions from the sums over the images of each resample."""
        conditions = len(columns["found"])
        rows: list[dict[str, np.ndarray]] = []
        for condition in range(conditions):
            counts = np.concatenate([columns[name][condition] for name in self.kept], axis=-1)
            rows.append(_scores(_split(_sums(counts, bootstrap))))
        return {name: np.stack([row[name] for row in rows], axis=1) for name in self.scores}

    def classes(
        self, columns: Columns, labels: np.ndarray, clean: int | None, kinds: Kinds, bootstrap: Bootstrap
    ) -> list[ClassTable]:
        """IoU of each class that occurs in the truth."""
        images = (columns["true"][0] > 0).sum(axis=0)
        corrupted = np.mean(
            [np.mean([self._ious(columns, row, bootstrap) for row in rows], axis=0) for rows in kinds], axis=0
        )
        before = None if clean is None else self._ious(columns, clean, bootstrap)
        return [
            ClassTable(index, int(count), None if before is None else before[:, index], corrupted[:, index])
            for index, count in enumerate(images)
            if count
        ]

    def _ious(self, columns: Columns, row: int, bootstrap: Bootstrap) -> Float[np.ndarray, "rows classes"]:
        counts = np.concatenate([columns[name][row] for name in self.kept], axis=-1)
        return intersection_over_union(**_split(_sums(counts, bootstrap)))

    def image_scores(self, columns: Columns) -> Float[np.ndarray, "*conditions samples"]:
        """mIoU of each image by itself."""
        return mean_iou(*(columns[name] for name in self.kept))

    def p_values(self, first: Columns, second: Columns, *, mid_p: bool) -> Float[np.ndarray, " conditions"]:
        """Paired randomisation test of the difference in mIoU; `mid_p` has no meaning here."""

        def counts(columns: Columns, row: int) -> np.ndarray:
            return np.concatenate([columns[name][row] for name in self.kept], axis=-1).astype(np.float64)

        def score(sums: np.ndarray) -> np.ndarray:
            return mean_iou(**_split(sums))

        rows = range(len(first["found"]))
        return np.array([exchange_test(counts(first, row), counts(second, row), score) for row in rows])

    def test_name(self, *, mid_p: bool) -> str:
        return "randomisation test of paired images"


def _sums(counts: np.ndarray, bootstrap: Bootstrap) -> np.ndarray:
    """Sums over all images, then over those of each resample; exact, since counts are whole numbers below 2**53."""
    exact = counts.astype(np.float64)
    return np.concatenate(
        [exact.sum(axis=0)[None], *(block.astype(np.float64) @ exact for block in bootstrap.counts())]
    )


def _split(sums: np.ndarray) -> dict[str, np.ndarray]:
    found, predicted, true = np.split(sums, 3, axis=-1)
    return {"found": found, "predicted": predicted, "true": true}


def _scores(sums: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
    found, predicted, true = sums["found"], sums["predicted"], sums["true"]
    return {
        "miou": mean_iou(found, predicted, true),
        "pixel_accuracy": pixel_accuracy(found, true),
        "class_accuracy": class_accuracy(found, true),
    }
