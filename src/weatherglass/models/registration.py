"""Makes the models of `names.py` known to timm: importing this module is what registers them.

`timm.create_model(name)` then takes the published names and their aliases, with timm's usual arguments
(`num_classes`, `in_chans`, `img_size`, `drop_path_rate`, `global_pool`, `features_only`, ...) and, beside them, every
field of the model's configuration (`channel_processing="sa"`, `depth=6`, ...).
"""

from collections.abc import Callable
from dataclasses import fields, replace
from typing import Any

from timm.models import build_model_with_cfg, generate_default_cfgs, is_model, register_model
from torch import nn

from weatherglass.errors import UserError
from weatherglass.models.checkpoint import load_checkpoint
from weatherglass.models.configuration import (
    ConvNeXtConfig,
    ConvNeXtStem,
    FanConfig,
    PlainConfig,
    RvtConfig,
    StrongResNetConfig,
    SwinConfig,
)
from weatherglass.models.names import MODELS, Config, ModelName, published_weights
from weatherglass.models.published_names import fan_state_dict

IMAGENET_MEAN = (0.485, 0.456, 0.406)
IMAGENET_STD = (0.229, 0.224, 0.225)


def _pretrained_configuration(model: ModelName) -> dict[str, Any]:
    """timm's record of the weights a model is meant for."""
    return {
        "input_size": (3, model.image_size, model.image_size),
        "num_classes": model.classes,
        "crop_pct": model.crop,
        "interpolation": "bicubic",
        "mean": IMAGENET_MEAN,
        "std": IMAGENET_STD,
        "fixed_input_size": isinstance(model.config, SwinConfig),
        "first_conv": _first_convolution(model),
        "classifier": _classifier(model),
        "paper_ids": "arXiv:2204.12451",
        **published_weights(model.name),
    }


def _first_convolution(model: ModelName) -> str | None:
    match model.config:
        case FanConfig(stem=ConvNeXtStem()):
            return "patch_embed.backbone.stem.0"
        case FanConfig() | RvtConfig():
            return "patch_embed.proj.0.0"
        case SwinConfig() | PlainConfig(family="vit" | "swin"):
            return "patch_embed.proj"
        case PlainConfig(family="resnet") | StrongResNetConfig():
            return "conv1"
        case _:
            return "stem.0"


def _classifier(model: ModelName) -> str:
    match model.config:
        case PlainConfig(family="swin"):
            return "head.fc"
        case PlainConfig(family="resnet") | StrongResNetConfig():
            return "fc"
        case _:
            return "head"


def _class_and_arguments(config: Config) -> tuple[type[nn.Module], dict[str, Any]]:
    # Imported here: registration may run while one of these modules is importing timm.
    from weatherglass.models.baselines import RobustVisionTransformer
    from weatherglass.models.fan import Fan
    from weatherglass.models.fan_convnext import FanConvNeXt
    from weatherglass.models.fan_swin import FanSwin
    from weatherglass.models.plain import plain_class_and_arguments, strong_resnet_class_and_arguments

    match config:
        case FanConfig():
            return Fan, {"config": config}
        case SwinConfig():
            return FanSwin, {"config": config}
        case ConvNeXtConfig():
            return FanConvNeXt, {"config": config}
        case RvtConfig():
            return RobustVisionTransformer, {"config": config}
        case PlainConfig():
            return plain_class_and_arguments(config)
        case StrongResNetConfig():
            return strong_resnet_class_and_arguments(config)


def _build(name: str, model: ModelName, pretrained: bool, options: dict[str, Any]) -> nn.Module:
    overrides = {field.name: options.pop(field.name) for field in fields(model.config) if field.name in options}
    model_class, arguments = _class_and_arguments(replace(model.config, **overrides))
    options.setdefault("num_classes", model.classes)
    if _first_convolution(model) != "conv1":  # a ResNet has no nominal size
        options.setdefault("img_size", model.image_size)
    if pretrained:
        options["pretrained_cfg_overlay"] = _local_weights(name, options.get("pretrained_cfg_overlay") or {})
    features = {"feature_cls": "getter"} if _has_getter(model_class) else {}
    indices = _default_feature_indices(model)
    return build_model_with_cfg(
        model_class,
        name,
        pretrained,
        pretrained_filter_fn=fan_state_dict,
        feature_cfg={"out_indices": indices, "flatten_sequential": True, **features},
        **arguments,
        **options,
    )


def _has_getter(model_class: type[nn.Module]) -> bool:
    return hasattr(model_class, "forward_intermediates")


def _default_feature_indices(model: ModelName) -> tuple[int, ...]:
    """The maps of `features_only`: all stages, or for FAN the stages of the stem, thirds of the blocks, the end."""
    config = model.config
    if isinstance(config, RvtConfig):
        return config.depth // 3, 2 * config.depth // 3 - 1, config.depth - 1
    if _first_convolution(model) == "conv1":  # a ResNet's stem comes before its stages, as timm counts
        return tuple(range(len(config.depths) + 1))  # pyright: ignore[reportAttributeAccessIssue]
    if not isinstance(config, FanConfig):
        return tuple(range(len(config.depths)))
    stages = 2 if isinstance(config.stem, ConvNeXtStem) else 0
    blocks = config.depth + (config.last_stage[0] if config.last_stage else 0)
    if stages:
        return (0, 1, stages + blocks - 1, stages + blocks)
    return (blocks // 3, 2 * blocks // 3 - 1, blocks - 1, blocks)


def _local_weights(name: str, overlay: dict[str, Any]) -> dict[str, Any]:
    """Weights from a file on this machine, read without running code from it."""
    if "state_dict" in overlay:
        return overlay
    if "file" not in overlay:
        raise UserError(
            f"The weights of '{name}' are not downloaded from here: fetch the file from the authors and pass "
            f"pretrained_cfg_overlay={{'file': PATH}} with pretrained=True, or load it with --checkpoint."
        )
    checkpoint = load_checkpoint(overlay["file"])
    return {**overlay, "file": None, "state_dict": dict(checkpoint.state_dict)}


def _entry(name: str, model: ModelName) -> Callable[..., nn.Module]:
    def create(pretrained: bool = False, **options: Any) -> nn.Module:
        return _build(name, model, pretrained, options)

    create.__name__ = create.__qualname__ = name
    create.__doc__ = model.summary
    return create


default_cfgs = generate_default_cfgs(
    {name: _pretrained_configuration(model) for model in MODELS.values() for name in (model.name, *model.aliases)}
)
__all__: list[str] = []  # timm appends the names


def register() -> None:
    """Tell timm about every name and alias; a second call changes nothing."""
    for model in MODELS.values():
        for name in (model.name, *model.aliases):
            if not is_model(name):
                register_model(_entry(name, model))


register()
