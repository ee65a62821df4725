"""A severity sheet: one picture, clean and at every severity, on one image."""

from collections.abc import Sequence

import torch
from jaxtyping import UInt8
from PIL import Image, ImageDraw
from torch import Tensor

from weatherglass.corruptions.engine import corrupt

MARGIN, CAPTION = 8, 18
"""Pixels between pictures, and the height of the line above each."""


def severity_sheet(
    picture: UInt8[Tensor, "3 height width"],
    names: Sequence[str],
    severities: Sequence[float] = (1, 2, 3, 4, 5),
    *,
    seed: int = 0,
    definition: str = "imagecorruptions",
    calibration: int | str = "auto",
    frost: str = "auto",
) -> Image.Image:
    """One row a corruption: the clean picture, then one at each severity, with captions."""
    _, height, width = picture.shape
    columns = 1 + len(severities)
    size = MARGIN + columns * (width + MARGIN), MARGIN + len(names) * (height + CAPTION + MARGIN)
    sheet = Image.new("RGB", size, "white")
    pen = ImageDraw.Draw(sheet)
    for row, name in enumerate(names):
        top = MARGIN + row * (height + CAPTION + MARGIN)
        tiles = [("clean", picture)]
        for severity in severities:
            corrupted = corrupt(
                picture, name, severity, seed=seed, definition=definition, calibration=calibration, frost=frost
            )
            tiles.append((f"{name} {severity:g}", corrupted))
        for column, (caption, tile) in enumerate(tiles):
            left = MARGIN + column * (width + MARGIN)
            pen.text((left, top), caption, fill="black")
            sheet.paste(_image(tile), (left, top + CAPTION))
    return sheet


def _image(picture: torch.Tensor) -> Image.Image:
    return Image.fromarray(picture.permute(1, 2, 0).contiguous().numpy())
