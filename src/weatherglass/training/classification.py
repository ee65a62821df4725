"""Learning to classify: the recipe's augmentation, mixing, label smoothing and distillation."""

from collections.abc import Sequence
from typing import Any

import torch
import torch.nn.functional as F
from jaxtyping import Float, Int, UInt8
from torch import Tensor, nn
from torch.utils.data import Dataset, default_collate

from weatherglass.data.geometry import prepare
from weatherglass.errors import UserError
from weatherglass.models.described import build_network
from weatherglass.models.initialisation import seeded_initialisation
from weatherglass.models.predictor import logits_of
from weatherglass.training.distillation import distilled_loss
from weatherglass.training.loading import loaded
from weatherglass.training.objective import Objective
from weatherglass.training.recipe import Recipe
from weatherglass.training.samples import AugmentedImages, seeded_libraries
from weatherglass.training.start import Started, classifiers, fill_classifier
from weatherglass.types import ImageData, Predictor, Preprocessing

LabelledImages = tuple[Float[Tensor, "batch 3 height width"], Int[Tensor, " batch"]]


class Classification(Objective[LabelledImages]):
    """Labelled images and a recipe."""

    def __init__(self, recipe: Recipe, data: ImageData, validation: ImageData | None) -> None:
        """Raises `UserError` where validation has other classes than the training data."""
        if validation is not None and validation.classes != data.classes:
            raise UserError(
                f"{validation.name} has other classes than {data.name}: {_classes(validation)} and {_classes(data)}."
            )
        super().__init__(recipe, data, validation, evaluation_preprocessing(recipe))
        self.training = data
        self.validation = validation
        self.dataset = AugmentedImages(data, recipe)
        self.mixing = make_mixing(recipe, len(data.classes))
        self._teacher: Predictor | None = None

    def build(self) -> nn.Module:
        started = start_network(self.recipe, classes=len(self.training.classes))
        self.remarks = started.remarks
        return started.network

    @staticmethod
    def collate(samples: Sequence[tuple[Tensor, int]]) -> LabelledImages:
        images, labels = zip(*samples, strict=True)
        return torch.stack(images), torch.tensor(labels)

    def loss(self, model: nn.Module, batch: LabelledImages, *, key: int, device: torch.device) -> Float[Tensor, ""]:
        images, labels = (tensor.to(device, non_blocking=True) for tensor in batch)
        images, targets = self.mixed(images, labels, key)
        if self.recipe.channels_last:
            images = images.contiguous(memory_format=torch.channels_last)
        outputs = model(images)
        if self.recipe.distillation.kind == "none":
            return soft_cross_entropy(logits_of(outputs, self.recipe.network.name), targets)
        # A network with a distillation token returns its head's logits beside the classifier's while it trains.
        label_logits, taught_logits = outputs if isinstance(outputs, tuple) else (outputs, outputs)
        base = soft_cross_entropy(label_logits, targets)
        return distilled_loss(base, taught_logits.float(), self._taught(images, device), self.recipe.distillation)

    def mixed(
        self, images: Float[Tensor, "batch 3 height width"], labels: Int[Tensor, " batch"], key: int
    ) -> tuple[Float[Tensor, "batch 3 height width"], Float[Tensor, "batch classes"]]:
        """Mixup or CutMix of mirror images in the batch, whose number is even, drawn from `key`; targets are smoothed
        and sum to 1."""
        if self.mixing is None:
            classes, smoothing = len(self.training.classes), self.recipe.mixing.smoothing
            targets = torch.full((len(labels), classes), smoothing / classes, device=labels.device)
            return images, targets.scatter_add_(1, labels[:, None], torch.full_like(targets[:, :1], 1 - smoothing))
        with seeded_libraries(key):
            return self.mixing(images, labels)

    def score(self, model: nn.Module, device: torch.device, *, workers: int) -> dict[str, float]:
        if self.validation is None:
            return {}
        images = PreparedImages(self.validation, self.preprocessing)
        right, surprise, seen = 0, 0.0, 0
        order = [range(start, min(start + 250, len(images))) for start in range(0, len(images), 250)]
        for pixels, labels in loaded(images, order, default_collate, workers=workers, ahead=2):
            logits = logits_of(model(self.normalised(pixels, device)), self.recipe.network.name).float()
            labels = labels.to(device)
            right += int((logits.argmax(1) == labels).sum())
            surprise += float(F.cross_entropy(logits, labels, reduction="sum"))
            seen += len(labels)
        return {"accuracy": right / seen, "negative log-likelihood": surprise / seen, "images": seen}

    def _taught(self, images: Float[Tensor, "batch 3 height width"], device: torch.device) -> Tensor:
        """The teacher's logits on the images the student sees, with the teacher's own normalisation."""
        if self._teacher is None:
            self._teacher = load_teacher(self.recipe, device, len(self.training.classes))
        mean, std = self.statistics(device)
        with torch.no_grad():
            return self._teacher(images * std + mean)


class PreparedImages(Dataset[tuple[Tensor, int]]):
    """Undisturbed images in the geometry of evaluation, uint8, with their labels."""

    def __init__(self, data: ImageData, preprocessing: Preprocessing) -> None:
        self.data, self.preprocessing = data, preprocessing

    def __len__(self) -> int:
        return len(self.data)

    def __getitem__(self, index: int) -> tuple[UInt8[Tensor, "3 height width"], int]:
        return prepare(self.data.image(index), self.preprocessing), int(self.data.labels[index])


def evaluation_preprocessing(recipe: Recipe) -> Preprocessing:
    """Resize to image size / crop ratio, centre crop, the recipe's normalisation."""
    size = recipe.image_size
    return Preprocessing(
        size=(size, size),
        resize=int(size / recipe.crop_ratio),
        interpolation="bicubic",
        mean=recipe.mean,
        std=recipe.std,
        source="weatherglass train",
    )


def make_mixing(recipe: Recipe, classes: int) -> Any:
    """timm's Mixup with the recipe's numbers; None where neither Mixup nor CutMix is on."""
    from timm.data.mixup import Mixup

    chosen = recipe.mixing
    if not (chosen.mixup or chosen.cutmix):
        return None
    return Mixup(
        chosen.mixup,
        chosen.cutmix,
        prob=chosen.probability,
        switch_prob=chosen.switch,
        label_smoothing=chosen.smoothing,
        num_classes=classes,
    )


def soft_cross_entropy(
    logits: Float[Tensor, "batch classes"], targets: Float[Tensor, "batch classes"]
) -> Float[Tensor, ""]:
    """Mean of -sum(target * log softmax(logits)), in float32."""
    return -(targets * F.log_softmax(logits.float(), dim=1)).sum(dim=1).mean()


def start_network(recipe: Recipe, *, classes: int) -> Started[nn.Module]:
    """The recipe's network with initial weights: fresh from the recipe's seed, or from its checkpoint.

    A checkpoint brings everything but a classifier of another number of classes. Raises `UserError` for one that lacks
    more.
    """
    chosen = recipe.network
    with seeded_initialisation(recipe.seed):
        model = build_network(
            chosen.name, chosen.arguments, classes=classes, drop_path=chosen.drop_path, image_size=recipe.image_size
        )
    if chosen.head_scale != 1:
        _scale_classifier(model, chosen.head_scale)  # before a trained one takes its place
    remarks = () if chosen.start is None else (fill_classifier(model, chosen.start),)
    if chosen.gradient_checkpointing:
        model.set_grad_checkpointing(True)  # pyright: ignore[reportCallIssue]
    if recipe.distillation.kind != "none" and hasattr(model, "set_distilled_training"):
        model.set_distilled_training(True)  # pyright: ignore[reportCallIssue]
    return Started(model, remarks).in_layout(recipe.channels_last)


def load_teacher(recipe: Recipe, device: torch.device, classes: int) -> Predictor:
    """The recipe's teacher; it must know the student's classes."""
    from weatherglass.models.load import load_predictor

    chosen = recipe.distillation
    teacher = load_predictor(chosen.teacher, checkpoint=chosen.teacher_checkpoint or None, device=device)
    if teacher.classes != classes:
        raise UserError(f"The teacher {chosen.teacher} has {teacher.classes} classes, the training data {classes}.")
    return teacher


def _scale_classifier(model: nn.Module, factor: float) -> None:
    with torch.no_grad():
        for layer in classifiers(model):
            for parameter in layer.parameters():
                parameter.mul_(factor)


def _classes(data: ImageData) -> str:
    shown = ", ".join(data.classes[:3])
    return f"{len(data.classes)} ({shown}{', ...' if len(data.classes) > 3 else ''})"
