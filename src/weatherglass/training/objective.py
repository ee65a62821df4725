"""What a loop needs to know of what is learned: samples, loss, score. Classification is one; dense tasks are others."""

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from typing import Any, Generic, TypeVar

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.utils.data import Dataset

Batch = TypeVar("Batch")


class Objective(ABC, Generic[Batch]):
    """One thing to learn from one set of data. The loop knows nothing else about either."""

    samples: int
    """Number of training samples."""
    dataset: Dataset[Any]
    """`dataset[place]` is one augmented sample, a function of the place and the recipe's seed alone."""
    data: Mapping[str, str]
    """What was trained on and is scored on, with digests, for checkpoints and messages."""

    @abstractmethod
    def build(self) -> nn.Module:
        """A freshly initialised network, or one that starts from the recipe's checkpoint."""

    @abstractmethod
    def collate(self, samples: Sequence[Any]) -> Batch:
        """Samples as one batch, on the CPU; may run in a loading process."""

    @abstractmethod
    def loss(self, model: nn.Module, batch: Batch, *, key: int, device: torch.device) -> Float[Tensor, ""]:
        """The mean loss of a batch; `key` decides what is drawn for the batch as a whole.

        Equal keys draw the same on every process, so that parts of a batch are treated alike.
        """

    @abstractmethod
    def score(self, model: nn.Module, device: torch.device, *, workers: int) -> dict[str, float]:
        """Scores of a network in evaluation mode on held-out data, the headline first; empty where there is none.

        Rates lie in [0, 1] and come with the number of samples as 'images'.
        """

    @abstractmethod
    def description(self, scores: Mapping[str, float]) -> dict[str, Any]:
        """What a file of weights says about the network, so that it can be built from the file alone."""
