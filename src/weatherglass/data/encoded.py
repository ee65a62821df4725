"""Encoded images in the rows of a table: Parquet files, and Hugging Face data sets on disk."""

import json
from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property, lru_cache
from hashlib import blake2b
from pathlib import Path
from threading import Lock
from typing import Any

import numpy as np
from jaxtyping import UInt8
from torch import Tensor

from weatherglass.data.decode import decode_bytes
from weatherglass.data.folder import sorted_classes
from weatherglass.data.images import checked_labels, digest_of_samples
from weatherglass.errors import MissingExtra, UnreadableImage, UserError
from weatherglass.types import ImageData

IMAGE_COLUMNS = ("image", "img", "jpg", "jpeg", "png", "webp", "picture")
LABEL_COLUMNS = ("label", "labels", "fine_label", "cls", "class", "target", "y")


class EncodedRows(ABC):
    """Encoded images by row number."""

    @abstractmethod
    def bytes_of(self, row: int) -> bytes:
        """The encoded image in a row; empty where there is none. Safe to call from several threads.

        Raises `UnreadableImage` where the row names a file that is not there, or cannot be read.
        """


@dataclass(frozen=True, eq=False)
class EncodedImages(ImageData):
    """Images that lie encoded in the rows of a table."""

    name: str
    source: EncodedRows = field(repr=False)
    rows: np.ndarray = field(repr=False)
    labels: np.ndarray = field(repr=False)
    classes: tuple[str, ...]
    ids: tuple[str, ...] = field(repr=False)
    selection: str = "all"

    def __post_init__(self) -> None:
        object.__setattr__(self, "labels", checked_labels(self))

    def image(self, index: int) -> UInt8[Tensor, "3 height width"]:
        """Decode one row. Raises `UnreadableImage` with the id of the sample."""
        location = f"{self.name} {self.ids[index]}"
        try:
            data = self.source.bytes_of(int(self.rows[index]))
        except UnreadableImage as error:
            raise UnreadableImage(location, f"{error.location}: {error.reason}") from error
        return decode_bytes(data, location)

    def select(self, indices: Sequence[int], selection: str) -> "EncodedImages":
        chosen = np.asarray(indices, dtype=np.int64)
        return replace(
            self,
            rows=self.rows[chosen],
            labels=self.labels[chosen],
            ids=tuple(self.ids[i] for i in indices),
            selection=selection,
        )

    @cached_property
    def digest(self) -> str:  # pyright: ignore[reportIncompatibleVariableOverride]
        """blake2b of ids, labels, class names and encoded bytes."""
        contents = (blake2b(self._stored(int(row)), digest_size=16).digest() for row in self.rows)
        return digest_of_samples(self.ids, self.labels, self.classes, contents)

    def _stored(self, row: int) -> bytes:
        try:
            return self.source.bytes_of(row)
        except UnreadableImage:
            return b""


class ParquetRows(EncodedRows):
    """Reads one row group at a time and keeps the last two, so memory does not grow with the file."""

    def __init__(self, files: Sequence[Path], column: str) -> None:
        import pyarrow.parquet as parquet

        self._files, self._column, self._lock = tuple(files), column, Lock()
        sizes = []
        for number, path in enumerate(files):
            metadata = parquet.read_metadata(path)
            sizes += [(number, group, metadata.row_group(group).num_rows) for group in range(metadata.num_row_groups)]
        self._groups = [(number, group) for number, group, _ in sizes]
        self._ends = np.cumsum([size for _, _, size in sizes])
        self._read = lru_cache(maxsize=2)(self._read_group)

    def bytes_of(self, row: int) -> bytes:
        position = int(np.searchsorted(self._ends, row, side="right"))
        start = int(self._ends[position - 1]) if position else 0
        with self._lock:
            value = self._read(position)[row - start].as_py()
        return encoded_bytes(value, self._files[self._groups[position][0]].parent)

    def _read_group(self, position: int) -> Any:
        import pyarrow as arrow
        import pyarrow.parquet as parquet

        number, group = self._groups[position]
        path = self._files[number]
        try:
            with parquet.ParquetFile(path) as file:
                return file.read_row_group(group, columns=[self._column]).column(0)
        except (arrow.ArrowException, OSError) as error:
            raise UnreadableImage(f"{path}, row group {group}", _one_line(error)) from error

    def __getstate__(self) -> dict[str, Any]:
        return {"files": self._files, "column": self._column}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__init__(state["files"], state["column"])


class HuggingFaceRows(EncodedRows):
    """Rows of a Hugging Face data set whose image column is left encoded."""

    def __init__(self, table: Any, column: str, root: Path) -> None:
        self._table, self._column, self._root = table, column, root

    def bytes_of(self, row: int) -> bytes:
        return encoded_bytes(self._table[row][self._column], self._root)


def encoded_bytes(value: Any, root: Path) -> bytes:
    """The bytes of one cell: bytes, the path of a file, or {'bytes': ..., 'path': ...} as Hugging Face writes images.

    A path is relative to `root`. Raises `UnreadableImage` for a file that cannot be read, `UserError` for a cell of
    another kind.
    """
    if isinstance(value, bytes | bytearray):
        return bytes(value)
    path = value
    if isinstance(value, dict):
        if value.get("bytes"):
            return value["bytes"]
        path = value.get("path")
    if not path:
        return b""
    if not isinstance(path, str):
        raise UserError(
            f"An image is given as a {type(path).__name__}; needed are its encoded bytes (PNG, JPEG ...), the path of "
            "its file, or {'bytes': ..., 'path': ...}."
        )
    try:
        return (root / path).read_bytes()
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or type(error).__name__
        raise UnreadableImage(path if len(path) < 200 else f"{path[:40]}...", reason) from error


def load_parquet(name: str, place: str) -> EncodedImages:
    """A Parquet file, or all of a folder in the order of their names; ids are file and row number."""
    import pyarrow as arrow
    import pyarrow.parquet as parquet

    root = Path(place).expanduser()
    files = [root] if root.is_file() else sorted(root.rglob("*.parquet")) if root.is_dir() else []
    if not files:
        raise UserError(f"{name}: there is no Parquet file at {root}.")
    values, ids, columns = [], [], None
    for path in files:
        try:
            here = _columns(f"{name}: {path}", parquet.read_schema(path))
            found = parquet.read_table(path, columns=[here.label]).column(0).to_pylist()
        except (arrow.ArrowException, OSError) as error:
            raise UserError(f"{name}: {path} is not a Parquet file, or a damaged one ({_one_line(error)}).") from error
        columns = columns or here
        if here != columns:
            raise UserError(f"{name}: {path} has other columns or class names than {files[0]}; they must agree.")
        values += found
        place_of = path.name if root.is_file() else path.relative_to(root).as_posix()
        ids += [f"{place_of}/{row:06d}" for row in range(len(found))]
    assert columns is not None  # there is a file
    labels, classes = _labels(name, values, columns.names)
    rows = np.arange(len(ids))
    return EncodedImages(name, ParquetRows(files, columns.image), rows, labels, classes, tuple(ids))


def load_hugging_face(name: str, place: str) -> EncodedImages:
    """A folder written by `Dataset.save_to_disk`; for a dictionary of parts give FOLDER/part."""
    try:
        import datasets
    except ImportError as error:
        raise MissingExtra("datasets", "huggingface", "Reading a Hugging Face data set") from error
    root = Path(place).expanduser()
    if not root.is_dir():
        raise UserError(f"{name}: there is no folder {root}.")
    try:
        table = datasets.load_from_disk(str(root))
    except (FileNotFoundError, ValueError) as error:
        raise UserError(f"{name}: {root} was not written by save_to_disk ({' '.join(str(error).split())}).") from error
    if isinstance(table, datasets.DatasetDict):
        parts = [str(part) for part in table]
        raise UserError(f"{name} has the parts {', '.join(parts)}: name one, e.g. huggingface:{place}/{parts[0]}.")
    images = [key for key, feature in table.features.items() if isinstance(feature, datasets.Image)]
    image = images[0] if images else _column(name, table.column_names, IMAGE_COLUMNS, "image")
    if images:
        table = table.cast_column(image, datasets.Image(decode=False))
    classed = [key for key, feature in table.features.items() if isinstance(feature, datasets.ClassLabel)]
    named = [key for key in LABEL_COLUMNS if key in classed] or classed
    label = named[0] if named else _column(name, table.column_names, LABEL_COLUMNS, "label")
    names = table.features[label].names if label in classed else None
    labels, classes = _labels(name, list(table[label]), names)
    ids = tuple(f"{root.name}/{row:06d}" for row in range(len(table)))
    return EncodedImages(name, HuggingFaceRows(table, image, root), np.arange(len(table)), labels, classes, ids)


@dataclass(frozen=True)
class _Columns:
    """What a Parquet file says of its columns."""

    image: str
    label: str
    names: list[str] | None
    """Class names of the labels, where the file tells them."""


def _columns(name: str, schema: Any) -> _Columns:
    label = _column(name, schema.names, LABEL_COLUMNS, "label")
    image = _column(name, schema.names, IMAGE_COLUMNS, "image")
    return _Columns(image, label, _feature_names(schema.metadata, label))


def _column(name: str, found: Sequence[str], known: Sequence[str], what: str) -> str:
    for column in known:
        if column in found:
            return column
    raise UserError(f"{name} has no {what} column; its columns are {', '.join(found)}, known are {', '.join(known)}.")


def _feature_names(metadata: dict[bytes, bytes] | None, label: str) -> list[str] | None:
    """Class names in the note that Hugging Face leaves in a Parquet file."""
    if not metadata or b"huggingface" not in metadata:
        return None
    features = json.loads(metadata[b"huggingface"]).get("info", {}).get("features", {})
    return features.get(label, {}).get("names")


def _labels(name: str, values: list[Any], names: Sequence[str] | None) -> tuple[np.ndarray, tuple[str, ...]]:
    if not values:
        raise UserError(f"{name} holds no rows.")
    if any(value is None for value in values):
        raise UserError(f"{name} has rows without a label, e.g. row {values.index(None)}.")
    if all(isinstance(value, float) and value.is_integer() for value in values):  # as pandas leaves whole numbers
        values = [int(value) for value in values]
    if all(isinstance(value, int) for value in values):
        classes = tuple(names) if names else tuple(str(index) for index in range(max(values) + 1))
        return np.array(values, dtype=np.int64), classes
    classes = sorted_classes(sorted({str(value) for value in values}))
    index = {one: position for position, one in enumerate(classes)}
    return np.array([index[str(value)] for value in values], dtype=np.int64), classes


def _one_line(error: Exception) -> str:
    return " ".join(str(error).split()).rstrip(".") or type(error).__name__
