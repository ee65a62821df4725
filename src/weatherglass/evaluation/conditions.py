"""From names on a command line to the disturbances of a run."""

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from weatherglass.analysis.names import MODEL_DISTURBANCES
from weatherglass.attacks.names import ATTACKS, SPATIAL
from weatherglass.corruptions.disturbance import parse_corruption
from weatherglass.corruptions.perturbations import PERTURBATION_SUITES
from weatherglass.corruptions.severity import CORRUPTIONS
from weatherglass.corruptions.suites import SUITES
from weatherglass.data.stored import StoredConditions
from weatherglass.errors import UnknownName, UserError
from weatherglass.types import SEQUENCES, Clean, Disturbance, ImageData


@dataclass(frozen=True)
class CorruptionChoices:
    """The published ways in which one corruption name means different pixels; all enter the protocol."""

    definition: str = "imagecorruptions"
    """'imagecorruptions' (any size) or 'imagenet-c' (Hendrycks, 224 px)."""
    calibration: int | str = "auto"
    """Which table of constants: 224, 64 or 32, or 'auto' by the shorter side."""
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
    disturbances: Sequence[str | Disturbance] = (),
    choices: CorruptionChoices = CorruptionChoices(),
) -> list[Disturbance]:
    """Clean first, then every condition of `suite` and of `disturbances` once: texts
    ('fog@3', 'fog' for all severities, 'pgd@8/255') or disturbances.

    A stored tree brings its own conditions; `suite` then selects among them. Raises `UserError` for an unknown
    name and for a condition that a stored tree does not hold.
    """
    if isinstance(data, StoredConditions):
        return _stored_conditions(data, _expand(suite, _texts(disturbances)))
    given = [one for one in disturbances if isinstance(one, Disturbance)]
    texts = _expand(suite or (None if disturbances else "imagenet-c"), _texts(disturbances))
    parsed = [parse_disturbance(text, choices) for text in texts]
    return list({str(one): one for one in [Clean(), *parsed, *given]}.values())


def parse_disturbance(text: str, choices: CorruptionChoices = CorruptionChoices()) -> Disturbance:
    """The one condition that a text names: 'fog@3', 'pgd@8/255', 'lesion:blocks.3.mlp', 'lesion:blocks.3+fog@3'.

    Raises `UnknownName` where no kind of disturbance has this name, and `UserError` for what does not fit it.
    """
    name = _name_of(text)
    if name in MODEL_DISTURBANCES:
        from weatherglass.analysis.parse import parse_model_disturbance
        from weatherglass.evaluation.composition import OfBoth

        of_model, _, of_input = text.partition("+")
        disturbed = parse_model_disturbance(name, of_model)
        if of_input and _name_of(of_input) in MODEL_DISTURBANCES:
            raise UserError(
                f"'{text}': behind the + stands what is done to the images, e.g. '{of_model}+fog@3'. Several branches "
                "fall to one lesion: lesion:blocks.3.mlp,blocks.4."
            )
        return OfBoth(disturbed, parse_disturbance(of_input, choices)) if of_input else disturbed
    if name in ATTACKS:
        from weatherglass.attacks.parse import parse_attack

        return parse_attack(text)
    if name in SPATIAL:
        from weatherglass.attacks.parse import parse_spatial

        return parse_spatial(text)
    if name == "moved":
        from weatherglass.attacks.parse import parse_moved

        return parse_moved(text)
    if name == SEQUENCES:
        from weatherglass.corruptions.sequences import parse_sequence

        return parse_sequence(text, calibration=choices.calibration)
    if name not in CORRUPTIONS and "+" not in text:
        raise UnknownName("disturbance", name, [*CORRUPTIONS, *ATTACKS, *SPATIAL, *MODEL_DISTURBANCES, SEQUENCES])
    return parse_corruption(
        text,
        definition=choices.definition,
        calibration=choices.calibration,
        frost=choices.frost,
        backend=choices.backend,
        reencode=choices.reencode,
    )


def _name_of(text: str) -> str:
    """'pgd' of 'pgd-50:restarts=2@2/255', 'fog' of 'fog@3'."""
    return re.sub(r"-\d+$", "", text.partition("@")[0].partition(":")[0].strip())


def _texts(disturbances: Iterable[str | Disturbance]) -> list[str]:
    return [one.strip() for one in disturbances if isinstance(one, str)]


def _expand(suite: str | None, disturbances: Iterable[str]) -> list[str]:
    texts: list[str] = []
    if suite is not None:
        texts += _of_suite(suite)
    for text in disturbances:
        if text == "clean":
            continue
        texts += [text] if "@" in text else _every_severity(text)
    return list(dict.fromkeys(texts))


def _of_suite(suite: str) -> list[str]:
    if suite in PERTURBATION_SUITES:
        return [f"{SEQUENCES}:{name}" for name in PERTURBATION_SUITES[suite].names]
    if suite not in SUITES:
        raise UnknownName("suite", suite, [*SUITES, *PERTURBATION_SUITES])
    return [f"{name}@{severity:g}" for name, severity in SUITES[suite].conditions]


def _every_severity(text: str) -> list[str]:
    """What a name without @ means: the radii of an attack, the spatial attack itself, five severities of the rest."""
    name = _name_of(text)
    if name in ATTACKS:
        return [f"{text}@{radius}" for radius in ATTACKS[name].sweep]
    if name in SPATIAL or name in MODEL_DISTURBANCES or name in ("moved", SEQUENCES):
        return [text]
    return [f"{text}@{severity}" for severity in range(1, 6)]


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
