"""Frost textures: the reference package's where they are at hand, else our own procedural ice."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from hashlib import blake2b
from importlib.util import find_spec
from math import ceil
from pathlib import Path

import cv2
import numpy as np
import torch
from jaxtyping import UInt8
from torch import Tensor

from weatherglass.corruptions.ice import procedural_ice
from weatherglass.errors import UserError

REFERENCE_FILES = ("frost1.png", "frost2.png", "frost3.png", "frost4.jpg", "frost5.jpg")
"""What the reference draws from: `randint(5)`, so the sixth file is never used; 2 and 3 hold the same pixels."""

KEPT_SCALES = 16
"""Scaled textures kept in memory: five textures at three image sizes."""


@dataclass(frozen=True, eq=False)
class Textures:
    """A set of frost pictures to draw from, each with equal probability."""

    source: str
    """'procedural', 'reference' or the folder."""
    digest: str
    """Digest of the pixels."""
    pictures: Sequence[UInt8[np.ndarray, "height width 3"]]
    _scaled: dict[tuple[int, int, int], UInt8[Tensor, "3 rows columns"]] = field(default_factory=dict, repr=False)

    def scaled(self, choice: int, size: tuple[int, int], texture_scale: float) -> UInt8[Tensor, "3 rows columns"]:
        """One picture, bicubically scaled by `texture_scale` or 1.1 times what covers `size`, whichever is more."""
        picture = self.pictures[choice]
        rows, columns = picture.shape[:2]
        factor = max(texture_scale, 1.1 * max(size[0] / rows, size[1] / columns))
        shape = ceil(columns * factor), ceil(rows * factor)
        key = (choice, *shape)
        if key not in self._scaled:
            while len(self._scaled) >= KEPT_SCALES:
                self._scaled.pop(next(iter(self._scaled)), None)
            method = cv2.INTER_CUBIC if factor >= 1 else cv2.INTER_LINEAR
            resized = picture if factor == 1 else cv2.resize(picture, shape, interpolation=method)
            self._scaled[key] = torch.from_numpy(np.ascontiguousarray(resized.transpose(2, 0, 1)))
        return self._scaled[key]


def frost_textures(source: str) -> Textures:
    """The textures that a `frost=` choice means.

    'auto': the reference's if the package `imagecorruptions` (or its fork) is installed, else procedural;
    'procedural'; 'reference'; or the path of a folder with frost1.png ... frost5.jpg, or with pictures of your own.
    """
    if source == "procedural":
        return _procedural()
    if source in ("auto", "reference"):
        folder = reference_folder()
        if folder is not None:
            return _from_folder(folder, "reference")
        if source == "auto":
            return _procedural()
        raise UserError(
            "frost='reference' needs the textures of the package 'imagecorruptions', which is not installed. "
            "Install it with pip install --no-deps imagecorruptions, give a folder, or use frost='procedural'."
        )
    folder = Path(source).expanduser()
    if not folder.is_dir():
        raise UserError(
            f"frost={source!r} is no folder. Accepted: 'auto', 'procedural', 'reference' or a folder of pictures."
        )
    return _from_folder(folder, f"folder {folder.name}")


def reference_folder() -> Path | None:
    """The texture folder of an installed reference package, found without importing it."""
    spec = find_spec("imagecorruptions")
    for place in (spec.submodule_search_locations or []) if spec else []:
        folder = Path(place) / "frost"
        if all((folder / name).is_file() for name in REFERENCE_FILES):
            return folder
    return None


@lru_cache(maxsize=8)
def _from_folder(folder: Path, source: str) -> Textures:
    files = [folder / name for name in REFERENCE_FILES]
    if not all(file.is_file() for file in files):
        files = sorted(file for file in folder.iterdir() if file.suffix.lower() in (".png", ".jpg", ".jpeg", ".webp"))
    pictures = []
    for file in files:
        picture = cv2.imread(str(file), cv2.IMREAD_COLOR)
        if picture is None:
            raise UserError(f"Cannot read the frost texture {file}.")
        pictures.append(np.ascontiguousarray(picture[..., ::-1]))
    if not pictures:
        raise UserError(f"The folder {folder} holds no frost textures (PNG, JPEG or WebP pictures).")
    return Textures(source, _digest(pictures), tuple(pictures))


@lru_cache(maxsize=1)
def _procedural() -> Textures:
    pictures = procedural_ice()
    return Textures("procedural", _digest(pictures), pictures)


def _digest(pictures: Sequence[np.ndarray]) -> str:
    digest = blake2b(digest_size=6)
    for picture in pictures:
        digest.update(str(picture.shape).encode())
        digest.update(picture.tobytes())
    return digest.hexdigest()
