"""The engine: disturb, predict, observe; one cell after the other, each kept as soon as it is done.

Numbers do not depend on batch size, workers or interruptions: disturbances draw their randomness by sample, and
every forward pass has the same number of images (the last one is padded), because the roundings of matrix
products depend on it.
"""

import heapq
import math
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Protocol as Interface

import numpy as np
import torch
from torch import Tensor

from weatherglass.data.segmentation import prepared_mask
from weatherglass.data.segmentation_classes import palette
from weatherglass.data.several_labels import nearest_accepted
from weatherglass.errors import UserError
from weatherglass.evaluation.memory import Disturbing, is_out_of_memory
from weatherglass.evaluation.pictures import encode_overlay, encode_picture
from weatherglass.evaluation.pixels import PixelFile
from weatherglass.evaluation.plan import ModelPlan, PlannedCell
from weatherglass.evaluation.record import CellRecord, FailedCell, Observations, Overlay, Picture, Provenance
from weatherglass.evaluation.store import Store
from weatherglass.tasks.task import FrameTask, InvalidOutput, Task
from weatherglass.types import Batch, Disturbance, FrameSequence, ImageData, Predictor, SegmentationData

PICTURES_PER_CELL = 2
"""Samples of each disturbed cell that are kept as pictures for the gallery."""


class Listener(Interface):
    """Hears what the engine does, to show it."""

    def cell_started(self, planned: PlannedCell) -> None: ...
    def images_done(self, count: int) -> None: ...
    def cell_finished(self, record: CellRecord) -> None: ...
    def cell_failed(self, failed: FailedCell) -> None: ...
    def note(self, text: str) -> None: ...


class Silent:
    """A listener that shows nothing."""

    def cell_started(self, planned: PlannedCell) -> None: ...
    def images_done(self, count: int) -> None: ...
    def cell_finished(self, record: CellRecord) -> None: ...
    def cell_failed(self, failed: FailedCell) -> None: ...
    def note(self, text: str) -> None: ...


@dataclass
class Forward:
    """Forward passes of one fixed size. Out of memory halves the size, and that is noted."""

    size: int
    notes: list[str] = field(default_factory=list)

    def __call__(self, predictor: Predictor, images: Tensor) -> Tensor:
        """Raw outputs for any number of images, uint8 or float in [0, 1]."""
        while True:
            try:
                return torch.cat([self._one_pass(predictor, part) for part in images.split(self.size)])
            except (torch.OutOfMemoryError, MemoryError, RuntimeError) as error:
                if self.size == 1 or not is_out_of_memory(error):
                    raise
                self.size //= 2
                self.notes.append(f"out of memory: forward batch halved to {self.size}")
                if torch.cuda.is_available():
                    torch.cuda.empty_cache()

    def _one_pass(self, predictor: Predictor, part: Tensor) -> Tensor:
        count = len(part)
        if count < self.size:
            part = torch.cat([part, part[-1:].expand(self.size - count, -1, -1, -1)])
        part = part.to(predictor.device)
        images = part.float() / 255 if part.dtype == torch.uint8 else part
        with torch.no_grad():
            return predictor(images)[:count]


@contextmanager
def exact_arithmetic() -> Iterator[None]:
    """Repeatable float32 on CUDA: no TF32 in convolutions, no run-time choice of algorithm. No effect on CPU."""
    cudnn = torch.backends.cudnn
    before = (cudnn.allow_tf32, cudnn.benchmark, cudnn.deterministic)
    cudnn.allow_tf32, cudnn.benchmark, cudnn.deterministic = False, False, True
    try:
        yield
    finally:
        cudnn.allow_tf32, cudnn.benchmark, cudnn.deterministic = before


@dataclass(frozen=True)
class CleanOutcome:
    """What the model made of the undisturbed samples, to know which ones a disturbance flipped."""

    prediction: np.ndarray
    correct: np.ndarray


@dataclass(frozen=True)
class CleanOverlap:
    """The mIoU of each undisturbed image, to know which ones a disturbance harmed."""

    iou: np.ndarray


def measure(
    planned: PlannedCell,
    plan: ModelPlan,
    pixels: PixelFile,
    task: Task,
    *,
    batch_size: int,
    clean: CleanOutcome | CleanOverlap | None,
    listener: Listener,
) -> tuple[CellRecord, Observations, Sequence[Picture | Overlay]]:
    """Measure one cell.

    `batch_size` images are disturbed at a time; it is rounded up to whole forward batches and chunks. Raises
    `InvalidOutput` when the model's outputs cannot be scored.
    """
    started = time.perf_counter()
    forward = Forward(planned.protocol.forward_batch)
    disturb = Disturbing(planned.disturbance, planned.cell.seed)
    clock = _Clock(plan.predictor.device)
    unit = math.lcm(forward.size, planned.disturbance.chunk(plan.predictor))
    step = math.ceil(batch_size / unit) * unit
    columns: list[Mapping[str, np.ndarray]] = []
    gallery = _Gallery(clean) if task.name == "classification" else OverlayGallery(clean, plan)
    with exact_arithmetic(), planned.disturbance.of_model(plan.predictor) as predictor:
        for start in range(0, len(plan.data), step):
            batch = _batch(plan.data, pixels, start, min(start + step, len(plan.data)), predictor.device)
            if isinstance(plan.data, SegmentationData):
                disturbed, seen = _map(planned, plan, batch, start, predictor, forward, task, clock)
            else:
                disturbed, outputs = _look(disturb, batch, predictor, forward, task, clock)
                labels = _labels(plan.data, start, outputs[-1], batch)
                seen = _observed(task, planned.disturbance, outputs, labels)
            columns.append(seen)
            gallery.consider(start, batch, disturbed, columns[-1])
            listener.images_done(len(batch.ids))
        pictures = gallery.pictures(planned, predictor, pixels)
    merged = {name: np.concatenate([part[name] for part in columns]) for name in columns[0]}
    record = CellRecord(
        key=planned.key,
        cell=planned.cell,
        protocol=planned.protocol,
        family=planned.disturbance.family,
        kind=planned.disturbance.kind,
        severity=planned.disturbance.severity,
        scores=task.summarise(merged),
        parameters=plan.predictor.parameters,
        provenance=Provenance(
            created=datetime.now(UTC).isoformat(timespec="milliseconds"),
            seconds=round(time.perf_counter() - started, 4),
            disturb_seconds=round(clock.seconds["disturb"], 4),
            predict_seconds=round(clock.seconds["predict"], 4),
            batch_size=step,
            threads=torch.get_num_threads(),
            device_name=device_name(plan.predictor.device),
            notes=(*disturb.notes, *forward.notes),
        ),
    )
    return record, Observations(plan.data.ids, plan.data.labels, merged), pictures


def _look(
    disturb: Disturbing, batch: Batch, predictor: Predictor, forward: Forward, task: Task, clock: "_Clock"
) -> tuple[Tensor, list[Tensor]]:
    """The disturbed images, of a sequence its last frame, and the outputs for them, of a sequence for every frame."""
    disturbed, outputs = batch.images, []
    versions = _versions(disturb, batch, predictor)
    while True:
        with clock.running("disturb"):
            version = next(versions, None)
        if version is None:
            return disturbed, outputs
        disturbed = version
        with clock.running("predict"):
            outputs.append(_checked(forward(predictor, disturbed), disturbed, task, predictor))


def _versions(disturb: Disturbing, batch: Batch, predictor: Predictor) -> Iterator[Tensor]:
    if isinstance(disturb.disturbance, FrameSequence):
        yield from disturb.disturbance.frames_of_input(batch, seed=disturb.seed)
    else:
        yield disturb(batch, predictor)


def _observed(task: Task, disturbance: Disturbance, outputs: list[Tensor], labels: Tensor) -> Mapping[str, np.ndarray]:
    if not isinstance(disturbance, FrameSequence):
        return task.observe(outputs[-1], labels)
    if not isinstance(task, FrameTask):
        raise UserError(f"'{disturbance}' is a sequence of frames, which the task '{task.name}' does not compare.")
    return task.observe_frames(torch.stack(outputs), labels, noise=disturbance.noise)


def _batch(data: ImageData, pixels: PixelFile, start: int, stop: int, device: torch.device) -> Batch:
    labels = torch.from_numpy(data.labels[start:stop])
    return Batch(pixels.rows(start, stop).to(device), labels, data.ids[start:stop])


def _labels(data: ImageData, start: int, output: Tensor, batch: Batch) -> Tensor:
    """What each output is held against: of several right labels, the one the model finds likeliest."""
    if data.accepted is None:
        return batch.labels
    return nearest_accepted(output, data.accepted[start : start + len(batch.ids)])


def _map(
    planned: PlannedCell,
    plan: ModelPlan,
    batch: Batch,
    start: int,
    predictor: Predictor,
    forward: Forward,
    task: Task,
    clock: "_Clock",
) -> tuple[Tensor, Mapping[str, np.ndarray]]:
    """The disturbed images, and what is kept of them; observed pass by pass, since maps of a batch fill the memory."""
    assert isinstance(plan.data, SegmentationData)
    with clock.running("disturb"):
        disturbed = planned.disturbance.of_input(batch, predictor, seed=planned.cell.seed)
        geometry = predictor.preprocessing
        masks = [prepared_mask(plan.data.mask(start + row), geometry) for row in range(len(batch.ids))]
        truth = planned.disturbance.of_masks(torch.stack(masks), batch.ids, seed=planned.cell.seed)
    seen = []
    for images, answers in zip(disturbed.split(forward.size), truth.split(forward.size), strict=True):
        with clock.running("predict"):
            output = _checked(forward(predictor, images), images, task, predictor)
        seen.append(task.observe(output, answers))
    return disturbed, {name: np.concatenate([part[name] for part in seen]) for name in seen[0]}


def _checked(output: Tensor, images: Tensor, task: Task, predictor: Predictor) -> Tensor:
    expected = task.output_shape(predictor, images)
    if tuple(output.shape) != expected:
        raise InvalidOutput(
            f"the model returned an output of shape {tuple(output.shape)} where {expected} was expected"
        )
    return output


class _Clock:
    """Adds up how long each stage takes; waits for the device where work is queued."""

    def __init__(self, device: torch.device) -> None:
        self.seconds = {"disturb": 0.0, "predict": 0.0}
        self._device = device

    @contextmanager
    def running(self, stage: str) -> Iterator[None]:
        started = time.perf_counter()
        yield
        if self._device.type == "cuda":
            torch.cuda.synchronize(self._device)
        self.seconds[stage] += time.perf_counter() - started


class _Gallery:
    """Keeps the samples that the model got right when clean and wrong, most confidently, when disturbed."""

    def __init__(self, clean: CleanOutcome | CleanOverlap | None) -> None:
        self._clean = clean if isinstance(clean, CleanOutcome) else None
        self._heap: list[tuple[float, str, int, Picture]] = []

    def consider(self, start: int, batch: Batch, disturbed: Tensor, columns: Mapping[str, np.ndarray]) -> None:
        if self._clean is None or "rank" not in columns:
            return
        flipped = np.flatnonzero(self._clean.correct[start : start + len(batch.ids)] & (columns["rank"] > 0))
        for row in sorted(flipped, key=lambda row: -columns["confidence"][row])[:PICTURES_PER_CELL]:
            rank = (float(columns["confidence"][row]), batch.ids[row], int(row))
            if len(self._heap) == PICTURES_PER_CELL and rank < self._heap[0][:3]:
                continue
            picture = Picture(
                id=batch.ids[row],
                label=int(batch.labels[row]),
                clean_prediction=int(self._clean.prediction[start + row]),
                prediction=int(columns["prediction"][row]),
                confidence=float(columns["confidence"][row]),
                clean=encode_picture(batch.images[row]),
                disturbed=encode_picture(disturbed[row]),
            )
            heapq.heappush(self._heap, (*rank, picture))
            if len(self._heap) > PICTURES_PER_CELL:
                heapq.heappop(self._heap)

    def pictures(self, planned: PlannedCell, predictor: Predictor, pixels: PixelFile) -> list[Picture]:
        return [entry[-1] for entry in sorted(self._heap, key=lambda entry: entry[:3], reverse=True)]


class OverlayGallery:
    """Keeps the images whose own mIoU falls most, with the predictions drawn over them."""

    def __init__(self, clean: CleanOutcome | CleanOverlap | None, plan: ModelPlan) -> None:
        self._clean = clean if isinstance(clean, CleanOverlap) else None
        self._plan = plan
        self._falls: list[tuple[float, int, float]] = []

    def consider(self, start: int, batch: Batch, disturbed: Tensor, columns: Mapping[str, np.ndarray]) -> None:
        if self._clean is None:
            return
        falls = self._clean.iou[start : start + len(batch.ids)] - columns["iou"]
        self._falls += [
            (float(fall), start + row, float(columns["iou"][row])) for row, fall in enumerate(falls) if fall > 0
        ]
        self._falls = sorted(self._falls, reverse=True)[:PICTURES_PER_CELL]

    def pictures(self, planned: PlannedCell, predictor: Predictor, pixels: PixelFile) -> list[Overlay]:
        """Draw them; the disturbed pixels depend on the sample alone, so they are made again."""
        drawn = []
        colours = palette(self._plan.data.classes)
        for _, index, score in self._falls:
            batch = _batch(self._plan.data, pixels, index, index + 1, predictor.device)
            disturbed = planned.disturbance.of_input(batch, predictor, seed=planned.cell.seed)
            images = [batch.images, disturbed]
            answers = [Forward(1)(predictor, one).argmax(dim=1)[0] for one in images]
            clean, after = (encode_overlay(one[0], mask, colours) for one, mask in zip(images, answers, strict=True))
            assert self._clean is not None
            drawn.append(Overlay(batch.ids[0], float(self._clean.iou[index]), score, clean, after))
        return drawn


def clean_outcome(store: Store, plan: ModelPlan) -> CleanOutcome | CleanOverlap | None:
    """The clean cell of this plan as the store holds it; None before it was measured."""
    planned = next((p for p in plan.cells if p.cell.disturbance == "clean"), None)
    if planned is None or planned.key not in store:
        return None
    if plan.data.task != "classification":
        return CleanOverlap(store.observations(planned.key, ["iou"]).columns["iou"])
    observations = store.observations(planned.key, ["prediction", "rank"])
    return CleanOutcome(observations.columns["prediction"], observations.correct)


def failure(planned: PlannedCell, reason: str) -> FailedCell:
    """The note that a cell could not be measured."""
    return FailedCell(
        key=planned.key,
        cell=planned.cell,
        protocol=planned.protocol,
        reason=reason,
        created=datetime.now(UTC).isoformat(timespec="seconds"),
    )


def device_name(device: torch.device) -> str:
    """What the computation runs on, e.g. 'NVIDIA H200' or 'cpu'."""
    return torch.cuda.get_device_name(device) if device.type == "cuda" else device.type
