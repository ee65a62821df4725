"""A PyTorch module behind the border: images in [0, 1] in, logits in float32 out."""

from contextlib import AbstractContextManager, nullcontext
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor, nn

from weatherglass.errors import UserError
from weatherglass.models.digests import digest_of_own
from weatherglass.types import Images, Logits, Predictor, Preprocessing

PRECISIONS = {"float32": torch.float32, "bfloat16": torch.bfloat16, "float16": torch.float16}


class TorchPredictor(Predictor):
    """A module in evaluation mode on one device. Gradients reach the images; recording them is the caller's choice."""

    differentiable = True

    def __init__(
        self,
        module: nn.Module,
        *,
        name: str,
        preprocessing: Preprocessing | None = None,
        classes: int | None = None,
        class_names: tuple[str, ...] | None = None,
        device: str | torch.device = "auto",
        precision: str = "float32",
        channels_last: bool = False,
        digest: str | None = None,
    ) -> None:
        """`classes` None: measured by predicting one grey image of the preprocessing's size (or 224 or 32 pixels).

        `channels_last` changes the memory layout only; convolutions are often faster with it. `digest` is given where
        something identifies the function better than weights and settings do: a name, or a file.
        """
        self.name = name
        self.preprocessing = preprocessing or Preprocessing()
        self.device = resolve_device(device)
        self.precision = check_precision(precision, self.device)
        self._layout = torch.channels_last if channels_last else torch.contiguous_format
        self.module = _evaluation_mode(module.to(self.device).to(memory_format=self._layout))
        mean, std = (torch.tensor(v, device=self.device) for v in (self.preprocessing.mean, self.preprocessing.std))
        self._mean, self._std = mean.view(1, -1, 1, 1), std.view(1, -1, 1, 1)
        self.digest = digest or digest_of_own(module)
        self.parameters = sum(parameter.numel() for parameter in module.parameters())
        self.class_names = class_names
        self.classes = classes if classes is not None else self._measured_classes()

    def __call__(self, images: Images) -> Logits:
        """Raw outputs in float32, shape (batch, classes), for images in [0, 1] on `device`."""
        normalised = ((images - self._mean) / self._std).contiguous(memory_format=self._layout)
        with self._autocast():
            output = self.module(normalised)
        return logits_of(output, self.name).float()

    def _autocast(self) -> AbstractContextManager[Any]:
        if self.precision == "float32":
            return nullcontext()
        return torch.autocast(self.device.type, dtype=PRECISIONS[self.precision])

    def _measured_classes(self) -> int:
        failures = []
        for size in [self.preprocessing.size] if self.preprocessing.size else [(224, 224), (32, 32)]:
            try:
                with torch.no_grad():
                    return int(self(torch.full((1, 3, *size), 0.5, device=self.device)).shape[1])
            except (RuntimeError, ValueError, AssertionError, IndexError) as error:
                failures.append(f"{size[0]}x{size[1]}: {' '.join(str(error).split())[:160]}")
        raise UserError(f"{self.name} fails on a grey image; {'; '.join(failures)}.")


def logits_of(output: object, name: str) -> Float[Tensor, "batch classes"]:
    """The logits in what a classifier returned: a tensor, the first of a tuple, or a `.logits` field."""
    if isinstance(output, tuple | list) and output:
        output = output[0]
    logits = getattr(output, "logits", output)
    if not isinstance(logits, Tensor) or logits.ndim != 2:
        shape = tuple(logits.shape) if isinstance(logits, Tensor) else type(logits).__name__
        raise UserError(f"{name} returned {shape}; a classifier returns logits of shape (batch, classes).")
    return logits


def resolve_device(device: str | torch.device) -> torch.device:
    """'auto' is the first accelerator or the CPU; a device that is not there is a `UserError`."""
    if device == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    try:
        resolved = torch.device(device)
        torch.empty(1, device=resolved)
    except (RuntimeError, AssertionError, NotImplementedError) as error:
        known = ["auto", "cpu", *(f"cuda:{index}" for index in range(torch.cuda.device_count()))]
        reason = str(error).splitlines()[0].rstrip(".")
        raise UserError(f"The device '{device}' cannot be used ({reason}). Usable here: {', '.join(known)}.") from error
    return resolved


def check_precision(precision: str, device: torch.device) -> str:
    if precision not in PRECISIONS:
        raise UserError(f"The precision '{precision}' is not one of {', '.join(PRECISIONS)}.")
    return precision


def _evaluation_mode(module: nn.Module) -> nn.Module:
    try:
        return module.eval()
    except NotImplementedError:  # modules made by torch.export refuse: their mode was fixed when they were exported
        return module
