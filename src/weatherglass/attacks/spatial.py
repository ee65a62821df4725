"""Worst-case rotations and shifts: the whole grid, or random draws; every image searched only until it fails.

Engstrom et al., "Exploring the Landscape of Spatial Robustness" (ICML 2019): rotations up to 30 degrees in 31 steps,
shifts up to 3/28 of the side (24 of 224 pixels) in 5 steps along each axis, 775 in all. No gradients are needed.
"""

from dataclasses import dataclass
from fractions import Fraction

import torch
from torch import Tensor

from weatherglass.attacks.names import SPATIAL
from weatherglass.attacks.objective import OBJECTIVE, Objective, pass_size, working_size
from weatherglass.attacks.warp import Moves, rotate_and_shift
from weatherglass.errors import UserError
from weatherglass.randomness import Draws
from weatherglass.types import Batch, Disturbance, Images, Predictor


@dataclass(frozen=True)
class Spatial(Disturbance):
    """The rotation and shift that an image withstands least.

    An image counts as right only if every one of them is classified correctly.
    """

    name: str = "rotation_translation"
    """A name of `SPATIAL`: both, or only 'rotation' or 'translation'."""
    angle: float = 30.0
    """Largest rotation in degrees, both ways."""
    angles: int = 31
    """Rotations on the grid; odd, so that 0 is one of them."""
    shift: float = 3 / 28
    """Largest shift as a share of the side, both ways, along each axis."""
    shifts: int = 5
    """Shifts on the grid along each axis; odd."""
    draws: int | None = None
    """Instead of the grid: so many random rotations and shifts, of which the worst counts."""

    def __post_init__(self) -> None:
        if self.name not in SPATIAL:
            SPATIAL[self.name]
        for what, count in (("angles", self.angles), ("shifts", self.shifts)):
            if count < 1 or count % 2 == 0:
                raise UserError(f"{self.name}: {what} must be odd, so that no change is among them; got {count}.")
        if not 0 <= self.angle <= 180:
            raise UserError(f"{self.name}: the angle must lie in 0..180 degrees, got {self.angle:g}.")
        if not 0 <= self.shift < 1:
            raise UserError(f"{self.name}: the shift is a share of the side in [0, 1), got {self.shift:g}.")
        if self.draws is not None and self.draws < 1:
            raise UserError(f"{self.name}: at least 1 draw is needed, got {self.draws}.")

    def __str__(self) -> str:
        usual = Spatial(self.name)
        given = {
            "angle": (f"{self.angle:g}", self.angle != usual.angle),
            "angles": (str(self.angles), self.angles != usual.angles),
            "shift": (_share(self.shift), self.shift != usual.shift),
            "shifts": (str(self.shifts), self.shifts != usual.shifts),
            "draws": (str(self.draws), self.draws is not None),
        }
        options = ",".join(f"{name}={text}" for name, (text, shown) in given.items() if shown)
        return f"{self.name}:{options}" if options else self.name

    @property
    def family(self) -> str:
        return "spatial"

    @property
    def kind(self) -> str:
        return str(self)

    @property
    def passes(self) -> float:
        """An upper bound: an image is left alone after its first failure."""
        if self.draws is not None:
            return self.draws
        return (self.angles if "rotation" in self.name else 1) * (self.shifts**2 if "translation" in self.name else 1)

    @property
    def needs_labels(self) -> bool:
        return True

    def protocol(self, height: int, width: int) -> dict[str, str]:
        """The ranges in degrees and pixels, and how they are searched."""
        turn = f"{self.angle:g} degrees" if "rotation" in self.name else "none"
        shift = (
            f"{self.shift * height:g} px down, {self.shift * width:g} px right"
            if "translation" in self.name
            else "none"
        )
        search = f"grid of {self.passes:g}" if self.draws is None else f"worst of {self.draws} random"
        return {
            "rotation": turn,
            "shift": shift,
            "search": search,
            "sampling": "bilinear, black outside",
            "choice": f"first failure, else highest {OBJECTIVE}",
        }

    def chunk(self, predictor: Predictor) -> int:
        return 4 * pass_size(predictor)

    def of_input(self, batch: Batch, predictor: Predictor, *, seed: int) -> Images:
        """The worst version of each image, in [0, 1]: the first that fails, or else that of the highest objective."""
        images = batch.images.float() / 255 if batch.images.dtype == torch.uint8 else batch.images
        labels, chunk = batch.labels.to(images.device), self.chunk(predictor)
        found = []
        for start in range(0, len(images), chunk):
            part = images[start : start + chunk]
            moves = self.moves(Draws(seed, batch.ids[start : start + chunk], str(self)), *part.shape[2:])
            worst = worst_moves(Objective(predictor, labels[start : start + chunk]), part, moves)
            found.append(rotate_and_shift(part, worst))
        return torch.cat(found)

    def moves(self, draws: Draws, height: int, width: int) -> Tensor:
        """What is tried on each image, in this order; float64, shape (rows, tries, 3)."""
        reach = torch.tensor(
            [
                self.angle if "rotation" in self.name else 0.0,
                self.shift * height if "translation" in self.name else 0.0,
                self.shift * width if "translation" in self.name else 0.0,
            ],
            dtype=torch.float64,
        )
        if self.draws is not None:
            return (2 * draws.uniform("moves", self.draws, 3).double() - 1) * reach
        return (grid_positions(self.angles, self.shifts, self.name) * reach).expand(len(draws), -1, -1)


@dataclass(frozen=True)
class Moved(Disturbance):
    """One rotation and shift, the same for every image: a point of a heat map."""

    angle: float = 0.0
    """Degrees, counter-clockwise."""
    down: float = 0.0
    right: float = 0.0
    """Pixels."""

    def __str__(self) -> str:
        return f"moved:angle={self.angle:g},down={self.down:g},right={self.right:g}"

    @property
    def family(self) -> str:
        return "spatial"

    @property
    def kind(self) -> str:
        return str(self)

    def of_input(self, batch: Batch, predictor: Predictor, *, seed: int) -> Images:
        images = batch.images.float() / 255 if batch.images.dtype == torch.uint8 else batch.images
        move = torch.tensor([[self.angle, self.down, self.right]], dtype=torch.float64)
        return rotate_and_shift(images, move.expand(len(images), 3))


def grid_positions(angles: int, shifts: int, name: str = "rotation_translation") -> Tensor:
    """Every point of the grid in units of its reach, no change first, then from the far corners inwards.

    Images that fail at all fail mostly far out, so this order finds a failure early. Shape (points, 3), in [-1, 1].
    """
    turn = _axis(angles if "rotation" in name else 1)
    shift = _axis(shifts if "translation" in name else 1)
    points = torch.cartesian_prod(turn, shift, shift)
    distance = points.square().sum(dim=1)
    order = torch.argsort(torch.where(distance == 0, torch.inf, distance), descending=True, stable=True)
    return points[order]


def worst_moves(objective: Objective, images: Images, moves: Tensor) -> Moves:
    """The first of its `moves` (rows, tries, 3) at which each image fails, or else that of the highest objective."""
    alive = torch.arange(len(images), device=images.device)
    moves = moves.to(images.device)
    best = moves[:, 0].clone()
    highest = torch.full((len(images),), -torch.inf, dtype=torch.float64, device=images.device)
    tried, tries = 0, moves.shape[1]
    while len(alive) and tried < tries:
        # As many tries at once as fill a forward pass: few images are left after the first tries.
        together = min(max(1, working_size(objective.predictor) // len(alive)), tries - tried)
        now = moves[alive, tried : tried + together]
        rows = alive.repeat_interleave(together)
        seen = objective(rotate_and_shift(images[rows], now.flatten(0, 1)), rows, gradient=False)
        fooled, height = seen.fooled.view(-1, together), seen.height.view(-1, together)
        failed = fooled.any(dim=1)
        pick = torch.where(failed, fooled.int().argmax(dim=1), height.argmax(dim=1))
        top = height.gather(1, pick[:, None]).squeeze(1)
        better = failed | (top > highest[alive])
        best[alive[better]] = now[better, pick[better]]
        highest[alive[better]] = top[better]
        alive = alive[~failed]
        tried += together
    return best


def _axis(points: int) -> Tensor:
    """`points` equal steps from -1 to 1 with an exact 0; only 0 for one point."""
    half = points // 2
    return torch.arange(-half, half + 1, dtype=torch.float64) / max(half, 1)


def _share(value: float) -> str:
    fraction = Fraction(value).limit_denominator(64)
    return str(fraction) if float(fraction) == value else f"{value!r}"
