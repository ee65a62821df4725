"""Augmentation of images with objects: scale, crop, mirroring, and the targets that torchvision's detectors learn from.

Plain functions; everything that is drawn comes from the `Draws` of one sample.
"""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import torch
import torch.nn.functional as F
from jaxtyping import Bool, UInt8
from torch import Tensor

from weatherglass.models.detector import fitting_size
from weatherglass.randomness import Draws
from weatherglass.training.recipe import Boxed
from weatherglass.types import Objects

Image = UInt8[Tensor, "3 height width"]
Target = dict[str, Tensor]


def augmented(image: Image, objects: Objects, chosen: Boxed, *, flip: float, draws: Draws) -> tuple[Image, Objects]:
    """Mirrored or not, cropped or not, brought to one of the recipe's sizes."""
    chances = draws.uniform("chances", 4)[0].tolist()
    if chances[0] < flip:
        image, objects = mirrored(image, objects)
    if chances[1] < chosen.crop_chance:
        short = _member(chosen.crop_short_sides, chances[2])
        image, objects = rescaled(image, objects, *fitting_size(image.shape[1], image.shape[2], short, None))
        image, objects = cropped(image, objects, *_crop(image, chosen.crop_range, draws))
    short = _member(chosen.short_sides, chances[3])
    size = fitting_size(image.shape[1], image.shape[2], short, chosen.long_side or short)
    return rescaled(image, objects, *size)


def rescaled(image: Image, objects: Objects, height: int, width: int) -> tuple[Image, Objects]:
    """Everything at another size: the image bilinear with antialiasing, masks by nearest neighbour."""
    old_height, old_width = image.shape[1:]
    if (height, width) == (old_height, old_width):
        return image, objects
    larger = F.interpolate(image[None].float(), (height, width), mode="bilinear", antialias=True)[0]
    factors = np.array([width / old_width, height / old_height] * 2)
    masks = objects.masks
    if masks is not None:
        masks = _nearest(masks, height, width)
    return larger.round().clamp(0, 255).to(torch.uint8), replace(objects, boxes=objects.boxes * factors, masks=masks)


def cropped(image: Image, objects: Objects, top: int, left: int, height: int, width: int) -> tuple[Image, Objects]:
    """A part of the image. Boxes are cut at its borders; an object of which no box or no pixel is left is dropped."""
    boxes = objects.boxes - np.array([left, top, left, top])
    boxes = np.stack([boxes[:, [0, 2]].clip(0, width), boxes[:, [1, 3]].clip(0, height)], axis=2).reshape(-1, 4)
    kept = (boxes[:, 2] > boxes[:, 0]) & (boxes[:, 3] > boxes[:, 1])
    masks = objects.masks
    if masks is not None:
        masks = masks[:, top : top + height, left : left + width]
        kept = kept & masks.any(axis=(1, 2))
    part = replace(objects, boxes=boxes, masks=masks)
    return image[:, top : top + height, left : left + width], _selected(part, kept)


def mirrored(image: Image, objects: Objects) -> tuple[Image, Objects]:
    """Left and right exchanged."""
    width = image.shape[2]
    x0, y0, x1, y1 = objects.boxes.T
    masks = None if objects.masks is None else objects.masks[:, :, ::-1]
    return image.flip(2), replace(objects, boxes=np.stack([width - x1, y0, width - x0, y1], axis=1), masks=masks)


def as_target(image: Image, objects: Objects) -> Target:
    """What a detector learns from an image: no crowds, boxes within the image, and nothing without a pixel of area.

    Labels are class indices + 1. An image without objects has a target without rows.
    """
    height, width = image.shape[1:]
    _, inside = cropped(image, objects, 0, 0, height, width)
    kept = np.ones(len(inside), dtype=bool) if inside.crowd is None else ~inside.crowd
    inside = _selected(inside, kept & ((inside.boxes[:, 2:] - inside.boxes[:, :2]) >= 1).all(axis=1))
    target = {"boxes": torch.from_numpy(inside.boxes).float(), "labels": torch.from_numpy(inside.classes).long() + 1}
    if inside.masks is not None:
        target["masks"] = torch.from_numpy(np.ascontiguousarray(inside.masks)).to(torch.uint8)
    return target


def _crop(image: Image, sides: tuple[int, int], draws: Draws) -> tuple[int, int, int, int]:
    """Top, left, height and width of a part whose sides are drawn from a range, or are the image's where it is less."""
    size, place = draws.uniform("crop", 2, 2)[0].tolist()
    extent = []
    for side, share in zip(image.shape[1:], size, strict=True):
        low, high = (min(side, limit) for limit in sides)
        extent.append(low + int(share * (high - low + 1)))
    top, left = (
        int(share * (side - part + 1)) for side, part, share in zip(image.shape[1:], extent, place, strict=True)
    )
    return top, left, extent[0], extent[1]


def _member(values: Sequence[int], share: float) -> int:
    return values[int(share * len(values))]


def _selected(objects: Objects, kept: Bool[np.ndarray, " objects"]) -> Objects:
    columns = ("boxes", "classes", "scores", "masks", "crowd", "areas")
    there = {name: getattr(objects, name) for name in columns if getattr(objects, name) is not None}
    return replace(objects, **{name: column[kept] for name, column in there.items()})


def _nearest(
    masks: Bool[np.ndarray, "objects height width"], height: int, width: int
) -> Bool[np.ndarray, "objects height width"]:
    """Masks at another size."""
    if not len(masks):
        return np.zeros((0, height, width), dtype=bool)
    pixels = torch.from_numpy(np.ascontiguousarray(masks)).to(torch.uint8)[:, None]
    return F.interpolate(pixels, (height, width), mode="nearest-exact")[:, 0].bool().numpy()
