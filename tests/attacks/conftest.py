"""What the tests of attacks share."""

from collections.abc import Callable

import pytest
from torch import nn

from weatherglass.models.predictor import TorchPredictor
from weatherglass.types import Predictor, Preprocessing


@pytest.fixture
def predictor_of() -> Callable[..., Predictor]:
    def make(module: nn.Module, *, mean: float = 0.5, std: float = 0.25, precision: str = "float32") -> Predictor:
        preprocessing = Preprocessing(size=(8, 8), mean=(mean,) * 3, std=(std,) * 3, source="test")
        return TorchPredictor(module, name="model", preprocessing=preprocessing, device="cpu", precision=precision)

    return make
