"""The two forms in which images come: files, and arrays in memory. Both are immutable and decode on demand."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from hashlib import blake2b
from pathlib import Path

import numpy as np
import torch
from jaxtyping import UInt8
from torch import Tensor

from weatherglass.data.decode import decode_file
from weatherglass.data.fingerprints import file_digests
from weatherglass.errors import UserError
from weatherglass.types import ImageData


@dataclass(frozen=True, eq=False)
class FileImages(ImageData):
    """Images in files below one folder; the ids are their paths relative to it, with forward slashes."""

    name: str
    root: Path
    files: tuple[str, ...]
    """Path of each image relative to `root`."""
    labels: np.ndarray
    classes: tuple[str, ...]
    selection: str = "all"
    ids: tuple[str, ...] = ()
    """Left out: the paths. Given where the ids must not depend on the place of the file."""
    others: tuple[str, ...] = field(default=(), repr=False)
    """Files that lie among them and were not taken for images."""

    def __post_init__(self) -> None:
        if not self.ids:
            object.__setattr__(self, "ids", self.files)
        object.__setattr__(self, "labels", checked_labels(self))

    def image(self, index: int) -> UInt8[Tensor, "3 height width"]:
        """Decode one file. Raises `UnreadableImage` with its path."""
        return decode_file(self.root / self.files[index])

    def select(self, indices: Sequence[int], selection: str) -> "FileImages":
        return replace(
            self,
            files=tuple(self.files[i] for i in indices),
            ids=tuple(self.ids[i] for i in indices),
            labels=self.labels[np.asarray(indices, dtype=np.int64)],
            selection=selection,
        )

    @cached_property
    def digest(self) -> str:  # pyright: ignore[reportIncompatibleVariableOverride]
        """blake2b of ids, labels, class names and the contents of all files; equal for equal data on any machine.

        The contents are read once: a later process finds their digests in a cache while size and times are as they
        were (`fingerprints`).
        """
        contents = file_digests([self.root / name for name in self.files])
        return digest_of_samples(self.ids, self.labels, self.classes, contents)


@dataclass(frozen=True, eq=False)
class ArrayImages(ImageData):
    """Images of one size in an array (or memory map) of shape (samples, height, width, 3), uint8."""

    name: str
    pixels: np.ndarray = field(repr=False)
    labels: np.ndarray = field(repr=False)
    classes: tuple[str, ...]
    ids: tuple[str, ...] = field(repr=False)
    rows: np.ndarray | None = field(default=None, repr=False)
    """Row of `pixels` for each sample; None: all, in order. A selection shares the array."""
    selection: str = "all"

    def __post_init__(self) -> None:
        if self.pixels.dtype != np.uint8 or self.pixels.ndim != 4 or self.pixels.shape[3] != 3:
            raise UserError(
                f"{self.name}: images must be a uint8 array of shape (samples, height, width, 3); "
                f"got {self.pixels.dtype} {self.pixels.shape}."
            )
        if self.rows is None:
            object.__setattr__(self, "rows", np.arange(len(self.pixels)))
        object.__setattr__(self, "labels", checked_labels(self))

    def image(self, index: int) -> UInt8[Tensor, "3 height width"]:
        assert self.rows is not None
        return torch.from_numpy(self.pixels[self.rows[index]].transpose(2, 0, 1).copy())

    def select(self, indices: Sequence[int], selection: str) -> "ArrayImages":
        assert self.rows is not None
        chosen = np.asarray(indices, dtype=np.int64)
        return replace(
            self,
            ids=tuple(self.ids[i] for i in indices),
            labels=self.labels[chosen],
            rows=self.rows[chosen],
            selection=selection,
        )

    @cached_property
    def digest(self) -> str:  # pyright: ignore[reportIncompatibleVariableOverride]
        """blake2b of ids, labels, class names and pixels."""
        assert self.rows is not None
        contents = (blake2b(self.pixels[row].tobytes(), digest_size=16).digest() for row in self.rows)
        return digest_of_samples(self.ids, self.labels, self.classes, contents)


@dataclass(frozen=True, eq=False)
class Renamed(ImageData):
    """The images of `inner` under other ids, labels or class names."""

    inner: ImageData = field(repr=False)
    ids: tuple[str, ...] = field(repr=False)
    labels: np.ndarray = field(repr=False)
    classes: tuple[str, ...] = field(repr=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "name", self.inner.name)
        object.__setattr__(self, "selection", self.inner.selection)
        object.__setattr__(self, "labels", checked_labels(self))

    def image(self, index: int) -> UInt8[Tensor, "3 height width"]:
        return self.inner.image(index)

    def select(self, indices: Sequence[int], selection: str) -> "Renamed":
        ids = tuple(self.ids[i] for i in indices)
        labels = self.labels[np.asarray(indices, dtype=np.int64)]
        return Renamed(self.inner.select(indices, selection), ids, labels, self.classes)

    @cached_property
    def digest(self) -> str:  # pyright: ignore[reportIncompatibleVariableOverride]
        """blake2b of the inner digest and the new ids, labels and class names."""
        contents = (self.inner.digest.encode() for _ in self.ids)
        return digest_of_samples(self.ids, self.labels, self.classes, contents)


def digest_of_samples(ids: Sequence[str], labels: np.ndarray, classes: Sequence[str], contents: Iterable[bytes]) -> str:
    """Digest of a data set from its ids, labels, class names and the digest of each image's stored bytes."""
    digest = blake2b(digest_size=16)
    digest.update("\0".join(classes).encode())
    for sample, label, content in zip(ids, labels, contents, strict=True):
        digest.update(f"\0{sample}\0{int(label)}\0".encode())
        digest.update(content)
    return digest.hexdigest()


def checked_labels(data: ImageData) -> np.ndarray:
    """The labels of `data` as int64, once ids, labels and class names are what `ImageData` promises.

    Raises `UserError` for no images, labels that are no indices into the class names (hidden test labels are often
    -1), ids that occur twice, and ids or class names that are no text, as file names can be.
    """
    samples, labels = len(data.ids), np.asarray(data.labels)
    if samples == 0:
        raise UserError(f"{data.name} holds no images.")
    if labels.shape != (samples,):
        raise UserError(f"{data.name} has {samples} images and labels of shape {labels.shape}: one label an image.")
    if labels.dtype.kind not in "iubf" or (labels != np.floor(labels)).any():
        raise UserError(f"{data.name} has labels that are no whole numbers; they must be indices into its classes.")
    _check_text(data.name, (*data.classes, *data.ids))
    _check_range(data, labels)
    if len(set(data.ids)) != samples:
        raise UserError(f"{data.name} has sample ids that occur twice; every image needs an id of its own.")
    return labels.astype(np.int64, copy=False)


def _check_range(data: ImageData, labels: np.ndarray) -> None:
    known = range(len(data.classes))
    found = labels if data.accepted is None else np.array([label for row in data.accepted for label in row])
    if found.min() >= 0 and found.max() < len(known):
        return
    rows = labels[:, None].tolist() if data.accepted is None else data.accepted
    wrong = {sample: one for sample, row in zip(data.ids, rows, strict=True) for one in row if one not in known}
    sample, label = next(iter(wrong.items()))
    hidden = " Labels below 0 usually stand for a test set whose labels are hidden: take a part that has labels."
    raise UserError(
        f"{data.name} has {len(known)} class names, so labels 0 to {len(known) - 1}, but {len(wrong)} of "
        f"{len(labels)} images have another, e.g. {sample} has {label:g}.{hidden if label < 0 else ''}"
    )


def _check_text(name: str, texts: Sequence[str]) -> None:
    """Ids and class names are written into tables and digests, which hold text alone."""
    if odd := [text for text in texts if not is_text(text)]:
        raise UserError(
            f"{name} has {len(odd)} file or class names that are not UTF-8 text, e.g. {odd[0]!a}. Rename them: "
            "results name every image, and such a name cannot be written down."
        )


def is_text(name: str) -> bool:
    """Whether a name can be written as UTF-8; file names of any other bytes cannot."""
    try:
        name.encode()
    except UnicodeEncodeError:
        return False
    return True
