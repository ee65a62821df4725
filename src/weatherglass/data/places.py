"""Files of a data set in a folder or in a zip file, by the same relative names."""

import zipfile
from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence
from functools import cached_property
from hashlib import blake2b
from pathlib import Path

from weatherglass.data.fingerprints import file_digests
from weatherglass.data.folder import check_directory
from weatherglass.errors import UnreadableImage, UserError


class Place(ABC):
    """Where files lie; names have forward slashes and are relative to the root."""

    root: Path

    @abstractmethod
    def names(self, under: str) -> list[str]:
        """Every file below a directory ('' for all), sorted; empty where there is no such directory."""

    @abstractmethod
    def read(self, name: str) -> bytes:
        """The bytes of a file. Raises `UnreadableImage` where there is none."""

    @abstractmethod
    def digests(self, names: Sequence[str]) -> Iterator[bytes]:
        """A digest of the bytes of each file."""

    def where(self, name: str) -> str:
        """The file as messages name it."""
        return f"{self.root}/{name}"


class FolderPlace(Place):
    """Files in a folder."""

    def __init__(self, root: Path) -> None:
        self.root = root

    def names(self, under: str) -> list[str]:
        folder = self.root / under
        found = (path.relative_to(self.root) for path in folder.rglob("*") if path.is_file())
        return sorted(path.as_posix() for path in found if not any(part.startswith(".") for part in path.parts))

    def read(self, name: str) -> bytes:
        try:
            return (self.root / name).read_bytes()
        except OSError as error:
            raise UnreadableImage(self.where(name), error.strerror or type(error).__name__) from error

    def digests(self, names: Sequence[str]) -> Iterator[bytes]:
        yield from file_digests([self.root / name for name in names])


class ZipPlace(Place):
    """Members of a zip file; the digests equal those of the unpacked folder."""

    def __init__(self, root: Path) -> None:
        self.root = root

    @cached_property
    def _archive(self) -> zipfile.ZipFile:
        return zipfile.ZipFile(self.root)

    def names(self, under: str) -> list[str]:
        start = f"{under}/" if under else ""
        return sorted(n for n in self._archive.namelist() if n.startswith(start) and not n.endswith("/"))

    def read(self, name: str) -> bytes:
        try:
            return self._archive.read(name)
        except (KeyError, zipfile.BadZipFile) as error:
            raise UnreadableImage(self.where(name), " ".join(str(error).split())) from error

    def digests(self, names: Sequence[str]) -> Iterator[bytes]:
        return (blake2b(self._archive.read(name), digest_size=16).digest() for name in names)

    def __getstate__(self) -> dict[str, Path]:
        return {"root": self.root}


def open_place(name: str, path: str) -> Place:
    """The folder or zip file at `path`; `name` begins messages. Raises `UserError` where it is neither."""
    root = Path(path).expanduser()
    if root.is_file():
        if not zipfile.is_zipfile(root):
            raise UserError(f"{name}: {root} is neither a folder nor a zip file.")
        return ZipPlace(root)
    check_directory(root, name)
    return FolderPlace(root)
