"""How far channel attention really gates: the distribution of its gates (FAN, equation 7; see the protocol card 1).

In the released form a gate cannot leave 0.5 to 0.731 times its temperature, and at initialisation it hardly leaves 0.5.
Whoever speaks of dynamic reweighting should show this figure beside it.
"""

from dataclasses import dataclass
from inspect import ismethod
from typing import Any

import numpy as np
import torch
from torch import Tensor

from weatherglass.analysis.disturbed import module_of
from weatherglass.analysis.recording import image_batches
from weatherglass.analysis.tracing import hooked
from weatherglass.errors import UserError
from weatherglass.types import ImageData, Predictor

PERCENTILES = (1, 25, 50, 75, 99)


@dataclass(frozen=True)
class GateDistribution:
    """The gates of one block over all images and channels."""

    name: str
    mean: float
    percentiles: tuple[float, ...]
    """At `PERCENTILES`."""
    between_channels: float
    """Standard deviation over channels of the gates' means over images: what a constant could do as well."""
    between_images: float
    """Mean over channels of the standard deviation over images: what is dynamic."""
    temperature: tuple[float, float] | None
    """Smallest and largest learned temperature; None where there is none."""


def gate_distributions(predictor: Predictor, data: ImageData, *, batch_size: int = 32) -> list[GateDistribution]:
    """The gates of every module that has a method `gate(tokens)`. Raises `UserError` where there is none."""
    model = module_of(predictor)
    # A submodule of that name, as in squeeze and excitation elsewhere, is an activation and not the gates themselves.
    gated = {name: part for name, part in model.named_modules() if ismethod(getattr(part, "gate", None))}
    if not gated:
        raise UserError(f"{predictor.name} has no channel attention with gates (FAN models have).")
    inputs: dict[str, Tensor] = {}

    def keep(name: str) -> Any:
        return lambda module, given: inputs.update({name: given[0]})

    gates: dict[str, list[Tensor]] = {name: [] for name in gated}
    with hooked([part.register_forward_pre_hook(keep(name)) for name, part in gated.items()]):
        for batch in image_batches(data, predictor, batch_size):
            with torch.no_grad():
                predictor(batch.images)
                for name, part in gated.items():
                    gate: Any = part.gate
                    gates[name].append(gate(inputs[name]).flatten(1).double().cpu())
    return [_distribution(name, torch.cat(rows), gated[name]) for name, rows in gates.items()]


def _distribution(name: str, gates: Tensor, module: torch.nn.Module) -> GateDistribution:
    temperature = getattr(module, "temperature", None)
    learned = (0.0, 0.0)
    if isinstance(temperature, Tensor):
        learned = float(temperature.detach().min()), float(temperature.detach().max())
    return GateDistribution(
        name,
        float(gates.mean()),
        tuple(np.percentile(gates.numpy(), PERCENTILES).tolist()),  # torch.quantile takes 16 million numbers at most
        float(gates.mean(dim=0).std()),
        float(gates.std(dim=0).mean()) if len(gates) > 1 else 0.0,
        learned if isinstance(temperature, Tensor) else None,
    )
