"""Your own data reader: photographs in a zip file, with labels of ImageNet's 1000 classes.

SHEETS=path/to/data weatherglass analyse grouping MODEL --data examples/shared_photos.py:imagenet_photos
"""

import json
import os
import zipfile
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path

import numpy as np
from torch import Tensor

from weatherglass.data.decode import decode_bytes
from weatherglass.types import ImageData


@dataclass(frozen=True, eq=False)
class ZippedImages(ImageData):
    """Encoded images inside one zip file, decoded when they are asked for."""

    name: str
    path: Path
    ids: tuple[str, ...]
    labels: np.ndarray
    classes: tuple[str, ...]
    selection: str = "all"

    def image(self, index: int) -> Tensor:
        with zipfile.ZipFile(self.path) as archive:
            return decode_bytes(archive.read(self.ids[index]), f"{self.path}:{self.ids[index]}")

    def select(self, indices: Sequence[int], selection: str) -> "ZippedImages":
        ids = tuple(self.ids[index] for index in indices)
        return replace(self, ids=ids, labels=self.labels[np.asarray(indices, dtype=np.int64)], selection=selection)

    @cached_property
    def digest(self) -> str:
        """Of the stored checksums and the choice of images."""
        from hashlib import blake2b

        with zipfile.ZipFile(self.path) as archive:
            checksums = [(name, archive.getinfo(name).CRC) for name in self.ids]
        return blake2b(repr((checksums, self.labels.tolist())).encode(), digest_size=16).hexdigest()


def imagenet_photos() -> ZippedImages:
    """100 photographs of 100 ImageNet classes."""
    folder = Path(os.environ.get("SHEETS", "../shared/data")) / "imagenet_photos"
    index = json.loads((folder / "index.json").read_text(encoding="utf-8"))
    classes = json.loads((folder / "imagenet1k_classes.json").read_text(encoding="utf-8"))
    with zipfile.ZipFile(folder / "photos.zip") as archive:
        members = {Path(name).name: name for name in archive.namelist()}
    return ZippedImages(
        name="imagenet_photos",
        path=folder / "photos.zip",
        ids=tuple(members[Path(row["file"]).name] for row in index),
        labels=np.array([row["index"] for row in index], dtype=np.int64),
        classes=tuple(str(pair[1]) for pair in classes),
    )
