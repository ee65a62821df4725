"""Pairs of images and masks, and how a mask follows the geometry of its image."""

import io
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from hashlib import blake2b

import numpy as np
import torch
from jaxtyping import UInt8
from torch import Tensor

from weatherglass.data.decode import decode_bytes
from weatherglass.data.geometry import prepare
from weatherglass.data.images import checked_labels, digest_of_samples
from weatherglass.data.places import Place
from weatherglass.data.segmentation_classes import LabelIds
from weatherglass.errors import UnreadableImage, UserError
from weatherglass.types import IGNORE, Preprocessing, SegmentationData

MOST_CLASSES = 255
"""Class indices are kept in 8 bits, one of which means 'does not count'."""


@dataclass(frozen=True, eq=False)
class MaskedImages(SegmentationData):
    """Images and masks in files; the ids are the names of the images."""

    name: str
    place: Place = field(repr=False)
    ids: tuple[str, ...] = field(repr=False)
    masks: tuple[str, ...] = field(repr=False)
    """File of each image's mask."""
    classes: tuple[str, ...]
    label_ids: LabelIds
    selection: str = "all"

    def __post_init__(self) -> None:
        if not self.ids:
            raise UserError(f"{self.name} holds no images.")
        if len(self.classes) > MOST_CLASSES:
            raise UserError(f"{self.name} has {len(self.classes)} classes; at most {MOST_CLASSES} can be kept.")
        checked_labels(self)

    @cached_property
    def labels(self) -> np.ndarray:  # pyright: ignore[reportIncompatibleVariableOverride]
        """Zeros: an image has no class of its own."""
        return np.zeros(len(self.ids), dtype=np.int64)

    def image(self, index: int) -> UInt8[Tensor, "3 height width"]:
        return decode_bytes(self.place.read(self.ids[index]), self.place.where(self.ids[index]))

    def mask(self, index: int) -> UInt8[Tensor, "height width"]:
        location = self.place.where(self.masks[index])
        raw = decode_ids(self.place.read(self.masks[index]), location)
        self._check_size(index, raw.shape)
        classes = self._table[np.minimum(raw, len(self._table) - 1)]
        if (unknown := classes == _UNKNOWN).any():
            known = sorted(self.label_ids.ids)
            raise UserError(
                f"The mask {location} holds the label id {int(raw[unknown][0])} ({int(unknown.sum())} pixels); "
                f"known are {known[0]} to {known[-1]} for the {len(self.classes)} classes and "
                f"{_listed(sorted(self.label_ids.ignored))} for pixels that do not count."
            )
        return torch.from_numpy(classes.astype(np.uint8))

    def _check_size(self, index: int, shape: tuple[int, ...]) -> None:
        from PIL import Image

        with Image.open(io.BytesIO(self.place.read(self.ids[index]))) as picture:
            width, height = picture.size
        if shape != (height, width):
            raise UserError(
                f"The mask {self.place.where(self.masks[index])} has {shape[1]}x{shape[0]} pixels, its image "
                f"{self.ids[index]} {width}x{height}; they must be of one size."
            )

    @cached_property
    def _table(self) -> np.ndarray:
        """Class index of each id in a file; the last row stands for all larger ids."""
        table = np.full(max(*self.label_ids.ids, *self.label_ids.ignored, 0) + 2, _UNKNOWN, dtype=np.int32)
        table[list(self.label_ids.ignored)] = IGNORE
        table[list(self.label_ids.ids)] = np.arange(len(self.label_ids.ids))
        return table

    def select(self, indices: Sequence[int], selection: str) -> "MaskedImages":
        return replace(
            self,
            ids=tuple(self.ids[i] for i in indices),
            masks=tuple(self.masks[i] for i in indices),
            selection=selection,
        )

    @cached_property
    def digest(self) -> str:  # pyright: ignore[reportIncompatibleVariableOverride]
        """blake2b of ids, class names, label ids and the stored bytes of images and masks."""
        meaning = f"{self.label_ids.ids}{sorted(self.label_ids.ignored)}".encode()
        pairs = zip(self.place.digests(self.ids), self.place.digests(self.masks), strict=True)
        contents = (image + mask + meaning for image, mask in pairs)
        return digest_of_samples(self.ids, self.labels, self.classes, contents)


_UNKNOWN = -1


@dataclass(frozen=True, eq=False)
class Reclassed(SegmentationData):
    """The images of `inner` with class k of their masks replaced by `outputs[k]`."""

    inner: SegmentationData = field(repr=False)
    outputs: tuple[int, ...]
    classes: tuple[str, ...] = field(repr=False)

    def __post_init__(self) -> None:
        for attribute in ("name", "ids", "labels", "selection"):
            object.__setattr__(self, attribute, getattr(self.inner, attribute))

    def image(self, index: int) -> UInt8[Tensor, "3 height width"]:
        return self.inner.image(index)

    def mask(self, index: int) -> UInt8[Tensor, "height width"]:
        table = torch.full((256,), IGNORE, dtype=torch.uint8)
        table[: len(self.outputs)] = torch.tensor(self.outputs, dtype=torch.uint8)
        return table[class_map(self.inner, index).long()]

    def select(self, indices: Sequence[int], selection: str) -> "Reclassed":
        return Reclassed(self.inner.select(indices, selection), self.outputs, self.classes)

    @cached_property
    def digest(self) -> str:  # pyright: ignore[reportIncompatibleVariableOverride]
        """blake2b of the inner digest and the new classes."""
        text = f"{self.inner.digest}{self.outputs}{self.classes}"
        return blake2b(text.encode(), digest_size=16).hexdigest()


def class_map(data: SegmentationData, index: int) -> UInt8[Tensor, "height width"]:
    """The mask of one image, whoever wrote its reader. Raises `UserError` where it holds what is no class of `data`."""
    mask = data.mask(index)
    wrong = (mask >= len(data.classes)) & (mask != IGNORE)
    if wrong.any():
        raise UserError(
            f"{data.name}: the mask of {data.ids[index]} holds the class {int(mask[wrong][0])}, but there are "
            f"{len(data.classes)} classes, 0 to {len(data.classes) - 1}; {IGNORE} stands for pixels that do not count."
        )
    return mask


def decode_ids(data: bytes, location: str) -> np.ndarray:
    """The numbers in a mask file (8 or 16 bits, or a palette's indices), shape (height, width).

    Raises `UserError` for a picture in colours and `UnreadableImage` for what does not decode.
    """
    from PIL import Image

    try:
        with Image.open(io.BytesIO(data)) as picture:
            if picture.mode not in {"L", "P", "1", "I", "I;16", "I;16B"}:
                raise UserError(
                    f"The mask {location} is a picture of mode {picture.mode}; a mask holds one class id a pixel "
                    "(grey or palette PNG)."
                )
            return np.asarray(picture).astype(np.int32)
    except Image.UnidentifiedImageError as error:
        raise UnreadableImage(location, "it is not an image") from error
    except (OSError, ValueError, SyntaxError) as error:
        raise UnreadableImage(location, " ".join(str(error).split()).rstrip(".")) from error


def prepared_mask(
    mask: UInt8[Tensor, "height width"], preprocessing: Preprocessing
) -> UInt8[Tensor, "out_height out_width"]:
    """The mask under the geometry that its image went through: nearest neighbour, and `IGNORE` beside the image."""
    if preprocessing.geometry == "none":
        return mask
    # Ids are moved up by one so that the black of a padded crop means 'beside the image'.
    moved = torch.where(mask == IGNORE, 0, mask + 1).to(torch.uint8)
    plain = replace(preprocessing, interpolation="nearest", mean=(0.0, 0.0, 0.0))
    ids = prepare(moved.expand(3, -1, -1), plain)[0]
    return torch.where(ids == 0, IGNORE, ids - 1).to(torch.uint8)


def _listed(ids: Sequence[int]) -> str:
    return ", ".join(map(str, ids[:6])) + (", ..." if len(ids) > 6 else "") if ids else "none"
