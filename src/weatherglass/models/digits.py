"""Three small classifiers of the embedded digits, with weights that ship: for the demo, for tests, for first steps.

Each takes 32x32 images and has about the same number of parameters; `examples/train_digits.py` made the weights
and makes them again.
"""

from importlib.resources import as_file, files

from torch import nn

from weatherglass.errors import UserError
from weatherglass.types import Preprocessing

PREPROCESSING = Preprocessing(mean=(0.5, 0.5, 0.5), std=(0.5, 0.5, 0.5), source="weatherglass")
CLASSES = tuple("0123456789")


def build_digits_model(name: str, *, trained: bool = True) -> nn.Module:
    """'digits_cnn', 'digits_vit' or 'digits_fan'; with `trained=False` with fresh weights."""
    module = BUILDERS[name]()
    if trained:
        _load_shipped_weights(module, name)
    return module


def _cnn() -> nn.Module:
    """Six convolutions with batch normalisation, at three resolutions."""
    steps = ((3, 24, 1), (24, 24, 1), (24, 48, 2), (48, 48, 1), (48, 96, 2), (96, 96, 1))
    layers: list[nn.Module] = []
    for inputs, outputs, stride in steps:
        convolution = nn.Conv2d(inputs, outputs, 3, stride, 1, bias=False)
        layers += [convolution, nn.BatchNorm2d(outputs), nn.ReLU()]
    return nn.Sequential(*layers, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(96, 10))


def _vit() -> nn.Module:
    """A plain vision transformer: 16 patches of 8x8 pixels."""
    from timm.models.vision_transformer import VisionTransformer

    return VisionTransformer(img_size=32, patch_size=8, embed_dim=64, depth=4, num_heads=4, num_classes=10)


def _fan() -> nn.Module:
    """A fully attentional network: as many blocks, as wide, 64 tokens."""
    from weatherglass.models.configuration import ConvolutionStem, FanConfig
    from weatherglass.models.fan import Fan

    config = FanConfig(depth=4, width=64, heads=4, stem=ConvolutionStem(stride=4), class_depth=1, mlp_ratio=3.0)
    return Fan(config, num_classes=10, img_size=32)


BUILDERS = {"digits_cnn": _cnn, "digits_vit": _vit, "digits_fan": _fan}


def _load_shipped_weights(module: nn.Module, name: str) -> None:
    from safetensors.torch import load_file

    resource = files("weatherglass.models") / "weights" / f"{name}.safetensors"
    if not resource.is_file():
        raise UserError(f"The weights of '{name}' are not in this installation; make them with: make models")
    with as_file(resource) as path:
        module.load_state_dict(load_file(path))
