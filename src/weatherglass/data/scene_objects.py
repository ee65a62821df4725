"""The synthetic scenes as a detection set: exact boxes and masks of every shape that is seen."""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from hashlib import blake2b

import numpy as np
from jaxtyping import UInt8
from torch import Tensor

from weatherglass.data.scenes import SHAPES, SceneImages, load_scenes
from weatherglass.types import DetectionData, Objects


@dataclass(frozen=True, eq=False)
class SceneObjects(DetectionData):
    """The shapes of `scenes`, with the same ids and pixels."""

    name: str
    scenes: SceneImages = field(repr=False)

    classes = SHAPES
    has_masks = True

    @property
    def ids(self) -> tuple[str, ...]:  # pyright: ignore[reportIncompatibleVariableOverride]
        return self.scenes.ids

    @property
    def labels(self) -> np.ndarray:  # pyright: ignore[reportIncompatibleVariableOverride]
        return self.scenes.labels

    @property
    def selection(self) -> str:  # pyright: ignore[reportIncompatibleVariableOverride]
        return self.scenes.selection

    def image(self, index: int) -> UInt8[Tensor, "3 height width"]:
        return self.scenes.image(index)

    def objects(self, index: int) -> Objects:
        found = self.scenes.scene(index).objects
        height, width = self.scenes.height, self.scenes.width
        masks = np.array([one.mask for one in found], dtype=bool).reshape(-1, height, width)
        return Objects(
            boxes=np.array([one.box for one in found], dtype=np.float64).reshape(-1, 4),
            classes=np.array([one.category for one in found], dtype=np.int64),
            masks=masks,
            areas=masks.sum(axis=(1, 2)).astype(np.float64),
        )

    def select(self, indices: Sequence[int], selection: str) -> "SceneObjects":
        return replace(self, scenes=self.scenes.select(indices, selection))

    @cached_property
    def digest(self) -> str:  # pyright: ignore[reportIncompatibleVariableOverride]
        """blake2b of everything that decides pictures and objects."""
        return blake2b(f"objects of {self.scenes.digest}".encode(), digest_size=16).hexdigest()


def load_scene_objects(name: str, place: str) -> SceneObjects:
    """'64', '64@96', '64@96x128' or 'train-64@96', as for `scenes:`."""
    return SceneObjects(name, load_scenes(name, place))
