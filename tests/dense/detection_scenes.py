"""Scenes as data with objects, for tests: shapes with boxes and masks, drawn on demand."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch
from torch import Tensor

from weatherglass.data.scenes import SHAPES, Scene, draw_scene
from weatherglass.types import DetectionData, Objects


@dataclass(frozen=True, eq=False)
class ObjectScenes(DetectionData):
    """A few scenes of one seed."""

    numbers: tuple[int, ...]
    seed: int = 0
    height: int = 64
    width: int = 64
    selection: str = "all"
    crowds: bool = False
    """Whether the first object of every scene stands for a group."""

    name = "object scenes"
    classes = SHAPES
    has_masks = True

    @property
    def ids(self) -> tuple[str, ...]:  # type: ignore[override]
        return tuple(f"scene/{self.seed}/{number}" for number in self.numbers)

    @property
    def labels(self) -> np.ndarray:  # type: ignore[override]
        return np.zeros(len(self.numbers), dtype=np.int64)

    @property
    def digest(self) -> str:  # type: ignore[override]
        return str((self.seed, self.numbers, self.height, self.width))

    def scene(self, index: int) -> Scene:
        return draw_scene(self.seed, self.numbers[index], self.height, self.width)

    def image(self, index: int) -> Tensor:
        return torch.from_numpy(self.scene(index).image.transpose(2, 0, 1).copy())

    def boxes(self, index: int) -> Objects:
        return replace(self.objects(index), masks=None)

    def objects(self, index: int) -> Objects:
        found = self.scene(index).objects
        crowd = np.zeros(len(found), dtype=bool)
        crowd[:1] = self.crowds
        return Objects(
            boxes=np.array([each.box for each in found], dtype=np.float32).reshape(-1, 4),
            classes=np.array([each.category for each in found], dtype=np.int64),
            masks=np.array([each.mask for each in found], dtype=bool).reshape(-1, self.height, self.width),
            crowd=crowd,
        )

    def select(self, indices: Sequence[int], selection: str) -> "ObjectScenes":
        return replace(self, numbers=tuple(self.numbers[i] for i in indices), selection=selection)


def target(data: DetectionData, index: int) -> dict[str, Tensor]:
    """One image's objects as torchvision's detectors want them."""
    objects = data.objects(index)
    assert objects.masks is not None
    return {
        "boxes": torch.from_numpy(objects.boxes).float(),
        "labels": torch.from_numpy(objects.classes) + 1,
        "masks": torch.from_numpy(objects.masks).to(torch.uint8),
    }
