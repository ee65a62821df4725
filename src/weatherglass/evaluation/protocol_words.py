"""What each protocol field does to a number, in words, and how much it matters to a comparison."""

from dataclasses import dataclass
from typing import Literal

from weatherglass.evaluation.protocol import Protocol, differences

Weight = Literal["model", "decisive", "preparation", "rounding"]
"""'model': the thing compared; 'decisive': the numbers answer different questions; 'preparation': the model saw
differently prepared images; 'rounding': results differ in rare images near a decision boundary."""


@dataclass(frozen=True)
class FieldDifference:
    """One protocol field with two values."""

    field: str
    first: str
    second: str
    weight: Weight
    words: str


_FIELDS: dict[str, tuple[Weight, str]] = {
    "task": ("decisive", "other scores are computed"),
    "weights": ("model", "other parameters: another model, checkpoint or training run"),
    "data": ("decisive", "other images or labels, so the samples cannot be paired"),
    "selection": ("decisive", "another part of the data was measured"),
    "samples": ("decisive", "another number of images, for example because some could not be read"),
    "classes": ("decisive", "other outputs compete for the prediction; fewer of them make the task easier"),
    "seed": ("decisive", "other random draws: every noise pattern, crop of snow and fog is a different one"),
    "preprocessing": (
        "preparation",
        "another resize, crop or interpolation before the disturbance: objects have another size and sharpness, which "
        "often moves accuracy by whole points. Fair where each model uses its own, and then part of the model",
    ),
    "normalisation": (
        "preparation",
        "another mean or standard deviation inside the model; right where each model was trained so, wrong otherwise",
    ),
    "precision": ("rounding", "another number format of the forward pass; bfloat16 keeps 8 bits, float32 24"),
    "device": ("rounding", "processor and accelerator add in another order"),
    "forward_batch": ("rounding", "another batch shape, so other kernels with another order of addition"),
    "versions": ("rounding", "another library version; decoding, resizing or kernels may have changed"),
}

_DISTURBANCE: dict[str, tuple[Weight, str]] = {
    "corruption definition": ("decisive", "another published definition of the corruption of this name"),
    "corruption calibration": ("decisive", "severity constants that were tuned for another image size"),
    "corruption backend": ("rounding", "another implementation of the same corruption, equal within its tolerance"),
    "re-encoding": (
        "decisive",
        "corrupted images were, or were not, stored as JPEG after the corruption, which weakens noise and hides detail",
    ),
    "frost textures": ("decisive", "other pictures of frost are laid over the images"),
    "objects": ("decisive", "the boxes did, or did not, follow the pixels that the disturbance moves"),
    "masks": ("decisive", "the masks did, or did not, follow the pixels that the disturbance moves"),
    "stored": ("decisive", "the disturbed images came from disk, from another or no copy"),
}


def explained_differences(first: Protocol, second: Protocol) -> tuple[FieldDifference, ...]:
    """The fields in which two protocols differ, those that matter most first."""
    found = [_explained(name, *values) for name, values in differences(first, second).items()]
    order = ("decisive", "preparation", "rounding", "model")
    return tuple(sorted(found, key=lambda difference: order.index(difference.weight)))


def _explained(name: str, first: str, second: str) -> FieldDifference:
    field, _, part = name.partition(".")
    if field == "disturbance":
        default: tuple[Weight, str] = ("decisive", f"the disturbance was applied with another {part}")
        weight, words = _DISTURBANCE.get(part, default)
    else:
        weight, words = _FIELDS.get(field, ("decisive", "a field this version cannot explain"))
    return FieldDifference(name, first, second, weight, words)
