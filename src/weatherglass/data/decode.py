"""One encoded image to RGB pixels, whatever its format.

Everything becomes three channels of 8 bits, as training pipelines do with `PIL.Image.convert("RGB")`: greyscale is
repeated, palettes and CMYK are converted, 16 bits are scaled to 8, and the alpha channel of RGBA is dropped, not
composited. EXIF rotation is not applied. torchvision decodes what it can (twice as fast), Pillow the rest (AVIF,
TIFF, BMP and other formats).
"""

import io
from collections.abc import Callable
from functools import cache
from pathlib import Path

import numpy as np
import torch
from jaxtyping import UInt8
from torch import Tensor

from weatherglass.errors import UnreadableImage

IMAGE_ENDINGS = frozenset(
    {".jpg", ".jpeg", ".png", ".webp", ".bmp", ".gif", ".tif", ".tiff", ".avif", ".ppm", ".pgm", ".pnm", ".jp2"}
)


def decode_file(path: Path) -> UInt8[Tensor, "3 height width"]:
    """Decode the image file at `path`. Raises `UnreadableImage` with the path and the reason."""
    try:
        data = path.read_bytes()
    except OSError as error:
        raise UnreadableImage(str(path), error.strerror or type(error).__name__) from error
    return decode_bytes(data, str(path))


def decode_bytes(data: bytes, location: str) -> UInt8[Tensor, "3 height width"]:
    """Decode an encoded image; `location` names it in the `UnreadableImage` that a failure raises."""
    if not data:
        raise UnreadableImage(location, "the file is empty")
    decode = _torchvision_decoder()
    if decode is None:
        return _decode_with_pillow(data, location)
    try:
        # frombuffer wants writable memory, hence the copy into a bytearray
        image = decode(torch.frombuffer(bytearray(data), dtype=torch.uint8))
    except (RuntimeError, ValueError):
        return _decode_with_pillow(data, location)
    if image.ndim == 4:  # an animation: its first frame
        image = image[0]
    if image.dtype == torch.uint16:
        image = ((image.int() + 128) // 257).to(torch.uint8)
    return image.contiguous()


@cache
def _torchvision_decoder() -> Callable[[UInt8[Tensor, " bytes"]], Tensor] | None:
    """torchvision's decoder to RGB, or None in a future version without it.

    The operator is called itself: its Python wrapper warns on every call that torchvision 0.29 gives decoding up.
    """
    from torchvision.io import ImageReadMode

    operators = torch.ops.image
    if not hasattr(operators, "decode_image"):
        return None
    return lambda data: operators.decode_image(data, ImageReadMode.RGB.value, False)


def _decode_with_pillow(data: bytes, location: str) -> UInt8[Tensor, "3 height width"]:
    from PIL import Image

    try:
        with Image.open(io.BytesIO(data)) as picture:
            if picture.mode.startswith(("I", "F")):  # 16 bits or more of grey, which convert("RGB") would clip
                array = np.asarray(picture, dtype=np.float64)
                scale = 255 / 65535 if array.max() > 255 else 1.0
                grey = np.clip(np.rint(array * scale), 0, 255).astype(np.uint8)
                pixels = np.repeat(grey[:, :, None], 3, axis=2)
            else:
                pixels = np.array(picture.convert("RGB"))
    except Image.UnidentifiedImageError as error:
        raise UnreadableImage(location, f"it is not an image ({_looks_like(data)})") from error
    except (OSError, ValueError, SyntaxError, EOFError, Image.DecompressionBombError) as error:
        raise UnreadableImage(location, " ".join(str(error).split()).rstrip(".") or type(error).__name__) from error
    return torch.from_numpy(pixels).permute(2, 0, 1).contiguous()


def _looks_like(data: bytes) -> str:
    start = data[:64]
    if start.startswith(b"version https://git-lfs"):
        return "it is a Git LFS pointer: fetch the real file with `git lfs pull`"
    if all(byte >= 9 for byte in start):
        try:
            return f"it begins with the text {start.decode()[:24]!r}"
        except UnicodeDecodeError:
            pass
    return f"it begins with the bytes {start[:8].hex(' ')}"
