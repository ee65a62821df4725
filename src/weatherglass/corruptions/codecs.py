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
    """The fastest of three bit-identical codecs that is there: OpenCV, torchvision's operators, Pillow.

    All are libjpeg-turbo; they differ in how they turn planes into pixels and back, which costs as much as the codec.
    """
    generator = np.random.default_rng(0)
    probe = torch.from_numpy(generator.integers(0, 256, (3, 40, 24), np.uint8))
    for codec in (opencv_jpeg, torchvision_jpeg):
        try:
            if all(torch.equal(codec(probe, quality), pillow_jpeg(probe, quality)) for quality in (7, 50, 85)):
                return codec
        except Exception:  # each library has errors of its own
            continue  # a library without this codec, or with another one
    return pillow_jpeg


def opencv_jpeg(picture: Picture, quality: int) -> Picture:
    """One picture through OpenCV's JPEG, whose pixels are blue, green, red."""
    import cv2

    red, green, blue = picture.numpy()
    _, encoded = cv2.imencode(".jpg", cv2.merge([blue, green, red]), [cv2.IMWRITE_JPEG_QUALITY, quality])
    decoded = cv2.imdecode(encoded, cv2.IMREAD_COLOR)
    assert decoded is not None, "OpenCV does not read what it wrote"
    blue, green, red = cv2.split(decoded)
    return torch.from_numpy(np.stack([red, green, blue]))


def torchvision_jpeg(picture: Picture, quality: int) -> Picture:
    """One picture through torchvision's operators; its functions around them are deprecated since 0.29, and slower."""
    import torchvision.io  # noqa: F401 - registers the operators

    return torch.ops.image.decode_jpeg(torch.ops.image.encode_jpeg(picture, quality), 0, False)


def pillow_jpeg(picture: Picture, quality: int) -> Picture:
    """One picture through Pillow's JPEG."""
    return _through_pillow(picture, "JPEG", quality)


def _through_pillow(picture: Picture, kind: str, quality: int) -> Picture:
    stream = io.BytesIO()
    Image.fromarray(picture.permute(1, 2, 0).contiguous().numpy()).save(stream, kind, quality=quality)
    decoded = np.array(Image.open(stream).convert("RGB"))
    return torch.from_numpy(decoded).permute(2, 0, 1)
