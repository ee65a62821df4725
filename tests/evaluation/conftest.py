"""Small predictors and data that tests of the evaluation share."""

from collections.abc import Callable

import numpy as np
import pytest
import torch
from networks import TemplateNetwork
from torch import nn

from weatherglass.data.images import ArrayImages
from weatherglass.models.predictor import TorchPredictor
from weatherglass.types import Predictor, Preprocessing


@pytest.fixture
def make_predictor() -> Callable[..., Predictor]:
    def make(network: nn.Module | None = None, name: str = "template") -> Predictor:
        module = network or TemplateNetwork()
        return TorchPredictor(module, name=name, preprocessing=Preprocessing(source="test"), device="cpu")

    return make


@pytest.fixture
def photographs() -> ArrayImages:
    """70 smooth random images whose labels are what the template network sees in them."""
    generator = np.random.default_rng(0)
    coarse = generator.uniform(40, 215, (70, 4, 4, 3))
    pixels = coarse.repeat(8, axis=1).repeat(8, axis=2).astype(np.uint8)
    with torch.inference_mode():
        images = torch.from_numpy(pixels).permute(0, 3, 1, 2).float() / 255
        labels = TemplateNetwork()(images).argmax(1).numpy().astype(np.int64)
    return ArrayImages(
        name="photographs",
        pixels=pixels,
        labels=labels,
        classes=tuple("abcdefghij"),
        ids=tuple(f"photo/{index:03d}" for index in range(70)),
    )
