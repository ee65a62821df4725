"""What a corrupted copy would hold and cost, checked before its first file is written."""

import json
import shutil
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from jaxtyping import UInt8
from torch import Tensor

from weatherglass.data.geometry import prepare
from weatherglass.errors import UnreadableImage, UserError
from weatherglass.evaluation.conditions import CorruptionChoices, conditions_of
from weatherglass.evaluation.copy_files import CHUNK, CopyJob, Encoding, class_folders, folder_of, target_files
from weatherglass.evaluation.protocol import digest_of
from weatherglass.types import Clean, Disturbance, ImageData, Preprocessing

MANIFEST = "manifest.jsonl"
WORK = ".copying"
"""Folder of a copy that is being written."""
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
    'imagenet-c'. Raises `UserError` for images with objects instead of a class, for a folder that holds something else
    or a copy made otherwise, for a wrong name, and when the disk is too small.
    """
    if data.task == "detection":
        raise UserError(
            f"A copy has a folder for each class, and the images of {data.name} have objects instead of a class. "
            "`weatherglass evaluate` corrupts them on the way to a detector: no copy is needed."
        )
    settings = settings or CopySettings()
    folder = Path(out).expanduser()
    wanted = conditions_of(data, suite=suite, disturbances=corruptions, choices=settings.choices)
    wanted = [condition for condition in wanted if settings.clean or not isinstance(condition, Clean)]
    for condition in wanted:
        folder_of(condition)
    header = _header(data, settings)
    kept = _kept_conditions(folder, header)
    todo = tuple(condition for condition in wanted if str(condition) not in kept)
    notes = folder / WORK / digest_of([str(condition) for condition in todo])
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


def describe(conditions: Sequence[Disturbance]) -> str:
    """'clean and 75 corrupted conditions'."""
    clean = sum(isinstance(condition, Clean) for condition in conditions)
    rest = f"{len(conditions) - clean} corrupted conditions"
    return f"clean and {rest}" if clean else rest


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
    manifest, begun = folder / MANIFEST, folder / WORK / "header.json"
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
