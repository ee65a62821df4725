"""What the engine asks of a task: turn outputs into something kept for each sample, and that into scores."""

from collections.abc import Mapping
from typing import Any, Protocol, runtime_checkable

import numpy as np
from torch import Tensor

from weatherglass.catalog import Catalog


class InvalidOutput(ValueError):
    """The model's output cannot be scored (not finite, wrong shape); the cell is marked as failed."""


class Task(Protocol):
    """Classification, segmentation, detection: the engine and the store know no more of it than this."""

    name: str
    headline: str
    """The score that a table shows first; it is in [0, 1] and larger is better."""

    def observe(self, output: Any, labels: Tensor) -> dict[str, np.ndarray]:
        """One value a sample and column, in batch order. Raises `InvalidOutput`."""
        ...

    def summarise(self, observations: Mapping[str, np.ndarray]) -> dict[str, float]:
        """The scores of a cell from the columns of all its samples."""
        ...


@runtime_checkable
class FrameTask(Task, Protocol):
    """A task that can also say how its output changes along a sequence of frames."""

    def observe_frames(self, outputs: Any, labels: Tensor, *, noise: bool) -> dict[str, np.ndarray]:
        """One value (or array) a sample and column, from the outputs of all frames, stacked. Raises `InvalidOutput`.

        `noise`: each frame is compared with the first, else with the one before it.
        """
        ...


TASKS: Catalog[str] = Catalog("task", {"classification": "weatherglass.tasks.classification:Classification"})
"""Task name -> where it is defined."""
