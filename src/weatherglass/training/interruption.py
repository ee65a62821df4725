"""Ctrl-C and SIGTERM while a training runs: stop between two steps, with the state saved.

A terminal sends Ctrl-C, and a scheduler SIGTERM, to the processes that load samples as well. They leave stopping to the
process that trains: the death of one of them would raise an error in the middle of its step.
"""

import os
import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from ctypes import c_bool
from dataclasses import dataclass
from functools import partial
from multiprocessing.sharedctypes import RawValue
from types import FrameType

_ended = RawValue(c_bool, True)
"""Whether no training runs in this process; the processes that load samples see it too."""


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

    trainer = os.getpid()

    def note(signum: int, frame: FrameType | None) -> None:
        if os.getpid() != trainer:  # a process that loads samples, before it has a handler of its own
            _leave_if(_ended)
            return
        if stop.raised:
            raise KeyboardInterrupt
        stop.raised = True

    try:
        before = {number: signal.signal(number, note) for number in (signal.SIGINT, signal.SIGTERM)}
    except ValueError:  # not the main thread: whoever started it deals with signals
        yield stop
        return
    _ended.value = False
    try:
        yield stop
    finally:
        _ended.value = True
        for number, handler in before.items():
            signal.signal(number, handler)


def loading_process() -> Callable[[int], None]:
    """What a process that loads samples calls first, as `worker_init_fn`, to outlive a stop of the whole group.

    Once the training has ended, for whatever reason, SIGTERM ends it: that is how its parent gets rid of it.
    """
    return partial(_leave_stopping_to_the_trainer, _ended)


def _leave_stopping_to_the_trainer(ended: c_bool, worker: int) -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, lambda signum, frame: _leave_if(ended))


def _leave_if(ended: c_bool) -> None:
    if ended.value:
        os._exit(0)
