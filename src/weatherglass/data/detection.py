"""Images with the objects in them: boxes, classes, and masks where the annotations draw them."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from hashlib import blake2b
from typing import Any

import numpy as np
from jaxtyping import UInt8
from torch import Tensor

from weatherglass.data.decode import decode_bytes
from weatherglass.data.drawn_masks import decode_mask
from weatherglass.data.images import checked_labels, digest_of_samples
from weatherglass.data.places import Place
from weatherglass.errors import UnusableAnnotation, UserError
from weatherglass.types import DetectionData, Objects


@dataclass(frozen=True, slots=True)
class Annotation:
    """One object as a file describes it."""

    name: str
    """How the file tells it from the others, for messages: '17'."""
    category: int
    """Index into the classes."""
    box: tuple[float, float, float, float]
    """x0, y0, x1, y1 in pixels; x1 and y1 are exclusive."""
    crowd: bool = False
    area: float | None = None
    segmentation: Any = None
    """Polygons or run lengths, as COCO writes them; None where only the box is known."""


@dataclass(frozen=True)
class AnnotatedImage:
    """One image and what a file says of it."""

    id: str
    file: str
    """Name in the place of the images."""
    size: tuple[int, int] | None
    """Height and width, where the annotations state them."""
    annotations: tuple[Annotation, ...] = field(repr=False)


@dataclass(frozen=True, eq=False)
class BoxedImages(DetectionData):
    """Images in a folder or zip file, and annotations that were read from files."""

    name: str
    place: Place = field(repr=False)
    source: str
    """File or folder of the annotations, for messages."""
    images: tuple[AnnotatedImage, ...] = field(repr=False)
    classes: tuple[str, ...]
    selection: str = "all"

    def __post_init__(self) -> None:
        if not self.images:
            raise UserError(f"{self.name} holds no images.")
        if twice := _twice(self.ids):
            raise UserError(f"{self.name}: the image {twice} is listed twice in {self.source}.")
        checked_labels(self)

    @cached_property
    def ids(self) -> tuple[str, ...]:  # pyright: ignore[reportIncompatibleVariableOverride]
        return tuple(image.id for image in self.images)

    @cached_property
    def labels(self) -> np.ndarray:  # pyright: ignore[reportIncompatibleVariableOverride]
        """Zeros: an image has no class of its own."""
        return np.zeros(len(self.images), dtype=np.int64)

    @cached_property
    def has_masks(self) -> bool:  # pyright: ignore[reportIncompatibleVariableOverride]
        """Whether every object of every image is drawn, and there is one."""
        drawn = [bool(one.segmentation) for image in self.images for one in image.annotations]
        return bool(drawn) and all(drawn)

    def image(self, index: int) -> UInt8[Tensor, "3 height width"]:
        annotated = self.images[index]
        location = self.place.where(annotated.file)
        image = decode_bytes(self.place.read(annotated.file), location)
        height, width = image.shape[1:]
        if annotated.size not in (None, (height, width)):
            stated = f"{annotated.size[1]}x{annotated.size[0]}"
            raise UnusableAnnotation(
                f"of {location} in {self.source}",
                f"the image has {width}x{height} pixels, the annotation says {stated}; boxes would be misplaced",
            )
        return image

    def objects(self, index: int) -> Objects:
        annotated = self.images[index]
        found = self._boxes(annotated)
        if not self.has_masks:
            return found
        height, width = annotated.size or tuple(self.image(index).shape[1:])
        masks = np.zeros((len(found), height, width), dtype=bool)
        for row, one in enumerate(annotated.annotations):
            masks[row] = decode_mask(one.segmentation, height, width, self._location(annotated, one))
        areas = [masks[row].sum() if one.area is None else one.area for row, one in enumerate(annotated.annotations)]
        return replace(found, masks=masks, areas=np.array(areas, dtype=np.float64))

    def boxes(self, index: int) -> Objects:
        if self.has_masks and any(one.area is None for one in self.images[index].annotations):
            return replace(self.objects(index), masks=None)  # the areas are those of the masks
        return self._boxes(self.images[index])

    def _boxes(self, annotated: AnnotatedImage) -> Objects:
        for one in annotated.annotations:
            if reason := unusable_box(one.box, annotated.size):
                raise UnusableAnnotation(self._location(annotated, one), reason)
        boxes = np.array([one.box for one in annotated.annotations], dtype=np.float64).reshape(-1, 4)
        sides = boxes[:, 2:] - boxes[:, :2]
        stated = [one.area for one in annotated.annotations]
        areas = [side if area is None else area for area, side in zip(stated, sides.prod(axis=1), strict=True)]
        return Objects(
            boxes=boxes,
            classes=np.array([one.category for one in annotated.annotations], dtype=np.int64),
            crowd=np.array([one.crowd for one in annotated.annotations], dtype=bool),
            areas=np.array(areas, dtype=np.float64),
        )

    def _location(self, annotated: AnnotatedImage, one: Annotation) -> str:
        return f"{one.name} of {annotated.file} in {self.source}"

    def usable(self) -> "BoxedImages":
        """The same without the annotations that `unusable_annotations` names."""
        images = tuple(
            replace(image, annotations=tuple(one for one in image.annotations if not unusable_box(one.box, image.size)))
            for image in self.images
        )
        return replace(self, images=images)

    def select(self, indices: Sequence[int], selection: str) -> "BoxedImages":
        return replace(self, images=tuple(self.images[i] for i in indices), selection=selection)

    @cached_property
    def digest(self) -> str:  # pyright: ignore[reportIncompatibleVariableOverride]
        """blake2b of ids, class names, annotations and the stored bytes of the images."""
        stored = self.place.digests([image.file for image in self.images])
        truths = (repr(image.annotations).encode() for image in self.images)
        contents = (image + blake2b(truth).digest() for image, truth in zip(stored, truths, strict=True))
        return digest_of_samples(self.ids, self.labels, self.classes, contents)


@dataclass(frozen=True, eq=False)
class ReclassedObjects(DetectionData):
    """The images of `inner` with class k of their objects replaced by `outputs[k]`."""

    inner: DetectionData = field(repr=False)
    outputs: tuple[int, ...]
    classes: tuple[str, ...] = field(repr=False)

    def __post_init__(self) -> None:
        for attribute in ("name", "ids", "labels", "selection", "has_masks"):
            object.__setattr__(self, attribute, getattr(self.inner, attribute))

    def image(self, index: int) -> UInt8[Tensor, "3 height width"]:
        return self.inner.image(index)

    def objects(self, index: int) -> Objects:
        return self._renumbered(true_objects(self.inner, index))

    def boxes(self, index: int) -> Objects:
        return self._renumbered(true_objects(self.inner, index, masks=False))

    def _renumbered(self, found: Objects) -> Objects:
        return replace(found, classes=np.array(self.outputs, dtype=np.int64)[found.classes])

    def select(self, indices: Sequence[int], selection: str) -> "ReclassedObjects":
        return ReclassedObjects(self.inner.select(indices, selection), self.outputs, self.classes)

    @cached_property
    def digest(self) -> str:  # pyright: ignore[reportIncompatibleVariableOverride]
        """blake2b of the inner digest and the new classes."""
        text = f"{self.inner.digest}{self.outputs}{self.classes}"
        return blake2b(text.encode(), digest_size=16).hexdigest()


def true_objects(data: DetectionData, index: int, *, masks: bool = True) -> Objects:
    """The objects of one image, whoever wrote their reader. Raises `UserError` for a class that `data` has not."""
    found = data.objects(index) if masks else data.boxes(index)
    wrong = (found.classes < 0) | (found.classes >= len(data.classes))
    if wrong.any():
        raise UserError(
            f"{data.name}: an object of {data.ids[index]} has the class {int(found.classes[wrong][0])}, but there are "
            f"{len(data.classes)} classes, 0 to {len(data.classes) - 1}."
        )
    return found


def unusable_box(box: Sequence[float], size: tuple[int, int] | None) -> str | None:
    """Why a box (x0, y0, x1, y1) cannot be used in an image of `size` (height, width); None where it can.

    A box may reach beyond the image, as many of COCO's do by a fraction of a pixel; it may not lie beside it.
    """
    x0, y0, x1, y1 = box
    written = f"its box has x {x0:g} to {x1:g} and y {y0:g} to {y1:g}"
    if not np.isfinite(box).all():
        return f"{written}, which are no numbers"
    if x1 <= x0 or y1 <= y0:
        return f"{written}: it has no area"
    if x1 <= 0 or y1 <= 0 or (size is not None and (x0 >= size[1] or y0 >= size[0])):
        beside = "" if size is None else f" of {size[1]}x{size[0]} pixels"
        return f"{written}: it lies outside the image{beside}"
    return None


def unusable_annotations(data: BoxedImages) -> Mapping[str, str]:
    """Every box that cannot be used: where it stands, and why."""
    return {
        data._location(image, one): reason
        for image in data.images
        for one in image.annotations
        if (reason := unusable_box(one.box, image.size))
    }


def _twice(names: Sequence[str]) -> str | None:
    seen: set[str] = set()
    return next((name for name in names if name in seen or seen.add(name)), None)
