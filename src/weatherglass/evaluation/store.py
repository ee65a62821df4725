"""The store: one immutable file a cell, holding its scores, its protocol and every sample's prediction.

    runs/first/
      store.json              format and the version that made it
      cells/<key>.parquet     observations as rows, the record as metadata, a few pictures
      failed/<key>.json       cells that could not be measured, and why
      data/<digest>.json      class names and counts of the data sets
      studies/<name>.json     what the analyses found (`weatherglass.evaluation.studies`)
      claims/ pixels/         while something is measured: who measures what, and the decoded images

A cell's file name is the digest of the cell and its protocol, so writers never collide: two that measure the
same cell write the same file. Files are written aside and renamed; a killed writer leaves nothing half-done.
"""

from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any, Self, TypeVar

import msgspec
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from weatherglass.errors import UserError
from weatherglass.evaluation.files import write_aside, write_text
from weatherglass.evaluation.record import (
    IMAGE_SCORES,
    CellRecord,
    DataManifest,
    FailedCell,
    Observations,
    Overlay,
    Picture,
)
from weatherglass.unfinished import ENDING

FORMAT = 1
_RECORD = b"weatherglass"
_PICTURE_COLUMNS = ("clean_prediction", "clean_picture", "disturbed_picture")
_NOT_OBSERVED = (*_PICTURE_COLUMNS, *(f"clean_{name}" for name in IMAGE_SCORES.values()))

Record = TypeVar("Record")


class Store:
    """A folder of measured cells. Many processes, also on several machines, may write to it at once."""

    def __init__(self, path: str | Path, *, create: bool = False) -> None:
        """Open the store at `path`; `create=True` makes an empty one where there is none.

        Raises `UserError` when the path holds no store, one of another format, or cannot be written to.
        """
        self.path = Path(path)
        if create:
            self._check_free()
            self.make()
        elif not self.made:
            raise UserError(
                f"There is no Weatherglass store at '{path}'. "
                f"Measure something first: weatherglass evaluate MODEL --data DATA --store {path}"
            )
        else:
            self._check_format()

    @classmethod
    def planned(cls, path: str | Path) -> Self:
        """The store at `path`, or an empty one that `make` will put there; writes nothing.

        Raises `UserError` when the path holds something else, or a store of another format.
        """
        store = cls.__new__(cls)
        store.path = Path(path)
        store._check_free()
        return store

    @property
    def made(self) -> bool:
        """Whether there is a store at the path."""
        try:
            return self._marker.is_file()
        except OSError as error:  # a name that is too long
            raise UserError(f"'{self.path}' cannot be a store: {error.strerror}. Choose another folder.") from error

    def make(self) -> None:
        """Mark the folder as a store, unless it is one."""
        if not self.made:
            from weatherglass import __version__

            write_text(self._marker, msgspec.json.encode({"format": FORMAT, "weatherglass": __version__}).decode())
        self._check_format()

    @property
    def _marker(self) -> Path:
        return self.path / "store.json"

    def _check_free(self) -> None:
        """Raise `UserError` unless a store is here or can be: another process that still plans may have begun it."""
        if self.made:
            self._check_format()
        elif self.path.exists() and (not self.path.is_dir() or any(_is_foreign(one) for one in self.path.iterdir())):
            raise UserError(f"'{self.path}' exists and is not a Weatherglass store. Choose a new or an empty folder.")

    def _check_format(self) -> None:
        marker = self._marker
        try:
            written = msgspec.json.decode(marker.read_bytes())
            found = written["format"]
        except (OSError, msgspec.DecodeError, KeyError, TypeError) as error:
            raise UserError(f"'{marker}' cannot be read as the mark of a Weatherglass store: {error}.") from error
        if found != FORMAT:
            raise UserError(
                f"The store '{self.path}' has format {found} (written by weatherglass "
                f"{written.get('weatherglass', '?')}); this version reads format {FORMAT}. "
                f"Use that version, or measure into a new store."
            )

    # ------------------------------------------------------------------ writing

    def put(self, record: CellRecord, observations: Observations, pictures: Iterable[Picture | Overlay] = ()) -> None:
        """Keep a measured cell. Atomic; a failure noted earlier for the same cell is forgotten."""
        table = _to_table(observations, {picture.id: picture for picture in pictures})
        table = table.replace_schema_metadata({_RECORD: msgspec.json.encode(record)})
        # Observations are high-entropy floats and short ids: zstd halves them, dictionaries help the ids.
        write_aside(self._cell_path(record.key), lambda part: pq.write_table(table, part, compression="zstd"))
        (self.path / "failed" / f"{record.key}.json").unlink(missing_ok=True)

    def put_failure(self, failed: FailedCell) -> None:
        """Note that a cell could not be measured."""
        write_text(self.path / "failed" / f"{failed.key}.json", msgspec.json.encode(failed).decode())

    def put_data(self, manifest: DataManifest) -> None:
        """Keep what reports need to know of a data set."""
        write_text(self._data_path(manifest.digest), msgspec.json.encode(manifest).decode())

    def merge(self, other: "Store") -> int:
        """Copy every cell, manifest and study of `other` that is not here yet; returns the number of cells copied."""
        new = [path for path in other._cell_paths() if not self._cell_path(path.stem).exists()]
        for path in new:
            write_aside(self._cell_path(path.stem), lambda part, path=path: part.write_bytes(path.read_bytes()))
        for folder in ("data", "studies"):
            for path in sorted((other.path / folder).glob("*.json")):
                if (self.path / folder / path.name).exists():
                    continue
                write_text(self.path / folder / path.name, path.read_text(encoding="utf-8"))
        return len(new)

    # ------------------------------------------------------------------ reading

    def __contains__(self, key: object) -> bool:
        return isinstance(key, str) and self._cell_path(key).is_file()

    def records(self) -> list[CellRecord]:
        """Every measured cell, without samples, ordered by model, data, seed and disturbance."""
        records = [self._record(path) for path in self._cell_paths()]
        return sorted(records, key=lambda r: (r.cell.model, r.cell.data, r.cell.seed, r.cell.disturbance, r.key))

    def record(self, key: str) -> CellRecord:
        """One measured cell, without samples. Raises `UserError` where it is damaged."""
        return self._record(self._cell_path(key))

    def failures(self) -> list[FailedCell]:
        """Cells that could not be measured."""
        return [_decode(path, FailedCell) for path in sorted((self.path / "failed").glob("*.json"))]

    def data(self, digest: str) -> DataManifest:
        """What was kept of the data set with this digest (`record.protocol.data`)."""
        return _decode(self._data_path(digest), DataManifest)

    def observations(self, key: str, columns: Iterable[str] | None = None) -> Observations:
        """What was seen of each sample of a cell; `columns` restricts what is read from disk."""
        path = self._cell_path(key)
        names = [n for n in pq.read_schema(path).names if n not in _NOT_OBSERVED]
        wanted = names if columns is None else ["id", "label", *columns]
        table = self._read(path, wanted)
        arrays = {name: _to_array(table.column(name)) for name in wanted if name not in {"id", "label"}}
        return Observations(tuple(table.column("id").to_pylist()), table.column("label").to_numpy(), arrays)

    def pictures(self, key: str) -> list[Picture]:
        """The few samples of a classification cell that were kept as pictures; empty for other tasks."""
        if "prediction" not in pq.read_schema(self._cell_path(key)).names:
            return []
        table = self._read(self._cell_path(key), ["id", "label", "prediction", "confidence", *_PICTURE_COLUMNS])
        table = table.filter(table.column("clean_picture").is_valid())
        return [
            Picture(
                id=row["id"],
                label=row["label"],
                clean_prediction=row["clean_prediction"],
                prediction=row["prediction"],
                confidence=row["confidence"],
                clean=row["clean_picture"],
                disturbed=row["disturbed_picture"],
            )
            for row in table.to_pylist()
        ]

    def overlays(self, key: str) -> list[Overlay]:
        """The few samples of a segmentation or detection cell that were kept as pictures; empty for classification."""
        score = _image_score(pq.read_schema(self._cell_path(key)).names)
        if score is None:
            return []
        columns = ["id", score, f"clean_{score}", "clean_picture", "disturbed_picture"]
        table = self._read(self._cell_path(key), columns)
        rows = table.filter(table.column("clean_picture").is_valid()).to_pylist()
        return [Overlay(*(row[name] for name in ("id", columns[2], score, *columns[3:]))) for row in rows]

    def query(self, sql: str) -> "pa.Table":
        """Run an SQL query (DuckDB) over the samples of all cells: table `samples`, with columns `model`, `data`,
        `disturbance`, `kind`, `severity`, `seed`, `key` and the observation columns."""
        from weatherglass.evaluation.query import query

        return query(self, sql)

    # ------------------------------------------------------------------ files

    def path_of(self, key: str) -> Path:
        """The folder of the store that holds a cell: this one."""
        return self.path

    def _cell_path(self, key: str) -> Path:
        return self.path / "cells" / f"{key}.parquet"

    def _data_path(self, digest: str) -> Path:
        return self.path / "data" / f"{digest}.json"

    def _cell_paths(self) -> Iterator[Path]:
        # Files being written start with a dot, which glob's "*" would match.
        return (p for p in sorted((self.path / "cells").glob("*.parquet")) if not p.name.startswith("."))

    def _record(self, path: Path) -> CellRecord:
        try:
            metadata = pq.read_schema(path).metadata
            return msgspec.json.decode(metadata[_RECORD], type=CellRecord)
        except (pa.ArrowInvalid, KeyError, TypeError, msgspec.DecodeError) as error:
            raise UserError(
                f"The cell {path} is damaged ({error}). Delete it; the next run measures it again."
            ) from error

    def _read(self, path: Path, columns: list[str]) -> "pa.Table":
        try:
            return pq.read_table(path, columns=columns)
        except (pa.ArrowInvalid, OSError) as error:
            raise UserError(
                f"The cell {path} is damaged ({error}). Delete it; the next run measures it again."
            ) from error


def _is_foreign(path: Path) -> bool:
    return path.name != "pixels" and not path.name.endswith(ENDING)


def _to_table(observations: Observations, pictures: dict[str, Picture | Overlay]) -> "pa.Table":
    columns: dict[str, Any] = {
        "id": pa.array(observations.ids, pa.string()),
        "label": pa.array(np.asarray(observations.labels, dtype=np.int32)),
    }
    columns |= {name: _to_column(values) for name, values in observations.columns.items()}
    kept = [pictures.get(sample) for sample in observations.ids]
    if score := _image_score(observations.columns):
        columns[f"clean_{score}"] = pa.array(
            [p.clean_score if isinstance(p, Overlay) else None for p in kept], pa.float32()
        )
    else:
        predictions = [p.clean_prediction if isinstance(p, Picture) else None for p in kept]
        columns["clean_prediction"] = pa.array(predictions, pa.int32())
    columns["clean_picture"] = pa.array([p and p.clean for p in kept], pa.binary())
    columns["disturbed_picture"] = pa.array([p and p.disturbed for p in kept], pa.binary())
    return pa.table(columns)


def _image_score(columns: Iterable[str]) -> str | None:
    """The column that scores each image by itself; None where images are right or wrong."""
    return next((name for name in IMAGE_SCORES.values() if name in columns), None)


def _to_column(values: np.ndarray) -> "pa.Array":
    """One number a sample, an array of fixed shape as nested lists of fixed size, or lists of any length."""
    if values.dtype == object:
        offsets = np.cumsum([0, *(len(one) for one in values)])
        return pa.ListArray.from_arrays(pa.array(offsets, pa.int32()), pa.array(np.concatenate(values)))
    column = pa.array(values.reshape(-1))
    for length in reversed(values.shape[1:]):
        column = pa.FixedSizeListArray.from_arrays(column, length)
    return column


def _to_array(column: "pa.ChunkedArray") -> np.ndarray:
    shape, values = [len(column)], column.combine_chunks()
    if pa.types.is_list(values.type):
        return _to_lists(values)
    while pa.types.is_fixed_size_list(values.type):
        shape.append(values.type.list_size)
        values = values.flatten()
    return values.to_numpy(zero_copy_only=False).reshape(shape)


def _to_lists(values: "pa.ListArray") -> np.ndarray:
    """An array of arrays, all views of one."""
    numbers = values.flatten().to_numpy(zero_copy_only=False)
    ends = np.cumsum(values.value_lengths().to_numpy(zero_copy_only=False))
    lists = np.empty(len(values), dtype=object)
    for row, (length, end) in enumerate(zip(np.diff(ends, prepend=0), ends, strict=True)):
        lists[row] = numbers[end - length : end]
    return lists


def _decode(path: Path, kind: type[Record]) -> Record:
    try:
        return msgspec.json.decode(path.read_bytes(), type=kind)
    except (OSError, msgspec.DecodeError) as error:
        raise UserError(f"'{path}' cannot be read: {error}.") from error
