"""Writing files so that a reader never sees half of one."""

import os
from collections.abc import Callable
from pathlib import Path

from weatherglass.errors import UserError


def write_aside(path: Path, write: Callable[[Path], object]) -> None:
    """Call `write` with a temporary path beside `path`, flush it to disk, then rename it into place.

    A crash at any moment leaves either the old file or the new one, and at most a stray '.part' file.
    A full disk or a read-only folder becomes a `UserError` and nothing is left behind.
    """
    part = path.with_name(f".{path.name}.{os.getpid()}.part")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        write(part)
        with part.open("rb+") as handle:
            os.fsync(handle.fileno())
        part.replace(path)
    except OSError as error:
        part.unlink(missing_ok=True)
        raise UserError(
            f"Cannot write {path}: {error.strerror or error}. Free some space or choose another folder; "
            f"everything finished so far is kept."
        ) from error
    except BaseException:
        part.unlink(missing_ok=True)
        raise


def write_text(path: Path, text: str) -> None:
    """Write UTF-8 text aside, then rename it into place. Raises `UserError` like `write_aside`."""
    write_aside(path, lambda part: part.write_text(text, encoding="utf-8"))
