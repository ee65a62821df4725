"""A request to stop that a library swallowed is heard at the next sign of progress."""

import os
import signal
import subprocess
import sys
from contextlib import suppress

import pytest

from weatherglass.cli import interruption
from weatherglass.cli.progress import Terminal

LOST = """
import os, signal, sys
from weatherglass.cli import main, progress

class Destroyed:
    def __del__(self):
        os.kill(os.getpid(), signal.SIGINT)
        for _ in range(1000):
            pass

shown = progress.Terminal.cell_finished
def losing(self, record):
    Destroyed()
    shown(self, record)

progress.Terminal.cell_finished = losing
sys.argv = ["weatherglass", "evaluate", "digits_cnn", "--data", "digits:test", "--limit", "10", "--disturb", "fog",
            "--store", sys.argv[1]]
main.main()
"""


def test_a_request_is_remembered(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(interruption, "_signals", [])
    before = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        interruption.listen()
        Terminal().images_done(1)
        with suppress(KeyboardInterrupt):
            os.kill(os.getpid(), signal.SIGTERM)
        with pytest.raises(KeyboardInterrupt):
            Terminal().images_done(1)
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def test_ctrl_c_within_a_destructor_still_stops_the_run(tmp_path) -> None:
    done = subprocess.run([sys.executable, "-c", LOST, str(tmp_path / "run")], capture_output=True, text=True)
    assert done.returncode == 130, done.stderr
    assert "Exception ignored" in done.stderr  # it was swallowed once
    assert len(list((tmp_path / "run" / "cells").glob("*.parquet"))) == 1
