"""Files of weights that say which network they belong to: `weatherglass evaluate model.safetensors` needs no more.

`weatherglass train` writes them, and the small trained networks that ship are such files.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from torch import nn

from weatherglass.errors import UserError
from weatherglass.models.detector_names import is_detector
from weatherglass.models.segmenter_names import is_segmenter
from weatherglass.types import Preprocessing

METADATA_KEY = "weatherglass.model"
"""The entry of the safetensors metadata that holds a `ModelDescription` as JSON."""


@dataclass(frozen=True)
class ModelDescription:
    """All that is needed to build a network and to feed it."""

    name: str
    """Ours, or timm/NAME."""
    classes: int
    image_size: int
    preprocessing: Preprocessing
    arguments: Mapping[str, Any] = field(default_factory=dict)
    class_names: tuple[str, ...] | None = None


def build_network(
    name: str,
    arguments: Mapping[str, Any],
    *,
    classes: int,
    image_size: int | None = None,
    drop_path: float = 0.0,
) -> nn.Module:
    """A fresh network of our family or timm's.

    `arguments` are its constructor's, as plain values: lists stand for tuples. Raises `UserError` for a name or an
    argument that does not exist.
    """
    import timm

    import weatherglass.models.registration  # noqa: F401  (tells timm about our models)
    from weatherglass.models.names import ALIASES, MODELS, model_name
    from weatherglass.models.published import check_timm_name

    library, slash, inner = name.partition("/")
    if library == "timm" and slash:
        check_timm_name(inner, False)
    else:
        inner = model_name(name).name if name in ALIASES or name not in MODELS else name
    options: dict[str, Any] = {key: _tuples(value) for key, value in arguments.items()}
    if drop_path:
        options["drop_path_rate"] = drop_path
    if image_size is not None and _takes_image_size(inner):
        options["img_size"] = image_size
    try:
        return timm.create_model(inner, num_classes=classes, **options)
    except (TypeError, ValueError, AssertionError, KeyError) as error:
        given = ", ".join(f"{key}={value!r}" for key, value in options.items()) or "no arguments"
        raise UserError(f"{name} cannot be built with {given}: {error}.") from error


def describe(path: Path) -> ModelDescription | None:
    """The description in a safetensors file; None where it has none."""
    from safetensors import SafetensorError, safe_open

    if path.suffix != ".safetensors" or not path.is_file():
        return None
    try:
        with safe_open(path, framework="pt") as file:
            text = (file.metadata() or {}).get(METADATA_KEY)
    except (SafetensorError, OSError):
        return None
    return None if text is None else read_description(text, str(path))


def read_description(text: str, origin: str) -> ModelDescription:
    """From the JSON that `weatherglass train` wrote; other entries are left alone."""
    import msgspec

    try:
        return msgspec.convert(json.loads(text), ModelDescription)
    except (msgspec.ValidationError, json.JSONDecodeError) as error:
        raise UserError(f"{origin} does not say which network it belongs to: {error}.") from None


def build_described(path: Path, description: ModelDescription) -> nn.Module:
    """The network of a described file, with the file's weights."""
    from weatherglass.models.checkpoint import fit_checkpoint, load_checkpoint

    if is_detector(description.name):
        from weatherglass.models.detector import build_named_detector

        module: nn.Module = build_named_detector(description.name, description.classes, description.arguments)
    elif is_segmenter(description.name):
        from weatherglass.models.segmenter import build_named_segmenter

        module = build_named_segmenter(description.name, description.classes, description.arguments)
    else:
        module = build_network(
            description.name, description.arguments, classes=description.classes, image_size=description.image_size
        )
    fit_checkpoint(module, load_checkpoint(path))
    return module


def _takes_image_size(name: str) -> bool:
    """Whether the network's weights depend on the image's size; convolutional ones take any and have no argument."""
    from timm.models import get_pretrained_cfg

    configuration = get_pretrained_cfg(name)
    fixed = configuration is not None and configuration.fixed_input_size
    return bool(fixed) or name.startswith(("fan_", "vit_", "deit", "swin_", "rvt_"))


def _tuples(value: Any) -> Any:
    return tuple(_tuples(inner) for inner in value) if isinstance(value, list | tuple) else value
