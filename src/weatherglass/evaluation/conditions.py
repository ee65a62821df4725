"""From names on a command line to the disturbances of a run."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from weatherglass.corruptions.disturbance import parse_corruption
from weatherglass.corruptions.severity import CORRUPTIONS
from weatherglass.corruptions.suites import SUITES
from weatherglass.data.stored import StoredConditions
from weatherglass.errors import UserError
from weatherglass.types import Clean, Disturbance, ImageData


@dataclass(frozen=True)
class CorruptionChoices:
    """The published ways in which one corruption name means different pixels; all enter the protocol."""

    definition: str = "imagecorruptions"
    """'imagecorruptions' (any size) or 'imagenet-c' (Hendrycks, 224 px)."""
    calibration: str = "auto"
    """Which table of constants: '224', '64', '32', or 'auto' by the shorter side."""
    frost: str = "auto"
    """'procedural', 'reference', a folder of textures, or 'auto'."""
    backend: str = "auto"
    """'torch', 'numba', or 'auto'."""
    reencode: str | None = None
    """'jpeg85' re-encodes every corrupted image like the published files; None leaves it as it is."""


@dataclass(frozen=True)
class Stored(Disturbance):
    """Images that were disturbed before and lie on disk, e.g. one folder of ImageNet-C."""

    name: str
    level: float
    digest: str

    def __str__(self) -> str:
        return f"{self.name}@{self.level:g}"

    @property
    def family(self) -> str:
        return CORRUPTIONS[self.name].family if self.name in CORRUPTIONS else "stored"

    @property
    def severity(self) -> float:
        return self.level

    def protocol(self, height: int, width: int) -> dict[str, str]:
        return {"stored": self.digest}


def conditions_of(
    data: ImageData,
    *,
    suite: str | None,
    disturbances: Sequence[str] = (),
    choices: CorruptionChoices = CorruptionChoices(),
) -> list[Disturbance]:
    """Clean first, then every condition of `suite` and of `disturbances` ('fog@3', 'fog' for all severities), once.

    A stored tree brings its own conditions; `suite` then selects among them. Raises `UserError` for an unknown
    name and for a condition that a stored tree does not hold.
    """
    if isinstance(data, StoredConditions):
        return _stored_conditions(data, _expand(suite, disturbances))
    texts = _expand(suite or (None if disturbances else "imagenet-c"), disturbances)
    parsed = [
        parse_corruption(
            text,
            definition=choices.definition,
            calibration=choices.calibration,
            frost=choices.frost,
            backend=choices.backend,
            reencode=choices.reencode,
        )
        for text in texts
    ]
    return [Clean(), *parsed]


def _expand(suite: str | None, disturbances: Iterable[str]) -> list[str]:
    texts: list[str] = []
    if suite is not None:
        texts += [f"{name}@{severity:g}" for name, severity in SUITES[suite].conditions]
    for text in disturbances:
        text = text.strip()
        if text == "clean":
            continue
        # A bare name means its five severities; a composition says its severities itself.
        texts += [text] if "@" in text else [f"{text}@{severity}" for severity in range(1, 6)]
    return list(dict.fromkeys(texts))


def _stored_conditions(data: StoredConditions, wanted: list[str]) -> list[Disturbance]:
    there = {
        str(condition): condition
        for name, severity in data.conditions
        for condition in [Stored(name, severity, data.at(name, severity).digest)]
    }
    missing = [text for text in wanted if text not in there]
    if missing:
        raise UserError(
            f"'{data.name}' does not hold {', '.join(missing[:5])}{' ...' if len(missing) > 5 else ''}. "
            f"It holds {len(there)} conditions: {', '.join(sorted({name for name, _ in data.conditions}))}."
        )
    chosen = [there[text] for text in wanted] if wanted else list(there.values())
    return [*([Clean()] if data.clean is not None else []), *chosen]
