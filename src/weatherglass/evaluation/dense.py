"""Masks and objects: what a segmenter or a detector makes of a batch, and the pictures that show it."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from weatherglass.data.detection import true_objects
from weatherglass.data.segmentation import class_map, prepared_mask
from weatherglass.data.segmentation_classes import palette
from weatherglass.evaluation.forward import Clock, Forward, batch_of, checked, find_objects
from weatherglass.evaluation.pictures import encode_objects, encode_overlay
from weatherglass.evaluation.pixels import PixelFile
from weatherglass.evaluation.plan import ModelPlan, PlannedCell
from weatherglass.evaluation.record import IMAGE_SCORES, Overlay
from weatherglass.tasks.task import Task
from weatherglass.types import Batch, DetectionData, Objects, Predictor, SegmentationData

PICTURES_PER_CELL = 2
"""Samples of each disturbed cell that are kept as pictures for the gallery."""


@dataclass(frozen=True)
class Looking:
    """What stays the same while the batches of a cell go by."""

    planned: PlannedCell
    plan: ModelPlan
    predictor: Predictor
    forward: Forward
    task: Task
    clock: Clock

    def maps(self, batch: Batch, rows: Sequence[int]) -> tuple[Tensor, Mapping[str, np.ndarray]]:
        """The disturbed images, and what is kept of their maps; observed pass by pass, since maps fill the memory."""
        data, disturbance, seed = self.plan.data, self.planned.disturbance, self.planned.cell.seed
        assert isinstance(data, SegmentationData)
        with self.clock.running("disturb"):
            disturbed = disturbance.of_input(batch, self.predictor, seed=seed)
            masks = [prepared_mask(class_map(data, row), self.predictor.preprocessing) for row in rows]
            truth = disturbance.of_masks(torch.stack(masks), batch.ids, seed=seed)
        seen = []
        for images, answers in zip(disturbed.split(self.forward.size), truth.split(self.forward.size), strict=True):
            with self.clock.running("predict"):
                output = checked(self.forward(self.predictor, images), images, self.task, self.predictor)
            seen.append(self.task.observe(output, answers))
        return disturbed, {name: np.concatenate([part[name] for part in seen]) for name in seen[0]}

    def objects(self, batch: Batch, rows: Sequence[int]) -> tuple[Tensor, Mapping[str, np.ndarray]]:
        """The disturbed images, and what is kept of the objects found in them."""
        data = self.plan.data
        assert isinstance(data, DetectionData)
        with self.clock.running("disturb"):
            disturbed = self.planned.disturbance.of_input(batch, self.predictor, seed=self.planned.cell.seed)
        with self.clock.running("predict"):
            found = find_objects(self.predictor, disturbed)
        drawn = any(one.masks is not None for one in found)
        truth = [true_objects(data, row, masks=drawn) for row in rows]
        return disturbed, self.task.observe(found, truth)


@dataclass(frozen=True)
class CleanScores:
    """The score of each undisturbed image by itself, to know which ones a disturbance harmed."""

    scores: np.ndarray


class OverlayGallery:
    """Keeps the images whose own score falls most, with what was found drawn over them."""

    def __init__(self, clean: CleanScores | None, plan: ModelPlan) -> None:
        self._clean, self._plan = clean, plan
        self._column = IMAGE_SCORES[plan.data.task]
        self._falls: list[tuple[float, int, float]] = []

    def consider(self, rows: Sequence[int], batch: Batch, disturbed: Tensor, columns: Mapping[str, np.ndarray]) -> None:
        if self._clean is None:
            return
        scores = columns[self._column]
        falls = self._clean.scores[list(rows)] - scores
        self._falls += [
            (float(fall), row, float(score)) for fall, row, score in zip(falls, rows, scores, strict=True) if fall > 0
        ]
        self._falls = sorted(self._falls, reverse=True)[:PICTURES_PER_CELL]

    def pictures(self, planned: PlannedCell, predictor: Predictor, pixels: PixelFile) -> list[Overlay]:
        """Draw them; the disturbed pixels depend on the sample alone, so they are made again."""
        drawn = []
        for _, row, score in self._falls:
            batch = batch_of(self._plan.data, pixels, [row], predictor.device)
            disturbed = planned.disturbance.of_input(batch, predictor, seed=planned.cell.seed)
            clean, after = (self._draw(predictor, images) for images in (batch.images, disturbed))
            assert self._clean is not None
            drawn.append(Overlay(batch.ids[0], float(self._clean.scores[row]), score, clean, after))
        return drawn

    def _draw(self, predictor: Predictor, images: Tensor) -> bytes:
        names = self._plan.data.classes
        if self._plan.data.task == "detection":
            found: Objects = find_objects(predictor, images)[0]
            return encode_objects(images[0], found, names)
        return encode_overlay(images[0], Forward(1)(predictor, images).argmax(dim=1)[0], palette(names))
