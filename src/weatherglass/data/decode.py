"""One encoded image to RGB pixels, whatever its format.

Everything becomes three channels of 8 bits, as training pipelines do with `PIL.Image.convert("RGB")`: greyscale is
repeated, palettes and CMYK are converted, 16 bits are scaled to 8, and the alpha channel of RGBA is dropped, not
composited. EXIF rotation is not applied. torchvision decodes what it can (twice as fast), Pillow the rest (AVIF,
TIFF, BMP and other formats). Pixels whose range nothing states, floating point and 32 bits, are refused.
"""

import io
from collections.abc import Callable
from functools import cache
from pathlib import Path, PurePath
from typing import TYPE_CHECKING

import numpy as np
import torch
from jaxtyping import UInt8
from torch import Tensor

from weatherglass.errors import UnreadableImage

if TYPE_CHECKING:
    from PIL import Image

DECODED_ENDINGS = frozenset(
    {".jpg", ".jpeg", ".jpe", ".jfif", ".png", ".webp", ".bmp", ".dib", ".gif", ".tif", ".tiff", ".avif", ".tga"}
    | {".ppm", ".pgm", ".pbm", ".pnm", ".jp2", ".j2k", ".jpx"}
)
"""What is decoded goes by the bytes of a file; endings only tell images from other files."""

RAW_ENDINGS = frozenset({".raw", ".dng", ".cr2", ".cr3", ".nef", ".arw", ".orf", ".raf", ".rw2", ".pef", ".srw"})
"""Raw files of cameras, which are never decoded: many are TIFF inside, and what a reader of TIFF finds is a preview."""

IMAGE_ENDINGS = DECODED_ENDINGS | RAW_ENDINGS | {".heic", ".heif", ".jxl"}
"""A file with one of these endings is taken for an image, so that one which cannot be decoded is said to be unreadable
and does not vanish. HEIC and JPEG XL decode where a plugin of Pillow for them is registered."""


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
    if PurePath(location).suffix.lower() in RAW_ENDINGS:
        raise UnreadableImage(location, "a camera's raw file has no one picture; develop it to PNG or JPEG")
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
            if picture.mode.startswith(("I", "F")):  # more than 8 bits of grey, which convert("RGB") would clip
                white = _white(picture)
                if white is None:
                    kind = "floating-point" if picture.mode == "F" else "32-bit"
                    raise UnreadableImage(location, f"nothing says which {kind} value is white; make it 8 or 16 bits")
                grey = np.rint(np.asarray(picture) * (255 / white)).clip(0, 255).astype(np.uint8)
                pixels = np.repeat(grey[:, :, None], 3, axis=2)
            else:
                pixels = np.array(picture.convert("RGB"))
    except Image.UnidentifiedImageError as error:
        raise UnreadableImage(location, _why_no_image(data)) from error
    except (OSError, ValueError, SyntaxError, EOFError, Image.DecompressionBombError) as error:
        raise UnreadableImage(location, " ".join(str(error).split()).rstrip(".") or type(error).__name__) from error
    return torch.from_numpy(pixels).permute(2, 0, 1).contiguous()


def _white(picture: "Image.Image") -> int | None:
    """The value of white in a grey picture of more than 8 bits; None where the format leaves it open."""
    if picture.mode.startswith("I;16"):
        tags = getattr(picture, "tag_v2", {})  # of TIFF, the one format whose 12 bits come as they are
        return 2 ** tags.get(_BITS_PER_SAMPLE, (16,))[0] - 1
    # 16 bits of these formats come as 32: Pillow scales a PGM's to the full range, and did so with PNG until 11.
    return 65535 if picture.mode == "I" and picture.format in ("PNG", "PPM") else None


_BITS_PER_SAMPLE = 258


def _why_no_image(data: bytes) -> str:
    for form, begins in _KNOWN_FORMS.items():
        if any(data.startswith(magic, offset) for offset, magic in begins):
            return f"it begins like {form}, which nothing installed decodes; convert it to PNG or JPEG"
    return f"it is not an image ({_looks_like(data)})"


_KNOWN_FORMS = {
    "HEIC": [(4, b"ftyp" + brand) for brand in (b"heic", b"heix", b"hevc", b"heim", b"mif1", b"msf1")],
    "AVIF": [(4, b"ftypavif"), (4, b"ftypavis")],
    "JPEG XL": [(0, b"\xff\x0a"), (4, b"JXL ")],
}
"""Images that not every installation decodes, by the bytes that stand at an offset."""


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
