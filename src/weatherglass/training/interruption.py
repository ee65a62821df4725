"""Ctrl-C and SIGTERM while a training runs: stop between two steps, with the state saved.

A terminal sends Ctrl-C, and a scheduler SIGTERM, to the processes that load samples as well. They leave stopping to the
process that trains: the death of one of them would raise an error in the middle of its step.
"""

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


def leave_stopping_to_the_trainer(worker: int) -> None:
    """Let this process, number `worker` of those that load samples, outlive a request to stop the whole group.

    A second SIGTERM ends it: that is how a loader that hangs is got rid of.
    """
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, _pass_over_once)


def _pass_over_once(signum: int, frame: FrameType | None) -> None:
    signal.signal(signum, signal.SIG_DFL)
