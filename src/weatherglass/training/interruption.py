"""Ctrl-C and SIGTERM while a training runs: stop between two steps, with the state saved."""

import signal
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from types import FrameType


class Interrupted(KeyboardInterrupt):
    """Ctrl-C or SIGTERM, after the state was saved."""


@dataclass
class StopRequest:
    """Whether Ctrl-C or SIGTERM came."""

    raised: bool = False


@contextmanager
def stop_requests() -> Iterator[StopRequest]:
    """Ctrl-C and SIGTERM raise a flag that is read between two steps; a second one stops at once."""
    stop = StopRequest()

    def note(signum: int, frame: FrameType | None) -> None:
        if stop.raised:
            raise KeyboardInterrupt
        stop.raised = True

    try:
        before = {number: signal.signal(number, note) for number in (signal.SIGINT, signal.SIGTERM)}
    except ValueError:  # not the main thread: whoever started it deals with signals
        yield stop
        return
    try:
        yield stop
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
