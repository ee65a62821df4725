"""From a name to a network: timm, torchvision, our own, files of weights that say what they are, user code."""

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from torch import nn

from weatherglass.errors import UserError
from weatherglass.models.detector_names import is_detector
from weatherglass.models.names import model_name
from weatherglass.models.preprocessing import from_timm_config
from weatherglass.models.segmenter_names import is_segmenter
from weatherglass.types import Predictor, Preprocessing
from weatherglass.user_code import call_user_factory


@dataclass(frozen=True)
class BuiltNetwork:
    """A built network with what its library knows of it."""

    module: nn.Module
    preprocessing: Preprocessing
    class_names: tuple[str, ...] | None = None
    task: str = "classification"
    """Or 'segmentation', 'detection': files of weights and user code bring any."""
    labels: tuple[int, ...] | None = None
    """The number that a detector gives to each of its classes; None for other tasks."""


def described_network(spec: str) -> BuiltNetwork | None:
    """A file of weights that says which network it belongs to; None for one that does not."""
    from weatherglass.models.described import build_described, describe

    path = Path(spec).expanduser()
    description = describe(path)
    if description is None:
        return None
    module = build_described(path, description)
    if is_detector(description.name):
        from weatherglass.models.load_detector import detector_trained_here

        return detector_trained_here(module, description.class_names)
    task = "segmentation" if is_segmenter(description.name) else "classification"
    return BuiltNetwork(module, description.preprocessing, description.class_names, task)


def our_network(name: str, published: bool, classes: int | None) -> BuiltNetwork:
    model_name(name)
    if published:
        raise UserError(f"No weights of {name} come with Weatherglass: give --checkpoint FILE, or --random.")
    import weatherglass.models.registration  # noqa: F401  (tells timm about our models)

    return timm_network(name, False, classes, source="weatherglass")


def timm_network(name: str, published: bool, classes: int | None, source: str) -> BuiltNetwork:
    import timm
    from timm.data.config import resolve_model_data_config

    from weatherglass.models.published import check_timm_name, fetch

    check_timm_name(name, published)
    arguments: dict[str, Any] = {} if classes is None else {"num_classes": classes}

    def build() -> nn.Module:
        return timm.create_model(name, pretrained=published, **arguments)

    module = fetch(build, f"timm/{name}") if published else build()
    config = {**getattr(module, "pretrained_cfg", {}), **resolve_model_data_config(module)}
    return BuiltNetwork(module, from_timm_config(config, source), _imagenet_names(config))


def _imagenet_names(config: dict[str, Any]) -> tuple[str, ...] | None:
    if config.get("num_classes") != 1000:
        return None
    from timm.data.imagenet_info import ImageNetInfo

    return tuple(ImageNetInfo("imagenet-1k").label_descriptions(detailed=False))


def torchvision_network(name: str, published: bool, classes: int | None) -> BuiltNetwork:
    import warnings

    import torchvision.models

    from weatherglass.errors import UnknownName
    from weatherglass.models.published import fetch

    known = torchvision.models.list_models(module=torchvision.models)
    if name not in known:
        raise UnknownName("torchvision classifier", name, known)
    weights: Any = torchvision.models.get_model_weights(name).DEFAULT  # pyright: ignore[reportAttributeAccessIssue]
    if published and classes not in (None, len(weights.meta["categories"])):
        raise UserError(
            f"The published weights of torchvision/{name} have {len(weights.meta['categories'])} classes, not "
            f"{classes}: give --checkpoint FILE, or --random (pretrained=False)."
        )
    arguments: dict[str, Any] = {} if classes is None else {"num_classes": classes}

    def build() -> nn.Module:
        with warnings.catch_warnings():  # googlenet and inception announce a change of their default initialisation
            warnings.simplefilter("ignore", FutureWarning)
            return torchvision.models.get_model(name, weights=weights if published else None, **arguments)

    module = fetch(build, f"torchvision/{name}") if published else build()
    transforms = weights.transforms()
    preprocessing = Preprocessing(
        size=(transforms.crop_size[0],) * 2,
        resize=transforms.resize_size[0],
        interpolation=transforms.interpolation.value,
        mean=tuple(transforms.mean),
        std=tuple(transforms.std),
        source="torchvision",
    )
    return BuiltNetwork(module, preprocessing, tuple(weights.meta["categories"]))


def user_network(spec: str) -> BuiltNetwork | Predictor:
    made = call_user_factory(spec, "a torch.nn.Module or a weatherglass.Predictor")
    if isinstance(made, Predictor):
        return made
    if not isinstance(made, nn.Module):
        raise UserError(
            f"{spec} returned a {type(made).__name__}; it must return a torch.nn.Module or a weatherglass.Predictor."
        )
    names = getattr(made, "class_names", None)
    task = getattr(made, "task", "classification")
    if task == "detection":
        from weatherglass.models.load_detector import detector_from_user

        return detector_from_user(made, spec)
    if task not in ("classification", "segmentation"):
        raise UserError(f"{spec}: `task` is {task!r}; it must be 'classification', 'segmentation' or 'detection'.")
    return BuiltNetwork(made, declared_preprocessing(made, spec), tuple(names) if names is not None else None, task)


def declared_preprocessing(module: nn.Module, spec: str) -> Preprocessing:
    """What a user's module declares: `preprocessing`, or timm's `pretrained_cfg` or `default_cfg`; else nothing."""
    declared = getattr(module, "preprocessing", None)
    if isinstance(declared, Preprocessing):
        return declared if declared.source != "none declared" else replace(declared, source="factory")
    if declared is not None:
        raise UserError(
            f"{spec}: `preprocessing` is a {type(declared).__name__}; it must be a weatherglass.Preprocessing."
        )
    for attribute in ("pretrained_cfg", "default_cfg"):
        config = getattr(module, attribute, None)
        if config:
            from timm.data.config import resolve_data_config

            given = config if isinstance(config, dict) else config.to_dict()
            return from_timm_config(resolve_data_config(pretrained_cfg=given), "factory")
    return Preprocessing()
