"""`Attacked`: a gradient attack, AutoAttack or the random control as a disturbance of the input."""

from dataclasses import dataclass, replace

import torch

from weatherglass.attacks.gradient import FGSM, Ascent, ascend, momentum_ascent
from weatherglass.attacks.names import ATTACKS
from weatherglass.attacks.norms import Threat, check_ball, project
from weatherglass.attacks.objective import OBJECTIVE, Objective, pass_size
from weatherglass.errors import UserError
from weatherglass.randomness import Draws
from weatherglass.types import Batch, Disturbance, Images, Predictor

CHUNK_PASSES = 4
"""Forward passes in a chunk: images that are fooled early make room in the passes for the others."""

AUTOATTACK_VERSIONS = ("standard", "apgd")
"""The whole ensemble, or its two gradient attacks alone (custom version: APGD-CE and targeted APGD-DLR)."""


@dataclass(frozen=True)
class Attacked(Disturbance):
    """The strongest perturbation of bounded norm that an attack finds, white box, untargeted, on pixels in [0, 1]."""

    name: str
    """A name of `ATTACKS`."""
    radius: float
    """Of the ball, in pixels of [0, 1]: 8/255 means eight grey levels."""
    ascent: Ascent | None = None
    """How PGD and its like climb; None: the default of the attack."""
    version: str = "standard"
    """Of AutoAttack: see `AUTOATTACK_VERSIONS`."""

    def __post_init__(self) -> None:
        Threat(ATTACKS[self.name].norm, self.radius)
        if self.version not in AUTOATTACK_VERSIONS:
            raise UserError(f"AutoAttack's version is one of {', '.join(AUTOATTACK_VERSIONS)}, not '{self.version}'.")
        if self.ascent is None:
            object.__setattr__(self, "ascent", default_ascent(self.name))

    @property
    def threat(self) -> Threat:
        """The ball of perturbations."""
        return Threat(ATTACKS[self.name].norm, self.radius)

    def __str__(self) -> str:
        return f"{self.kind}@{radius_text(self.radius, self.threat.norm)}"

    @property
    def family(self) -> str:
        return "attack"

    @property
    def severity(self) -> float:
        """The radius."""
        return self.radius

    @property
    def kind(self) -> str:
        """The attack with those options that differ from its defaults, e.g. 'pgd-50:restarts=2'."""
        if self.name.startswith("autoattack"):
            return self.name if self.version == "standard" else f"{self.name}:version={self.version}"
        ascent, usual = self.ascent, default_ascent(self.name)
        assert ascent is not None
        assert usual is not None
        steps = f"-{ascent.steps}" if ascent.steps != usual.steps else ""
        given = {
            "step": f"{ascent.step:g}" if ascent.step is not None and self.name.startswith("pgd") else None,
            "restarts": str(ascent.restarts) if ascent.restarts != usual.restarts else None,
            "start": ascent.start if ascent.start != usual.start else None,
            "exit": "never" if usual.early_exit and not ascent.early_exit else None,
            "momentum": f"{ascent.momentum:g}" if ascent.momentum != usual.momentum else None,
        }
        options = ",".join(f"{name}={value}" for name, value in given.items() if value is not None)
        return f"{self.name}{steps}{':' if options else ''}{options}"

    @property
    def passes(self) -> float:
        """An upper bound: images that are fooled early cost less."""
        if self.name == "random_sign":
            return 0
        if self.name.startswith("autoattack"):
            # 100 iterations of APGD-CE and of APGD-DLR and FAB for 9 targets, 5,000 queries of Square.
            return 3 * 100 * 10 if self.version == "apgd" else 3 * 100 * 19 + 5000
        assert self.ascent is not None
        return 3 * self.ascent.steps * self.ascent.restarts + 1

    @property
    def needs_labels(self) -> bool:
        return self.name != "random_sign"

    def protocol(self, height: int, width: int) -> dict[str, str]:
        """Everything that decides the perturbation, written out."""
        entries = {"attack": ATTACKS[self.name].description, "norm": self.threat.norm, "radius": repr(self.radius)}
        if self.name.startswith("autoattack"):
            from weatherglass.attacks.adaptive import library_version

            return entries | {"autoattack": f"{self.version}, pyautoattack {library_version()}"}
        if self.name == "random_sign" or self.ascent is None:
            return entries
        ascent = self.ascent
        return entries | {
            "objective": OBJECTIVE,
            "steps": f"{ascent.steps} of {ascent.step_share:g} radii, {ascent.keep} iterate",
            "starts": f"{ascent.restarts}, first at {'a random point' if ascent.start == 'random' else 'the image'}",
            "momentum": "none" if ascent.momentum is None else f"{ascent.momentum:g}",
            "early exit": str(ascent.early_exit),
        }

    def chunk(self, predictor: Predictor) -> int:
        return CHUNK_PASSES * pass_size(predictor)

    def check(self, predictor: Predictor) -> None:
        """Raise `UserError` for a model without gradients, and what AutoAttack refuses."""
        if ATTACKS[self.name].gradient and not predictor.differentiable:
            raise UserError(
                f"{predictor.name} gives no gradients, which {self.name} needs. Attack a PyTorch model and measure "
                f"how its examples transfer, or use rotation_translation or corruptions, which need none."
            )
        if self.name.startswith("autoattack"):
            from weatherglass.attacks.adaptive import check_autoattack

            check_autoattack(predictor)

    def of_input(self, batch: Batch, predictor: Predictor, *, seed: int) -> Images:
        """The adversarial images, float32 in [0, 1]; checked to lie in the ball whatever the attack did."""
        images = batch.images.float() / 255 if batch.images.dtype == torch.uint8 else batch.images
        labels = batch.labels.to(images.device)
        chunk = self.chunk(predictor)
        parts = [
            self._attacked(images[k : k + chunk], labels[k : k + chunk], batch.ids[k : k + chunk], predictor, seed)
            for k in range(0, len(images), chunk)
        ]
        found = project(torch.cat(parts), images, self.threat)
        check_ball(found, images, self.threat)
        return found

    def _attacked(
        self, images: Images, labels: torch.Tensor, ids: tuple[str, ...], predictor: Predictor, seed: int
    ) -> Images:
        # The label leaves out the radius: a sweep uses the same random directions at every radius.
        draws = Draws(seed, ids, self.kind)
        if self.radius == 0:
            return images
        if self.name == "random_sign":
            signs = 2.0 * draws.integers("sign", 2, *images.shape[1:], device=images.device) - 1
            return images + self.radius * signs
        if self.name.startswith("autoattack"):
            from weatherglass.attacks.adaptive import autoattack

            return autoattack(predictor, images, labels, self.threat, version=self.version, seed=seed, ids=ids)
        assert self.ascent is not None
        return ascend(Objective(predictor, labels), images, self.threat, self.ascent, draws)


def default_ascent(name: str) -> Ascent | None:
    """How an attack climbs by default; the one of PGD where the name needs none."""
    return {"fgsm": FGSM, "mifgsm": momentum_ascent()}.get(name, Ascent(steps=ATTACKS[name].steps or 1))


def with_steps(ascent: Ascent, steps: int, name: str) -> Ascent:
    """`ascent` with another number of steps; MI-FGSM keeps the sum of its steps equal to the radius."""
    return replace(ascent, steps=steps, step=1.0 / steps if name == "mifgsm" else ascent.step)


def radius_text(radius: float, norm: str) -> str:
    """'8/255' for quarters of a grey level in the max norm, else the shortest number that means the same."""
    quarters = round(radius * 1020)
    if norm == "linf" and quarters and abs(quarters / 1020 - radius) < 1e-9:
        return f"{quarters / 4:g}/255"
    return f"{radius!r}".removesuffix(".0")
