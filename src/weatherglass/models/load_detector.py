"""From a name to a detector: METHOD/BACKBONE, torchvision/NAME, and modules of the user."""

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, nn

from weatherglass.errors import UserError
from weatherglass.models.detection_predictor import INSIDE, DetectionPredictor
from weatherglass.models.load_classifier import BuiltNetwork

UNUSED = frozenset({"__background__", "no person", "N/A"})
"""Entries of torchvision's lists of categories that are no class: the background, and ids that COCO does not use."""


def detector(
    built: BuiltNetwork, name: str, device: str | torch.device, precision: str, digest: str
) -> DetectionPredictor:
    """A built network behind the border; `built.labels` are the numbers that it gives to its classes."""
    assert built.labels is not None
    return DetectionPredictor(
        built.module,
        name=name,
        labels=built.labels,
        class_names=built.class_names,
        device=device,
        precision=precision,
        digest=digest,
    )


def detector_by_name(spec: str, *, published: bool, classes: int | None, state: Mapping[str, Tensor]) -> BuiltNetwork:
    """METHOD/BACKBONE; `state` are the weights that will be loaded, which tell the classes."""
    from weatherglass.models.detector import build_detector, classes_in

    if published:
        raise UserError(
            f"No weights of {spec} come with Weatherglass: give --checkpoint FILE, or --random --classes N."
        )
    classes = classes or classes_in(state)
    if classes is None:
        raise UserError(f"{spec} must be told its number of classes: give --classes N.")
    method, _, backbone = spec.partition("/")
    return detector_trained_here(build_detector(method, backbone, classes), None)


def detector_trained_here(module: nn.Module, class_names: tuple[str, ...] | None) -> BuiltNetwork:
    """One of our detectors, which gives its classes the numbers from 1 on."""
    count = module.classes
    assert isinstance(count, int)
    return BuiltNetwork(module, INSIDE, class_names, "detection", tuple(range(1, count + 1)))


def is_torchvision_detector(name: str) -> bool:
    import torchvision.models

    return name in torchvision.models.list_models(module=torchvision.models.detection)


def detector_from_torchvision(name: str, published: bool, classes: int | None, *, learned: bool) -> BuiltNetwork:
    """torchvision's detectors. Published weights, and weights from a file (`learned`) with the published number of
    outputs, know the 80 classes of COCO under 91 numbers; others have numbers alone."""
    import torchvision.models

    from weatherglass.models.published import fetch

    weights: Any = torchvision.models.get_model_weights(name).DEFAULT  # pyright: ignore[reportAttributeAccessIssue]
    categories = weights.meta["categories"]
    if published and classes not in (None, len(_used(categories))):
        raise UserError(
            f"The published weights of torchvision/{name} have {len(_used(categories))} classes, not {classes}: give "
            "--checkpoint FILE, or --random (pretrained=False)."
        )
    outputs = len(categories) if published or classes is None else classes + 1  # the background is an output

    def build() -> nn.Module:
        return torchvision.models.get_model(
            name, weights=weights if published else None, weights_backbone=None, num_classes=outputs
        )

    module = fetch(build, f"torchvision/{name}") if published else build()
    if published or (learned and classes is None):
        return _named(module, categories)
    return BuiltNetwork(module, INSIDE, None, "detection", tuple(range(1, outputs)))


def detector_from_user(module: nn.Module, spec: str) -> BuiltNetwork:
    """A user's module with `task = "detection"`; `class_names` say what its labels mean.

    The names are those of labels 1, 2, ..., or of 0, 1, 2, ... where the first one is '__background__'.
    """
    names = getattr(module, "class_names", None)
    if not names or isinstance(names, str) or not all(isinstance(name, str) for name in names):
        raise UserError(
            f"{spec}: a detector needs `class_names`, the names of the labels 1, 2, ... (or of 0, 1, 2, ..., beginning "
            "with '__background__')."
        )
    if names[0] in UNUSED:
        return _named(module, names)
    return BuiltNetwork(module, INSIDE, tuple(names), "detection", tuple(range(1, len(names) + 1)))


def _named(module: nn.Module, categories: Sequence[str]) -> BuiltNetwork:
    """A network whose labels are positions in a list that also names the background and unused numbers."""
    used = _used(categories)
    return BuiltNetwork(module, INSIDE, tuple(used.values()), "detection", tuple(used))


def _used(categories: Sequence[str]) -> dict[int, str]:
    return {number: name for number, name in enumerate(categories) if name not in UNUSED}
