"""What an attack sees of a model: loss, gradient and success of each image, in passes of one fixed size."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from jaxtyping import Bool, Float, Int
from torch import Tensor

from weatherglass.types import Images, Logits, Predictor


def pass_size(predictor: Predictor) -> int:
    """Images in a forward or backward pass: fixed, because the roundings of matrix products depend on it."""
    return 256 if predictor.device.type == "cuda" else 32


_LARGEST: ContextVar[int | None] = ContextVar("largest pass of an attack", default=None)


@contextmanager
def passes_of_at_most(images: int | None) -> Iterator[None]:
    """Inside, passes hold at most so many images (None: `pass_size`): for a model that does not fit into memory.

    Chunks and random numbers stay as they are; numbers change in the last bits.
    """
    token = _LARGEST.set(images)
    try:
        yield
    finally:
        _LARGEST.reset(token)


def working_size(predictor: Predictor) -> int:
    """Images in a pass now: `pass_size`, or fewer where memory was short."""
    return min(pass_size(predictor), _LARGEST.get() or pass_size(predictor))


@dataclass(frozen=True)
class Seen:
    """What was seen of some images."""

    loss: Float[Tensor, " images"]
    """Cross-entropy of the true class in nats, float64."""
    fooled: Bool[Tensor, " images"]
    """Whether another class has an output at least as large as that of the true class, as the task counts it."""
    gradient: Float[Tensor, "images 3 height width"] | None = None
    """Of the loss of each image with respect to its pixels; None where it was not asked for."""


@dataclass(frozen=True)
class Objective:
    """The cross-entropy of the true classes as a function of the images.

    The loss is taken in float64: in float32 it is exactly 0 for a confident model, and its gradient with it, which
    hides the way uphill. Weights are never differentiated, and nothing is left in their `.grad`.
    """

    predictor: Predictor
    labels: Int[Tensor, " batch"]

    def __call__(self, images: Images, rows: Int[Tensor, " images"] | None = None, *, gradient: bool = True) -> Seen:
        """Loss, success and perhaps gradient of `images`, which belong to `rows` of the batch (None: to all)."""
        labels = self.labels if rows is None else self.labels[rows]
        size = working_size(self.predictor)
        step = self._with_gradient if gradient else self._without
        parts = [step(*pair, size) for pair in zip(images.split(size), labels.split(size), strict=True)]
        return Seen(
            torch.cat([part.loss for part in parts]),
            torch.cat([part.fooled for part in parts]),
            torch.cat([part.gradient for part in parts if part.gradient is not None]) if gradient else None,
        )

    def _with_gradient(self, images: Images, labels: Tensor, size: int) -> Seen:
        count = len(images)
        padded, padded_labels = _pad(images, size), _pad(labels, size)
        with torch.enable_grad():
            leaf = padded.detach().requires_grad_()
            loss, fooled = _loss_and_success(self.predictor(leaf), padded_labels)
            (gradient,) = torch.autograd.grad(loss.sum(), leaf)
        return Seen(loss.detach()[:count], fooled[:count], gradient[:count])

    def _without(self, images: Images, labels: Tensor, size: int) -> Seen:
        count = len(images)
        with torch.no_grad():
            loss, fooled = _loss_and_success(self.predictor(_pad(images, size)), _pad(labels, size))
        return Seen(loss[:count], fooled[:count])


def padded_forward(predictor: Predictor) -> Callable[[Images], Logits]:
    """`predictor` in passes of the fixed size, for any number of images, with the gradient mode of the caller."""
    size = working_size(predictor)

    def forward(images: Images) -> Logits:
        return torch.cat([predictor(_pad(part, size))[: len(part)] for part in images.split(size)])

    return forward


def _loss_and_success(logits: Logits, labels: Tensor) -> tuple[Tensor, Tensor]:
    loss = F.cross_entropy(logits.double(), labels, reduction="none")
    true = logits.gather(1, labels[:, None])
    # A tie counts against the model, as it does when the task scores the output.
    return loss, ((logits >= true).sum(dim=1) > 1).detach()


def _pad(rows: Tensor, size: int) -> Tensor:
    missing = size - len(rows)
    return rows if missing == 0 else torch.cat([rows, rows[-1:].expand(missing, *rows.shape[1:])])
