"""The engine: disturb, predict, observe; one cell after the other, each kept as soon as it is done.

Numbers do not depend on batch size, workers or interruptions: disturbances draw their randomness by sample, and
every forward pass has the same number of images (the last one is padded), because the roundings of matrix
products depend on it.
"""

import heapq
import math
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Protocol as Interface

import numpy as np
import torch
from torch import Tensor

from weatherglass.data.several_labels import nearest_accepted
from weatherglass.errors import UserError
from weatherglass.evaluation.dense import PICTURES_PER_CELL, CleanScores, Looking, OverlayGallery
from weatherglass.evaluation.forward import Clock, Forward, batch_of, checked, exact_arithmetic
from weatherglass.evaluation.memory import Disturbing
from weatherglass.evaluation.pictures import encode_picture
from weatherglass.evaluation.pixels import PixelFile
from weatherglass.evaluation.plan import ModelPlan, PlannedCell
from weatherglass.evaluation.record import (
    IMAGE_SCORES,
    CellRecord,
    FailedCell,
    Observations,
    Overlay,
    Picture,
    Provenance,
)
from weatherglass.evaluation.store import Store
from weatherglass.tasks.task import FrameTask, Task
from weatherglass.types import Batch, Disturbance, FrameSequence, ImageData, Predictor


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


@dataclass(frozen=True)
class CleanOutcome:
    """What the model made of the undisturbed samples, to know which ones a disturbance flipped."""

    prediction: np.ndarray
    correct: np.ndarray


def measure(
    planned: PlannedCell,
    plan: ModelPlan,
    pixels: PixelFile,
    task: Task,
    *,
    batch_size: int,
    clean: CleanOutcome | CleanScores | None,
    listener: Listener,
) -> tuple[CellRecord, Observations, Sequence[Picture | Overlay]]:
    """Measure one cell.

    `batch_size` images are disturbed at a time; it is rounded up to whole forward batches and chunks. Raises
    `InvalidOutput` when the model's outputs cannot be scored.
    """
    started = time.perf_counter()
    forward = Forward(planned.protocol.forward_batch)
    disturb = Disturbing(planned.disturbance, planned.cell.seed)
    clock = Clock(plan.predictor.device)
    unit = math.lcm(forward.size, planned.disturbance.chunk(plan.predictor))
    step = math.ceil(batch_size / unit) * unit
    columns: list[Mapping[str, np.ndarray]] = []
    order: list[int] = []
    gallery = _gallery(clean, plan)
    with exact_arithmetic(), planned.disturbance.of_model(plan.predictor) as predictor:
        looking = Looking(planned, plan, predictor, forward, task, clock)
        for rows in pixels.batches(step):
            batch = batch_of(plan.data, pixels, rows, predictor.device)
            if plan.data.task == "segmentation":
                disturbed, seen = looking.maps(batch, rows)
            elif plan.data.task == "detection":
                disturbed, seen = looking.objects(batch, rows)
            else:
                disturbed, outputs = _look(disturb, batch, predictor, forward, task, clock)
                labels = _labels(plan.data, rows, outputs[-1], batch)
                seen = _observed(task, planned.disturbance, outputs, labels)
            columns.append(seen)
            order += rows
            gallery.consider(rows, batch, disturbed, columns[-1])
            listener.images_done(len(batch.ids))
        pictures = gallery.pictures(planned, predictor, pixels)
    back = np.argsort(order)  # images of different sizes were taken size after size
    merged = {name: np.concatenate([part[name] for part in columns])[back] for name in columns[0]}
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
    disturb: Disturbing, batch: Batch, predictor: Predictor, forward: Forward, task: Task, clock: Clock
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
            outputs.append(checked(forward(predictor, disturbed), disturbed, task, predictor))


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


def _labels(data: ImageData, rows: Sequence[int], output: Tensor, batch: Batch) -> Tensor:
    """What each output is held against: of several right labels, the one the model finds likeliest."""
    if data.accepted is None:
        return batch.labels
    return nearest_accepted(output, [data.accepted[row] for row in rows])


def _gallery(clean: CleanOutcome | CleanScores | None, plan: ModelPlan) -> "_Gallery | OverlayGallery":
    if plan.data.task == "classification":
        return _Gallery(clean if isinstance(clean, CleanOutcome) else None)
    return OverlayGallery(clean if isinstance(clean, CleanScores) else None, plan)


class _Gallery:
    """Keeps the samples that the model got right when clean and wrong, most confidently, when disturbed."""

    def __init__(self, clean: CleanOutcome | None) -> None:
        self._clean = clean
        self._heap: list[tuple[float, str, int, Picture]] = []

    def consider(self, rows: Sequence[int], batch: Batch, disturbed: Tensor, columns: Mapping[str, np.ndarray]) -> None:
        if self._clean is None or "rank" not in columns:
            return
        flipped = np.flatnonzero(self._clean.correct[list(rows)] & (columns["rank"] > 0))
        for row in sorted(flipped, key=lambda row: -columns["confidence"][row])[:PICTURES_PER_CELL]:
            rank = (float(columns["confidence"][row]), batch.ids[row], int(row))
            if len(self._heap) == PICTURES_PER_CELL and rank < self._heap[0][:3]:
                continue
            picture = Picture(
                id=batch.ids[row],
                label=int(batch.labels[row]),
                clean_prediction=int(self._clean.prediction[rows[int(row)]]),
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


def clean_outcome(store: Store, plan: ModelPlan) -> CleanOutcome | CleanScores | None:
    """The clean cell of this plan as the store holds it; None before it was measured."""
    planned = next((p for p in plan.cells if p.cell.disturbance == "clean"), None)
    if planned is None or planned.key not in store:
        return None
    if plan.data.task != "classification":
        column = IMAGE_SCORES[plan.data.task]
        return CleanScores(store.observations(planned.key, [column]).columns[column])
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
