"""A folder of our own conflict stimuli for any labelled set, in the published form of names, with a manifest.

The stimuli are those of `weatherglass.attacks.stimuli`: ours, and not comparable with the published ones.
"""

from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from hashlib import blake2b
from pathlib import Path
from typing import Any

import msgspec
import torch
from jaxtyping import UInt8
from PIL import Image
from torch import Tensor

from weatherglass.attacks.stimuli import conflict_stimuli
from weatherglass.data.geometry import prepare
from weatherglass.data.imagenet import imagenet_wnids
from weatherglass.data.masks import CATEGORIES16
from weatherglass.data.stimuli import MANIFEST, cue_name
from weatherglass.errors import UserError
from weatherglass.evaluation.files import write_aside, write_text
from weatherglass.types import ImageData, Preprocessing

BATCH = 16
USUAL_SIZE = 224


@dataclass(frozen=True)
class ConflictSettings:
    """How stimuli are made."""

    count: int = 200
    patch: int = 8
    """Side of the patches of texture in pixels, even."""
    detail: float = 1.0
    """Weight of the pattern within a patch against its mean brightness."""
    size: int | None = None
    """Side of the square stimuli; None: that of the images where they are of one size, else 224."""
    seed: int = 0


@dataclass(frozen=True)
class Conflict:
    """One stimulus: which image gives the shape and which the texture."""

    file: str
    shape: int
    texture: int
    """Positions in the data."""


def write_conflicts(
    data: ImageData,
    folder: Path,
    settings: ConflictSettings = ConflictSettings(),
    *,
    progress: Callable[[int], None] = lambda done: None,
) -> list[Conflict]:
    """Write `settings.count` stimuli as `SHAPE/SHAPEn-TEXTUREm.png` and the manifest into an empty or new folder.

    Every ordered pair of classes comes equally often; images are drawn by (seed, sample id). ImageNet data are grouped
    into the 16 categories of the published stimuli, so that the shape bias of any ImageNet model can be measured.
    Raises `UserError` for a folder that holds something, fewer than two classes, or more stimuli than there are pairs.
    """
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise UserError(f"{folder} is not empty; stimuli of two runs must not mix. Name a new folder.")
    names, members = classes_of(data)
    planned = plan_conflicts(data, names, members, settings)
    size = settings.size or _common_size(data, planned)
    for start in range(0, len(planned), BATCH):
        part = planned[start : start + BATCH]
        shapes, textures = (torch.stack([_square(data, row, size) for row in rows]) for rows in _sides(part))
        made = conflict_stimuli(shapes / 255, textures / 255, patch=settings.patch, detail=settings.detail)
        for conflict, image in zip(part, made, strict=True):
            picture = Image.fromarray((image * 255).round().byte().permute(1, 2, 0).numpy())
            write_aside(folder / conflict.file, lambda path, picture=picture: picture.save(path, format="PNG"))
        progress(start + len(part))
    write_text(folder / MANIFEST, _manifest(data, names, planned, settings, size))
    return planned


def classes_of(data: ImageData) -> tuple[list[str], list[list[int]]]:
    """The classes that take part and the positions of their images: the data's own, or 16 categories of ImageNet."""
    names, label_of = list(data.classes), {label: label for label in range(len(data.classes))}
    if data.classes == imagenet_wnids():
        names = list(CATEGORIES16)
        label_of = {output: place for place, outputs in enumerate(CATEGORIES16.values()) for output in outputs}
    members: list[list[int]] = [[] for _ in names]
    for row, label in enumerate(data.labels.tolist()):
        if label in label_of:
            members[label_of[label]].append(row)
    kept = [place for place, rows in enumerate(members) if rows]
    if len(kept) < 2:
        raise UserError(f"{data.name} has images of fewer than two classes; a conflict needs two.")
    return [names[place] for place in kept], [members[place] for place in kept]


def plan_conflicts(
    data: ImageData, names: Sequence[str], members: Sequence[Sequence[int]], settings: ConflictSettings
) -> list[Conflict]:
    """Which images meet: pairs of classes take turns, and so do the images of a class."""
    shapes, textures = ([_ranked(data, rows, settings.seed, role) for rows in members] for role in ("shape", "texture"))
    count = len(names)
    pairs = [(shape, (shape + step) % count) for step in range(1, count) for shape in range(count)]
    used_as_shape, used_as_texture = [0] * count, [0] * count
    planned: dict[str, Conflict] = {}
    for turn in range(settings.count):
        shape, texture = pairs[turn % len(pairs)]
        # A class with few images meets the same partners again after a while; the texture then moves on by one.
        for shift in range(len(textures[texture])):
            n = used_as_shape[shape] % len(shapes[shape])
            m = (used_as_texture[texture] + shift) % len(textures[texture])
            cue = cue_name(names[shape])
            file = f"{cue}/{cue}{n + 1}-{cue_name(names[texture])}{m + 1}.png"
            if file not in planned:
                break
        else:
            raise UserError(f"{data.name} gives {len(planned)} different stimuli, not {settings.count}. Ask for fewer.")
        planned[file] = Conflict(file, shapes[shape][n], textures[texture][m])
        used_as_shape[shape] += 1
        used_as_texture[texture] += 1
    return list(planned.values())


def _ranked(data: ImageData, rows: Sequence[int], seed: int, role: str) -> list[int]:
    """The images of a class in an order that the seed decides, whatever the order of the files."""
    return sorted(rows, key=lambda row: blake2b(f"{seed}\0{role}\0{data.ids[row]}".encode(), digest_size=8).digest())


def _sides(part: Sequence[Conflict]) -> tuple[list[int], list[int]]:
    return [conflict.shape for conflict in part], [conflict.texture for conflict in part]


def _common_size(data: ImageData, planned: Sequence[Conflict]) -> int:
    shapes = {tuple(data.image(row).shape[1:]) for row in _sides(planned[:BATCH])[0]}
    height, width = next(iter(shapes))
    return height if len(shapes) == 1 and height == width else USUAL_SIZE


def _square(data: ImageData, row: int, size: int) -> UInt8[Tensor, "3 size size"]:
    return prepare(data.image(row), Preprocessing(size=(size, size), resize=size, interpolation="bicubic"))


def _manifest(
    data: ImageData, names: Sequence[str], planned: Sequence[Conflict], settings: ConflictSettings, size: int
) -> str:
    record: dict[str, Any] = {
        "made by": "weatherglass: texture transfer by patches. Not the published cue-conflict stimuli; compare shape "
        "biases on these with each other alone.",
        "data": data.name,
        "digest": data.digest,
        "selection": data.selection,
        "settings": asdict(settings) | {"size": size},
        "classes": list(names),
        "stimuli": [
            {"file": one.file, "shape": data.ids[one.shape], "texture": data.ids[one.texture]} for one in planned
        ],
    }
    return msgspec.json.format(msgspec.json.encode(record), indent=1).decode()
