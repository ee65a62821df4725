"""Pictures for the gallery: small, sharp, and readable by every browser."""

import io
from collections.abc import Sequence

import numpy as np
import torch
from PIL import Image
from torch import Tensor

LARGEST_LOSSLESS = 64 * 64
"""Pixels up to which a picture is kept as PNG; larger ones become JPEG of quality 92."""


WIDEST_OVERLAY = 480
"""Pixels of each half of an overlay; larger images are shrunk, since a store keeps two of them a cell."""


def encode_picture(image: Tensor) -> bytes:
    """Encode one image (3, height, width), uint8 or float in [0, 1], as PNG or JPEG."""
    return _encoded(Image.fromarray(_pixels(image)))


def encode_overlay(image: Tensor, mask: Tensor, colours: Sequence[tuple[int, int, int]]) -> bytes:
    """The image and, right of it, the mask in `colours` over its grey values; masked pixels of 255 stay grey."""
    pixels, classes = _pixels(image), mask.cpu().numpy()
    table = np.zeros((256, 3), np.float32)
    table[: len(colours)] = colours
    grey = pixels.mean(axis=2, keepdims=True)
    tinted = np.where((classes == 255)[..., None], grey, 0.7 * table[classes] + 0.3 * grey)
    both = np.hstack([pixels, np.rint(tinted).astype(np.uint8)])
    picture = Image.fromarray(both)
    if pixels.shape[1] > WIDEST_OVERLAY:
        picture = picture.resize((2 * WIDEST_OVERLAY, round(pixels.shape[0] * WIDEST_OVERLAY / pixels.shape[1])))
    return _encoded(picture)


def _pixels(image: Tensor) -> np.ndarray:
    """uint8, shape (height, width, 3)."""
    if image.dtype != torch.uint8:
        image = (image.clamp(0, 1) * 255).round().to(torch.uint8)
    return image.permute(1, 2, 0).cpu().contiguous().numpy()


def _encoded(picture: Image.Image) -> bytes:
    small = picture.width * picture.height <= LARGEST_LOSSLESS
    encoded = io.BytesIO()
    picture.save(encoded, "PNG") if small else picture.save(encoded, "JPEG", quality=92, subsampling=0)
    return encoded.getvalue()
