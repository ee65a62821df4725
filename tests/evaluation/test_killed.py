"""A run that is killed without warning, three times at random moments, ends with the bytes of an undisturbed one."""

import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

from weatherglass.evaluation.runs import runs_of
from weatherglass.evaluation.store import Store

ARGUMENTS = ("evaluate", "digits_cnn", "--data", "digits:test", "--suite", "imagenet-c", "--limit", "60")


def start(store: Path, *options: str) -> subprocess.Popen[bytes]:
    command = [sys.executable, "-m", "weatherglass", *ARGUMENTS, "--store", str(store), *options]
    quiet = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
    return subprocess.Popen(command, start_new_session=True, **quiet)


def cells(store: Path) -> int:
    return len(list((store / "cells").glob("[0-9a-f]*.parquet")))


def exported(store: Path) -> bytes:
    done = subprocess.run(
        [sys.executable, "-m", "weatherglass", "export", str(store), "--format", "tidy"],
        capture_output=True,
        check=True,
    )
    return done.stdout


def test_three_kills_leave_no_trace(tmp_path: Path) -> None:
    assert start(tmp_path / "whole").wait(240) == 0
    chance = random.Random(time.time_ns())
    for kill in range(3):
        process = start(tmp_path / "killed", "--batch-size", str(chance.choice([5, 32, 100])), "--workers", "2")
        target = cells(tmp_path / "killed") + chance.randint(1, 12)
        while cells(tmp_path / "killed") < target and process.poll() is None:
            time.sleep(0.01)
        time.sleep(chance.random() * 0.1)
        os.killpg(process.pid, signal.SIGKILL)
        process.wait(60)
        assert cells(tmp_path / "killed") >= target or kill, "the run ended before it could be killed"
    assert start(tmp_path / "killed").wait(240) == 0
    assert cells(tmp_path / "killed") == cells(tmp_path / "whole") == 76
    assert exported(tmp_path / "killed").replace(b"killed", b"whole") == exported(tmp_path / "whole")
    (whole,), (killed,) = runs_of(Store(tmp_path / "whole")), runs_of(Store(tmp_path / "killed"))
    for text in whole.records:
        assert whole.records[text].key == killed.records[text].key
        assert whole.records[text].scores == killed.records[text].scores


def test_two_processes_share_the_cells(tmp_path: Path) -> None:
    both = [start(tmp_path / "shared"), start(tmp_path / "shared")]
    assert [process.wait(240) for process in both] == [0, 0]
    assert cells(tmp_path / "shared") == 76
    assert not list((tmp_path / "shared" / "claims").iterdir())


def test_ctrl_c_stops_cleanly(tmp_path: Path) -> None:
    process = start(tmp_path / "run", "--limit", "500")  # long enough that it cannot end before the signal comes
    while cells(tmp_path / "run") < 2 and process.poll() is None:
        time.sleep(0.01)
    process.send_signal(signal.SIGINT)
    assert process.wait(60) == 130
    assert cells(tmp_path / "run") < 76
    assert not list((tmp_path / "run").rglob("*.part"))
    assert not list((tmp_path / "run" / "claims").iterdir())
