"""Images for which more than one answer is right: reassessed labels, classes that map to several outputs."""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property

import numpy as np
import torch
from jaxtyping import Float, Int, UInt8
from torch import Tensor

from weatherglass.data.images import checked_labels, digest_of_samples
from weatherglass.errors import UserError
from weatherglass.types import Disturbance, ImageData


@dataclass(frozen=True, eq=False)
class SeveralLabels(ImageData):
    """The images of `inner`, each with all labels that count as right. `labels` holds the first of each."""

    inner: ImageData = field(repr=False)
    accepted: tuple[tuple[int, ...], ...] = field(repr=False)  # pyright: ignore[reportIncompatibleVariableOverride]
    classes: tuple[str, ...] = field(repr=False)
    competing: tuple[int, ...] | None = None
    """Labels that any class of the data set maps to, ascending, also of classes without an image here; None: all."""

    def __post_init__(self) -> None:
        if not self.accepted or not all(self.accepted):
            raise UserError(f"{self.inner.name}: every image needs at least one label.")
        object.__setattr__(self, "name", self.inner.name)
        object.__setattr__(self, "ids", self.inner.ids)
        object.__setattr__(self, "selection", self.inner.selection)
        object.__setattr__(self, "labels", np.array([labels[0] for labels in self.accepted], dtype=np.int64))
        checked_labels(self)

    def image(self, index: int) -> UInt8[Tensor, "3 height width"]:
        return self.inner.image(index)

    def select(self, indices: Sequence[int], selection: str) -> "SeveralLabels":
        return replace(
            self,
            inner=self.inner.select(indices, selection),
            accepted=tuple(self.accepted[index] for index in indices),
        )

    def renumbered(self, outputs: Sequence[int], classes: tuple[str, ...]) -> "SeveralLabels":
        """Label k becomes `outputs[k]`."""
        accepted = tuple(tuple(int(outputs[label]) for label in labels) for labels in self.accepted)
        competing = self.competing and tuple(sorted(int(outputs[label]) for label in self.competing))
        return replace(self, accepted=accepted, classes=classes, competing=competing)

    @cached_property
    def digest(self) -> str:  # pyright: ignore[reportIncompatibleVariableOverride]
        """blake2b of the inner digest and all labels."""
        contents = (f"{self.inner.digest} {labels}".encode() for labels in self.accepted)
        return digest_of_samples(self.ids, self.labels, self.classes, contents)


def check_single_labels(disturbance: Disturbance, data: ImageData) -> None:
    """Raise `UserError` where `disturbance` looks for a wrong answer and the images have several right ones."""
    if disturbance.needs_labels and data.accepted is not None:
        raise UserError(
            f"{disturbance} looks for a wrong answer, and the images of {data.name} have several right ones. "
            f"Attack data with one label an image."
        )


def nearest_accepted(
    output: Float[Tensor, "batch classes"], accepted: Sequence[Sequence[int]]
) -> Int[Tensor, " batch"]:
    """Of the labels that count as right for each image, the one with the largest output.

    So an image is right when the largest output of all is among its labels (Beyer et al., "Are we done with ImageNet?",
    2020, section 3), and its rank is that of its best label.
    """
    longest = max(map(len, accepted))
    # A label repeated changes no maximum.
    table = torch.tensor([[*labels, *[labels[0]] * (longest - len(labels))] for labels in accepted])
    table = table.to(output.device)
    return table.gather(1, output.gather(1, table).argmax(dim=1, keepdim=True)).squeeze(1)
