"""Stimuli that set texture against shape: `SHAPE/SHAPEn-TEXTUREm.png`, in a folder or a zip file.

The file names are those of Geirhos et al. (ICLR 2019); edges and silhouettes, `CLASS/CLASSn.png`, have one cue alone.
Stimuli of our own (`weatherglass conflict-stimuli`) bring a manifest that names other classes than the 16 categories.
"""

import json
import re
import zipfile
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from hashlib import blake2b
from pathlib import Path, PurePosixPath

import numpy as np
from jaxtyping import UInt8
from torch import Tensor

from weatherglass.data.decode import IMAGE_ENDINGS, decode_bytes
from weatherglass.data.folder import check_directory, image_files
from weatherglass.data.images import FileImages, checked_labels, digest_of_samples
from weatherglass.data.masks import CATEGORIES16
from weatherglass.errors import UnreadableImage, UserError
from weatherglass.types import ImageData

MANIFEST = "stimuli.json"
"""Lies beside stimuli of our own; its entry 'classes' names their classes."""

_CUE = re.compile(r"(.*?)\d*$")


@dataclass(frozen=True, eq=False)
class ZipImages(ImageData):
    """Images in a zip file; the ids are the names of its members."""

    name: str
    archive: Path
    ids: tuple[str, ...]
    labels: np.ndarray
    classes: tuple[str, ...]
    selection: str = "all"

    def __post_init__(self) -> None:
        object.__setattr__(self, "labels", checked_labels(self))

    @cached_property
    def _members(self) -> zipfile.ZipFile:
        return zipfile.ZipFile(self.archive)

    def image(self, index: int) -> UInt8[Tensor, "3 height width"]:
        """Decode one member. Raises `UnreadableImage` with its name."""
        location = f"{self.archive}:{self.ids[index]}"
        try:
            return decode_bytes(self._members.read(self.ids[index]), location)
        except zipfile.BadZipFile as error:
            raise UnreadableImage(location, str(error)) from error

    def select(self, indices: Sequence[int], selection: str) -> "ZipImages":
        ids = tuple(self.ids[i] for i in indices)
        return replace(self, ids=ids, labels=self.labels[np.asarray(indices, dtype=np.int64)], selection=selection)

    @cached_property
    def digest(self) -> str:  # pyright: ignore[reportIncompatibleVariableOverride]
        """blake2b of ids, labels, class names and the stored bytes: the same as for the unpacked folder."""
        contents = (blake2b(self._members.read(sample), digest_size=16).digest() for sample in self.ids)
        return digest_of_samples(self.ids, self.labels, self.classes, contents)


def load_cue_conflict(name: str, place: str) -> ImageData:
    """Stimuli labelled by the category of their shape. Of stimuli with two cues, only those that conflict are kept.

    Raises `UserError` for names that are not made of the 16 categories, or of the classes of the manifest.
    """
    root = Path(place).expanduser()
    files = _names(name, root)
    cues = [cues_of(file) for file in files]
    classes = _manifest_classes(name, root) or tuple(CATEGORIES16)
    known = [cue_name(one) for one in classes]
    strangers = [
        file for file, (shape, texture) in zip(files, cues, strict=True) if not {shape, texture or shape} <= set(known)
    ]
    if strangers:
        raise UserError(
            f"{name}: {len(strangers)} of {len(files)} stimuli, e.g. {strangers[0]}, are not named by the categories: "
            f"SHAPEn-TEXTUREm such as cat7-elephant1. Categories: {', '.join(classes)}."
        )
    labels = np.array([known.index(shape) for shape, _ in cues], dtype=np.int64)
    data = (
        ZipImages(name, root, files, labels, classes)
        if root.is_file()
        else FileImages(name, root, files, labels, classes)
    )
    conflicting = [index for index, (shape, texture) in enumerate(cues) if texture is not None and texture != shape]
    if not conflicting:  # edges and silhouettes: no second cue
        return data
    return data.select(conflicting, f"the {len(conflicting)} of {len(files)} with conflicting cues")


def cue_name(name: str) -> str:
    """A class name as it stands in file names: without dashes and slashes, and never ending in a digit."""
    plain = re.sub(r"[-/\\\\]", "_", name.strip())
    return f"{plain}_" if plain[-1:].isdigit() else plain


def cues_of(sample: str) -> tuple[str, str | None]:
    """Shape and texture in a stimulus's name: 'cat/cat7-elephant1.png' is ('cat', 'elephant'); no texture: None."""
    shape, dash, texture = PurePosixPath(sample).stem.partition("-")
    return _category(shape), _category(texture) if dash else None


def _manifest_classes(name: str, root: Path) -> tuple[str, ...] | None:
    """The classes that a manifest names; None where there is no manifest."""
    try:
        if root.is_file():
            with zipfile.ZipFile(root) as archive:
                text = archive.read(MANIFEST).decode() if MANIFEST in archive.namelist() else None
        else:
            text = (root / MANIFEST).read_text() if (root / MANIFEST).is_file() else None
        return None if text is None else tuple(str(one) for one in json.loads(text)["classes"])
    except (ValueError, KeyError, TypeError) as error:
        raise UserError(f"{name}: {MANIFEST} does not list the classes of the stimuli: {error}.") from error


def _category(cue: str) -> str:
    match = _CUE.fullmatch(cue)
    assert match is not None  # the pattern matches any text
    return match[1]


def _names(name: str, root: Path) -> tuple[str, ...]:
    if root.is_file():
        try:
            with zipfile.ZipFile(root) as archive:
                found = [one for one in archive.namelist() if PurePosixPath(one).suffix.lower() in IMAGE_ENDINGS]
        except zipfile.BadZipFile as error:
            raise UserError(f"{name}: {root} is neither a folder nor a zip file.") from error
    else:
        check_directory(root, name)
        found = list(image_files(root))
    if not found:
        raise UserError(f"{name}: {root} holds no images; needed are files such as cat/cat7-elephant1.png.")
    return tuple(sorted(found))
