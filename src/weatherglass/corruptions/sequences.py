"""Perturbation sequences after ImageNet-P: each image in some thirty slightly different versions.

Frames are made from the image that the model would see. The published ones were cut from a larger picture and stored as
compressed videos; here what comes from outside the image is black, as in CIFAR-10-P, and nothing is compressed.
"""

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace

import numpy as np
import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor

from weatherglass.corruptions import blur, weather
from weatherglass.corruptions.engine import TRUNCATION, apply
from weatherglass.corruptions.filters import gaussian_blur_2d, motion_blur_2d, motion_path
from weatherglass.corruptions.level import calibration_for
from weatherglass.corruptions.perturbations import PERTURBATIONS, RUNNING, Grain, Ramp
from weatherglass.errors import UserError
from weatherglass.randomness import Draws
from weatherglass.types import Batch, FrameSequence, Images, Pixels

SEQUENCE_REVISION = 1
"""Raised whenever a sequence changes pixels."""

Homography = Float[np.ndarray, "3 3"]
"""From (column, row, 1) of a pixel of the result to where the image is read, up to a factor."""


@dataclass(frozen=True)
class Perturbed(FrameSequence):
    """One family of sequences: 'sequence:tilt', 'sequence:shot_noise,difficulty=2'."""

    name: str
    """A name of `PERTURBATIONS`."""
    difficulty: int = 1
    """1..3: how strong noise is. The other sequences have the same frames at every difficulty: there it says how many
    frames apart two predictions are compared, which is asked of the stored cell."""
    calibration: int | str = "auto"
    """224, 64 or 32: which constants; 'auto' decides by the shorter side."""

    def __post_init__(self) -> None:
        noise = PERTURBATIONS[self.name].noise
        if self.difficulty not in (1, 2, 3):
            raise UserError(f"The difficulty of a sequence is 1, 2 or 3, got {self.difficulty}.")
        if self.difficulty > 1 and not noise:
            raise UserError(
                f"'sequence:{self.name}' has the same frames at every difficulty: measure it once, and read its flips "
                f"at difficulty {self.difficulty} from the store (sequence_summary(run, difficulty={self.difficulty}))."
            )

    def __str__(self) -> str:
        return f"sequence:{self.name}" + (f",difficulty={self.difficulty}" if self.difficulty > 1 else "")

    @property
    def noise(self) -> bool:
        return PERTURBATIONS[self.name].noise

    @property
    def kind(self) -> str:
        return str(self)

    @property
    def passes(self) -> float:
        return self._level(224, 224).frames - 1

    def protocol(self, height: int, width: int) -> dict[str, str]:
        """The number of frames, the constants behind them and the revision of the generators."""
        side = self._side(height, width)
        level = self._level(height, width)
        if isinstance(level, Grain):
            what = f"{level.parameter} {level.values[self.difficulty - 1]:g}"
        else:
            constants = "".join(f", {name} {value:g}" for name, value in level.constants.items())
            what = f"from {level.first:g} by {level.step:g}{constants}"
        return {
            "sequence": f"{level.frames} frames, {what}",
            "sequence calibration": f"{side} px",
            "sequence revision": f"r{SEQUENCE_REVISION}, black outside",
        }

    def frames_of_input(self, batch: Batch, *, seed: int) -> Iterator[Pixels | Images]:
        """The frames, of the batch's type."""
        height, width = batch.images.shape[-2:]
        level, draws = self._level(height, width), Draws(seed, batch.ids, str(self))
        if isinstance(level, Grain):
            return _grain(batch.images, self.name, level, self.difficulty, draws)
        return _RAMPS[self.name](batch.images, level, draws, self._side(height, width))

    def _side(self, height: int, width: int) -> int:
        return calibration_for(height, width) if self.calibration == "auto" else int(self.calibration)

    def _level(self, height: int, width: int) -> Ramp | Grain:
        return PERTURBATIONS[self.name].level(self._side(height, width))


def parse_sequence(text: str, *, calibration: int | str = "auto") -> Perturbed:
    """'sequence:tilt' or 'sequence:shot_noise,difficulty=2' as a `Perturbed`.

    Raises `UnknownName` for a wrong name and `UserError` for anything else that does not fit.
    """
    name, *options = text.strip().removeprefix("sequence:").split(",")
    sequence = Perturbed(name.strip(), calibration=calibration)
    for option in options:
        key, _, value = option.partition("=")
        if key.strip() != "difficulty" or not re.fullmatch(r"\d{1,9}", value.strip()):
            raise UserError(f"'{text}': a sequence has one option, difficulty=1, 2 or 3 (of noise); got '{option}'.")
        sequence = replace(sequence, difficulty=int(value))
    return sequence


# ------------------------------------------------------------------ generators


def _grain(
    images: Pixels | Images, name: str, level: Grain, difficulty: int, draws: Draws
) -> Iterator[Pixels | Images]:
    yield images
    constants = {level.parameter: float(level.values[difficulty - 1])}
    for index in range(1, level.frames):
        yield apply(images, name, constants, draws=draws.child(f"frame {index}"))


def _motion_blur(images: Pixels | Images, ramp: Ramp, draws: Draws, side: int) -> Iterator[Pixels | Images]:
    floats, radius, sigma = _floats(images), int(ramp.constants["radius"]), ramp.constants["sigma"]
    for angle in ramp:
        yield _like(images, _streaked(floats, motion_path(radius, sigma, angle)))


def _zoom_blur(images: Pixels | Images, ramp: Ramp, draws: Draws, side: int) -> Iterator[Pixels | Images]:
    """The mean of the enlargements so far."""
    floats, height, width = _floats(images), *images.shape[-2:]
    total = torch.zeros_like(floats)
    for count, factor in enumerate(ramp, start=1):
        total += _warp(floats, _scaling(factor, height, width))
        yield _like(images, total / count)


def _snow(images: Pixels | Images, ramp: Ramp, draws: Draws, side: int) -> Iterator[Pixels | Images]:
    floats, size, constants = _floats(images), (images.shape[-2], images.shape[-1]), ramp.constants
    mean, scale, zoom, threshold = (constants[name] for name in ("mean", "scale", "zoom", "threshold"))
    layer = weather.flakes(size, mean, scale, zoom, threshold, draws, images.device)
    layer = weather.trimmed_flakes(layer, size)
    for angle in ramp:
        streaks = _streaked(layer, motion_path(int(constants["radius"]), constants["sigma"], angle))
        yield _like(images, weather.with_snow(floats, streaks, constants["picture_weight"]))


def _brightness(images: Pixels | Images, ramp: Ramp, draws: Draws, side: int) -> Iterator[Pixels | Images]:
    floats = _floats(images)
    for shift in ramp:
        yield _like(images, weather.brightness(floats, shift=shift))


def _gaussian_blur(images: Pixels | Images, ramp: Ramp, draws: Draws, side: int) -> Iterator[Pixels | Images]:
    floats = _floats(images)
    for sigma in ramp:
        yield _like(images, blur.gaussian_blur(floats, sigma=sigma))


def _spatter(images: Pixels | Images, ramp: Ramp, draws: Draws, side: int) -> Iterator[Pixels | Images]:
    """Drops that run down: from frame to frame each row becomes a mean of those about and above it."""
    floats, constants = _floats(images), ramp.constants
    layer = draws.normal("liquid", *images.shape[-2:], device=images.device) * constants["scale"] + constants["mean"]
    layer = gaussian_blur_2d(layer, (constants["sigma"], constants["sigma"]), border="edge")
    layer = layer.masked_fill(layer < constants["threshold"], 0)
    weights = torch.tensor(RUNNING[side][::-1], device=images.device).view(1, 1, -1, 1)
    below = (weights.numel() - 1) // 2
    for _ in ramp:
        yield _like(images, weather.with_water(floats, layer, constants["strength"]))
        layer = F.conv2d(F.pad(layer[:, None], (0, 0, weights.numel() - 1 - below, below)), weights)[:, 0]


def _translate(images: Pixels | Images, ramp: Ramp, draws: Draws, side: int) -> Iterator[Pixels | Images]:
    for shift in ramp:
        right = max(-images.shape[-1], min(int(shift), images.shape[-1]))
        yield F.pad(images, (right, -right))


def _warped(to_source: Callable[[float, int, int], Homography]) -> Callable[..., Iterator[Pixels | Images]]:
    """A sequence of geometric maps; `to_source` takes the value of the frame, height and width."""

    def frames(images: Pixels | Images, ramp: Ramp, draws: Draws, side: int) -> Iterator[Pixels | Images]:
        floats, height, width = _floats(images), *images.shape[-2:]
        for value in ramp:
            # Geometry rounds where the others truncate, as the libraries behind the published frames do.
            moved = _warp(floats, to_source(value, height, width)).clamp_(0, 1)
            yield (moved * 255).round_().to(torch.uint8) if images.dtype == torch.uint8 else moved.to(images.dtype)

    return frames


def _rotation(degrees: float, height: int, width: int) -> Homography:
    cosine, sine = np.cos(np.deg2rad(degrees)), np.sin(np.deg2rad(degrees))
    return _about_centre(np.array([[cosine, sine], [-sine, cosine]]), height, width)


def _scaling(factor: float, height: int, width: int) -> Homography:
    return _about_centre(np.eye(2) / factor, height, width)


def _shearing(degrees: float, height: int, width: int) -> Homography:
    return _about_centre(np.array([[1, np.tan(np.deg2rad(degrees))], [0, 1]]), height, width)


def _tilting(degrees: float, height: int, width: int) -> Homography:
    """Turned about both axes of the picture, seen by a pinhole whose focal length is the picture's diagonal."""
    cosine, sine, focal = np.cos(np.deg2rad(degrees)), np.sin(np.deg2rad(degrees)), float(np.hypot(width, height))
    about_x = np.array([[1, 0, 0], [0, cosine, -sine], [0, sine, cosine]])
    about_y = np.array([[cosine, 0, -sine], [0, 1, 0], [sine, 0, cosine]])
    in_space = np.array([[1, 0, -width / 2], [0, 1, -height / 2], [0, 0, 0]])
    seen = np.array([[focal, 0, width / 2], [0, focal, height / 2], [0, 0, 1]])
    forward = seen @ (about_x @ about_y @ in_space + np.array([[0, 0, 0], [0, 0, 0], [0, 0, focal]]))
    return np.linalg.inv(forward)


_RAMPS: dict[str, Callable[[Pixels | Images, Ramp, Draws, int], Iterator[Pixels | Images]]] = {
    "motion_blur": _motion_blur,
    "zoom_blur": _zoom_blur,
    "snow": _snow,
    "brightness": _brightness,
    "translate": _translate,
    "rotate": _warped(_rotation),
    "tilt": _warped(_tilting),
    "scale": _warped(_scaling),
    "gaussian_blur": _gaussian_blur,
    "spatter": _spatter,
    "shear": _warped(_shearing),
}


# ------------------------------------------------------------------ what they are made of


def _floats(images: Pixels | Images) -> Images:
    return images.float() / 255 if images.dtype == torch.uint8 else images.float()


def _like(images: Pixels | Images, found: Images) -> Pixels | Images:
    """Results in [0, 1], clipped, in the type of the images; 8-bit ones are truncated as corruptions are."""
    found = found.clamp(0, 1)
    return (found * 255 + TRUNCATION).to(torch.uint8) if images.dtype == torch.uint8 else found.to(images.dtype)


def _streaked(values: Float[Tensor, "batch channels height width"], path: list[tuple[int, int, float]]) -> Tensor:
    return motion_blur_2d(values.flatten(0, 1), path).unflatten(0, values.shape[:2])


def _about_centre(matrix: Float[np.ndarray, "2 2"], height: int, width: int) -> Homography:
    centre = np.array([(width - 1) / 2, (height - 1) / 2])
    whole = np.eye(3)
    whole[:2, :2], whole[:2, 2] = matrix, centre - matrix @ centre
    return whole


def _warp(images: Images, to_source: Homography) -> Images:
    """Every image read at the mapped positions: bilinear, black outside."""
    height, width = images.shape[-2:]
    columns, rows = np.meshgrid(np.arange(width), np.arange(height))
    x, y, w = np.einsum("ij,jhw->ihw", to_source, np.stack([columns, rows, np.ones_like(rows)]))
    grid = np.stack([2 * x / w / (width - 1) - 1, 2 * y / w / (height - 1) - 1], -1).astype(np.float32)
    positions = torch.from_numpy(grid).to(images.device).expand(len(images), -1, -1, -1)
    return F.grid_sample(images, positions, mode="bilinear", padding_mode="zeros", align_corners=True)
