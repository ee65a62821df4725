"""What a loop needs to know of what is learned: samples, loss, score. Classification is one; dense tasks are others."""

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Any, Generic, TypeVar

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.utils.data import Dataset

from weatherglass.errors import UserError
from weatherglass.models.described import ModelDescription
from weatherglass.training.recipe import Mixing, Recipe
from weatherglass.types import ImageData, Pixels, Preprocessing

Batch = TypeVar("Batch")


class Objective(ABC, Generic[Batch]):
    """One thing to learn from one set of data. The loop knows nothing else about either."""

    dataset: Dataset[Any]
    """`dataset[place]` is one augmented sample, a function of the place and the recipe's seed alone."""
    remarks: tuple[str, ...] = ()
    """What whoever starts the training should know of the data."""

    def __init__(
        self, recipe: Recipe, data: ImageData, validation: ImageData | None, preprocessing: Preprocessing
    ) -> None:
        """`preprocessing` is that of evaluation, which the weights carry with them."""
        self.recipe = recipe
        self.preprocessing = preprocessing
        self.classes = data.classes
        self.samples = len(data)
        """Number of training samples."""
        self.data = {"data": data.name, "data digest": data.digest, "selection": data.selection}
        """What was trained on and is scored on, with digests, for checkpoints and messages."""
        if validation is not None:
            self.data |= {"validation": validation.name, "validation digest": validation.digest}

    @abstractmethod
    def build(self) -> nn.Module:
        """A freshly initialised network, or one that starts from the recipe's checkpoint."""

    @staticmethod
    @abstractmethod
    def collate(samples: Sequence[Any]) -> Batch:
        """Samples as one batch, on the CPU. Loading processes run it, which know nothing else of the objective."""

    @abstractmethod
    def loss(self, model: nn.Module, batch: Batch, *, key: int, device: torch.device) -> Float[Tensor, ""]:
        """The mean loss of a batch; `key` decides what is drawn for the batch as a whole.

        Equal keys draw the same on every process, so that parts of a batch are treated alike.
        """

    @abstractmethod
    def score(self, model: nn.Module, device: torch.device, *, workers: int) -> dict[str, float]:
        """Scores of a network in evaluation mode on held-out data, the headline first; empty where there is none.

        Rates lie in [0, 1] and come with the number of samples as 'images'. Every process scores all of it; a stop is
        heard when `model` is called, and ends this.
        """

    def description(self, scores: Mapping[str, float]) -> dict[str, Any]:
        """What a file of weights says about the network, so that it can be built from the file alone."""
        network = self.recipe.network
        described = ModelDescription(
            name=network.name,
            arguments=dict(network.arguments),
            classes=len(self.classes),
            class_names=self.classes,
            image_size=self.recipe.image_size,
            preprocessing=self.preprocessing,
        )
        return {**asdict(described), "scores": dict(scores)}

    def statistics(self, device: torch.device) -> tuple[Tensor, Tensor]:
        """The recipe's mean and standard deviation, to be broadcast over images in [0, 1]."""
        mean, std = (torch.tensor(v, device=device).view(1, 3, 1, 1) for v in (self.recipe.mean, self.recipe.std))
        return mean, std

    def normalised(self, pixels: Pixels, device: torch.device) -> Float[Tensor, "batch 3 height width"]:
        """Decoded images as the network wants them, on its device."""
        mean, std = self.statistics(device)
        return (pixels.to(device).float() / 255 - mean) / std


_IDLE: Mapping[str, tuple[Any, ...]] = {
    "network.head_scale": (1.0,),
    "mixing.mixup": (0.0,),
    "mixing.cutmix": (0.0,),
    "mixing.smoothing": (0.0, Mixing().smoothing),
    "distillation.kind": ("none",),
    "augmentation.policy": ("",),
    "augmentation.colour_jitter": (0.0,),
    "augmentation.erasing": (0.0,),
}
"""Settings that learning dense tasks does not read, with the values that ask for nothing."""


def check_dense_settings(recipe: Recipe) -> None:
    """Raise `UserError` for a setting that segmenters and detectors would ignore."""
    for key, idle in _IDLE.items():
        table, _, name = key.partition(".")
        value = getattr(getattr(recipe, table), name)
        if value not in idle:
            raise UserError(
                f"{key} = {value!r} is for classifiers; {recipe.network.name} does not read it: "
                f"leave it at {idle[0]!r}."
            )


def check_same_classes(data: ImageData, validation: ImageData | None) -> None:
    """Raise `UserError` where a dense network would be scored on other classes than it learns."""
    if validation is not None and validation.classes != data.classes:
        raise UserError(f"{validation.name} has other classes than {data.name}; train and score on the same ones.")
