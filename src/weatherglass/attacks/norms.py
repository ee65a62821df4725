"""Balls of perturbations: their norms, projections onto them, random points in them."""

from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from weatherglass.errors import UserError
from weatherglass.randomness import Draws
from weatherglass.types import Images

NORMS = ("linf", "l2")
TOLERANCE = 1e-6
"""How far rounding in float32 may leave a perturbation outside its ball."""


@dataclass(frozen=True)
class Threat:
    """What an attacker may do: any perturbation of pixels in [0, 1] whose norm is at most `radius`."""

    norm: str
    radius: float

    def __post_init__(self) -> None:
        if self.norm not in NORMS:
            raise UserError(f"The norm '{self.norm}' is not known; known are {', '.join(NORMS)}.")
        if not 0 <= self.radius < float("inf"):
            raise UserError(f"The radius must be a finite number of at least 0, got {self.radius:g}.")
        if self.norm == "linf" and self.radius > 1:
            raise UserError(
                f"A radius of {self.radius:g} in the max norm is more than all of [0, 1]. Pixels are in [0, 1]: "
                f"write {self.radius:g}/255 for grey levels."
            )


def perturbation_norm(perturbation: Float[Tensor, "batch 3 height width"], norm: str) -> Float[Tensor, " batch"]:
    """The norm of each row: the largest absolute value ('linf') or the Euclidean length ('l2')."""
    flat = perturbation.flatten(1)
    return flat.abs().amax(dim=1) if norm == "linf" else torch.linalg.vector_norm(flat, dim=1)


def project(images: Images, origin: Images, threat: Threat) -> Images:
    """The point of (ball around `origin`) x [0, 1] nearest to `images`, exact for 'linf'.

    For 'l2' the ball comes first and then the box, which never leaves the ball since `origin` lies in the box.
    """
    if threat.norm == "linf":
        return torch.clamp(images, origin - threat.radius, origin + threat.radius).clamp_(0, 1)
    perturbation = images - origin
    length = perturbation_norm(perturbation, "l2").clamp(min=1e-30)
    shrink = (threat.radius / length).clamp(max=1.0)
    return (origin + perturbation * shrink[:, None, None, None]).clamp_(0, 1)


def direction(gradient: Float[Tensor, "batch 3 height width"], norm: str) -> Float[Tensor, "batch 3 height width"]:
    """The unit step that raises a linear function most: the sign ('linf') or the normalised gradient ('l2').

    Zero where the gradient is zero: a perturbation of such an image stays as it is.
    """
    if norm == "linf":
        return gradient.sign()
    # Scaling by the largest entry first keeps the squares of tiny gradients from vanishing.
    largest = gradient.flatten(1).abs().amax(dim=1)[:, None, None, None]
    scaled = torch.where(largest > 0, gradient / largest, torch.zeros_like(gradient))
    length = perturbation_norm(scaled, "l2")[:, None, None, None]
    return torch.where(length > 0, scaled / length, scaled)


def random_start(origin: Images, threat: Threat, draws: Draws) -> Images:
    """A point drawn uniformly from the ball around each image, moved into [0, 1]."""
    shape = origin.shape[1:]
    if threat.norm == "linf":
        shift = (2 * draws.uniform("start", *shape, device=origin.device) - 1) * threat.radius
        return project(origin + shift, origin, threat)
    size = origin[0].numel()
    way = direction(draws.normal("direction", *shape, device=origin.device), "l2")
    length = draws.uniform("length", 1, 1, 1, device=origin.device) ** (1 / size)
    return project(origin + way * (length * threat.radius), origin, threat)


def check_ball(images: Images, origin: Images, threat: Threat) -> None:
    """Raise `AssertionError` where a perturbation leaves its ball, or an image leaves [0, 1] or is not a number."""
    assert torch.isfinite(images).all(), "an attack returned values that are not finite"
    assert float(images.min()) >= 0 and float(images.max()) <= 1, "an attack left [0, 1]"
    largest = float(perturbation_norm(images - origin, threat.norm).max())
    assert largest <= threat.radius * (1 + TOLERANCE) + TOLERANCE, f"an attack left its ball: {largest} in {threat}"
