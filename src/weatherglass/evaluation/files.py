"""Writing files so that a reader never sees half of one."""

import os
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

from weatherglass.errors import UserError
from weatherglass.unfinished import unfinished


def write_aside(path: Path, write: Callable[[Path], object], *, replace: bool = True) -> None:
    """Call `write` with a temporary path beside `path`, flush it to disk, then rename it into place.

    A crash at any moment leaves either the old file or the new one, and at most a stray '.part' file.
    `replace` False keeps a file that another process has put in place meanwhile. A full disk, a read-only folder or a
    path that cannot be becomes a `UserError` and nothing is left behind.
    """
    part = unfinished(path)
    try:
        _begin(part)
        write(part)
        with part.open("rb+") as handle:
            os.fsync(handle.fileno())
        if replace or not path.is_file():
            part.replace(path)
    except OSError as error:
        raise UserError(
            f"Cannot write {path}: {error.strerror or error}. Free some space or choose another folder; "
            f"everything finished so far is kept."
        ) from error
    finally:
        with suppress(OSError):  # in a path that cannot be, even looking for the file fails
            part.unlink()


def _begin(part: Path) -> None:
    """Make the file and its folder, twice where another process removes the empty folder in between."""
    for last in (False, True):
        part.parent.mkdir(parents=True, exist_ok=True)
        try:
            part.open("xb").close()
            return
        except FileNotFoundError:
            if last:
                raise


def write_text(path: Path, text: str) -> None:
    """Write UTF-8 text aside, then rename it into place. Raises `UserError` like `write_aside`."""
    write_aside(path, lambda part: part.write_text(text, encoding="utf-8"))
