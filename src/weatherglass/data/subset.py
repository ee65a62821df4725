"""A smaller part of a data set: each class keeps its share, and it is the same whatever the order of the files."""

from hashlib import blake2b

import numpy as np

from weatherglass.errors import UserError
from weatherglass.types import ImageData


def subset(data: ImageData, *, limit: int | None = None, fraction: float | None = None, seed: int = 0) -> ImageData:
    """About `fraction` of the samples, or `limit` of them, stratified by label.

    Samples are ranked within their class by a hash of (seed, sample id); the samples with the smallest
    (rank + 1/2) / class size are kept. So each class keeps its share, rounded to whole images (Webster's method), and
    one whose share is less than half an image may have none; a smaller subset is part of a larger one, and file order
    does not matter. The kept samples stay in the order of `data`.
    """
    if limit is not None and fraction is not None:
        raise UserError("Give a limit or a fraction, not both.")
    wanted = _wanted(len(data), limit, fraction)
    if wanted >= len(data):
        return data
    keys = np.array([_key(seed, sample) for sample in data.ids], dtype=np.uint64)
    order = np.lexsort((keys, data.labels))
    counts = np.bincount(data.labels, minlength=len(data.classes))
    ordered_labels = data.labels[order]
    rank = np.arange(len(data)) - (np.cumsum(counts) - counts)[ordered_labels]
    position = np.empty(len(data))
    position[order] = (rank + 0.5) / counts[ordered_labels]
    chosen = np.sort(np.lexsort((keys, position))[:wanted])
    whole = "" if data.selection == "all" else f" ({data.selection})"
    return data.select(chosen.tolist(), f"stratified {wanted} of {len(data)}{whole}, seed {seed}")


def _wanted(samples: int, limit: int | None, fraction: float | None) -> int:
    if limit is not None:
        if limit < 1:
            raise UserError(f"The limit must be at least 1 image; got {limit}.")
        return limit
    if fraction is not None:
        if not 0 < fraction <= 1:
            raise UserError(f"The fraction must be above 0 and at most 1; got {fraction:g}.")
        return max(1, round(samples * fraction))
    return samples


def _key(seed: int, sample: str) -> int:
    return int.from_bytes(blake2b(f"{seed}\0{sample}".encode(), digest_size=8).digest(), "little")
