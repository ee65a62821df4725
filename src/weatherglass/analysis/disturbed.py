"""A predictor whose network is disturbed while it predicts, and only then."""

from collections.abc import Callable
from contextlib import AbstractContextManager

from torch import nn

from weatherglass.analysis.structure import Structure, find_structure
from weatherglass.errors import UserError
from weatherglass.types import Images, Logits, Predictor

Disturb = Callable[[nn.Module, Structure], AbstractContextManager[None]]


class DisturbedPredictor(Predictor):
    """Predicts within `disturb(module, structure)`; the structure is found for each image size it meets."""

    def __init__(self, inner: Predictor, disturb: Disturb) -> None:
        self.inner = inner
        self.module = module_of(inner)
        self.name, self.digest = inner.name, inner.digest
        self.preprocessing, self.classes, self.class_names = inner.preprocessing, inner.classes, inner.class_names
        self.device, self.precision = inner.device, inner.precision
        self.differentiable, self.parameters = inner.differentiable, inner.parameters
        self._disturb = disturb
        self._structures: dict[tuple[int, int], Structure] = {}

    def __call__(self, images: Images) -> Logits:
        size = (images.shape[2], images.shape[3])
        if size not in self._structures:
            self._structures[size] = find_structure(self.module, size)
        with self._disturb(self.module, self._structures[size]):
            return self.inner(images)


def module_of(predictor: Predictor) -> nn.Module:
    """The network behind a predictor. Raises `UserError` for predictors without one, such as ONNX files."""
    module = getattr(predictor, "module", None)
    if not isinstance(module, nn.Module) or not any(True for _ in module.children()):
        raise UserError(
            f"{predictor.name} cannot be studied from inside: a network of PyTorch modules is needed, and this is "
            f"{'an exported program' if module is not None else type(predictor).__name__}."
        )
    return module
