"""Where a model's preprocessing comes from, and how the user overrides it."""

import math
import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, Self

from weatherglass.errors import UserError
from weatherglass.types import Preprocessing

INTERPOLATIONS = ("nearest", "bilinear", "bicubic")
_FORM = "'resize 256 bicubic, crop 224, mean 0.5 0.5 0.5, std 0.5 0.5 0.5', any part alone, or 'geometry none'"


@dataclass(frozen=True)
class PreprocessingOverride:
    """What the user wants different from the model's own preprocessing; None leaves a part as it is."""

    geometry: tuple[int | tuple[int, int] | None, tuple[int, int] | None] | None = None
    """(resize, crop) that replace the model's; (None, None) switches geometry off."""
    interpolation: str | None = None
    mean: tuple[float, ...] | None = None
    std: tuple[float, ...] | None = None

    def __post_init__(self) -> None:
        if self.interpolation is not None and self.interpolation not in INTERPOLATIONS:
            raise UserError(f"The interpolation '{self.interpolation}' is not one of {', '.join(INTERPOLATIONS)}.")
        if self.std is not None and any(value <= 0 for value in self.std):
            raise UserError(f"A standard deviation must be above 0; got {self.std}.")

    @classmethod
    def parse(cls, text: str) -> Self:
        """Read the text in which protocols print preprocessing, e.g. 'resize 256 bicubic, crop 224x224'."""
        resize: int | tuple[int, int] | None = None
        crop: tuple[int, int] | None = None
        touched, interpolation, numbers = False, None, {}
        for step in filter(None, (part.strip() for part in text.split(","))):
            word, _, rest = step.partition(" ")
            if step in ("none", "geometry none"):
                touched = True
            elif word == "resize" and (found := re.fullmatch(r"(\d+)(?:x(\d+))?(?: (\w+))?", rest)):
                touched = True
                resize = (int(found[1]), int(found[2])) if found[2] else int(found[1])
                interpolation = found[3]
            elif word == "crop" and (found := re.fullmatch(r"(\d+)(?:x(\d+))?", rest)):
                touched, crop = True, (int(found[1]), int(found[2] or found[1]))
            elif word in ("mean", "std"):
                numbers[word] = _three_numbers(word, rest)
            else:
                raise UserError(f"The preprocessing '{step}' is not understood; the form is {_FORM}.")
        return cls((resize, crop) if touched else None, interpolation, numbers.get("mean"), numbers.get("std"))

    def apply(self, own: Preprocessing) -> Preprocessing:
        """The model's `own` preprocessing with these parts replaced; `source` says that it happened."""
        if self == PreprocessingOverride():
            return own
        resize, size = self.geometry if self.geometry is not None else (own.resize, own.size)
        return replace(
            own,
            resize=resize,
            size=size,
            fit="squash" if self.geometry is not None else own.fit,
            interpolation=self.interpolation or own.interpolation,
            mean=self.mean or own.mean,
            std=self.std or own.std,
            source=f"{own.source}, overridden",
        )


def from_timm_config(config: Mapping[str, Any], source: str) -> Preprocessing:
    """Preprocessing from timm's words: `input_size`, `crop_pct`, `crop_mode`, `interpolation`, `mean`, `std`.

    As in timm's evaluation transform, the resize is floor(size / crop_pct); crop mode 'center' scales the shorter
    side, 'squash' ignores the aspect, 'border' scales the longer side and pads.
    """
    height, width = config["input_size"][-2:]
    fraction = config.get("crop_pct") or 0.875
    scaled = (math.floor(height / fraction), math.floor(width / fraction))
    mode = config.get("crop_mode") or "center"
    if mode == "center" and height == width:
        resize, fit = scaled[0], "squash"
    else:
        resize, fit = scaled, {"squash": "squash", "border": "contain"}.get(mode, "cover")
    interpolation = config.get("interpolation") or "bicubic"
    if interpolation not in INTERPOLATIONS:
        raise UserError(
            f"The model asks for the interpolation '{interpolation}'; {', '.join(INTERPOLATIONS)} are supported: "
            "override it in the preprocessing."
        )
    return Preprocessing(
        size=(height, width),
        resize=resize,
        interpolation=interpolation,
        mean=tuple(float(value) for value in config["mean"]),
        std=tuple(float(value) for value in config["std"]),
        source=source,
        fit=fit,
    )


def _three_numbers(word: str, text: str) -> tuple[float, ...]:
    try:
        values = tuple(float(value) for value in text.split())
    except ValueError:
        values = ()
    if len(values) not in (1, 3) or not all(map(math.isfinite, values)):
        raise UserError(f"'{word} {text}' needs three numbers (red green blue), e.g. '{word} 0.5 0.5 0.5'.")
    return values * 3 if len(values) == 1 else values
