"""What an attack sees of a model: objective, gradient and success of each image, in passes of one fixed size."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from weatherglass.types import Images, Logits, Predictor

OBJECTIVE = "log odds against the true class"
"""What is climbed, for the protocol; another name wherever it changes what an attack finds."""


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

    height: Float[Tensor, " images"]
    """Log of the odds against the true class in nats, float64; -inf where no other class can win."""
    fooled: Bool[Tensor, " images"]
    """Whether another class has an output at least as large as that of the true class, as the task counts it."""
    gradient: Float[Tensor, "images 3 height width"] | None = None
    """Of the height of each image with respect to its pixels; None where it was not asked for."""


@dataclass(frozen=True)
class Objective:
    """The log of the odds against the true classes, log((1 - p) / p), as a function of the images.

    It rises and falls with the cross-entropy, log(1 + odds), and its gradient is that of the cross-entropy divided by
    1 - p, so it points the same way. But the cross-entropy of a confident model and its gradient p - 1 underflow to 0
    (in float16 from a margin of some 17 between the outputs, in float32 of some 100, in float64 of some 700), which
    hides the way uphill; the odds never do. Every attack here takes the direction of a gradient alone, not its length.

    Weights are never differentiated, and nothing is left in their `.grad`.
    """

    predictor: Predictor
    labels: Int[Tensor, " batch"]

    def __call__(self, images: Images, rows: Int[Tensor, " images"] | None = None, *, gradient: bool = True) -> Seen:
        """Height, success and perhaps gradient of `images`, which belong to `rows` of the batch (None: to all)."""
        labels = self.labels if rows is None else self.labels[rows]
        size = working_size(self.predictor)
        step = self._with_gradient if gradient else self._without
        parts = [step(*pair, size) for pair in zip(images.split(size), labels.split(size), strict=True)]
        return Seen(
            torch.cat([part.height for part in parts]),
            torch.cat([part.fooled for part in parts]),
            torch.cat([part.gradient for part in parts if part.gradient is not None]) if gradient else None,
        )

    def _with_gradient(self, images: Images, labels: Tensor, size: int) -> Seen:
        count = len(images)
        padded, padded_labels = _pad(images, size), _pad(labels, size)
        with torch.enable_grad():
            leaf = padded.detach().requires_grad_()
            height, fooled = _height_and_success(self.predictor(leaf), padded_labels)
            (gradient,) = torch.autograd.grad(height.sum(), leaf)
        return Seen(height.detach()[:count], fooled[:count], gradient[:count])

    def _without(self, images: Images, labels: Tensor, size: int) -> Seen:
        count = len(images)
        with torch.no_grad():
            height, fooled = _height_and_success(self.predictor(_pad(images, size)), _pad(labels, size))
        return Seen(height[:count], fooled[:count])


def padded_forward(predictor: Predictor) -> Callable[[Images], Logits]:
    """`predictor` in passes of the fixed size, for any number of images, with the gradient mode of the caller."""
    size = working_size(predictor)

    def forward(images: Images) -> Logits:
        return torch.cat([predictor(_pad(part, size))[: len(part)] for part in images.split(size)])

    return forward


def _height_and_success(logits: Logits, labels: Tensor) -> tuple[Tensor, Tensor]:
    wide = logits.double()
    true = wide.gather(1, labels[:, None])
    # Not -inf: where no other class has a finite output, the gradient of logsumexp would be no number.
    lowest = torch.finfo(wide.dtype).min
    others = wide.scatter(1, labels[:, None], lowest).logsumexp(dim=1)
    height = torch.where(others > lowest, others - true.squeeze(1), -torch.inf)
    # A tie counts against the model, as it does when the task scores the output.
    return height, ((wide >= true).sum(dim=1) > 1).detach()


def _pad(rows: Tensor, size: int) -> Tensor:
    missing = size - len(rows)
    return rows if missing == 0 else torch.cat([rows, rows[-1:].expand(missing, *rows.shape[1:])])
