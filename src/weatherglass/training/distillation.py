"""Losses of distillation (Touvron et al., "Training data-efficient image transformers", ICML 2021, section 4)."""

from typing import Literal

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor

from weatherglass.training.recipe import Distillation


def distilled_loss(
    base: Float[Tensor, ""],
    student: Float[Tensor, "batch classes"],
    teacher: Float[Tensor, "batch classes"],
    chosen: Distillation,
) -> Float[Tensor, ""]:
    """(1 - alpha) base + alpha times the teacher's part.

    `base` is the loss on the labels; `student` are the logits of the distillation head (or the only head), `teacher`
    the teacher's on the same augmented images.
    """
    if chosen.kind == "hard":
        taught = hard_loss(student, teacher)
    else:
        taught = soft_loss(student, teacher, chosen.temperature, chosen.reduction)
    return (1 - chosen.weight) * base + chosen.weight * taught


def hard_loss(student: Float[Tensor, "batch classes"], teacher: Float[Tensor, "batch classes"]) -> Float[Tensor, ""]:
    """Cross-entropy with the class the teacher decides for."""
    return F.cross_entropy(student, teacher.argmax(dim=1))


def soft_loss(
    student: Float[Tensor, "batch classes"],
    teacher: Float[Tensor, "batch classes"],
    temperature: float = 1.0,
    reduction: Literal["numel", "batchmean"] = "numel",
) -> Float[Tensor, ""]:
    """tau squared times the divergence KL(teacher || student) of probabilities softened by tau.

    DeiT's code divides the sum by images times classes ('numel'), its paper by images ('batchmean').
    """
    divergence = F.kl_div(
        F.log_softmax(student / temperature, dim=1),
        F.log_softmax(teacher / temperature, dim=1),
        reduction="sum",
        log_target=True,
    )
    images = torch.tensor(student.shape[0] if reduction == "batchmean" else student.numel())
    return divergence * temperature**2 / images
