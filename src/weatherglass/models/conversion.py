"""Checkpoints of other programs as safetensors with a configuration in timm's form."""

import json
from pathlib import Path
from typing import cast

import timm
from torch import nn

import weatherglass.models.registration  # noqa: F401  (tells timm about our models)
from weatherglass.errors import UserError
from weatherglass.models.checkpoint import Checkpoint, FitReport, fit_checkpoint, load_checkpoint, save_weights
from weatherglass.models.names import model_name
from weatherglass.models.published_names import fan_state_dict


def convert_checkpoint(
    checkpoint: str | Path,
    output: str | Path,
    *,
    model: str,
    classes: int | None = None,
    ema: bool | None = None,
    partial: bool = False,
) -> tuple[FitReport, tuple[Path, Path]]:
    """Read `checkpoint`, fit it to `model`, write `output` (safetensors) and `output` with `.json` added.

    Returns how it fitted and the two paths.

    Raises:
        UserError: the file cannot be read, does not fit (unless `partial`), or `output` does not end in .safetensors.
    """
    output = Path(output)
    if output.suffix != ".safetensors":
        raise UserError(f"The output must end in .safetensors, got {output.name}.")
    if not output.parent.is_dir():
        raise UserError(f"There is no folder {output.parent} to write to.")
    row = model_name(model)
    loaded = load_checkpoint(checkpoint, ema=ema)
    network = timm.create_model(row.name, num_classes=classes or _classes(loaded, row.name) or row.classes)
    report = fit_checkpoint(network, loaded, strict=not partial, ignore_mismatched=partial)
    save_weights(network, output, {"architecture": row.name, "source": f"{loaded.path.name}:{loaded.source}"})
    beside = output.with_name(f"{output.name}.json")
    aside = beside.with_name(f".{beside.name}.part")
    aside.write_text(json.dumps(_configuration(network, row.name), indent=2) + "\n")
    aside.replace(beside)
    return report, (output, beside)


def _classes(checkpoint: Checkpoint, name: str) -> int | None:
    """The number of classes in the checkpoint's classifier."""
    import torch

    with torch.device("meta"):
        model = timm.create_model(name)
    classifier = cast("dict[str, str]", model.pretrained_cfg)["classifier"]
    weight = fan_state_dict(checkpoint.state_dict, model).get(f"{classifier}.weight")
    return None if weight is None else len(weight)


def _configuration(network: nn.Module, name: str) -> dict[str, object]:
    kept = ("input_size", "interpolation", "crop_pct", "mean", "std", "first_conv", "classifier")
    configuration = getattr(network, "pretrained_cfg", {})
    return {
        "architecture": name,
        "num_classes": getattr(network, "num_classes", None),
        "num_features": getattr(network, "num_features", None),
        "pretrained_cfg": {key: configuration[key] for key in kept if key in configuration},
    }
