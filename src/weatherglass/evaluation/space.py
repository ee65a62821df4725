"""Rotations and shifts one by one: accuracy over angle and shift, and what shifts of less than a patch do."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from weatherglass.attacks.names import SPATIAL
from weatherglass.attacks.parse import parse_moved
from weatherglass.attacks.spatial import Moved
from weatherglass.data.geometry import prepare
from weatherglass.errors import UserError
from weatherglass.evaluation.evaluate import Evaluation, EvaluationSettings, Listener, evaluate
from weatherglass.evaluation.runs import Run
from weatherglass.metrics.intervals import Bootstrap, Estimate, estimate, wilson_interval
from weatherglass.types import Disturbance, ImageData, Predictor


@dataclass(frozen=True)
class SpatialGrid:
    """Which single moves are measured: a plane of angle and shift to the right, and one of the two shifts."""

    angle: float = 30.0
    """Largest rotation in degrees, both ways."""
    angles: int = 13
    """Rotations, odd, so that 0 is one of them."""
    shift: float = 3 / 28
    """Largest shift as a share of the side, both ways."""
    shifts: int = 5
    """Shifts along each axis, odd."""
    patch: int | None = None
    """Side of a patch in pixels: also measures every shift to the right of 1 to 2 x patch - 1 pixels."""

    def __post_init__(self) -> None:
        for what, count in (("angles", self.angles), ("shifts", self.shifts)):
            if count < 3 or count % 2 == 0:
                raise UserError(
                    f"A map needs an odd number of {what} of at least 3, so that 0 is among them; got {count}."
                )
        if not 0 < self.angle <= 180:
            raise UserError(f"The largest angle of a map lies in (0, 180] degrees, got {self.angle:g}.")
        if not 0 < self.shift < 1:
            raise UserError(f"The largest shift of a map is a share of the side in (0, 1), got {self.shift:g}.")

    def moves(self, height: int, width: int) -> list[Moved]:
        """Every move but the one that changes nothing, each once; shifts are rounded to hundredths of a pixel."""
        angles = np.linspace(-self.angle, self.angle, self.angles)
        rights = np.linspace(-self.shift * width, self.shift * width, self.shifts)
        downs = np.linspace(-self.shift * height, self.shift * height, self.shifts)
        points = [(a, 0.0, r) for a in angles for r in rights] + [(0.0, d, r) for d in downs for r in rights]
        if self.patch is not None:
            if not 2 <= self.patch <= width // 4:
                raise UserError(
                    f"A patch of {self.patch} pixels does not fit four times into images {width} pixels wide."
                )
            points += [(0.0, 0.0, float(right)) for right in range(1, 2 * self.patch)]
        # Adding 0.0 makes -0.0 an ordinary zero.
        rounded = dict.fromkeys(tuple(round(float(value), 2) + 0.0 for value in point) for point in points)
        return [Moved(*point) for point in rounded if point != (0.0, 0.0, 0.0)]


@dataclass(frozen=True)
class MovedAccuracy:
    """Accuracy under one rotation and shift."""

    angle: float
    down: float
    right: float
    accuracy: Estimate


@dataclass(frozen=True)
class SubPatchShift:
    """Do shifts that leave the patch grid change more than those by a whole patch?"""

    patch: int
    agreement: tuple[Estimate, ...]
    """Share of the images whose prediction is that of the unshifted image, for shifts of 1 to 2 x patch - 1 pixels."""
    sensitivity: Estimate
    """Agreement at a shift of one patch minus the mean agreement at all the other shifts.

    They lie symmetrically about it, so whatever falls evenly with the length of the shift cancels. 0: the patch grid
    does not show; positive: predictions change more between the positions of the grid than from one to the next."""


def measure_space(
    models: Sequence[Predictor],
    grid: SpatialGrid,
    *,
    data: ImageData,
    store: str | Path,
    worst: bool = True,
    settings: EvaluationSettings | None = None,
    listener: Listener | None = None,
) -> Evaluation:
    """Measure every move of `grid` on `models`, and with `worst` the worst rotation, shift and both for every image.

    Cells that the store holds are not measured again. Raises `UserError` where a cell failed.
    """
    sizes = {tuple(prepare(data.image(0), model.preprocessing).shape[1:]) for model in models}
    moves: dict[str, Disturbance] = {}
    for height, width in sizes:
        moves |= {str(move): move for move in grid.moves(height, width)}
    texts = list(SPATIAL) if worst else []
    done = evaluate(
        models,
        data=data,
        store=store,
        disturbances=["clean", *texts, *moves.values()],
        settings=settings,
        listener=listener,
    )
    if done.failed:
        raise UserError(f"{done.failed[0].cell.disturbance} could not be measured: {done.failed[0].reason}.")
    return done


def moved_accuracies(run: Run) -> list[MovedAccuracy]:
    """Every single move that a run holds, the clean cell as the one that changes nothing; empty where it holds none."""
    moves = {text: parse_moved(text) for text in run.disturbed if text.startswith("moved:") and "[" not in text}
    if not moves:
        return []
    found = [MovedAccuracy(m.angle, m.down, m.right, _rate(run.correct([text])[0])) for text, m in moves.items()]
    if run.clean is not None:
        found.append(MovedAccuracy(0.0, 0.0, 0.0, _rate(run.correct(["clean"])[0])))
    return sorted(found, key=lambda one: (one.angle, one.down, one.right))


def plane(points: Sequence[MovedAccuracy], across: str, along: str) -> list[MovedAccuracy]:
    """The points that form a whole rectangle in the coordinates `across` and `along`, the third being 0.

    Empty where there are not at least 3 x 3 of them. The largest rectangle around the origin is taken: of the values
    of `along`, those that are there for every value of `across` that has as many.
    """
    (third,) = {"angle", "down", "right"} - {across, along}
    flat = [point for point in points if getattr(point, third) == 0]
    held: dict[float, set[float]] = {}
    for point in flat:
        held.setdefault(getattr(point, across), set()).add(getattr(point, along))
    rows = [row for row, values in held.items() if len(values) >= 3]
    if len(rows) < 3:
        return []
    shared = set.intersection(*(held[row] for row in rows))
    if len(shared) < 3:
        return []
    return [point for point in flat if getattr(point, across) in rows and getattr(point, along) in shared]


def sub_patch_shift(run: Run, patch: int) -> SubPatchShift | None:
    """The shifts to the right of 1 to 2 x `patch` - 1 pixels of a run; None where it lacks one, or the clean cell.

    Intervals: Wilson for the agreement; percentile bootstrap over images for the sensitivity.
    """
    texts = [str(Moved(right=float(right))) for right in range(1, 2 * patch)]
    if run.clean is None or any(text not in run.records for text in texts):
        return None
    still = run.observations("clean").columns["prediction"]
    same = np.stack([run.observations(text).columns["prediction"] == still for text in texts])
    contrast = same[patch - 1].astype(np.float64) - np.delete(same, patch - 1, axis=0).mean(axis=0)
    resampled = Bootstrap(len(contrast)).means(contrast[None])[:, 0]
    found = estimate(float(contrast.mean()), resampled, samples=len(contrast), span=(-1.0, 1.0))
    assert found is not None  # a mean over at least one image
    return SubPatchShift(patch, tuple(_rate(row) for row in same), found)


def _rate(right: np.ndarray) -> Estimate:
    rate = float(right.mean())
    return Estimate(rate, *wilson_interval(rate, len(right)), "wilson")
