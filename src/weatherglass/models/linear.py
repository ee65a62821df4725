"""Linear layers whose float32 products on a CPU run in oneDNN.

PyTorch hands float32 products on x86 to Intel's MKL, which leaves half of the vector width unused on other makers'
processors: on an AMD EPYC with AVX-512 oneDNN computes the products of FAN-S in half the time. Everything else
(other types, devices, autocast, tracing, function transforms) takes PyTorch's way, and so does a build without oneDNN.
"""

from typing import Any

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn
from torch.autograd import Function

_KERNEL = getattr(torch.ops.mkldnn, "_linear_pointwise", None) if torch.backends.mkldnn.is_available() else None


class Linear(nn.Linear):
    """`nn.Linear` by way of `linear`."""

    def forward(self, input: Float[Tensor, "*batch inputs"]) -> Float[Tensor, "*batch outputs"]:
        return linear(input, self.weight, self.bias)


def linear(
    features: Float[Tensor, "*batch inputs"],
    weight: Float[Tensor, "outputs inputs"],
    bias: Float[Tensor, " outputs"] | None = None,
) -> Float[Tensor, "*batch outputs"]:
    """`features @ weight.T + bias`."""
    if not _in_onednn(features, weight):
        return F.linear(features, weight, bias)
    if torch.is_grad_enabled():
        return _OneDnnLinear.apply(features, weight, bias)
    return _product(features, weight, bias)


def _in_onednn(features: Tensor, weight: Tensor) -> bool:
    return (
        _KERNEL is not None
        and features.dtype == weight.dtype == torch.float32
        and features.device.type == weight.device.type == "cpu"
        and not torch.compiler.is_compiling()
        and not torch.is_autocast_enabled("cpu")
        and torch._C._len_torch_dispatch_stack() == 0  # a counter of operations wants to see the usual ones
        and not torch._C._are_functorch_transforms_active()
    )


def _product(features: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
    assert _KERNEL is not None
    return _KERNEL(features, weight, bias, "none", [], "")


class _OneDnnLinear(Function):
    """The same with gradients, whose two products run in oneDNN as well."""

    @staticmethod
    def forward(context: Any, features: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
        context.save_for_backward(features, weight)
        context.has_bias = bias is not None
        return _product(features, weight, bias)

    @staticmethod
    def backward(  # pyright: ignore[reportIncompatibleMethodOverride]
        context: Any, *gradients: Tensor
    ) -> tuple[Tensor | None, Tensor | None, Tensor | None]:
        features, weight = context.saved_tensors
        wanted = context.needs_input_grad
        gradient = gradients[0]
        rows = gradient.flatten(0, -2)
        return (
            linear(gradient, weight.t()) if wanted[0] else None,
            linear(rows.t(), features.flatten(0, -2).t()) if wanted[1] else None,
            rows.sum(0) if wanted[2] and context.has_bias else None,
        )
