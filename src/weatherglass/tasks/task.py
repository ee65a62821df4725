"""What the engine and the summaries ask of a task: what is kept of each sample, and the scores made of it."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib import import_module
from typing import Any, Protocol, runtime_checkable

import numpy as np
from jaxtyping import Bool, Float
from torch import Tensor

from weatherglass.catalog import Catalog
from weatherglass.metrics.intervals import Bootstrap
from weatherglass.types import Predictor

Columns = Mapping[str, np.ndarray]
"""By name; the first axis is the samples, or conditions and samples where several conditions are stacked."""

Rows = Float[np.ndarray, " rows"]

ScoreTable = Float[np.ndarray, "rows conditions"]
"""The score of every condition: the estimate in row 0, then one row a bootstrap resample."""

Kinds = Sequence[Sequence[int]]
"""Of each kind of corruption the rows of its severities among stacked conditions."""


class InvalidOutput(ValueError):
    """The model's output cannot be scored (not finite, wrong shape); the cell is marked as failed."""


@dataclass(frozen=True)
class Score:
    """One number of a cell, and how it is spoken of."""

    clean: str
    """What the clean value is called in text, e.g. 'clean top-1 accuracy'."""
    corrupted: str
    """What the mean over corruptions is called."""
    span: tuple[float, float] | None = (0.0, 1.0)
    """Between which values one image can lie; None: without bound."""
    lower_is_better: bool = False


@dataclass(frozen=True)
class ClassTable:
    """One class, clean and over a grid of conditions: the estimate, then one value a bootstrap resample."""

    index: int
    samples: int
    """Images that hold it."""
    clean: Rows | None
    """Accuracy or IoU of the class; None without a clean condition. nan where a resample lacks the class."""
    corrupted: Rows
    """Mean over the kinds of corruption of the mean over their severities."""


class Task(Protocol):
    """Classification, segmentation, detection: the engine, the store and the summaries know no more of it than this."""

    name: str
    headline: str
    """The score that a table shows first; it is in [0, 1] and larger is better."""
    scores: Mapping[str, Score]
    """Every score, the headline first."""
    measure: str
    """The headline in running text: 'accuracy', 'mIoU'."""
    kept: tuple[str, ...]
    """The columns of `observe` that scores are made of."""
    counts_images: bool
    """Whether the headline is a share of images, right or wrong; else it is made of parts of images."""

    resampled_images: int | None
    """Images x conditions x resamples that intervals are made of at most, where resampling is dear; None: any number.
    """

    def output_shape(self, predictor: Predictor, images: Tensor) -> tuple[int, ...]:
        """The shape that the output for `images` must have."""
        ...

    def observe(self, output: Any, truth: Any) -> dict[str, np.ndarray]:
        """What is kept of each sample, in batch order: one value or one row of values a column.

        Raises `InvalidOutput`.
        """
        ...

    def summarise(self, observations: Columns) -> dict[str, float]:
        """The scores of a cell from the columns of all its samples."""
        ...

    def tables(self, columns: Columns, bootstrap: Bootstrap) -> dict[str, ScoreTable]:
        """Every score of stacked conditions, with its resamples."""
        ...

    def classes(
        self, columns: Columns, labels: np.ndarray, clean: int | None, kinds: Kinds, bootstrap: Bootstrap
    ) -> list[ClassTable]:
        """The headline by class, for classes that occur; `clean` and `kinds` are rows of the stacked conditions."""
        ...

    def image_scores(self, columns: Columns) -> Float[np.ndarray, "*conditions samples"]:
        """The headline of each image by itself; nan where it has none."""
        ...

    def p_values(self, first: Columns, second: Columns, *, mid_p: bool) -> Float[np.ndarray, " conditions"]:
        """Two-sided paired tests, condition by condition: could the difference be chance?"""
        ...

    def test_name(self, *, mid_p: bool) -> str:
        """What `p_values` computes, in words."""
        ...


@runtime_checkable
class FrameTask(Task, Protocol):
    """A task that can also say how its output changes along a sequence of frames."""

    def observe_frames(self, outputs: Any, labels: Tensor, *, noise: bool) -> dict[str, np.ndarray]:
        """One value (or array) a sample and column, from the outputs of all frames, stacked. Raises `InvalidOutput`.

        `noise`: each frame is compared with the first, else with the one before it.
        """
        ...


TASKS: Catalog[str] = Catalog(
    "task",
    {
        "classification": "weatherglass.tasks.classification:Classification",
        "segmentation": "weatherglass.tasks.segmentation:Segmentation",
        "detection": "weatherglass.tasks.detection:Detection",
    },
)
"""Task name -> where it is defined."""


def task_named(name: str) -> Task:
    """The task of a protocol, a predictor or a data set."""
    module, _, attribute = TASKS[name].partition(":")
    return getattr(import_module(module), attribute)()


def affordable(task: Task, images: int, conditions: int, resamples: int) -> int:
    """How many of `resamples` are made: all, or as many as `resampled_images` allows, but at least 100."""
    if task.resampled_images is None:
        return resamples
    return min(resamples, max(100, task.resampled_images // max(images * conditions, 1)))


def stacked_wins(
    first: Float[np.ndarray, "conditions samples"], second: Float[np.ndarray, "conditions samples"]
) -> tuple[Sequence[int], Sequence[int]]:
    """Images on which the first, and on which the second is the better one, condition by condition."""
    better: Bool[np.ndarray, "conditions samples"] = first > second
    return better.sum(axis=1).tolist(), (second > first).sum(axis=1).tolist()
