"""Your own models: torchvision architectures with weights from elsewhere, given as `file.py:factory`.

WEIGHTS=path/to/weights weatherglass evaluate examples/imagenet_models.py:mobilenet_v2 --data ...
"""

from cifar_models import with_weights
from torch import nn
from torchvision import models

from weatherglass.types import Preprocessing

IMAGENET = Preprocessing(
    resize=256, size=(224, 224), interpolation="bilinear", mean=(0.485, 0.456, 0.406), std=(0.229, 0.224, 0.225)
)
"""Declared by the factory, because these weights do not come from torchvision, which has other values for its own."""


def mobilenet_v2() -> nn.Module:
    """MobileNetV2, 8-bit weights with one scale a channel, batch normalisation folded into the convolutions."""
    return _network("mobilenet_v2", "imagenet_mobilenet_v2_torchvision_int8.npz")


def squeezenet1_0() -> nn.Module:
    """SqueezeNet 1.0, two thirds of whose weights are zero."""
    return _network("squeezenet1_0", "imagenet_squeezenet1_0_pruned.npz")


def _network(name: str, file: str) -> nn.Module:
    model = with_weights(models.get_model(name, weights=None), file)
    model.preprocessing = IMAGENET
    model.class_names = tuple(models.get_model_weights(name).DEFAULT.meta["categories"])
    return model
