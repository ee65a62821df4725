"""Ctrl-C and SIGTERM that cannot get lost.

Python raises KeyboardInterrupt wherever the main thread happens to be. Inside a destructor or a library's callback the
exception is printed and forgotten, and the run goes on. So the request is also remembered, and asked for at every
sign of progress.
"""

import signal
from types import FrameType

_signals: list[int] = []
"""What came so far; a process has one set of signal handlers, so there is one such list."""


def listen() -> None:
    """Let Ctrl-C and SIGTERM interrupt this process."""
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, _interrupt)


def raise_if_asked() -> None:
    """Raise KeyboardInterrupt where a request to stop came and was not heard."""
    if _signals:
        raise KeyboardInterrupt


def _interrupt(number: int, frame: FrameType | None) -> None:
    _signals.append(number)
    raise KeyboardInterrupt
