"""Handwritten digits that come with scikit-learn: 1,797 real images for demonstrations and tests, offline.

From E. Alpaydin and C. Kaynak, "Optical Recognition of Handwritten Digits", UCI Machine Learning Repository (1998),
its test part. White strokes on black, 8x8 pixels of 17 grey levels, enlarged here to 32x32 (bilinear: it gives
strokes with edges a blur can act on, where repeated pixels would give blocks) and repeated to three channels.
"""

from functools import cache
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F

from weatherglass.data.images import ArrayImages
from weatherglass.data.subset import subset
from weatherglass.errors import UserError

TEST_IMAGES = 597
"""The rest, 1,200, are for training."""


def load_digits(split: str) -> ArrayImages:
    """`split` is 'all', 'train' (1,200 images) or 'test' (597); the split is fixed and stratified."""
    pixels, labels = _arrays()
    name = "digits" if split == "all" else f"digits:{split}"
    ids = tuple(f"digits/{index:04d}" for index in range(len(labels)))
    everything = ArrayImages(name, pixels, labels, tuple("0123456789"), ids)
    if split == "all":
        return everything
    if split not in ("train", "test"):
        raise UserError(f"There is no part 'digits:{split}'. Known: digits, digits:train, digits:test.")
    test = set(subset(everything, limit=TEST_IMAGES, seed=0).ids)
    rows = [index for index, sample in enumerate(ids) if (sample in test) == (split == "test")]
    return everything.select(rows, "all")


@cache
def _arrays() -> tuple[np.ndarray, np.ndarray]:
    from sklearn.datasets import load_digits as load

    bunch: Any = load()
    grey = torch.from_numpy(bunch.images).float().unsqueeze(1)  # samples 1 8 8, 0..16
    # Every weight is a multiple of 1/64, so the result is exact and the same on every machine.
    large = F.interpolate(grey, size=(32, 32), mode="bilinear", align_corners=False)
    pixels = (large * (255 / 16)).round().to(torch.uint8).expand(-1, 3, -1, -1)
    return pixels.permute(0, 2, 3, 1).contiguous().numpy(), bunch.target.astype(np.int64)
