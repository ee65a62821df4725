"""A corrupted copy of a data set: `OUT/corruption/severity/class/file` and a manifest.

Images are decoded once for all conditions and keep their size unless a preprocessing says otherwise. Every core
works; a run that was killed goes on where it stopped, and conditions can be added later. The pixels are those that
an evaluation with the same seed disturbs on the fly (before re-encoding). What there is to do is in `copy_plan.py`.
"""

import json
import os
import shutil
from collections.abc import Callable, Iterator
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass
from multiprocessing import get_context
from pathlib import Path

from weatherglass.errors import UserError
from weatherglass.evaluation.copy_files import ChunkResult, CopyJob, write_chunk
from weatherglass.evaluation.copy_plan import MANIFEST, WORK, CopyPlan
from weatherglass.evaluation.files import write_aside, write_text

PIXELS_FOR_A_PROCESS = 50_000_000
"""Pixels to write that are worth starting one more process."""


@dataclass(frozen=True)
class CopyResult:
    """What was written."""

    out: Path
    files: int
    bytes: int
    unreadable: tuple[str, ...]


def write_copy(plan: CopyPlan, progress: Callable[[int, int], None] = lambda done, total: None) -> CopyResult:
    """Write what the plan says and, when all is there, the manifest. `progress(files done, files in all)`.

    Raises `UserError` when a file does not decode (unless they are skipped), the disk is full, or a process dies;
    the same call goes on from there.
    """
    job = plan.job
    if not job.conditions:
        return CopyResult(job.out, 0, 0, ())
    write_text(job.out / WORK / "header.json", json.dumps(plan.header))
    files = written = 0
    for result in _results(plan):
        if result.mistake is not None:
            raise UserError(result.mistake)
        if result.unreadable and not plan.settings.skip_unreadable:
            job.note(result.chunk).unlink(missing_ok=True)
            raise UserError(f"{result.unreadable[0]} Mend or remove it, or leave such files out (--skip-unreadable).")
        files, written = files + result.files, written + result.written
        progress(files, plan.files)
    unreadable = _write_manifest(plan)
    shutil.rmtree(job.out / WORK, ignore_errors=True)
    return CopyResult(job.out, files, written, unreadable)


def _results(plan: CopyPlan) -> Iterator[ChunkResult]:
    """Chunks as they are done, by as many processes as asked for."""
    workers = min(plan.settings.workers or _sensible_workers(plan), max(len(plan.chunks), 1))
    if workers == 1:
        for chunk in plan.chunks:
            yield write_chunk(plan.job, chunk)
        return
    # Spawned, not forked: torch's and OpenCV's threads do not survive a fork.
    with ProcessPoolExecutor(workers, get_context("spawn"), _start_process, (plan.job,)) as pool:
        waiting = iter(plan.chunks)
        running: set[Future[ChunkResult]] = set()
        try:
            while True:
                for chunk in waiting:
                    running.add(pool.submit(_in_process, chunk))
                    if len(running) >= 2 * workers:
                        break
                if not running:
                    return
                done, running = wait(running, return_when=FIRST_COMPLETED)
                for future in done:
                    yield future.result()
        except BrokenProcessPool as error:
            raise UserError(
                "A process was ended from outside, perhaps for want of memory. What is written is kept; run the same "
                "command again, with fewer --workers if it happens again."
            ) from error
        finally:
            pool.shutdown(wait=False, cancel_futures=True)


def _sensible_workers(plan: CopyPlan) -> int:
    """One a core, but a process that has to be started should have some ten seconds of work."""
    return min(os.cpu_count() or 1, 1 + plan.pixels // PIXELS_FOR_A_PROCESS)


_job: CopyJob | None = None
"""The job of this process, when it is one of a pool."""


def _start_process(job: CopyJob) -> None:
    import signal

    import cv2
    import torch

    global _job  # noqa: PLW0603  (a process of a pool is told its job once)
    _job = job
    torch.set_num_threads(1)
    cv2.setNumThreads(1)
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for the parent, which ends the pool in good order


def _in_process(chunk: int) -> ChunkResult:
    assert _job is not None
    return write_chunk(_job, chunk)


def _write_manifest(plan: CopyPlan) -> tuple[str, ...]:
    """The header, the lines of earlier runs and those of this one; written aside and renamed."""
    job = plan.job
    manifest = job.out / MANIFEST
    earlier = manifest.read_text(encoding="utf-8").splitlines()[1:] if manifest.is_file() else []
    notes = [job.note(chunk).read_text(encoding="utf-8").splitlines() for chunk in range(job.chunks)]
    lines = [line for note in notes for line in note]
    unreadable = tuple(json.loads(line)["unreadable"] for line in lines if line.startswith('{"unreadable"'))
    conditions = {**plan.kept, **plan.protocols}

    def write(part: Path) -> None:
        with part.open("w", encoding="utf-8") as stream:
            stream.write(json.dumps({**plan.header, "conditions": conditions}, ensure_ascii=False) + "\n")
            for line in dict.fromkeys([*earlier, *lines]):
                stream.write(line + "\n")

    write_aside(manifest, write)
    return unreadable
