"""Round trips through image codecs."""

import io
from collections.abc import Callable
from functools import lru_cache

import numpy as np
import torch
from jaxtyping import UInt8
from PIL import Image
from torch import Tensor

from weatherglass.types import Pixels

Picture = UInt8[Tensor, "3 height width"]


def jpeg_round_trip(pixels: Pixels, quality: int) -> Pixels:
    """Encode and decode with libjpeg-turbo: 4:2:0, standard tables. Images of other devices travel through the CPU."""
    return _each(pixels, lambda picture: jpeg_picture()(picture, quality))


def webp_round_trip(pixels: Pixels, quality: int) -> Pixels:
    """Encode and decode with lossy WebP."""
    return _each(pixels, lambda picture: _through_pillow(picture, "WEBP", quality))


def _each(pixels: Pixels, round_trip: Callable[[Picture], Picture]) -> Pixels:
    result = torch.empty_like(pixels, device="cpu", memory_format=torch.contiguous_format)
    for index, picture in enumerate(pixels.cpu()):
        result[index] = round_trip(picture.contiguous())
    return result.to(pixels.device)


@lru_cache(maxsize=1)
def jpeg_picture() -> Callable[[Picture, int], Picture]:
    """The faster of two bit-identical codecs that is there: torchvision's operators, else Pillow.

    The operators are called directly: torchvision's functions around them are deprecated since 0.29, and slower.
    """
    try:
        import torchvision.io  # noqa: F401 - registers the operators

        encode, decode = torch.ops.image.encode_jpeg, torch.ops.image.decode_jpeg
        probe = torch.arange(3 * 16 * 16, dtype=torch.uint8).view(3, 16, 16)
        if torch.equal(decode(encode(probe, 50), 0, False), pillow_jpeg(probe, 50)):
            return lambda picture, quality: decode(encode(picture, quality), 0, False)
    except (ImportError, AttributeError, RuntimeError):
        pass  # a torchvision without image operators, or with other ones
    return pillow_jpeg


def pillow_jpeg(picture: Picture, quality: int) -> Picture:
    """One picture through Pillow's JPEG."""
    return _through_pillow(picture, "JPEG", quality)


def _through_pillow(picture: Picture, kind: str, quality: int) -> Picture:
    stream = io.BytesIO()
    Image.fromarray(picture.permute(1, 2, 0).contiguous().numpy()).save(stream, kind, quality=quality)
    decoded = np.array(Image.open(stream).convert("RGB"))
    return torch.from_numpy(decoded).permute(2, 0, 1)
