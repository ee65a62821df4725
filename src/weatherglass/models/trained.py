"""Small trained networks that ship, for the demo, first steps and tests: `weatherglass train` made them.

Each file says which network it holds, by which recipe and on which data it was trained, and how it scored.
`make models` makes them again; docs/findings compares those of CIFAR-10. No torch until one is built.
"""

from dataclasses import dataclass
from importlib.resources import as_file, files
from typing import TYPE_CHECKING

from weatherglass.catalog import Catalog
from weatherglass.errors import UserError

if TYPE_CHECKING:
    from torch import nn

    from weatherglass.models.described import ModelDescription


@dataclass(frozen=True)
class TrainedModel:
    """One row of the table."""

    recipe: str
    """What `weatherglass train` was given."""
    parameters: int
    summary: str
    """One line for people."""


TRAINED_MODELS: Catalog[TrainedModel] = Catalog(
    "trained network",
    {
        "digits_cnn": TrainedModel(
            "digits-cnn", 221_866, "ResNet of four blocks trained on the embedded digits, 32x32"
        ),
        "digits_vit": TrainedModel("digits-vit", 214_218, "Plain ViT, 4 blocks, 16 patches; likewise"),
        "digits_fan": TrainedModel("digits-fan", 225_642, "FAN-ViT of equal depth and width; likewise"),
        "digits_fan_hybrid": TrainedModel("digits-fan-hybrid", 221_750, "FAN-Hybrid, 3 blocks; likewise"),
        "cifar10_fan_vit": TrainedModel("fan-vit-micro", 652_395, "FAN-ViT trained on CIFAR-10, 32x32"),
        "cifar10_fan_hybrid": TrainedModel("fan-hybrid-micro", 684_246, "FAN-Hybrid of about as many; likewise"),
        "cifar10_vit": TrainedModel("vit-micro-deep", 632_890, "Plain ViT of as many parameters; likewise"),
        "cifar10_resnet": TrainedModel("resnet-micro", 632_618, "ResNet of as many parameters; likewise"),
    },
)
"""By the name that `--model` takes; the weights are in `weights/NAME.safetensors`."""


def build_trained_model(name: str, *, trained: bool = True) -> "tuple[nn.Module, ModelDescription]":
    """The network of that name with its weights (or fresh ones), and what its file says of it."""
    from weatherglass.models.described import build_described, build_network, describe

    TRAINED_MODELS[name]
    resource = files("weatherglass.models") / "weights" / f"{name}.safetensors"
    if not resource.is_file():
        raise UserError(f"The weights of '{name}' are not in this installation; make them with: make models")
    with as_file(resource) as path:
        description = describe(path)
        if description is None:
            raise UserError(f"{path} does not say which network it belongs to; make it again with: make models")
        if trained:
            return build_described(path, description), description
        fresh = build_network(
            description.name, description.arguments, classes=description.classes, image_size=description.image_size
        )
        return fresh, description
