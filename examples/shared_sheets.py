"""Your own data reader: arrays and archives become data for Weatherglass.

Reads sheets of 32x32 tiles (one picture that holds many images) and photographs in a zip archive. The folder is
taken from the environment:

    SHEETS=path/to/data weatherglass evaluate MODEL --data examples/shared_sheets.py:cifar10_test

A factory takes no arguments and returns an `ImageData`: `ArrayImages` for an array, `EncodedImages` for encoded files
that come from anywhere, or a class of your own.
"""

import json
import os
import zipfile
from pathlib import Path

import numpy as np
from PIL import Image

from weatherglass.data.encoded import EncodedImages, EncodedRows
from weatherglass.data.images import ArrayImages


def cifar10_test() -> ArrayImages:
    """The 10,000 test images of CIFAR-10, in the order of the sheets."""
    return _cifar10("test")


def cifar10_train() -> ArrayImages:
    """The 50,000 training images of CIFAR-10."""
    return _cifar10("train")


def natural_shift() -> ArrayImages:
    """800 photographs of eight CIFAR-10 classes from another source."""
    folder = _folder() / "cifar10_natural_shift"
    table = np.load(folder / "labels.npz")
    return _images("natural_shift", tiles(folder / "images.webp"), table["labels"], table["classes"])


class ZippedRows(EncodedRows):
    """Files in an archive, read when they are asked for. Each call opens the archive: threads do not meet in it."""

    def __init__(self, archive: Path, members: list[str]) -> None:
        self.archive, self.members = archive, members

    def bytes_of(self, row: int) -> bytes:
        with zipfile.ZipFile(self.archive) as opened:
            return opened.read(self.members[row])


def imagenet_photos() -> EncodedImages:
    """100 ImageNet photographs of 100 classes; labels are indices into all 1,000."""
    folder = _folder() / "imagenet_photos"
    index = json.loads((folder / "index.json").read_text())
    names = json.loads((folder / "imagenet1k_classes.json").read_text())
    members = [entry["file"] for entry in index]
    return EncodedImages(
        name="imagenet_photos",
        source=ZippedRows(folder / "photos.zip", members),
        rows=np.arange(len(members)),
        labels=np.array([entry["index"] for entry in index]),
        classes=tuple(synset for synset, _ in names),
        ids=tuple(members),
    )


def tiles(path: Path) -> np.ndarray:
    """A sheet as an array of shape (images, 32, 32, 3), row by row."""
    sheet = np.array(Image.open(path).convert("RGB"))
    rows, columns = sheet.shape[0] // 32, sheet.shape[1] // 32
    return sheet.reshape(rows, 32, columns, 32, 3).swapaxes(1, 2).reshape(-1, 32, 32, 3)


def _cifar10(split: str) -> ArrayImages:
    folder = _folder() / "cifar10"
    table = np.load(folder / "labels.npz")
    pixels = np.concatenate([tiles(path) for path in sorted(folder.glob(f"{split}_*.webp"))])
    return _images(f"cifar10_{split}", pixels, table[f"{split}_labels"], table["classes"])


def _images(name: str, pixels: np.ndarray, labels: np.ndarray, classes: np.ndarray) -> ArrayImages:
    return ArrayImages(
        name=name,
        pixels=pixels,
        labels=labels.astype(np.int64),
        classes=tuple(one.decode() if isinstance(one, bytes) else str(one) for one in classes),
        ids=tuple(f"{name}/{index:05d}" for index in range(len(pixels))),
    )


def _folder() -> Path:
    return Path(os.environ.get("SHEETS", "../shared/data"))
