"""Digests of file contents, computed once: a cache keeps them while a file's size and times stay the same.

Without it every start and every resume of a run would read the whole data set (ImageNet's validation images: 6.3 GB).
As in a version-control index, a file counts as unchanged when path, size, and times of modification and of change
of its entry (nanoseconds) are: programs that copy set the former, nobody the latter. A file younger than two seconds is
not cached, since it may change again within the clock's resolution.
"""

import os
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from hashlib import blake2b
from pathlib import Path

import numpy as np

from weatherglass.unfinished import unfinished

THREADS = 8
"""Hashing releases the interpreter's lock; more threads than cores hide the latency of network file systems."""

_YOUNG = 2_000_000_000
"""Nanoseconds."""


def file_digests(paths: Sequence[Path]) -> list[bytes]:
    """blake2b, 16 bytes, of each file's contents; of a file that cannot be read, the word 'unreadable'."""
    with ThreadPoolExecutor(THREADS) as pool:
        stamps = list(pool.map(_stamp, paths, chunksize=256))
        cache = _cache_file(stamps)
        found = _read(cache, len(stamps))
        if found is not None:
            return found
        digests = list(pool.map(_digest, paths, chunksize=16))
    newest = max((int(stamped) for stamp in stamps for stamped in stamp.split(b"|")[-2:]), default=0)
    if newest < time.time_ns() - _YOUNG and b"unreadable" not in digests:
        _write(cache, digests)
    return digests


def cache_folder() -> Path:
    """$WEATHERGLASS_CACHE, or 'weatherglass' in the user's cache folder."""
    if chosen := os.environ.get("WEATHERGLASS_CACHE"):
        return Path(chosen)
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "weatherglass"


def _stamp(path: Path) -> bytes:
    try:
        status = path.stat()
    except OSError:
        return f"{path.absolute()}|absent|0|0".encode(errors="surrogateescape")
    times = f"{status.st_mtime_ns}|{status.st_ctime_ns}"
    return f"{path.absolute()}|{status.st_size}|{times}".encode(errors="surrogateescape")


def _digest(path: Path) -> bytes:
    digest = blake2b(digest_size=16)
    try:
        with path.open("rb") as stream:
            while block := stream.read(1 << 20):
                digest.update(block)
    except OSError:
        return b"unreadable"
    return digest.digest()


def _cache_file(stamps: Sequence[bytes]) -> Path:
    key = blake2b(b"\0".join(stamps), digest_size=16).hexdigest()
    return cache_folder() / "digests" / f"{key}.npy"


def _read(cache: Path, count: int) -> list[bytes] | None:
    try:
        table = np.load(cache, allow_pickle=False)
    except (OSError, ValueError, EOFError):
        return None
    return [row.tobytes() for row in table] if table.shape == (count, 16) else None


def _write(cache: Path, digests: Sequence[bytes]) -> None:
    """Written aside and renamed; a cache that cannot be written is done without."""
    part = unfinished(cache)
    with suppress(OSError):
        cache.parent.mkdir(parents=True, exist_ok=True)
        with part.open("xb") as stream:
            np.save(stream, np.frombuffer(b"".join(digests), dtype=np.uint8).reshape(-1, 16))
        part.replace(cache)
