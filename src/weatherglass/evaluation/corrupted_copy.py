"""A corrupted copy of a data set: `OUT/corruption/severity/class/file` and a manifest.

Images are decoded once for all conditions and keep their size unless a preprocessing says otherwise. Every core
works; a run that was killed goes on where it stopped, and conditions can be added later. The pixels are those that
an evaluation with the same seed disturbs on the fly (before re-encoding).
"""

import json
import os
import shutil
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from dataclasses import asdict, dataclass, field
from multiprocessing import get_context
from pathlib import Path
from typing import Any

from jaxtyping import UInt8
from torch import Tensor

from weatherglass.data.geometry import prepare
from weatherglass.errors import UnreadableImage, UserError
from weatherglass.evaluation.conditions import CorruptionChoices, conditions_of
from weatherglass.evaluation.copy_files import (
    CHUNK,
    ChunkResult,
    CopyJob,
    Encoding,
    class_folders,
    folder_of,
    target_files,
    write_chunk,
)
from weatherglass.evaluation.files import write_aside, write_text
from weatherglass.evaluation.protocol import digest_of
from weatherglass.types import Clean, Disturbance, ImageData, Preprocessing

MANIFEST = "manifest.jsonl"
PIXELS_FOR_A_PROCESS = 50_000_000
"""Pixels to write that are worth starting one more process."""
_WORK = ".copying"
_FOR_INFORMATION = ("weatherglass", "pillow")
"""Parts of the header that may differ between runs into one folder."""


@dataclass(frozen=True)
class CopySettings:
    """How a copy is made. All but `workers` and `skip_unreadable` decide its content."""

    encoding: Encoding = field(default_factory=Encoding)
    preprocessing: Preprocessing = field(default_factory=Preprocessing)
    """Its geometry is applied before the corruption; its normalisation is not used."""
    seed: int = 0
    clean: bool = True
    """Write the undisturbed images too, encoded alike, as OUT/clean."""
    choices: CorruptionChoices = field(default_factory=CorruptionChoices)
    workers: int = 0
    """Processes; 0: one a core, or fewer where starting them takes longer than the work."""
    skip_unreadable: bool = False
    """Leave out files that do not decode, and list them in the manifest, instead of stopping."""


@dataclass(frozen=True)
class CopyPlan:
    """What there is to do."""

    job: CopyJob
    kept: dict[str, dict[str, str]]
    """Conditions that an earlier run has written completely, and their protocols."""
    chunks: tuple[int, ...]
    """Chunks that are still to be written."""
    estimated_bytes: int
    """Of all files still to be written, from the size of a few clean ones; noise takes more."""
    pixels: int
    """In all files still to be written, about."""
    protocols: dict[str, dict[str, str]]
    """What decides the pixels of each condition, at the size of the first image."""
    settings: CopySettings
    header: dict[str, Any]

    @property
    def files(self) -> int:
        """Files still to be written, about: chunks that are half done count in full."""
        return min(len(self.chunks) * CHUNK, len(self.job.data)) * len(self.job.conditions)


@dataclass(frozen=True)
class CopyResult:
    """What was written."""

    out: Path
    files: int
    bytes: int
    unreadable: tuple[str, ...]


def plan_copy(
    data: ImageData,
    out: str | Path,
    *,
    suite: str | None = None,
    corruptions: Sequence[str] = (),
    settings: CopySettings | None = None,
) -> CopyPlan:
    """Check everything before the first file is written.

    `suite` and `corruptions` ('fog@3', 'fog' for severities 1..5) name the conditions; without both it is
    'imagenet-c'. Raises `UserError` for a folder that holds something else or a copy made otherwise, for a wrong
    name, and when the disk is too small.
    """
    settings = settings or CopySettings()
    folder = Path(out).expanduser()
    wanted = conditions_of(data, suite=suite, disturbances=corruptions, choices=settings.choices)
    wanted = [condition for condition in wanted if settings.clean or not isinstance(condition, Clean)]
    for condition in wanted:
        folder_of(condition)
    header = _header(data, settings)
    kept = _kept_conditions(folder, header)
    todo = tuple(condition for condition in wanted if str(condition) not in kept)
    notes = folder / _WORK / digest_of([str(condition) for condition in todo])
    job = CopyJob(
        data,
        target_files(data),
        folder,
        notes,
        todo,
        settings.encoding,
        settings.preprocessing,
        settings.seed,
        settings.choices,
    )
    chunks = tuple(chunk for chunk in range(job.chunks if todo else 0) if not job.note(chunk).is_file())
    samples = _samples(job)
    height, width = samples[0].shape[-2:] if samples else (224, 224)
    files = min(len(chunks) * CHUNK, len(data)) * len(todo)
    plan = CopyPlan(
        job,
        kept,
        chunks,
        estimated_bytes=_mean([len(job.encoding.encode(sample)) for sample in samples]) * files,
        pixels=_mean([sample.shape[-2] * sample.shape[-1] for sample in samples]) * files,
        protocols={str(condition): condition.protocol(height, width) for condition in todo},
        settings=settings,
        header=header,
    )
    _check_space(plan)
    return plan


def write_copy(plan: CopyPlan, progress: Callable[[int, int], None] = lambda done, total: None) -> CopyResult:
    """Write what the plan says and, when all is there, the manifest. `progress(files done, files in all)`.

    Raises `UserError` when a file does not decode (unless they are skipped), the disk is full, or a process dies;
    the same call goes on from there.
    """
    job = plan.job
    if not job.conditions:
        return CopyResult(job.out, 0, 0, ())
    write_text(job.out / _WORK / "header.json", json.dumps(plan.header))
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
    shutil.rmtree(job.out / _WORK, ignore_errors=True)
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


def _header(data: ImageData, settings: CopySettings) -> dict[str, Any]:
    """What decides the content of a copy; equal for every run into one folder."""
    import PIL

    from weatherglass import __version__
    from weatherglass.corruptions.engine import KERNEL_REVISION

    return {
        "weatherglass": __version__,
        "kernels": KERNEL_REVISION,
        "source": data.name,
        "selection": data.selection,
        "source digest": data.digest,
        "classes": list(data.classes),
        "folders": list(class_folders(data.classes)),
        "seed": settings.seed,
        "geometry": settings.preprocessing.geometry,
        "format": settings.encoding.format,
        "quality": settings.encoding.quality,
        "pillow": PIL.__version__,
        "choices": asdict(settings.choices),
    }


def _kept_conditions(folder: Path, header: dict[str, Any]) -> dict[str, dict[str, str]]:
    """Conditions in the manifest of `folder`. Raises `UserError` where the folder holds something else."""
    if folder.exists() and not folder.is_dir():
        raise UserError(f"{folder} is a file; a folder is needed.")
    manifest, begun = folder / MANIFEST, folder / _WORK / "header.json"
    if manifest.is_file():
        found = _read_header(manifest)
        conditions = found.pop("conditions", {})
    elif begun.is_file():
        found, conditions = _read_header(begun), {}
    elif folder.is_dir() and any(folder.iterdir()):
        raise UserError(f"{folder} is not empty and holds no copy made here; choose a new folder.")
    else:
        return {}
    different = [key for key in header if found.get(key) != header[key] and key not in _FOR_INFORMATION]
    if different:
        was, now = found.get(different[0]), header[different[0]]
        raise UserError(
            f"{folder} holds a copy made otherwise: {different[0]} was {_short(was)}, now {_short(now)}. "
            "Choose another folder, or the same settings to go on."
        )
    return conditions


def _read_header(path: Path) -> dict[str, Any]:
    with path.open(encoding="utf-8") as stream:
        try:
            return json.loads(stream.readline())
        except json.JSONDecodeError as error:
            raise UserError(f"{path} is damaged (its first line is not JSON); choose a new folder.") from error


def _short(value: object) -> str:
    text = str(value)
    return text if len(text) <= 60 else f"{text[:57]}..."


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


def _samples(job: CopyJob) -> list[UInt8[Tensor, "3 height width"]]:
    """Up to four clean images, to estimate from."""
    samples = []
    for index in range(0, len(job.data), max(-(-len(job.data) // 4), 1)):
        try:
            samples.append(prepare(job.data.image(index), job.preprocessing))
        except UnreadableImage:
            continue
    return samples


def _mean(values: list[int]) -> int:
    return round(sum(values) / max(len(values), 1))


def _check_space(plan: CopyPlan) -> None:
    place = next(folder for folder in (plan.job.out, *plan.job.out.absolute().parents) if folder.is_dir())
    free = shutil.disk_usage(place).free
    if plan.estimated_bytes > free:
        raise UserError(
            f"The copy needs about {plan.estimated_bytes / 2**30:.1f} GiB, {place} has {free / 2**30:.1f} GiB free: "
            "choose fewer conditions, fewer images (--limit) or --format jpeg."
        )


def describe(conditions: Sequence[Disturbance]) -> str:
    """'clean and 75 corrupted conditions'."""
    clean = sum(isinstance(condition, Clean) for condition in conditions)
    rest = f"{len(conditions) - clean} corrupted conditions"
    return f"clean and {rest}" if clean else rest
