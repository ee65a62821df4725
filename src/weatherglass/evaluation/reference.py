"""Whose errors stand in the denominators of CE and mCE: AlexNet on ImageNet, a stored run elsewhere."""

import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Literal

import numpy as np
from jaxtyping import Float

from weatherglass.errors import UserError
from weatherglass.evaluation.outcomes import Outcomes, outcomes_of
from weatherglass.evaluation.protocol_words import explained_differences
from weatherglass.evaluation.runs import Run, find_run
from weatherglass.metrics import alexnet
from weatherglass.metrics.intervals import Bootstrap

ReferenceChoice = Run | Literal["auto", "alexnet"] | None

_FIRST_CLASS = ("n01440764", "tench")

_OTHER_IMAGES = {
    "imagenet-a": "images that ResNet-50 got wrong",
    "imagenet-r": "renditions",
    "imagenet-sketch": "sketches",
    "imagenet-v2": "a test set that was collected later",
    "imagenet-real": "the validation images under other labels",
    "objectnet": "photographs of its own",
}
"""Kinds of data whose classes are ImageNet's and whose images or labels are not those that AlexNet was measured on."""


@dataclass(frozen=True)
class Reference:
    """Errors of the reference model. Arrays are (1,) for a published table, (1 + resamples,) for a stored run."""

    name: str | None
    reason: str
    clean_error: Float[np.ndarray, " rows"] | None = None
    errors: dict[str, Float[np.ndarray, " rows"]] = field(default_factory=dict)
    """By condition, e.g. 'fog@3'."""
    own: frozenset[str] = frozenset()
    """Conditions in which the reference holds the very cell of the run, so that a CE over them is 1 by construction."""
    note: str | None = None
    run: Run | None = None
    """The stored run, where it is one."""

    def of(self, cells: list[str]) -> Float[np.ndarray, "rows severities"] | None:
        """Errors at the cells of one corruption; None where the reference lacks one."""
        if not cells or any(cell not in self.errors for cell in cells):
            return None
        return np.stack([self.errors[cell] for cell in cells], axis=-1)


def choose_reference(choice: ReferenceChoice, run: Run, outcomes: Outcomes, bootstrap: Bootstrap) -> Reference:
    """The reference for `run`. 'auto' takes AlexNet where its published errors apply and none elsewhere.

    Raises `UserError` when AlexNet is asked for on data without 1000 classes, or the reference run saw other data.
    """
    if not outcomes.task.counts_images:
        return Reference(None, f"CE divides errors of whole images, which {outcomes.task.name} does not count.")
    if isinstance(choice, Run):
        return _stored(choice, run, outcomes, bootstrap)
    if choice is None:
        return Reference(None, "No reference was asked for.")
    if choice not in ("auto", "alexnet"):
        raise UserError(f"The reference is 'auto', 'alexnet' or a run, not {choice!r}.")
    why_not = _alexnet_does_not_apply(run)
    if why_not is None:
        return _published("ImageNet's 1000 classes at 224 x 224 pixels, for which its errors are published.")
    if choice == "auto":
        return Reference(None, f"AlexNet's published errors do not apply: {why_not}. Name a stored run as reference.")
    if not _thousand_classes(run):
        raise UserError(f"AlexNet's published errors cannot be the reference of '{run.name}': {why_not}.")
    return _published(f"Asked for by name, although {why_not}.")


def reference_named(reference: str) -> ReferenceChoice:
    """'auto', 'alexnet' or the run of that name."""
    if reference == "auto":
        return "auto"
    return "alexnet" if reference == "alexnet" else find_run(reference)


def _published(reason: str) -> Reference:
    errors = {
        f"{kind}@{severity:g}": np.array([error])
        for kind, row in alexnet.ERROR.items()
        for severity, error in zip(alexnet.SEVERITIES, row, strict=True)
    }
    note = (
        "AlexNet's errors were measured on the released JPEG files of ImageNet-C. Corruptions applied in memory are "
        "milder for most kinds, so this mCE is comparable with published ones only for the stored files."
    )
    return Reference(alexnet.REFERENCE_NAME, reason, np.array([alexnet.CLEAN_ERROR]), errors, note=note)


def _stored(reference: Run, run: Run, outcomes: Outcomes, bootstrap: Bootstrap) -> Reference:
    if reference.protocol.data != run.protocol.data:
        raise UserError(
            f"The reference '{reference.name}' was measured on other data ({reference.data}) than '{run.name}' "
            f"({run.data}); measure the reference on the same images."
        )
    shared = [text for text in outcomes.conditions if text in reference.records]
    if not shared:
        raise UserError(f"The reference '{reference.name}' has no condition in common with '{run.name}'.")
    seen = outcomes_of(reference, shared)
    if seen.ids != outcomes.ids:
        raise UserError(f"The reference '{reference.name}' holds other images of the same data than '{run.name}'.")
    # The same resamples as the run's own, so that the ratio's interval is that of a paired comparison.
    rows = 1 - np.vstack([seen.correct.mean(axis=1), bootstrap.means(seen.correct)])
    errors = {text: rows[:, i] for i, text in enumerate(shared)}
    own = frozenset(text for text in shared if reference.records[text].key == run.records[text].key)
    itself = len(own) == len(shared) and own != {"clean"}
    reason = "The run is its own reference: 100 by construction." if itself else "The stored run that was named."
    note = _measured_otherwise(reference, run, [text for text in run.records if text in reference.records])
    return Reference(reference.model, reason, errors.get("clean"), errors, own, note, run=reference)


def _measured_otherwise(reference: Run, run: Run, shared: Sequence[str]) -> str | None:
    """A warning where the errors of the reference answer another question than those of the run."""
    decisive: dict[str, str] = {}
    for text in shared:
        for found in explained_differences(reference.records[text].protocol, run.records[text].protocol):
            if found.weight == "decisive":
                field = found.field.removeprefix("disturbance.")
                decisive.setdefault(field, f"{field} {found.first}, not {found.second}")
    if not decisive:
        return None
    return (
        f"The reference {reference.model} was measured under another protocol ({'; '.join(decisive.values())}), so "
        "CE and mCE compare two different questions."
    )


def _alexnet_does_not_apply(run: Run) -> str | None:
    """Why the published table does not fit this run; None where it does."""
    if not _thousand_classes(run):
        return "the data does not have the 1000 classes of ImageNet"
    first = run.manifest.classes[0].split(",")[0].strip().lower()
    if first not in _FIRST_CLASS and not run.data.lower().startswith("imagenet"):
        return f"the data does not look like ImageNet (its first class is '{run.manifest.classes[0]}')"
    if (kind := run.data.partition(":")[0].lower()) in _OTHER_IMAGES:
        return f"they were measured on ImageNet's validation set, and {kind} holds {_OTHER_IMAGES[kind]}"
    if run.protocol.classes != "all 1000":
        return f"only some outputs compete ({run.protocol.classes})"
    sizes = re.findall(r"crop (\d+)x(\d+)", run.protocol.preprocessing)
    if sizes != [("224", "224")]:
        return f"the images are not cropped to 224 x 224 pixels (preprocessing: {run.protocol.preprocessing})"
    return None


def _thousand_classes(run: Run) -> bool:
    try:
        return len(run.manifest.classes) == 1000
    except UserError:
        return False
