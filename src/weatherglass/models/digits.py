"""Three small classifiers of the embedded digits, with weights that ship: for the demo, for tests, for first steps.

Each takes 32x32 images and has about 0.2 million parameters; `make models` made the weights and makes them again.
Torch is imported when a model is built, so that listing the names costs nothing.
"""

from collections.abc import Callable
from dataclasses import dataclass
from importlib.resources import as_file, files
from typing import TYPE_CHECKING

from weatherglass.catalog import Catalog
from weatherglass.errors import UserError

if TYPE_CHECKING:
    from torch import nn

CLASSES = tuple("0123456789")


@dataclass(frozen=True)
class DigitsModel:
    """One row of the table."""

    summary: str
    """One line for people."""
    build: "Callable[[], nn.Module]"
    """With fresh weights."""


def build_digits_model(name: str, *, trained: bool = True) -> "nn.Module":
    """The network of that name; with `trained=False` with fresh weights. It wants pixels scaled to [-1, 1]."""
    module = DIGITS_MODELS[name].build()
    if trained:
        _load_shipped_weights(module, name)
    return module


def _cnn() -> "nn.Module":
    from torch import nn

    steps = ((3, 24, 1), (24, 24, 1), (24, 48, 2), (48, 48, 1), (48, 96, 2), (96, 96, 1))
    layers: list[nn.Module] = []
    for inputs, outputs, stride in steps:
        convolution = nn.Conv2d(inputs, outputs, 3, stride, 1, bias=False)
        layers += [convolution, nn.BatchNorm2d(outputs), nn.ReLU()]
    return nn.Sequential(*layers, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(96, 10))


def _vit() -> "nn.Module":
    from timm.models.vision_transformer import VisionTransformer

    return VisionTransformer(img_size=32, patch_size=8, embed_dim=64, depth=4, num_heads=4, num_classes=10)


def _fan() -> "nn.Module":
    from weatherglass.models.configuration import ConvolutionStem, FanConfig
    from weatherglass.models.fan import Fan

    config = FanConfig(depth=4, width=64, heads=4, stem=ConvolutionStem(stride=8), class_depth=1, mlp_ratio=2.0)
    return Fan(config, num_classes=10, img_size=32)


DIGITS_MODELS: Catalog[DigitsModel] = Catalog(
    "digits model",
    {
        "digits_cnn": DigitsModel("Six convolutions with batch normalisation; trained on the embedded digits", _cnn),
        "digits_vit": DigitsModel("A plain vision transformer, 4 blocks, 16 patches; likewise", _vit),
        "digits_fan": DigitsModel("A fully attentional network of equal depth and width; likewise", _fan),
    },
)


def _load_shipped_weights(module: "nn.Module", name: str) -> None:
    from safetensors.torch import load_file

    resource = files("weatherglass.models") / "weights" / f"{name}.safetensors"
    if not resource.is_file():
        raise UserError(f"The weights of '{name}' are not in this installation; make them with: make models")
    with as_file(resource) as path:
        module.load_state_dict(load_file(path))
