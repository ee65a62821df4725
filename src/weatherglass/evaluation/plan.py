"""The plan: what will be measured, what is kept already, and what the rest will cost."""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import torch

from weatherglass.errors import UserError
from weatherglass.evaluation.pixels import PixelFile
from weatherglass.evaluation.protocol import Cell, Protocol
from weatherglass.evaluation.store import Store
from weatherglass.evaluation.versions import library_versions
from weatherglass.types import Batch, Clean, Disturbance, ImageData, Predictor

PROBE_IMAGES = 4


@dataclass(frozen=True)
class PlannedCell:
    """A cell that is going to be measured."""

    cell: Cell
    protocol: Protocol
    disturbance: Disturbance
    key: str


@dataclass(frozen=True)
class ModelPlan:
    """All cells of one model on one data set."""

    predictor: Predictor
    data: ImageData
    pixels: PixelFile
    cells: tuple[PlannedCell, ...]
    kept: frozenset[str]
    """Keys of cells that the store already holds."""
    seconds: float = field(default=float("nan"))
    """Estimated time for the missing cells."""

    @property
    def missing(self) -> list[PlannedCell]:
        return [planned for planned in self.cells if planned.key not in self.kept]

    @property
    def images(self) -> int:
        """Predictions still to be made."""
        return len(self.missing) * len(self.data)

    @property
    def decoded_bytes(self) -> int:
        """Size of the decoded images on disk."""
        return self.pixels.layout.bytes


def default_forward_batch(device: torch.device, task: str, height: int, width: int) -> int:
    """Images per forward pass: enough to fill the device; part of the protocol (see docs/design/engine.md).

    A segmenter answers for every pixel, so its passes have as many pixels as those of a classifier at 224. Detectors
    are shown one image at a time.
    """
    if task == "detection":
        return 1
    images = 256 if device.type == "cuda" else 32
    return images if task == "classification" else max(1, min(images, images * 224 * 224 // (height * width)))


def plan_model(
    predictor: Predictor,
    data: ImageData,
    pixels: PixelFile,
    disturbances: Sequence[Disturbance],
    store: Store,
    *,
    seed: int,
    task: str,
    forward_batch: int,
) -> ModelPlan:
    """The cells of one model, each with its protocol; nothing is measured.

    Raises `UserError` for conditions whose choices contradict each other, which no mean may hold together.
    """
    common = Protocol(
        task=task,
        weights=predictor.digest,
        preprocessing=predictor.preprocessing.geometry,
        normalisation=predictor.preprocessing.normalisation,
        data=data.digest,
        selection=data.selection,
        samples=len(data),
        classes=predictor.decision,
        seed=seed,
        precision=predictor.precision,
        device=predictor.device.type,
        forward_batch=forward_batch,
        versions=library_versions(),
    )
    cells = []
    for disturbance in disturbances:
        part = _protocol_at(disturbance, pixels.layout.distinct)
        if not isinstance(disturbance, Clean):
            part |= _truth_under(disturbance, task, pixels.layout.height, pixels.layout.width)
        protocol = Protocol(**common.common, disturbance=part)
        cell = Cell(predictor.name, data.name, str(disturbance), seed)
        cells.append(PlannedCell(cell, protocol, disturbance, cell.key(protocol)))
    _check_choices(cells)
    kept = frozenset(planned.key for planned in cells if planned.key in store)
    return ModelPlan(predictor, data, pixels, tuple(cells), kept)


def _check_choices(cells: Sequence[PlannedCell]) -> None:
    chosen: dict[str, tuple[str, Disturbance]] = {}
    for planned in cells:
        for name, value in planned.protocol.choices.items():
            first, there = chosen.setdefault(name, (value, planned.disturbance))
            if value != first:
                raise UserError(
                    f"{there} and {planned.disturbance} are of two protocols ({name}: {first} and {value}); "
                    "measure them in two calls. One store can hold both runs."
                )


def _protocol_at(disturbance: Disturbance, sizes: Sequence[tuple[int, int]]) -> dict[str, str]:
    """What decides the disturbed pixels; what differs between the sizes of the images is said of all of them."""
    parts = [disturbance.protocol(height, width) for height, width in sizes]
    return {name: " or ".join(dict.fromkeys(part[name] for part in parts)) for name in parts[0]}


def _truth_under(disturbance: Disturbance, task: str, height: int, width: int) -> dict[str, str]:
    """Whether masks or boxes stay where they are. Raises `UserError` where they would not be true any more."""
    if task == "segmentation":
        disturbance.check_masks(height, width)
        return {"masks": "unmoved" if disturbance.keeps_layout else "moved with the pixels, nearest neighbour"}
    if task == "detection":
        if not disturbance.keeps_layout:
            raise UserError(
                f"{disturbance} cannot be measured on boxes: it moves pixels or asks for class labels, and boxes are "
                "not moved with it. Use corruptions that leave everything in its place, e.g. --suite coco-c."
            )
        return {"objects": "unmoved"}
    return {}


class Probe:
    """Times a few images to estimate what a plan will cost. Disturbances are timed once for all models of one size."""

    def __init__(self) -> None:
        self._disturbing: dict[tuple[str, int, int], float] = {}

    def seconds(self, plan: ModelPlan, forward: Callable[[torch.Tensor], object], *, forward_batch: int) -> float:
        """Time the missing cells of `plan` will take. `forward` predicts one forward batch of pixels.

        Every call is made twice and the second one is timed, because the first may compile or allocate.
        """
        if not plan.missing:
            return 0.0
        first = next(iter(plan.pixels.batches(forward_batch)))
        images = plan.pixels.at(first)
        predicting = _second_call(lambda: forward(images)) / len(images)
        few = images[:PROBE_IMAGES].to(plan.predictor.device)
        rows = first[: len(few)]
        batch = Batch(few, torch.from_numpy(plan.data.labels[rows]), tuple(plan.data.ids[row] for row in rows))
        return sum(
            len(plan.data) * (predicting + self._per_image(planned, batch, plan.predictor, predicting))
            for planned in plan.missing
        )

    def _per_image(self, planned: PlannedCell, batch: Batch, predictor: Predictor, predicting: float) -> float:
        disturbance, (height, width) = planned.disturbance, batch.images.shape[2:]
        if disturbance.passes is not None:
            return disturbance.passes * predicting
        key = (disturbance.kind, height, width)
        if key not in self._disturbing:
            elapsed = _second_call(lambda: disturbance.of_input(batch, predictor, seed=planned.cell.seed))
            self._disturbing[key] = elapsed / len(batch.ids)
        return self._disturbing[key]


def _second_call(call: Callable[[], object]) -> float:
    call()
    started = time.perf_counter()
    call()
    return time.perf_counter() - started
