"""Images that know the class of every pixel: what clusters of tokens are compared with."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import cached_property

import torch
from jaxtyping import UInt8
from torch import Tensor

from weatherglass.errors import UserError
from weatherglass.types import ImageData


@dataclass(frozen=True, eq=False)
class MaskedImages(ImageData):
    """The images of `inner`, and a map of classes for each; 255 is no class (`weatherglass.analysis.masks`)."""

    inner: ImageData = field(repr=False)
    read_mask: Callable[[str], UInt8[Tensor, "height width"]] = field(repr=False)
    """From a sample's id to its map; asked when the map is needed."""
    background: int | None = None
    """The class that is no object; None: every class is one."""

    def __post_init__(self) -> None:
        for name in ("name", "classes", "ids", "labels", "selection"):
            object.__setattr__(self, name, getattr(self.inner, name))

    def image(self, index: int) -> UInt8[Tensor, "3 height width"]:
        return self.inner.image(index)

    def mask(self, index: int) -> UInt8[Tensor, "height width"]:
        """The class of every pixel. Raises `UserError` for a map that does not fit its image."""
        mask, image = torch.as_tensor(self.read_mask(self.ids[index])), self.inner.image(index)
        if mask.dtype != torch.uint8 or mask.shape != image.shape[1:]:
            raise UserError(
                f"The mask of {self.ids[index]} must be a uint8 map of {image.shape[1]}x{image.shape[2]} pixels, like "
                f"its image; got {mask.dtype} {tuple(mask.shape)}."
            )
        return mask

    def select(self, indices: Sequence[int], selection: str) -> "MaskedImages":
        return MaskedImages(self.inner.select(indices, selection), self.read_mask, self.background)

    @cached_property
    def digest(self) -> str:  # pyright: ignore[reportIncompatibleVariableOverride]
        """That of the images: masks decide no prediction."""
        return self.inner.digest
