"""The micro networks that `train_cifar.py` trains, as factories.

TRAINED=trained weatherglass analyse gates examples/micro_models.py:fan --data ...
"""

import os
from pathlib import Path

from torch import nn

from weatherglass.models.create import create_model
from weatherglass.types import Preprocessing

PREPROCESSING = Preprocessing(mean=(0.485, 0.456, 0.406), std=(0.229, 0.224, 0.225))


def vit() -> nn.Module:
    """A plain ViT: 5 blocks, width 80, 64 tokens."""
    return _trained("vit_micro_32")


def fan() -> nn.Module:
    """FAN-ViT of the same depth and width."""
    return _trained("fan_vit_micro_32")


def resnet() -> nn.Module:
    """A ResNet of four basic blocks."""
    return _trained("resnet_micro_32")


def _trained(name: str) -> nn.Module:
    checkpoint = Path(os.environ.get("TRAINED", "trained")) / f"{name}.safetensors"
    model = create_model(name, num_classes=10, checkpoint=checkpoint)
    model.preprocessing = PREPROCESSING  # pyright: ignore[reportArgumentType]
    return model
