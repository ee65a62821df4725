"""Learning to segment: the recipe's augmentation of images and masks, and pixel-wise cross-entropy."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn
from torch.utils.data import Dataset

from weatherglass.data.geometry import prepare
from weatherglass.data.segmentation import prepared_mask
from weatherglass.errors import UserError
from weatherglass.models.initialisation import seeded_initialisation
from weatherglass.models.segmenter import Segmenter, build_named_segmenter
from weatherglass.randomness import Draws
from weatherglass.tasks.segmentation import Segmentation as SegmentationTask
from weatherglass.training.masked import cropped, distorted, mirrored, rescaled
from weatherglass.training.objective import Objective, check_dense_settings, check_same_classes
from weatherglass.training.recipe import Recipe
from weatherglass.training.samples import Place
from weatherglass.training.start import Started, fill_dense
from weatherglass.types import IGNORE, ImageData, Masks, Preprocessing, SegmentationData

MaskedBatch = tuple[Float[Tensor, "batch 3 height width"], Masks]

SCORED_AT_ONCE = 4

KEPT_PIXELS = 100_000_000
"""Pixels of shrunk images that a loading process keeps: 400 MB with their masks."""


class Segmentation(Objective[MaskedBatch]):
    """Images with masks, and a recipe."""

    def __init__(self, recipe: Recipe, data: ImageData, validation: ImageData | None) -> None:
        """Raises `UserError` for data without masks, where validation has other classes than the training data, and for
        settings that no segmenter reads."""
        for each in (data, *([validation] if validation else [])):
            if not isinstance(each, SegmentationData):
                raise UserError(f"{recipe.network.name} is a segmenter; {each.name} has no masks.")
        assert isinstance(data, SegmentationData)
        assert validation is None or isinstance(validation, SegmentationData)
        check_same_classes(data, validation)
        check_dense_settings(recipe)
        super().__init__(recipe, data, validation, evaluation_preprocessing(recipe))
        self.training = data
        self.validation = validation
        self.dataset = AugmentedMasks(data, recipe)

    def build(self) -> nn.Module:
        started = start_segmenter(self.recipe, classes=len(self.training.classes))
        self.remarks = started.remarks
        return started.network

    @staticmethod
    def collate(samples: Sequence[tuple[Tensor, Tensor]]) -> MaskedBatch:
        images, masks = zip(*samples, strict=True)
        return torch.stack(images), torch.stack(masks)

    def loss(self, model: nn.Module, batch: MaskedBatch, *, key: int, device: torch.device) -> Float[Tensor, ""]:
        images, masks = (tensor.to(device, non_blocking=True) for tensor in batch)
        if self.recipe.channels_last:
            images = images.contiguous(memory_format=torch.channels_last)
        return weighted_loss(model(images), masks)

    def score(self, model: nn.Module, device: torch.device, *, workers: int) -> dict[str, float]:
        if self.validation is None:
            return {}
        task, seen = SegmentationTask(), []
        for start in range(0, len(self.validation), SCORED_AT_ONCE):
            rows = range(start, min(start + SCORED_AT_ONCE, len(self.validation)))
            pixels = torch.stack([prepare(self.validation.image(row), self.preprocessing) for row in rows])
            masks = torch.stack([prepared_mask(self.validation.mask(row), self.preprocessing) for row in rows])
            scores = model(self.normalised(pixels, device))
            seen.append(task.observe(scores.float(), masks))
        columns = {name: np.concatenate([part[name] for part in seen]) for name in seen[0]}
        return {**task.summarise(columns), "images": len(self.validation)}


class AugmentedMasks(Dataset[tuple[Tensor, Tensor]]):
    """Images as the recipe wants them for training, augmented and normalised, with their masks."""

    def __init__(self, data: SegmentationData, recipe: Recipe) -> None:
        self.data = data
        self.recipe = recipe
        self._shrunk: dict[int, tuple[Tensor, Tensor]] = {}
        """Images that were brought to `masked.size`, and their masks; decoding large ones again would cost most."""

    def __getitem__(self, place: Place) -> tuple[Float[Tensor, "3 side side"], Tensor]:
        recipe, chosen = self.recipe, self.recipe.masked
        label = f"training epoch {place.epoch} copy {place.copy}"
        draws = Draws(recipe.seed, (self.data.ids[place.sample],), label)
        image, mask = self._at_size(place.sample)
        low, high = chosen.scale
        factor = low + (high - low) * float(draws.uniform("scale", 1)[0, 0])
        image, mask = rescaled(image, mask, round(mask.shape[0] * factor), round(mask.shape[1] * factor))
        image, mask = cropped(image, mask, recipe.image_size, largest_share=chosen.largest_share, draws=draws)
        image, mask = mirrored(image, mask, chance=recipe.augmentation.flip, draws=draws)
        if chosen.distortion:
            image = distorted(image, draws=draws)
        mean, std = (torch.tensor(values).view(3, 1, 1) for values in (recipe.mean, recipe.std))
        return (image.float() / 255 - mean) / std, mask.contiguous()

    def _at_size(self, sample: int) -> tuple[Tensor, Tensor]:
        """An image and its mask, brought to `masked.size` where the recipe names one; kept while there is room."""
        if sample in self._shrunk:
            return self._shrunk[sample]
        image, mask = self.data.image(sample), self.data.mask(sample)
        if self.recipe.masked.size is None:
            return image, mask
        pair = rescaled(image, mask, *self.recipe.masked.size)
        if len(self._shrunk) < KEPT_PIXELS // pair[1].numel():
            self._shrunk[sample] = pair
        return pair


def weighted_loss(scores: Any, masks: Masks) -> Float[Tensor, ""]:
    """Mean cross-entropy of the counted pixels; of several scores (auxiliary heads) the weighted sum.

    A batch without any counted pixel has the loss 0, and gradients of 0.
    """
    if isinstance(scores, Tensor):
        scores = [(scores, 1.0)]
    target = masks.long()
    counted = (target != IGNORE).sum().clamp(min=1)
    losses = [
        weight * F.cross_entropy(each.float(), target, ignore_index=IGNORE, reduction="sum") / counted
        for each, weight in scores
    ]
    return torch.stack(losses).sum()


def start_segmenter(recipe: Recipe, *, classes: int) -> Started[Segmenter]:
    """The recipe's segmenter with initial weights: fresh from the recipe's seed; `network.start` fills the backbone.

    A checkpoint may be a whole segmenter, or a classifier or a published segmenter, whose head is left out. Raises
    `UserError` for one that does not fill the backbone.
    """
    chosen = recipe.network
    with seeded_initialisation(recipe.seed):
        model = build_named_segmenter(chosen.name, classes, chosen.arguments, drop_path=chosen.drop_path)
    remarks = ()
    if chosen.start is not None:
        remarks = (fill_dense(model, model.backbone, chosen.start, heads=("head.",)),)
    if chosen.gradient_checkpointing:
        model.backbone.recompute_activations()
    return Started(model, remarks).in_layout(recipe.channels_last)


def evaluation_preprocessing(recipe: Recipe) -> Preprocessing:
    """Images at the size the recipe names, or at their own, and its normalisation."""
    return Preprocessing(
        resize=recipe.masked.size,
        interpolation="bilinear",
        mean=recipe.mean,
        std=recipe.std,
        source="weatherglass train",
    )
