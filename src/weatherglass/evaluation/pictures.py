"""Pictures for the gallery: small, sharp, and readable by every browser."""

import io
from collections.abc import Sequence

import numpy as np
import torch
from PIL import Image, ImageDraw, ImageFont
from torch import Tensor

from weatherglass.data.segmentation_classes import voc_colour
from weatherglass.types import Objects

LARGEST_LOSSLESS = 64 * 64
"""Pixels up to which a picture is kept as PNG; larger ones become JPEG of quality 92."""


WIDEST_OVERLAY = 480
"""Pixels of each half of an overlay; larger images are shrunk, since a store keeps two of them a cell."""


SHOWN = 0.5
"""Score from which a found object is drawn."""

SMALLEST_LABELLED = 240
"""Pixels that an image with boxes has at least in width; smaller ones are enlarged without smoothing."""


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


def encode_objects(image: Tensor, found: Objects, names: Sequence[str]) -> bytes:
    """The image and, right of it, the objects of it found with a score of at least `SHOWN`: boxes, classes, masks."""
    pixels = _pixels(image)
    colours = [voc_colour(index + 1) for index in range(len(names))]
    tinted = pixels.astype(np.float32)
    shown = [row for row in range(len(found)) if found.scores is not None and found.scores[row] >= SHOWN]
    if found.masks is not None:
        for row in reversed(shown):  # the best on top
            mask = found.masks[row]
            tinted[mask] = 0.45 * tinted[mask] + 0.55 * np.array(colours[found.classes[row]], np.float32)
    scale = max(1, -(-SMALLEST_LABELLED // pixels.shape[1]))  # small images are enlarged, so that words can be read
    halves = [Image.fromarray(np.rint(half).astype(np.uint8)) for half in (pixels, tinted)]
    halves = [half.resize((scale * half.width, scale * half.height), Image.Resampling.NEAREST) for half in halves]
    _draw_boxes(halves[1], found, shown, names, colours, scale)
    both = Image.fromarray(np.hstack([np.asarray(half) for half in halves]))
    if halves[0].width > WIDEST_OVERLAY:
        both = both.resize((2 * WIDEST_OVERLAY, round(both.height * WIDEST_OVERLAY / halves[0].width)))
    return _encoded(both)


def _draw_boxes(
    picture: Image.Image,
    found: Objects,
    shown: Sequence[int],
    names: Sequence[str],
    colours: Sequence[tuple[int, int, int]],
    scale: int,
) -> None:
    """Boxes with class and score in percent, the best on top; words stay inside the picture."""
    size = max(11, round(picture.width / 34))
    draw, font = ImageDraw.Draw(picture), ImageFont.load_default(size)
    assert found.scores is not None
    for row in reversed(shown):
        colour = colours[found.classes[row]]
        x0, y0, x1, y1 = (float(end) * scale for end in found.boxes[row])
        draw.rectangle((x0, y0, max(x1 - 1, x0), max(y1 - 1, y0)), outline=colour, width=max(2, size // 6))
        words = f"{names[found.classes[row]]} {100 * found.scores[row]:.0f}"
        width, height = draw.textlength(words, font) + 4, size + 3
        left, top = max(0.0, min(x0, picture.width - width)), max(0.0, y0 - height)
        draw.rectangle((left, top, left + width, top + height), fill=colour)
        light = 0.299 * colour[0] + 0.587 * colour[1] + 0.114 * colour[2] > 140
        draw.text((left + 2, top), words, fill=(0, 0, 0) if light else (255, 255, 255), font=font)


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
