"""Claims: several processes, also on several machines, share the cells of one store without doing any twice.

A claim is a file beside the cells that names its owner and is touched while the work goes on. It is only a
courtesy: losing a claim costs a duplicate measurement, never a wrong one, because equal cells are equal files.
"""

import os
import socket
import time
from pathlib import Path

from weatherglass.errors import UserError

LEASE_SECONDS = 120.0
"""A claim that was not touched for so long belongs to a process that is gone."""


class Claims:
    """The claims of one store. Instances belong to one process."""

    def __init__(self, store_path: Path) -> None:
        self.folder = store_path / "claims"
        self._owner = f"{socket.gethostname()} {os.getpid()}"
        self._touched = 0.0

    def take(self, key: str) -> bool:
        """Claim a cell; False when a living process holds it."""
        path = self.folder / key
        try:
            self.folder.mkdir(exist_ok=True)
            for _ in range(2):
                try:
                    with path.open("x", encoding="utf-8") as handle:
                        handle.write(self._owner)
                    return True
                except FileExistsError:
                    if not self._is_abandoned(path):
                        return False
                    path.unlink(missing_ok=True)
        except OSError as error:
            raise UserError(f"Cannot write {path}: {error.strerror}. Choose a store that can be written to.") from error
        return False

    def touch(self, key: str) -> None:
        """Show that the work goes on; cheap enough to call after every batch."""
        now = time.monotonic()
        if now - self._touched > LEASE_SECONDS / 8:
            self._touched = now
            (self.folder / key).touch(exist_ok=True)

    def release(self, key: str) -> None:
        """Give a cell back, measured or not."""
        (self.folder / key).unlink(missing_ok=True)

    def _is_abandoned(self, path: Path) -> bool:
        try:
            age = time.time() - path.stat().st_mtime
            host, _, process = path.read_text(encoding="utf-8").partition(" ")
        except FileNotFoundError:
            return True
        if age > LEASE_SECONDS:
            return True
        # A process of this machine that was killed need not be waited for.
        return host == socket.gethostname() and process.isdigit() and not _is_alive(int(process))


def _is_alive(process: int) -> bool:
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return process != os.getpid()
