"""FGSM, PGD and MI-FGSM: one ascent, whose settings make the difference."""

from dataclasses import dataclass

import torch
from torch import Tensor

from weatherglass.attacks.norms import Threat, direction, project, random_start
from weatherglass.attacks.objective import Objective
from weatherglass.errors import UserError
from weatherglass.randomness import Draws
from weatherglass.types import Images

STARTS = ("image", "random")


@dataclass(frozen=True)
class Ascent:
    """How to climb inside the ball."""

    steps: int = 40
    step: float | None = None
    """Length of a step as a share of the radius; None: 2.5 / steps, which can cross the ball (Madry et al. 2018)."""
    restarts: int = 1
    """Climbs from different points; every one but the first starts at a random point."""
    start: str = "image"
    """Where the first climb starts: at the 'image' or at a 'random' point of the ball."""
    momentum: float | None = None
    """Decay of the accumulated gradient, each gradient scaled by its mean absolute value (MI-FGSM); None: none."""
    early_exit: bool = True
    """Leave an image alone once it is fooled. The accuracy is the same; the objective is not driven further up."""
    keep: str = "best"
    """Which iterate is returned: the 'best' (fooled before not fooled, then by objective) or the 'last'."""

    def __post_init__(self) -> None:
        if self.steps < 1 or self.restarts < 1:
            raise UserError(f"An attack needs at least 1 step and 1 start, got {self.steps} and {self.restarts}.")
        if self.step is not None and not 0 < self.step < float("inf"):
            raise UserError(f"A step is a positive share of the radius, such as 0.1; got {self.step:g}.")
        if self.start not in STARTS:
            raise UserError(f"An attack starts at one of: {', '.join(STARTS)}; got '{self.start}'.")
        if self.momentum is not None and not 0 <= self.momentum < float("inf"):
            raise UserError(f"The momentum must be at least 0, got {self.momentum:g}.")

        if self.keep not in ("best", "last"):
            raise UserError(f"An attack keeps its best or its last iterate, not '{self.keep}'.")

    @property
    def step_share(self) -> float:
        """Length of a step as a share of the radius."""
        return self.step if self.step is not None else 2.5 / self.steps


FGSM = Ascent(steps=1, step=1.0, early_exit=False, keep="last")
"""One step as long as the radius (Goodfellow, Shlens and Szegedy, "Explaining and Harnessing Adversarial Examples",
ICLR 2015, section 4)."""


def momentum_ascent(steps: int = 10, decay: float = 1.0) -> Ascent:
    """MI-FGSM (Dong et al., "Boosting Adversarial Attacks with Momentum", CVPR 2018, algorithm 1)."""
    return Ascent(steps=steps, step=1.0 / steps, momentum=decay, early_exit=False, keep="last")


def ascend(objective: Objective, images: Images, threat: Threat, ascent: Ascent, draws: Draws) -> Images:
    """The images in the ball that fool the model, or else those highest on the way (`Ascent.keep`).

    Madry et al., "Towards Deep Learning Models Resistant to Adversarial Attacks" (ICLR 2018), equation 4. A radius of 0
    returns the images. Row i depends on the image, its label and its draws; in the last bits also on its chunk.
    """
    if threat.radius == 0:
        return images.clone()
    best = _Best(objective, images)
    for restart in range(ascent.restarts):
        rows = best.unfinished(ascent.early_exit)
        if not len(rows):
            break
        origin = images[rows]
        start = origin
        if restart or ascent.start == "random":
            start = random_start(images, threat, draws.child(f"restart {restart}"))[rows]
        _climb(objective, origin, start, rows, threat, ascent, best)
    return best.images


class _Best:
    """The best iterate of each image: fooled before not fooled, then by the height of the objective."""

    def __init__(self, objective: Objective, images: Images) -> None:
        self.images = images.clone()
        count = len(images)
        self._height = torch.full((count,), -torch.inf, dtype=torch.float64, device=images.device)
        self._fooled = torch.zeros(count, dtype=torch.bool, device=images.device)

    def unfinished(self, early_exit: bool) -> Tensor:
        """Rows that are still worked on."""
        open_ = ~self._fooled if early_exit else torch.ones_like(self._fooled)
        return open_.nonzero().squeeze(1)

    def consider(self, rows: Tensor, images: Images, height: Tensor, fooled: Tensor) -> None:
        """Keep `images` where they are better than what is kept for their `rows`."""
        known_height, known_fooled = self._height[rows], self._fooled[rows]
        better = (fooled & ~known_fooled) | ((fooled == known_fooled) & (height > known_height))
        chosen = rows[better]
        self.images[chosen] = images[better]
        self._height[chosen] = height[better]
        self._fooled[chosen] = fooled[better]


def _climb(
    objective: Objective, origin: Images, start: Images, rows: Tensor, threat: Threat, ascent: Ascent, best: _Best
) -> None:
    """One climb; what it meets goes to `best`. Fooled images drop out where the ascent exits early."""
    images, length = start, ascent.step_share * threat.radius
    memory = torch.zeros_like(images) if ascent.momentum is not None else None
    for _ in range(ascent.steps):
        seen = objective(images, rows)
        assert seen.gradient is not None
        gradient = seen.gradient
        if ascent.keep == "best":
            best.consider(rows, images, seen.height, seen.fooled)
        if ascent.early_exit and bool(seen.fooled.any()):
            going = ~seen.fooled
            origin, images, rows, gradient = origin[going], images[going], rows[going], gradient[going]
            memory = None if memory is None else memory[going]
            if not len(rows):
                return
        if memory is not None and ascent.momentum is not None:
            scale = gradient.flatten(1).abs().mean(dim=1)[:, None, None, None]
            memory = ascent.momentum * memory + torch.where(scale > 0, gradient / scale, gradient)
            gradient = memory
        images = project(images + length * direction(gradient, threat.norm), origin, threat)
    if ascent.keep == "last":
        best.images[rows] = images
        return
    seen = objective(images, rows, gradient=False)
    best.consider(rows, images, seen.height, seen.fooled)
