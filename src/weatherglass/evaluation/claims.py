"""Claims: several processes, also on several machines, share the cells of one store without doing any twice.

A claim is a file beside the cells that names its owner and is touched while the work goes on. It is only a
courtesy: losing a claim costs a duplicate measurement, never a wrong one, because equal cells are equal files.
"""

import os
import secrets
import socket
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from functools import cache
from pathlib import Path
from threading import Event, Thread

from weatherglass.errors import UserError

LEASE_SECONDS = 120.0
"""A claim that was not touched for so long belongs to a process that is gone."""


class Claims:
    """The claims of one store. Instances belong to one process."""

    def __init__(self, store_path: Path) -> None:
        self.folder = store_path / "claims"
        # The word at the end tells apart two instances whose processes have the same number.
        self._owner = f"{socket.gethostname()} {os.getpid()} {_process_space()} {secrets.token_hex(8)}"

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
                    if not _is_abandoned(path):
                        return False
                    path.unlink(missing_ok=True)
        except OSError as error:
            raise UserError(f"Cannot write {path}: {error.strerror}. Choose a store that can be written to.") from error
        return False

    @contextmanager
    def held(self, key: str) -> Iterator[None]:
        """For the time of the block show that the work on a taken cell goes on, then give it back, measured or not.

        A thread does it, since a batch under a slow attack can take longer than the lease.
        """
        done = Event()
        beat = Thread(target=self._keep_alive, args=(key, done), daemon=True)
        beat.start()
        try:
            yield
        finally:
            done.set()
            beat.join()
            self._release(key)

    def _keep_alive(self, key: str, done: Event) -> None:
        while not done.wait(LEASE_SECONDS / 8):
            with suppress(OSError):  # lost: it must not come back without an owner
                os.utime(self.folder / key)

    def _release(self, key: str) -> None:
        """Remove the claim, unless it was lost to another process meanwhile."""
        path = self.folder / key
        with suppress(OSError):
            if path.read_text(encoding="utf-8") == self._owner:
                path.unlink()


def _is_abandoned(path: Path) -> bool:
    try:
        age = time.time() - path.stat().st_mtime
        words = path.read_text(encoding="utf-8").split()
    except FileNotFoundError:
        return True
    if age > LEASE_SECONDS:
        return True
    # A process of this machine that was killed need not be waited for.
    match words:
        case [host, process, space, *_] if (host, space) == (socket.gethostname(), _process_space()):
            return process.isdigit() and not _is_alive(int(process))
    return False


@cache
def _process_space() -> str:
    """Where process numbers mean the same: one start of one machine, and one container of it. '-' where unknown."""
    try:
        start = Path("/proc/sys/kernel/random/boot_id").read_text(encoding="ascii").strip()
        return f"{start}/{Path('/proc/self/ns/pid').readlink()}"
    except OSError:
        return "-"


def _is_alive(process: int) -> bool:
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    except PermissionError:  # another user's
        pass
    return True
