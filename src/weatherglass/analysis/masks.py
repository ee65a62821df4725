"""Maps of classes on the grid of tokens: data that knows where its objects are, to compare clusters with."""

from dataclasses import replace
from typing import Protocol, runtime_checkable

import torch
from jaxtyping import Int, UInt8
from torch import Tensor

from weatherglass.analysis.grouping import adjusted_rand, best_overlap
from weatherglass.data.geometry import prepare
from weatherglass.errors import UserError
from weatherglass.types import Preprocessing

VOID = 255
"""Pixels of no class, which count for nothing."""

LEAST_SHARE = 0.02
"""Of the tokens, below which a class is too small to be a cluster."""


@runtime_checkable
class HasMasks(Protocol):
    """Images whose pixels have classes. An `ImageData` with these two members has masks; `select` must keep them."""

    background: int | None
    """The class that is no object; None: every class is one."""

    def mask(self, index: int) -> UInt8[Tensor, "height width"]:
        """The class of every pixel of an image, `VOID` for none."""
        ...


def token_classes(
    mask: UInt8[Tensor, "height width"], preprocessing: Preprocessing, grid: tuple[int, int]
) -> Int[Tensor, " tokens"]:
    """The commonest class of each token's pixels after the geometry of the model; `VOID` where it is none.

    Raises `UserError` for a mask that is no map of bytes.
    """
    if mask.ndim != 2 or mask.dtype != torch.uint8:
        raise UserError(f"A mask is a uint8 map of shape (height, width), got {mask.dtype} {tuple(mask.shape)}.")
    valid = torch.full_like(mask, 255)  # what padding adds is 0 here, and so is told from class 0
    nearest = replace(preprocessing, interpolation="nearest", mean=(0.0, 0.0, 0.0))
    shown = prepare(torch.stack([mask, mask, valid]), nearest)
    classes = torch.where(shown[2] > 0, shown[0], VOID).long()
    present = classes.unique()
    shares = torch.nn.functional.adaptive_avg_pool2d((classes == present[:, None, None]).float(), grid)
    return present[shares.argmax(dim=0)].flatten()


def mask_agreement(
    labels: Int[Tensor, " tokens"], classes: Int[Tensor, " tokens"], background: int | None
) -> tuple[float, float]:
    """Agreement of clusters with classes: (mean over objects of the best intersection over union, adjusted Rand).

    Objects are classes other than background and void with at least `LEAST_SHARE` of the tokens; NaN without any.
    """
    inside = classes != VOID
    if not inside.any():
        return float("nan"), float("nan")
    found, truth = labels[inside], classes[inside]
    objects = [
        one
        for one in truth.unique().tolist()
        if one != background and float((truth == one).float().mean()) >= LEAST_SHARE
    ]
    overlaps = [float(best_overlap(found[None], (truth == one)[None])[0]) for one in objects]
    overlap = sum(overlaps) / len(overlaps) if overlaps else float("nan")
    return overlap, float(adjusted_rand(found[None], truth[None])[0])
