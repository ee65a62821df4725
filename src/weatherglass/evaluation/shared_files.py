"""Files that several processes use at once: who uses one holds it, and nobody removes what another holds.

Locks belong to open files, so they end with the process, however it ends. They reach across machines where the file
system does (NFS does). Where it knows no locks, nobody can tell who uses a file: each process removes its own.
"""

import os
from contextlib import suppress
from pathlib import Path
from weakref import finalize

try:
    import fcntl
except ImportError:  # Windows refuses to remove a file that is open, which serves as well
    fcntl = None


class Hold:
    """Keeps a file from being removed, until `let_go` or the end of this object."""

    def __init__(self, path: Path) -> None:
        """Raises `FileNotFoundError` when the file is gone, also when it went while this was asked."""
        descriptor = os.open(path, os.O_RDONLY)
        self._close = finalize(self, os.close, descriptor)
        if fcntl is not None:
            with suppress(OSError):
                fcntl.flock(descriptor, fcntl.LOCK_SH)
            if not os.path.samestat(os.fstat(descriptor), path.stat()):
                raise FileNotFoundError(path)

    def let_go(self) -> None:
        self._close()


def remove_unless_held(path: Path, *, own: bool) -> bool:
    """Remove a file that nobody holds; whether it was. `own`: remove it also where holding cannot be known."""
    with suppress(OSError), path.open("rb+") as handle:  # for writing: NFS locks others out for writers alone
        if _is_held(handle.fileno(), unknown=not own):
            return False
        path.unlink()
        return True
    return False


def _is_held(descriptor: int, *, unknown: bool) -> bool:
    """Whether others hold the file. If not, it is locked until `descriptor` is closed. `unknown`: no locks here."""
    if fcntl is None:
        return unknown
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    except OSError:
        return unknown
    return False
