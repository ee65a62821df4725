"""Synthetic scenes with known answers: coloured shapes on textured ground, with exact masks and boxes.

Scene i depends on (seed, i) alone. Shapes stand before each other as they are drawn, so masks hold what is seen;
each class has a shape of its own and colours that vary, so that neither colour nor place tells the class.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from hashlib import blake2b

import numpy as np
import torch
from jaxtyping import UInt8
from torch import Tensor

from weatherglass.errors import UserError
from weatherglass.types import SegmentationData

SHAPES = ("disc", "square", "triangle", "ring", "cross")
CLASSES = ("ground", *SHAPES)
_REVISION = 1
"""Raised whenever the drawing changes pixels."""


@dataclass(frozen=True)
class SceneObject:
    """One shape of a scene."""

    category: int
    """Index into `SHAPES`."""
    mask: np.ndarray
    """bool, shape (height, width): the pixels of it that are seen."""

    @property
    def box(self) -> tuple[float, float, float, float]:
        """x0, y0, x1, y1 around the seen pixels; x1 and y1 are exclusive."""
        rows, columns = np.flatnonzero(self.mask.any(axis=1)), np.flatnonzero(self.mask.any(axis=0))
        return float(columns[0]), float(rows[0]), float(columns[-1] + 1), float(rows[-1] + 1)


@dataclass(frozen=True)
class Scene:
    """A picture and everything in it."""

    image: np.ndarray
    """uint8, shape (height, width, 3)."""
    mask: np.ndarray
    """uint8, shape (height, width): index into `CLASSES`."""
    objects: tuple[SceneObject, ...]


def draw_scene(seed: int, number: int, height: int, width: int) -> Scene:
    """Scene `number` of the endless sequence of a seed, with two to six shapes."""
    random = np.random.Generator(np.random.PCG64([seed, number, height, width, _REVISION]))
    image = _ground(random, height, width)
    owner = np.full((height, width), -1)
    categories: list[int] = []
    for _ in range(int(random.integers(2, 7))):
        category = int(random.integers(len(SHAPES)))
        inside = _shape(SHAPES[category], random, height, width)
        shade = random.uniform(30, 226, 3) + _texture(random, height, width, 22.0)
        image = np.where(inside[..., None], shade, image)
        owner = np.where(inside, len(categories), owner)
        categories.append(category)
    objects = []
    for position, category in enumerate(categories):
        seen = owner == position
        if seen.sum() >= 12:  # a sliver behind another shape is nothing that could be found
            objects.append(SceneObject(category, seen))
    mask = np.zeros((height, width), np.uint8)
    for position, category in enumerate(categories):
        mask[owner == position] = category + 1
    return Scene(np.clip(np.rint(image), 0, 255).astype(np.uint8), mask, tuple(objects))


@dataclass(frozen=True, eq=False)
class SceneImages(SegmentationData):
    """Scenes drawn on demand; the ids are their numbers."""

    name: str
    numbers: tuple[int, ...] = field(repr=False)
    seed: int
    height: int
    width: int
    selection: str = "all"

    classes = CLASSES

    @cached_property
    def ids(self) -> tuple[str, ...]:  # pyright: ignore[reportIncompatibleVariableOverride]
        return tuple(f"scene/{self.seed}/{number:06d}" for number in self.numbers)

    @cached_property
    def labels(self) -> np.ndarray:  # pyright: ignore[reportIncompatibleVariableOverride]
        """Zeros: a scene has no class of its own."""
        return np.zeros(len(self.numbers), dtype=np.int64)

    def scene(self, index: int) -> Scene:
        """Everything that is known of one scene."""
        return draw_scene(self.seed, self.numbers[index], self.height, self.width)

    def image(self, index: int) -> UInt8[Tensor, "3 height width"]:
        return torch.from_numpy(self.scene(index).image.transpose(2, 0, 1).copy())

    def mask(self, index: int) -> UInt8[Tensor, "height width"]:
        return torch.from_numpy(self.scene(index).mask)

    def select(self, indices: Sequence[int], selection: str) -> "SceneImages":
        return replace(self, numbers=tuple(self.numbers[i] for i in indices), selection=selection)

    @cached_property
    def digest(self) -> str:  # pyright: ignore[reportIncompatibleVariableOverride]
        """blake2b of everything that decides the pictures."""
        text = f"scenes r{_REVISION} {self.seed} {self.height}x{self.width} {self.numbers}"
        return blake2b(text.encode(), digest_size=16).hexdigest()


def load_scenes(name: str, place: str) -> SceneImages:
    """'64', '64@96' or '64@96x128' (scenes, then height or height x width), with 'train-' before it for other scenes.

    Without 'train-' the scenes are those of seed 1, with it of seed 0.
    """
    count, _, size = place.removeprefix("train-").partition("@")
    height, _, width = (size or "96").partition("x")
    if not (count.isdigit() and height.isdigit() and (not width or width.isdigit())) or not int(count):
        raise UserError(f"'{name}' is not understood: scenes:64, scenes:64@96 or scenes:train-64@96x128.")
    rows, columns = int(height), int(width or height)
    if min(rows, columns) < 32:
        raise UserError(f"Scenes have at least 32 pixels a side; got {columns}x{rows}.")
    return SceneImages(name, tuple(range(int(count))), 0 if place.startswith("train-") else 1, rows, columns)


def _ground(random: np.random.Generator, height: int, width: int) -> np.ndarray:
    base = random.uniform(40, 216, 3)
    rows, columns = np.mgrid[:height, :width] / max(height, width)
    slope = random.uniform(-60, 60, (2, 3))
    return base + rows[..., None] * slope[0] + columns[..., None] * slope[1] + _texture(random, height, width, 18.0)


def _texture(random: np.random.Generator, height: int, width: int, strength: float) -> np.ndarray:
    """Noise at a random scale, one value for all channels; shape (height, width, 1)."""
    cell = int(random.integers(1, 7))
    coarse = random.normal(0, strength, (-(-height // cell), -(-width // cell)))
    return np.kron(coarse, np.ones((cell, cell)))[:height, :width, None]


def _shape(name: str, random: np.random.Generator, height: int, width: int) -> np.ndarray:
    """bool, shape (height, width): a shape of random size, place and turn."""
    side = min(height, width)
    radius = random.uniform(0.09, 0.26) * side
    centre = random.uniform(0.1, 0.9, 2) * (height, width)
    turn = random.uniform(0, 2 * np.pi)
    rows, columns = np.mgrid[:height, :width]
    down, across = (rows - centre[0]) / radius, (columns - centre[1]) / radius
    y, x = np.cos(turn) * down - np.sin(turn) * across, np.sin(turn) * down + np.cos(turn) * across
    distance = np.hypot(x, y)
    match name:
        case "disc":
            return distance <= 0.9
        case "square":
            return (abs(x) <= 0.8) & (abs(y) <= 0.8)
        case "triangle":
            return (y >= -0.55) & (y <= 1.1 - np.sqrt(3) * abs(x))
        case "ring":
            return (distance <= 1) & (distance >= 0.6)
        case _:
            return ((abs(x) <= 0.28) & (abs(y) <= 1)) | ((abs(y) <= 0.28) & (abs(x) <= 1))
