"""A detector behind the border: images in [0, 1] in, the objects found in each out, as torchvision writes them."""

from collections.abc import Mapping, Sequence
from contextlib import nullcontext
from hashlib import blake2b
from typing import Any

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor, nn

from weatherglass.errors import UserError
from weatherglass.models.digests import digest_of_own
from weatherglass.models.predictor import PRECISIONS, check_precision, resolve_device
from weatherglass.types import Images, Objects, Predictor, Preprocessing

PRESENT = 0.5
"""Probability above which a pixel belongs to a mask, as in torchvision's and detectron2's evaluation."""

INSIDE = Preprocessing(source="the detector resizes and normalises by itself")

_SETTINGS = {
    "min_size": "shorter side {}",
    "max_size": "longer side at most {}",
    "score_thresh": "scores above {}",
    "nms_thresh": "suppression at IoU {}",
    "detections_per_img": "at most {} found",
}
"""Settings of torchvision's detectors that change what is found, in words."""


class DetectionPredictor(Predictor):
    """A module that takes a list of (3, height, width) images in [0, 1] and returns, for each, a record of `boxes`
    (x0, y0, x1, y1 in its pixels), `labels`, `scores` and perhaps `masks` (N, 1, height, width probabilities).

    It resizes and normalises by itself, as torchvision's detectors do. Images are shown to it one at a time, since in
    a batch each is padded to the largest, and what is found would depend on its neighbours.
    """

    task = "detection"
    differentiable = False

    def __init__(
        self,
        module: nn.Module,
        *,
        name: str,
        labels: Sequence[int],
        class_names: tuple[str, ...] | None = None,
        device: str | torch.device = "auto",
        precision: str = "float32",
        digest: str | None = None,
    ) -> None:
        """`labels` are the numbers that the module gives to its classes, in their order; 0 is the background.

        `digest` is that of the module, where something identifies it better than its weights and settings do.
        """
        self.name, self.classes, self.class_names = name, len(labels), class_names
        self.preprocessing = INSIDE
        self.device = resolve_device(device)
        self.precision = check_precision(precision, self.device)
        self.module = module.to(self.device).eval()
        self.settings = _settings_of(module)
        digest = digest or digest_of_own(module)
        self.digest = blake2b(f"{digest}{_numbers_of(module)}".encode(), digest_size=16).hexdigest()
        self.parameters = sum(parameter.numel() for parameter in module.parameters())
        self._class_of = np.full(max(labels) + 1, -1)
        self._class_of[list(labels)] = np.arange(self.classes)

    @property
    def decision(self) -> str:
        """All classes compete; with the settings that decide how much is found."""
        return ", ".join([f"all {self.classes}", *self.settings])

    def __call__(self, images: Images) -> list[Objects]:  # pyright: ignore[reportIncompatibleMethodOverride]
        """The objects in each image, best first. Raises `UserError` for an output of another form."""
        return [self._found(image) for image in images]

    def _found(self, image: Float[Tensor, "3 height width"]) -> Objects:
        plain = self.precision == "float32"
        casting = nullcontext() if plain else torch.autocast(self.device.type, dtype=PRECISIONS[self.precision])
        with torch.no_grad(), casting:
            answered = self.module([image])
        found = _checked(answered, image, self.name)
        labels = found["labels"].cpu().numpy()
        if len(labels) and not 0 <= labels.min() <= labels.max() < len(self._class_of):
            raise UserError(
                f"{self.name} found the label {labels.max()}; its {self.classes} classes have labels up to "
                f"{len(self._class_of) - 1} (0 is the background). Say all `class_names` in the order of the labels."
            )
        scores = found["scores"].float().cpu().numpy()
        order = np.argsort(-scores, kind="stable")
        kept = order[self._class_of[labels[order]] >= 0]  # labels without a class are background or unused numbers
        chosen = torch.from_numpy(kept)
        masks = found.get("masks")
        return Objects(
            boxes=found["boxes"].double().cpu().numpy()[kept],
            classes=self._class_of[labels[kept]],
            scores=scores[kept],
            masks=None if masks is None else (masks[chosen.to(masks.device), 0] > PRESENT).cpu().numpy(),
        )


def _checked(answered: object, image: Tensor, name: str) -> Mapping[str, Tensor]:
    form = "a list with one record of 'boxes' (N, 4), 'labels' (N), 'scores' (N) and perhaps 'masks' (N, 1, H, W)"
    if not isinstance(answered, list | tuple) or len(answered) != 1 or not isinstance(answered[0], Mapping):
        raise UserError(
            f"{name} returned a {type(answered).__name__}; for a list of one image a detector returns {form}."
        )
    found: Any = answered[0]
    shapes = {key: tuple(value.shape) for key, value in found.items() if isinstance(value, Tensor)}
    count = shapes.get("scores", (0,))[0]
    expected = {"boxes": (count, 4), "labels": (count,), "scores": (count,)}
    if "masks" in shapes:
        expected["masks"] = (count, 1, *image.shape[1:])
    if any(shapes.get(key) != shape for key, shape in expected.items()):
        raise UserError(f"{name} returned {shapes}; a detector returns {form} for each image.")
    return found


def _settings_of(module: nn.Module) -> tuple[str, ...]:
    """What can be said in words of how a detector is set."""
    parts = [module, *(getattr(module, part) for part in ("transform", "roi_heads") if hasattr(module, part))]
    resizes = all(getattr(part, "min_size", None) not in (0, (0,)) for part in parts)  # 0 leaves images as they are
    said = [] if resizes else ["no resizing"]
    for field, words in _SETTINGS.items():
        if not resizes and field in ("min_size", "max_size"):
            continue
        values = [getattr(part, field) for part in parts if isinstance(getattr(part, field, None), int | float | tuple)]
        said += [words.format("/".join(map(str, v)) if isinstance(v, tuple) else v) for v in values[:1]]
    return tuple(said)


def _numbers_of(module: nn.Module) -> list[tuple[str, str, object]]:
    """Every plain number on any part: thresholds and sizes decide what is found and stand in no weight."""
    return [
        (name, field, value)
        for name, part in module.named_modules()
        for field, value in sorted(vars(part).items())
        if isinstance(value, int | float | str | tuple) and not field.startswith("_") and field != "training"
    ]
