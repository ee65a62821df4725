"""What one process does for a corrupted copy: decode a few images once, disturb them, write one file a condition."""

import json
import re
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from hashlib import blake2b
from io import BytesIO
from pathlib import Path, PurePosixPath
from typing import Any

import numpy as np
import torch
from jaxtyping import UInt8
from torch import Tensor

from weatherglass.data.decode import IMAGE_ENDINGS
from weatherglass.data.geometry import prepare
from weatherglass.errors import UnreadableImage, UserError
from weatherglass.evaluation.conditions import CorruptionChoices
from weatherglass.evaluation.files import write_text
from weatherglass.types import Clean, Disturbance, ImageData, Preprocessing
from weatherglass.unfinished import unfinished

CHUNK = 16
"""Images worked on between two notes of what is done: what a killed run does again, per process."""

DEFAULT_QUALITY = {"png": None, "jpeg": 85, "webp": None}
"""JPEG as the files of ImageNet-C; PNG and WebP without loss unless a quality is given."""
ENDINGS = {"png": ".png", "jpeg": ".jpg", "webp": ".webp"}


@dataclass(frozen=True)
class Encoding:
    """The file format of a copy."""

    format: str = "png"
    """'png', 'jpeg' or 'webp'."""
    quality: int | None = None
    """1..100; None is the format's default: JPEG 85, WebP and PNG without loss."""

    def __post_init__(self) -> None:
        if self.format not in ENDINGS:
            raise UserError(f"The format '{self.format}' is not one of {', '.join(ENDINGS)}.")
        if self.quality is not None and (self.format == "png" or not 1 <= self.quality <= 100):
            raise UserError(
                f"A quality is a number from 1 to 100 for jpeg or webp; got {self.quality} for {self.format}."
            )

    def encode(self, pixels: UInt8[Tensor, "3 height width"]) -> bytes:
        """The image as the bytes of a file."""
        from PIL import Image

        quality = self.quality if self.quality is not None else DEFAULT_QUALITY[self.format]
        options: dict[str, Any] = {"compress_level": 4} if self.format == "png" else {"quality": quality}
        if self.format == "webp" and quality is None:
            options = {"lossless": True, "quality": 60}  # without loss it means effort
        stream = BytesIO()
        picture = Image.fromarray(np.ascontiguousarray(pixels.permute(1, 2, 0).numpy()))
        picture.save(stream, self.format.upper(), **options)
        return stream.getvalue()


@dataclass(frozen=True)
class CopyJob:
    """Everything a process needs to write its share. One chunk is CHUNK samples under every condition."""

    data: ImageData
    files: tuple[str, ...]
    """Path of each sample below a condition's folder, without the ending: 'class/name'."""
    out: Path
    notes: Path
    """Folder for the notes of finished chunks."""
    conditions: tuple[Disturbance, ...]
    encoding: Encoding
    preprocessing: Preprocessing
    seed: int
    choices: CorruptionChoices

    @property
    def chunks(self) -> int:
        return -(-len(self.data) // CHUNK)

    def note(self, chunk: int) -> Path:
        return self.notes / f"{chunk:06d}.jsonl"


@dataclass(frozen=True)
class ChunkResult:
    """What came of a chunk. Errors travel as text: not every exception survives the way between processes."""

    chunk: int
    files: int = 0
    written: int = 0
    """Bytes."""
    unreadable: tuple[str, ...] = ()
    mistake: str | None = None


def write_chunk(job: CopyJob, chunk: int) -> ChunkResult:
    """Write all files of a chunk, each aside and renamed, then its note with their digests."""
    samples = range(chunk * CHUNK, min((chunk + 1) * CHUNK, len(job.data)))
    try:
        pictures, unreadable = _decode(job, samples)
        lines: list[str] = []
        written = 0
        for condition in job.conditions:
            for index, pixels in _disturbed(job, condition, pictures):
                file = f"{folder_of(condition)}/{job.files[index]}{ENDINGS[job.encoding.format]}"
                data = job.encoding.encode(pixels)
                _write(job.out / file, data)
                written += len(data)
                lines.append(_line(job, condition, index, file, data))
        lines += [json.dumps({"unreadable": text}, ensure_ascii=False) for text in unreadable]
        write_text(job.note(chunk), "".join(f"{line}\n" for line in lines))
    except UserError as error:
        return ChunkResult(chunk, mistake=str(error))
    return ChunkResult(chunk, len(lines) - len(unreadable), written, unreadable)


def folder_of(condition: Disturbance) -> str:
    """'clean', or 'fog/3'."""
    if isinstance(condition, Clean):
        return "clean"
    if condition.severity is None:
        raise UserError(f"{condition} has two severities and no folder name; give the parts one: fog+motion_blur@3.")
    return f"{condition.kind}/{condition.severity:g}"


def target_files(data: ImageData) -> tuple[str, ...]:
    """'class/name' for each sample; two names that differ in their ending alone keep it as part of the name."""
    directories = class_folders(data.classes)
    plain = [_target(sample, data.classes[label], directories[label]) for sample, label in _labelled(data)]
    counts: dict[str, int] = {}
    for name in plain:
        counts[name] = counts.get(name, 0) + 1
    return tuple(
        f"{name}_{PurePosixPath(sample).suffix[1:]}" if counts[name] > 1 else name
        for name, sample in zip(plain, data.ids, strict=True)
    )


def class_folders(classes: Sequence[str]) -> tuple[str, ...]:
    """Class names as folder names: without separators, and not hidden."""
    return tuple(re.sub(r'[/\\:\0<>"|?*]', "_", name).lstrip(".") or "_" for name in classes)


def _labelled(data: ImageData) -> list[tuple[str, int]]:
    return list(zip(data.ids, data.labels.tolist(), strict=True))


def _target(sample: str, name: str, directory: str) -> str:
    path = PurePosixPath(sample)
    if path.suffix.lower() in IMAGE_ENDINGS:
        path = path.with_suffix("")
    inside = path.parts[1:] if len(path.parts) > 1 and path.parts[0] == name else ("_".join(path.parts),)
    return "/".join((directory, *inside))


def _decode(job: CopyJob, samples: Sequence[int]) -> tuple[dict[int, UInt8[Tensor, "3 height width"]], tuple[str, ...]]:
    pictures, unreadable = {}, []
    for index in samples:
        try:
            pictures[index] = prepare(job.data.image(index), job.preprocessing)
        except UnreadableImage as error:
            unreadable.append(str(error))
    return pictures, tuple(unreadable)


def _disturbed(
    job: CopyJob, condition: Disturbance, pictures: dict[int, UInt8[Tensor, "3 height width"]]
) -> list[tuple[int, UInt8[Tensor, "3 height width"]]]:
    """Images of one size are disturbed together."""
    if isinstance(condition, Clean):
        return list(pictures.items())
    from weatherglass.corruptions.engine import corrupt

    sizes: dict[tuple[int, ...], list[int]] = {}
    for index, pixels in pictures.items():
        sizes.setdefault(tuple(pixels.shape), []).append(index)
    disturbed = []
    choices = job.choices
    for members in sizes.values():
        images = corrupt(
            torch.stack([pictures[index] for index in members]),
            condition.kind,
            condition.severity if condition.severity is not None else 1,
            seed=job.seed,
            ids=[job.data.ids[index] for index in members],
            definition=choices.definition,
            calibration=choices.calibration,
            frost=choices.frost,
            backend=choices.backend,
            reencode=choices.reencode,
        )
        disturbed += zip(members, images, strict=True)
    return disturbed


def _write(path: Path, data: bytes) -> None:
    """Aside and renamed. Not flushed to the disk: a killed process leaves whole files, which is what matters here."""
    part = unfinished(path)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with part.open("xb") as stream:
            stream.write(data)
        part.replace(path)
    except OSError as error:
        with suppress(OSError):
            part.unlink()
        raise UserError(
            f"Cannot write {path}: {error.strerror or error}. What is written is kept; the same command goes on."
        ) from error


def _line(job: CopyJob, condition: Disturbance, index: int, file: str, data: bytes) -> str:
    return json.dumps(
        {
            "file": file,
            "condition": str(condition),
            "id": job.data.ids[index],
            "label": int(job.data.labels[index]),
            "digest": blake2b(data, digest_size=16).hexdigest(),
        },
        ensure_ascii=False,
    )
