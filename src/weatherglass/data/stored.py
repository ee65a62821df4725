"""Images that were disturbed before and lie on disk: ImageNet-C, CIFAR-10-C, and what `weatherglass corrupt` writes."""

import json
import re
from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path, PurePosixPath

import numpy as np
from jaxtyping import UInt8
from torch import Tensor

from weatherglass.data.cifar import CIFAR10_CLASSES, load_array
from weatherglass.data.folder import check_directory, class_directories, load_folder
from weatherglass.data.imagenet import imagenet_wnids
from weatherglass.data.images import ArrayImages, Renamed
from weatherglass.errors import UserError
from weatherglass.types import ImageData

CLEAN = "clean"


class StoredSource(ABC):
    """Where stored conditions lie; they are opened one at a time."""

    @abstractmethod
    def conditions(self) -> tuple[tuple[str, float], ...]:
        """(name, severity) of every condition, in the order of the names."""

    @abstractmethod
    def open(self, condition: str, severity: float) -> ImageData:
        """All images of one condition."""

    @abstractmethod
    def clean(self) -> ImageData | None:
        """The undisturbed images, where they are stored too."""


@dataclass(frozen=True, eq=False)
class StoredConditions(ImageData):
    """The same images under many conditions. As `ImageData` it is the clean images, or else the first condition."""

    name: str
    source: StoredSource
    shown: ImageData
    """The images whose ids and labels hold for every condition."""
    has_clean: bool

    @cached_property
    def conditions(self) -> list[tuple[str, float]]:
        """(name, severity) of every condition, e.g. ('fog', 3)."""
        return list(self.source.conditions())

    @property
    def clean(self) -> ImageData | None:
        """The undisturbed images, in the order of `ids`; None where they are not stored."""
        return self.shown if self.has_clean else None

    def at(self, name: str, severity: float) -> ImageData:
        """The images of one condition, with the ids, labels and order of this set.

        Raises `UserError` for a condition that is not stored, or one that lacks some of the images.
        """
        if (name, severity) not in self.conditions:
            known = sorted({known for known, _ in self.conditions})
            raise UserError(f"{self.name} holds no {name}@{severity:g}; it holds {', '.join(known)}.")
        stored = self.source.open(name, severity)
        position = {sample: index for index, sample in enumerate(stored.ids)}
        if not all(sample in position for sample in self.ids):  # clean files may have another ending
            position = {_without_ending(sample): index for sample, index in position.items()}
        keys = [sample if sample in position else _without_ending(sample) for sample in self.ids]
        lacking = [key for key in keys if key not in position]
        if lacking:
            raise UserError(
                f"{self.name}: the condition {name}@{severity:g} lacks {len(lacking)} of {len(self)} images, e.g. "
                f"{lacking[0]}. Complete it, or give a folder that holds the complete conditions only."
            )
        chosen = stored.select([position[key] for key in keys], self.selection)
        return Renamed(chosen, self.ids, self.labels, self.classes)

    @property
    def ids(self) -> tuple[str, ...]:  # pyright: ignore[reportIncompatibleVariableOverride]
        return self.shown.ids

    @property
    def labels(self) -> np.ndarray:  # pyright: ignore[reportIncompatibleVariableOverride]
        return self.shown.labels

    @property
    def classes(self) -> tuple[str, ...]:  # pyright: ignore[reportIncompatibleVariableOverride]
        return self.shown.classes

    @property
    def digest(self) -> str:  # pyright: ignore[reportIncompatibleVariableOverride]
        return self.shown.digest

    @property
    def selection(self) -> str:  # pyright: ignore[reportIncompatibleVariableOverride]
        return self.shown.selection

    def image(self, index: int) -> UInt8[Tensor, "3 height width"]:
        return self.shown.image(index)

    def select(self, indices: Sequence[int], selection: str) -> "StoredConditions":
        return replace(self, shown=self.shown.select(indices, selection))


@dataclass(frozen=True)
class TreeSource(StoredSource):
    """`root/corruption/severity/class/file`; also with one more folder above (`root/noise/gaussian_noise/1`)."""

    name: str
    root: Path
    places: tuple[tuple[str, float, Path], ...]
    classes: tuple[str, ...] | None
    """Class directories in label order; None: sorted, or all of ImageNet's where they are WordNet ids."""

    def conditions(self) -> tuple[tuple[str, float], ...]:
        return tuple((name, severity) for name, severity, _ in self.places)

    def open(self, condition: str, severity: float) -> ImageData:
        place = next(place for name, level, place in self.places if (name, level) == (condition, severity))
        return _condition_folder(f"{self.name}:{condition}@{severity:g}", place, self.classes)

    def clean(self) -> ImageData | None:
        folder = self.root / CLEAN
        return _condition_folder(f"{self.name}:{CLEAN}", folder, self.classes) if folder.is_dir() else None


@dataclass(frozen=True)
class ArraySource(StoredSource):
    """CIFAR-10-C: `<corruption>.npy` with the five severities one after the other, and `labels.npy`."""

    name: str
    root: Path
    classes: tuple[str, ...]

    def conditions(self) -> tuple[tuple[str, float], ...]:
        names = sorted(path.stem for path in self.root.glob("*.npy") if path.stem not in ("labels", CLEAN))
        return tuple((name, float(severity)) for name in names for severity in range(1, 6))

    def open(self, condition: str, severity: float) -> ImageData:
        pixels = load_array(self.root / f"{condition}.npy")
        labels = load_array(self.root / "labels.npy")
        if len(pixels) % 5 or len(labels) not in (len(pixels), len(pixels) // 5):
            raise UserError(
                f"{self.name}: {condition}.npy holds {len(pixels)} images and labels.npy {len(labels)} labels; five "
                "severities one after the other are needed, with a label for each image."
            )
        each = len(pixels) // 5
        start = (round(severity) - 1) * each
        return self._images(f"{condition}@{severity:g}", pixels[start : start + each], labels[:each])

    def clean(self) -> ImageData | None:
        if not (self.root / f"{CLEAN}.npy").is_file():
            return None
        pixels = load_array(self.root / f"{CLEAN}.npy")
        return self._images(CLEAN, pixels, load_array(self.root / "labels.npy")[: len(pixels)])

    def _images(self, part: str, pixels: np.ndarray, labels: np.ndarray) -> ArrayImages:
        ids = tuple(f"test/{index:05d}" for index in range(len(pixels)))  # as `cifar10:` names its test images
        return ArrayImages(f"{self.name}:{part}", pixels, np.asarray(labels, dtype=np.int64), self.classes, ids)


def load_stored_tree(name: str, place: str, clean: ImageData | None = None) -> StoredConditions:
    """A tree of stored conditions. `clean` gives the undisturbed images where the tree has no folder `clean`."""
    root = Path(place).expanduser()
    check_directory(root, name)
    places = tuple(sorted(_condition_places(root)))
    if not places:
        found = ", ".join(class_directories(root)[:5]) or "no directories"
        raise UserError(
            f"{name}: {root} holds {found}; needed is corruption/severity/class/file, e.g. {root.name}/fog/3/cat/1.png."
        )
    return _stored(name, TreeSource(name, root, places, _manifest_folders(root)), clean)


def load_stored_arrays(name: str, place: str, clean: ImageData | None = None) -> StoredConditions:
    """CIFAR-10-C or CIFAR-100-C as published."""
    root = Path(place).expanduser()
    check_directory(root, name)
    if not (root / "labels.npy").is_file():
        raise UserError(f"{name}: {root} holds no labels.npy; the folder with fog.npy ... and labels.npy is needed.")
    labels = load_array(root / "labels.npy")
    count = int(labels.max()) + 1
    classes = CIFAR10_CLASSES if count <= 10 else tuple(str(index) for index in range(count))
    return _stored(name, ArraySource(name, root, classes), clean)


def _stored(name: str, source: StoredSource, clean: ImageData | None) -> StoredConditions:
    clean = clean if clean is not None else source.clean()
    shown = clean if clean is not None else source.open(*source.conditions()[0])
    return StoredConditions(name, source, shown, clean is not None)


def _condition_places(root: Path) -> list[tuple[str, float, Path]]:
    """Folders named by a number are severities; their parents are conditions, at depth one or two."""
    found = []
    for outer in class_directories(root):
        for condition in (root / outer, *(root / outer / inner for inner in class_directories(root / outer))):
            levels = [level for level in class_directories(condition) if re.fullmatch(r"\d+(\.\d+)?", level)]
            has_classes = [level for level in levels if class_directories(condition / level)]
            found += [(condition.name, float(level), condition / level) for level in has_classes]
    return found


def _manifest_folders(root: Path) -> tuple[str, ...] | None:
    """The class directories in the label order of the source, which `weatherglass corrupt` leaves in its manifest."""
    manifest = root / "manifest.jsonl"
    if not manifest.is_file():
        return None
    with manifest.open(encoding="utf-8") as stream:
        try:
            return tuple(json.loads(stream.readline())["folders"])
        except (ValueError, KeyError, TypeError):
            return None  # somebody else's manifest


def _condition_folder(name: str, place: Path, classes: tuple[str, ...] | None) -> ImageData:
    if classes is None:
        directories, wnids = set(class_directories(place)), imagenet_wnids()
        classes = wnids if directories and directories <= set(wnids) else None
    return load_folder(name, place, classes)


def _without_ending(sample: str) -> str:
    return str(PurePosixPath(sample).with_suffix(""))
