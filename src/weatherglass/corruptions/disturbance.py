"""`Corrupted`: a corruption as a disturbance of the input, with every choice that decides its pixels."""

from dataclasses import dataclass, replace

from weatherglass.corruptions.digital import elastic_masks
from weatherglass.corruptions.engine import (
    Step,
    backend_used,
    check_choices,
    corrupt,
    labelled,
    level_of,
    parse_steps,
)
from weatherglass.corruptions.frost import frost_textures
from weatherglass.corruptions.level import Level, calibration_for
from weatherglass.corruptions.severity import CORRUPTIONS
from weatherglass.errors import UserError
from weatherglass.randomness import Draws
from weatherglass.types import Batch, Disturbance, Images, Masks, Pixels, Predictor

MOVING = frozenset({"elastic_transform", "pinch_and_twirl"})
"""Corruptions after which things lie elsewhere in the picture."""


@dataclass(frozen=True)
class Corrupted(Disturbance):
    """One corruption, or several one after another, at given severities."""

    name: str
    """A corruption ('fog') or a composition ('fog+motion_blur', 'fog@3+motion_blur@2')."""
    severity: float | None = None  # pyright: ignore[reportIncompatibleMethodOverride]
    """1..5, whole or fractional; None where every part of `name` has its own."""
    definition: str = "imagecorruptions"
    calibration: int | str = "auto"
    frost: str = "auto"
    backend: str = "auto"
    reencode: str | None = None

    def __post_init__(self) -> None:
        parts = self.name.split("+")
        if self.severity is None and not all("@" in part for part in parts):
            raise UserError(f"The corruption {self.name!r} needs a severity: write e.g. '{parts[0]}@3'.")
        steps = parse_steps(self.name, self.severity if self.severity is not None else 1)
        severities = {step.severity for step in steps}
        # One severity for all parts, or one for each of them: equal corruptions get equal fields and one text form.
        if len(severities) == 1:
            object.__setattr__(self, "name", "+".join(step.name for step in steps))
            object.__setattr__(self, "severity", severities.pop())
        else:
            object.__setattr__(self, "name", "+".join(str(step) for step in steps))
            object.__setattr__(self, "severity", None)

    def __str__(self) -> str:
        return "+".join(str(step) for step in self._steps)

    @property
    def _steps(self):
        return parse_steps(self.name, self.severity if self.severity is not None else 1)

    @property
    def family(self) -> str:
        """The family of its one corruption, or 'composition'."""
        families = [CORRUPTIONS[step.name].family for step in self._steps]
        return families[0] if len(families) == 1 else "composition"

    @property
    def kind(self) -> str:
        """The names without severities: 'fog', 'fog+motion_blur'."""
        return "+".join(step.name for step in self._steps)

    @property
    def keeps_layout(self) -> bool:
        """False for what moves pixels over more than a blur's width: elastic maps, pinches and twirls."""
        return not any(step.name in MOVING for step in self._steps)

    def check_masks(self, height: int, width: int) -> None:
        """Raise `UserError` for what moves pixels in a way that masks do not follow: pinches and twirls."""
        if stuck := [step.name for step in self._steps if step.name in MOVING and step.name != "elastic_transform"]:
            raise UserError(
                f"{self} cannot be measured on masks: {stuck[0]} moves pixels, and no mask is moved with them; of what "
                "moves pixels only elastic_transform takes masks along."
            )

    def of_masks(self, masks: Masks, ids: tuple[str, ...], *, seed: int) -> Masks:
        """Masks moved as `elastic_transform` moves the pixels; all other corruptions leave them alone."""
        for label, step in labelled(self._steps):
            if step.name == "elastic_transform":
                level = self._level(step, *masks.shape[1:])
                masks = elastic_masks(masks, **level, draws=Draws(seed, ids, label))
        return masks

    def protocol(self, height: int, width: int) -> dict[str, str]:
        """Definition, the calibration that results, the backend and its revision, frost textures, re-encoding."""
        check_choices(self.definition, self.calibration, self.backend, self.reencode, (height, width))
        side = calibration_for(height, width) if self.calibration == "auto" else int(self.calibration)
        names = [step.name for step in self._steps]
        backends = [backend_used(step.name, self._level(step, height, width), self.backend) for step in self._steps]
        entries = {
            "corruption definition": self.definition,
            "corruption calibration": f"{side} px",
            "corruption backend": ", ".join(dict.fromkeys(backends)),
            "re-encoding": self.reencode or "none",
        }
        if "frost" in names:
            textures = frost_textures(self.frost)
            entries["frost textures"] = f"{textures.source} {textures.digest}"
        return entries

    def _level(self, step: Step, height: int, width: int) -> Level:
        return level_of(step, (height, width), definition=self.definition, calibration=self.calibration)

    def of_input(self, batch: Batch, predictor: Predictor, *, seed: int) -> Pixels | Images:
        """The corrupted images of the batch."""
        return corrupt(
            batch.images,
            str(self),
            self.severity if self.severity is not None else 1,
            seed=seed,
            ids=batch.ids,
            definition=self.definition,
            calibration=self.calibration,
            frost=self.frost,
            backend=self.backend,
            reencode=self.reencode,
        )


def parse_corruption(
    text: str,
    *,
    definition: str = "imagecorruptions",
    calibration: int | str = "auto",
    frost: str = "auto",
    backend: str = "auto",
    reencode: str | None = None,
) -> Corrupted:
    """'fog@3', 'fog@2.5' or 'fog@3+motion_blur@2' as a `Corrupted`. Raises `UnknownName` and `UserError`."""
    return replace(
        Corrupted(text),
        definition=definition,
        calibration=calibration,
        frost=frost,
        backend=backend,
        reencode=reencode,
    )
