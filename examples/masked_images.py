"""Images with masks, for `weatherglass analyse clusters`: drawn shapes, and frames of CamVid from a zip archive.

    weatherglass analyse clusters digits_vit digits_fan --data examples/masked_images.py:shapes

A mask is a map of bytes as large as its image: the class of every pixel, 255 for none. `MaskedImages` adds masks to any
data; `background` is the class that is no object.
"""

import io
import os
import zipfile
from pathlib import Path

import numpy as np
import torch
from PIL import Image

from weatherglass.data.encoded import EncodedImages, EncodedRows
from weatherglass.data.images import ArrayImages
from weatherglass.data.masked import MaskedImages

KINDS = ("disk", "square", "triangle", "cross")
SIDE = 32


def shapes() -> MaskedImages:
    """256 images of 32 pixels: one shape of one colour and texture before another texture; the mask is the shape."""
    drawn = [_shape(index) for index in range(256)]
    masks = {f"shapes/{index:03d}": torch.from_numpy(mask) for index, (_, mask) in enumerate(drawn)}
    images = ArrayImages(
        name="shapes",
        pixels=np.stack([pixels for pixels, _ in drawn]),
        labels=np.arange(len(drawn)) % len(KINDS),
        classes=KINDS,
        ids=tuple(masks),
    )
    return MaskedImages(images, masks.__getitem__, background=0)


def _shape(index: int) -> tuple[np.ndarray, np.ndarray]:
    """Image number `index`: its kind by turns; place, size, colours and stripes by its own random numbers."""
    draw = np.random.default_rng([7, index])
    rows, columns = np.mgrid[:SIDE, :SIDE].astype(float)
    size = draw.uniform(6, 11)
    down, right = rows - draw.uniform(size, SIDE - size), columns - draw.uniform(size, SIDE - size)
    inside = {
        "disk": down**2 + right**2 <= size**2,
        "square": np.maximum(abs(down), abs(right)) <= 0.85 * size,
        "triangle": (down <= 0.8 * size) & (abs(right) <= 0.6 * (down + size)),
        "cross": (np.minimum(abs(down), abs(right)) <= 0.35 * size) & (np.maximum(abs(down), abs(right)) <= size),
    }[KINDS[index % len(KINDS)]]
    layers = [_texture(draw, rows, columns) for _ in range(2)]
    pixels = np.where(inside[..., None], layers[1], layers[0]) + draw.normal(0, 6, (SIDE, SIDE, 3))
    return pixels.clip(0, 255).astype(np.uint8), inside.astype(np.uint8)


def _texture(draw: np.random.Generator, rows: np.ndarray, columns: np.ndarray) -> np.ndarray:
    """Stripes of one direction and width between two shades of one colour."""
    angle, period = draw.uniform(0, np.pi), draw.uniform(3, 7)
    wave = np.sin(2 * np.pi * (np.cos(angle) * rows + np.sin(angle) * columns) / period)
    return draw.uniform(40, 215, 3) + 25 * wave[..., None]


class Members(EncodedRows):
    """Files in an archive, read when they are asked for."""

    def __init__(self, archive: Path, members: list[str]) -> None:
        self.archive, self.members = archive, members

    def bytes_of(self, row: int) -> bytes:
        with zipfile.ZipFile(self.archive) as opened:
            return opened.read(self.members[row])


def camvid() -> MaskedImages:
    """101 driving scenes of 480x360 pixels with 11 classes; the archive lies in $SHEETS/camvid."""
    archive = Path(os.environ.get("SHEETS", "../shared/data")) / "camvid" / "val.zip"
    with zipfile.ZipFile(archive) as opened:
        names = sorted(Path(name).stem for name in opened.namelist() if name.startswith("images/"))

    def read_mask(sample: str) -> torch.Tensor:
        with zipfile.ZipFile(archive) as opened:
            labels = np.array(Image.open(io.BytesIO(opened.read(f"labels/{sample}.png"))))
        return torch.from_numpy(np.where(labels < 11, labels, 255).astype(np.uint8))

    images = EncodedImages(
        name="camvid_val",
        source=Members(archive, [f"images/{name}.webp" for name in names]),
        rows=np.arange(len(names)),
        labels=np.zeros(len(names), dtype=np.int64),
        classes=("scene",),
        ids=tuple(names),
    )
    return MaskedImages(images, read_mask)
