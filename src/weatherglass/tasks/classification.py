"""Classification: what is kept for each sample, and the scores of a whole cell."""

from collections.abc import Mapping

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor

from weatherglass.metrics.classification import (
    expected_calibration_error,
    mean_score,
    resampled_calibration_error,
    top_k_accuracy,
)
from weatherglass.metrics.comparison import mcnemar
from weatherglass.metrics.flips import TOP, flips, top5_distances, zipf_distances
from weatherglass.metrics.intervals import Bootstrap, centred, fixed_point
from weatherglass.tasks.task import ClassTable, Columns, InvalidOutput, Kinds, Score, ScoreTable, stacked_wins
from weatherglass.types import Predictor


class Classification:
    """Single-label classification over a fixed set of classes. Final."""

    name = "classification"
    headline = "top1"
    measure = "accuracy"
    kept = ("rank", "confidence", "nll", "brier")
    counts_images = True
    resampled_images = None
    scores: Mapping[str, Score] = {
        "top1": Score("clean top-1 accuracy", "mean corrupted accuracy"),
        "top5": Score("clean top-5 accuracy", "mean corrupted top-5 accuracy"),
        "ece": Score("clean calibration error", "mean corrupted calibration error", lower_is_better=True),
        "nll": Score(
            "clean negative log-likelihood", "mean corrupted negative log-likelihood", None, lower_is_better=True
        ),
        "brier": Score("clean Brier score", "mean corrupted Brier score", (0.0, 2.0), lower_is_better=True),
    }

    def output_shape(self, predictor: Predictor, images: Tensor) -> tuple[int, ...]:
        return (len(images), predictor.classes)

    def observe(self, output: Float[Tensor, "batch classes"], truth: Int[Tensor, " batch"]) -> dict[str, np.ndarray]:
        """What is kept for each sample.

        `prediction` int32; `rank` int32, position of the true class among the outputs, 0 = largest (ties count
        against the model); `confidence` float32, largest softmax probability; `nll` float32, negative
        log-likelihood in nats; `brier` float32, squared distance between softmax and one-hot label, in [0, 2].
        Raises `InvalidOutput` when an output is not finite.
        """
        if not torch.isfinite(output).all():
            bad = int((~torch.isfinite(output)).any(dim=1).sum())
            raise InvalidOutput(f"the model returned NaN or infinite outputs for {bad} of {len(output)} images")
        output = output.double()
        labels = truth.to(output.device)
        log_probability = output.log_softmax(dim=1)
        probability = log_probability.exp()
        true_output = output.gather(1, labels[:, None])
        true_probability = probability.gather(1, labels[:, None]).squeeze(1)
        # A class with exactly the same output as the true one is counted as ahead of it: a constant model
        # must not score 100 %.
        rank = (output >= true_output).sum(dim=1) - 1
        prediction = torch.where(rank == 0, labels, output.scatter(1, labels[:, None], -torch.inf).argmax(dim=1))
        kept = {
            "prediction": prediction.int(),
            "rank": rank.int(),
            "confidence": probability.amax(dim=1).float(),
            "nll": -log_probability.gather(1, labels[:, None]).squeeze(1).float(),
            "brier": (probability.square().sum(dim=1) - 2 * true_probability + 1).clamp(min=0).float(),
        }
        return {name: value.cpu().numpy() for name, value in kept.items()}

    def observe_frames(
        self, outputs: Float[Tensor, "frames batch classes"], labels: Int[Tensor, " batch"], *, noise: bool
    ) -> dict[str, np.ndarray]:
        """What is kept of each sequence: the columns of `observe` for its last frame, and how the outputs changed.

        `best` int32, (frames, 5), the classes of the largest outputs of every frame, best first; `flips` float32,
        share of the steps at which the prediction changed; `top5_distance` and `zipf_distance` float32, mean over the
        steps (`metrics.flips`). Of equal outputs the lower class counts as the larger, in all of these.
        """
        kept = self.observe(outputs[-1], labels)
        if not torch.isfinite(outputs).all():
            raise InvalidOutput("the model returned NaN or infinite outputs for some frames of a sequence")
        order = outputs.argsort(dim=2, descending=True, stable=True)
        best = order[:, :, :TOP].int().cpu().numpy()  # frames batch top
        ranks = order.argsort(dim=2).cpu().numpy() + 1
        return kept | {
            "best": np.ascontiguousarray(best.swapaxes(0, 1)),
            "flips": flips(best[..., 0], noise=noise).mean(axis=0, dtype=np.float32),
            "top5_distance": top5_distances(best, noise=noise).mean(axis=0, dtype=np.float32),
            "zipf_distance": zipf_distances(ranks, noise=noise).mean(axis=0, dtype=np.float32),
        }

    def summarise(self, observations: Mapping[str, np.ndarray]) -> dict[str, float]:
        """Scores of one cell: `top1`, `top5`, `ece` in [0, 1]; `nll` in nats; `brier` in [0, 2].

        Of a sequence these belong to its last frame; and `flips`, `top5_distance`, `zipf_distance`, means over images.
        """
        rank = observations["rank"]
        changes = ("flips", "top5_distance", "zipf_distance")
        return {name: mean_score(observations[name]) for name in changes if name in observations} | {
            "top1": top_k_accuracy(rank, 1),
            "top5": top_k_accuracy(rank, 5),
            "ece": expected_calibration_error(observations["confidence"], rank == 0),
            "nll": mean_score(observations["nll"]),
            "brier": mean_score(observations["brier"]),
        }

    def tables(self, columns: Columns, bootstrap: Bootstrap) -> dict[str, ScoreTable]:
        """Scores of stacked conditions; all of a data set share the resamples, so rows may be subtracted."""
        correct, confidence = columns["rank"] == 0, columns["confidence"]
        hits = np.concatenate([correct, columns["rank"] < 5])
        losses = np.concatenate([columns["nll"], columns["brier"]])
        top1, top5 = np.split(np.vstack([hits.mean(axis=1), bootstrap.means(hits)]), 2, axis=1)
        nll, brier = np.split(np.vstack([[mean_score(row) for row in losses], bootstrap.means(losses)]), 2, axis=1)
        gap = np.array([expected_calibration_error(c, r) for c, r in zip(confidence, correct, strict=True)])
        gaps = resampled_calibration_error(confidence, correct, bootstrap)
        # Resampling alone adds to a calibration error, so its resamples are moved back onto the estimate.
        gaps = np.stack([centred(column, value) for column, value in zip(gaps.T, gap, strict=True)], axis=1)
        return {"top1": top1, "top5": top5, "ece": np.vstack([gap, gaps]), "nll": nll, "brier": brier}

    def classes(
        self, columns: Columns, labels: np.ndarray, clean: int | None, kinds: Kinds, bootstrap: Bootstrap
    ) -> list[ClassTable]:
        """Accuracy among the images of each class."""
        correct = (columns["rank"] == 0).astype(np.float64)
        corrupted = np.mean([correct[list(rows)].mean(axis=0) for rows in kinds], axis=0)
        values = np.stack([corrupted, *([] if clean is None else [correct[clean]])])
        order = np.argsort(labels, kind="stable")
        present, starts, sizes = np.unique(labels[order], return_index=True, return_counts=True)
        resampled = _class_means(values[:, order], order, starts, bootstrap)
        found = []
        for k, (label, start, size) in enumerate(zip(present.tolist(), starts.tolist(), sizes.tolist(), strict=True)):
            members = order[start : start + size]
            rows = [np.r_[value[members].mean(), each[:, k]] for value, each in zip(values, resampled, strict=True)]
            found.append(ClassTable(label, size, None if clean is None else rows[1], rows[0]))
        return found

    def image_scores(self, columns: Columns) -> Float[np.ndarray, "*conditions samples"]:
        """1 for a right image, 0 for a wrong one."""
        return (columns["rank"] == 0).astype(np.float64)

    def p_values(self, first: Columns, second: Columns, *, mid_p: bool) -> Float[np.ndarray, " conditions"]:
        """McNemar's test of the images that only one of the two gets right."""
        only_first, only_second = stacked_wins(self.image_scores(first), self.image_scores(second))
        return np.array([mcnemar(b, c, mid_p=mid_p) for b, c in zip(only_first, only_second, strict=True)])

    def test_name(self, *, mid_p: bool) -> str:
        return f"McNemar's {'mid-p' if mid_p else 'exact'} test"


def _class_means(
    values: Float[np.ndarray, "columns samples"], order: np.ndarray, starts: np.ndarray, bootstrap: Bootstrap
) -> list[Float[np.ndarray, "resamples classes"]]:
    """Mean of each column within each class, in every resample; nan where a resample holds no image of the class."""
    values = fixed_point(values)
    blocks: list[list[np.ndarray]] = [[] for _ in values]
    for counts in bootstrap.counts():
        weights = counts[:, order].astype(np.float64)
        sizes = np.add.reduceat(weights, starts, axis=1)
        for block, column in zip(blocks, values, strict=True):
            sums = np.add.reduceat(weights * column, starts, axis=1)
            block.append(np.divide(sums, sizes, out=np.full_like(sums, np.nan), where=sizes > 0))
    return [np.concatenate(block) for block in blocks]
