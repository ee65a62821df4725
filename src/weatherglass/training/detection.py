"""Learning to detect: the recipe's augmentation of images and objects, and the losses of torchvision's detectors."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.utils.data import Dataset

from weatherglass.data.detection import BoxedImages, unusable_annotations
from weatherglass.errors import UserError
from weatherglass.models.detection_predictor import INSIDE, DetectionPredictor
from weatherglass.models.detector import Detector, build_named_detector
from weatherglass.models.detector_names import DETECTORS
from weatherglass.models.initialisation import seeded_initialisation
from weatherglass.randomness import Draws
from weatherglass.tasks.detection import Detection as DetectionTask
from weatherglass.training.boxed import Target, as_target, augmented
from weatherglass.training.objective import Objective, check_dense_settings, check_same_classes
from weatherglass.training.recipe import Recipe
from weatherglass.training.samples import Place
from weatherglass.training.start import Started, fill_dense
from weatherglass.types import DetectionData, ImageData

SCORES = ("box_ap", "box_ap50", "mask_ap", "mask_ap50")
"""What is told of a network while it learns; `evaluate` knows more."""

BoxedBatch = tuple[list[Tensor], list[Target]]
"""Images (3, height, width) in [0, 1] of any sizes, and the objects of each."""


class Detection(Objective[BoxedBatch]):
    """Images with objects, and a recipe."""

    def __init__(self, recipe: Recipe, data: ImageData, validation: ImageData | None) -> None:
        """Raises `UserError` for data without objects, or without masks where the method finds them, where validation
        has other classes than the training data, and for settings that no detector reads."""
        method = DETECTORS[recipe.network.name.partition("/")[0]]
        for each in (data, *([validation] if validation else [])):
            if not isinstance(each, DetectionData):
                raise UserError(f"{recipe.network.name} is a detector; {each.name} has no boxes.")
            if method.masks and not each.has_masks:
                raise UserError(
                    f"{recipe.network.name} learns masks, and {each.name} has boxes alone: take a recipe of "
                    "faster-rcnn or cascade-rcnn, or --set network.name=faster-rcnn/BACKBONE."
                )
        assert isinstance(data, DetectionData)
        assert validation is None or isinstance(validation, DetectionData)
        check_same_classes(data, validation)
        check_dense_settings(recipe)
        if isinstance(data, BoxedImages) and (unusable := unusable_annotations(data)):
            # COCO's training images come with boxes without area. Whoever learns from them leaves those out.
            drawn = sum(len(image.annotations) for image in data.images)
            where, why = next(iter(unusable.items()))
            self.remarks = (
                f"{len(unusable)} of {drawn} objects cannot be learned from and are left out, e.g. annotation {where}: "
                f"{why}.",
            )
            data = data.usable()
        super().__init__(recipe, data, validation, INSIDE)
        self.masks = method.masks
        self.training = data
        self.validation = validation
        self.dataset = AugmentedObjects(data, recipe)

    def build(self) -> nn.Module:
        started = start_detector(self.recipe, classes=len(self.training.classes))
        self.remarks = (*self.remarks, *started.remarks)
        return started.network

    @staticmethod
    def collate(samples: Sequence[tuple[Tensor, Target]]) -> BoxedBatch:
        images, targets = zip(*samples, strict=True)
        return list(images), list(targets)

    def loss(self, model: nn.Module, batch: BoxedBatch, *, key: int, device: torch.device) -> Float[Tensor, ""]:
        images = [image.to(device, non_blocking=True) for image in batch[0]]
        targets = [{name: each.to(device, non_blocking=True) for name, each in row.items()} for row in batch[1]]
        losses: dict[str, Tensor] = model(images, targets)
        return torch.stack(list(losses.values())).sum()

    def score(self, model: nn.Module, device: torch.device, *, workers: int) -> dict[str, float]:
        """AP of boxes and, where they are found, of masks, on whole images one at a time, as `evaluate` sees them."""
        if self.validation is None:
            return {}
        count = len(self.validation.classes)
        predictor = DetectionPredictor(
            model, name=self.recipe.network.name, labels=tuple(range(1, count + 1)), device=device
        )
        task, seen = DetectionTask(), []
        for row in range(len(self.validation)):
            image = self.validation.image(row)[None].to(device).float() / 255
            truth = self.validation.objects(row) if self.masks else self.validation.boxes(row)
            seen.append(task.observe(predictor(image), [truth]))
        columns = {name: np.concatenate([part[name] for part in seen]) for name in seen[0]}
        scores = task.summarise(columns)
        return {name: scores[name] for name in SCORES if name in scores} | {"images": len(self.validation)}

    def description(self, scores: Mapping[str, float]) -> dict[str, Any]:
        """With the recipe's normalisation among the arguments, since a detector normalises by itself."""
        described = super().description(scores)
        return {**described, "arguments": detector_arguments(self.recipe)}


class AugmentedObjects(Dataset[tuple[Tensor, Target]]):
    """Images as the recipe wants them for training, in [0, 1], with what is to be found in them."""

    def __init__(self, data: DetectionData, recipe: Recipe) -> None:
        self.data = data
        self.recipe = recipe
        self.masks = DETECTORS[recipe.network.name.partition("/")[0]].masks

    def __getitem__(self, place: Place) -> tuple[Float[Tensor, "3 height width"], Target]:
        label = f"training epoch {place.epoch} copy {place.copy}"
        draws = Draws(self.recipe.seed, (self.data.ids[place.sample],), label)
        objects = self.data.objects(place.sample) if self.masks else self.data.boxes(place.sample)
        image, objects = augmented(
            self.data.image(place.sample), objects, self.recipe.boxed, flip=self.recipe.augmentation.flip, draws=draws
        )
        return image.float() / 255, as_target(image, objects)


def detector_arguments(recipe: Recipe) -> dict[str, Any]:
    """What the recipe's detector is built with."""
    return {"mean": recipe.mean, "std": recipe.std, **recipe.network.arguments}


def start_detector(recipe: Recipe, *, classes: int) -> Started[Detector]:
    """The recipe's detector with initial weights: fresh from the recipe's seed; `network.start` fills the backbone.

    A checkpoint may be a whole detector, whose last layers are made anew where the classes differ, or a classifier,
    or a published detector, of which the backbone is taken. Raises `UserError` for one that does not fill it.
    """
    chosen = recipe.network
    with seeded_initialisation(recipe.seed):
        model = build_named_detector(chosen.name, classes, detector_arguments(recipe), drop_path=chosen.drop_path)
    remarks = ()
    if chosen.start is not None:
        remarks = (fill_dense(model, model.backbone.backbone, chosen.start, heads=("roi_heads.",)),)
    if chosen.gradient_checkpointing:
        model.backbone.backbone.recompute_activations()
    return Started(model, remarks).in_layout(recipe.channels_last)
