"""Pictures for the gallery: small, sharp, and readable by every browser."""

import io

import torch
from PIL import Image
from torch import Tensor

LARGEST_LOSSLESS = 64 * 64
"""Pixels up to which a picture is kept as PNG; larger ones become JPEG of quality 92."""


def encode_picture(image: Tensor) -> bytes:
    """Encode one image (3, height, width), uint8 or float in [0, 1], as PNG or JPEG."""
    if image.dtype != torch.uint8:
        image = (image.clamp(0, 1) * 255).round().to(torch.uint8)
    picture = Image.fromarray(image.permute(1, 2, 0).cpu().contiguous().numpy())
    small = picture.width * picture.height <= LARGEST_LOSSLESS
    encoded = io.BytesIO()
    picture.save(encoded, "PNG") if small else picture.save(encoded, "JPEG", quality=92, subsampling=0)
    return encoded.getvalue()
