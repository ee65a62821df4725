"""Masks as annotations draw them, polygons or run lengths, to pixels: by the tools of the COCO evaluator."""

from typing import Any

import numpy as np
from jaxtyping import Bool

from weatherglass.errors import MissingExtra, UnusableAnnotation


def decode_mask(segmentation: Any, height: int, width: int, location: str) -> Bool[np.ndarray, "height width"]:
    """The pixels of one object.

    `segmentation` is a list of polygons (x0, y0, x1, y1, ... in pixels), or run lengths down the columns: a record of
    `size` (height, width) and `counts`, a list or COCO's compressed text. Raises `UnusableAnnotation` for anything
    else and for another size, `MissingExtra` without the package.
    """
    try:
        from faster_coco_eval.core import mask
    except ImportError as error:
        raise MissingExtra("faster-coco-eval", "dense", "Reading the masks of COCO annotations") from error
    if reason := _unusable(segmentation, height, width):
        raise UnusableAnnotation(location, reason)
    try:
        if isinstance(segmentation, list):
            polygons: Any = mask.frPyObjects([[float(v) for v in polygon] for polygon in segmentation], height, width)
            runs = mask.merge(polygons)
        elif isinstance(segmentation["counts"], list):
            runs = mask.frPyObjects(segmentation, height, width)
        else:
            counts = segmentation["counts"]
            runs = {"size": [height, width], "counts": counts.encode() if isinstance(counts, str) else counts}
        return mask.decode(runs).astype(bool)
    except (ValueError, TypeError) as error:
        raise UnusableAnnotation(location, f"its mask does not decode ({str(error).rstrip('.')})") from error


def _unusable(segmentation: Any, height: int, width: int) -> str | None:
    """What is wrong with a drawing before anything is decoded; None where it can be."""
    if isinstance(segmentation, list):
        bad = next((p for p in segmentation if not isinstance(p, list) or len(p) < 6 or len(p) % 2), None)
        return None if bad is None else "a polygon needs at least three points, as x0, y0, x1, y1, x2, y2"
    if not isinstance(segmentation, dict) or not {"size", "counts"} <= segmentation.keys():
        return "its segmentation is neither a list of polygons nor a record with 'size' and 'counts'"
    if list(segmentation["size"]) != [height, width]:
        stated = "x".join(str(side) for side in reversed(segmentation["size"]))
        return f"its mask has {stated} pixels, the image {width}x{height}"
    counts = segmentation["counts"]
    if isinstance(counts, list) and sum(counts) != height * width:
        return f"its run lengths add up to {sum(counts)}, the image has {height * width} pixels"
    return None
