"""One forward pass seen from outside: which modules ran, with what, and what they returned."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from weatherglass.analysis.layouts import single_tensor


@dataclass(frozen=True, eq=False)
class Call:
    """One call of a module."""

    module: nn.Module
    inputs: tuple[Any, ...]
    keywords: dict[str, Any]
    output: Any

    @property
    def streams(self) -> tuple[int, ...]:
        """Positions of the inputs that have the shape of the output: what a residual block may add to."""
        try:
            output = single_tensor(self.output)
        except TypeError:
            return ()
        if output.ndim < 3:
            return ()
        return tuple(
            position
            for position, value in enumerate(self.inputs)
            if isinstance(value, Tensor) and value.shape == output.shape and value.dtype == output.dtype
        )


def trace(model: nn.Module, images: Tensor) -> list[Call]:
    """The calls of all modules that have children, in the order in which they began; modules called once only.

    Containers count only where they have a forward of their own. Tensors are kept as they are, not copied: a
    network that changes its activations in place is read from copies (`_kept`).
    """
    started: list[nn.Module] = []
    kept: dict[nn.Module, tuple[tuple[Any, ...], dict[str, Any]]] = {}
    calls: dict[nn.Module, Call] = {}

    def before(module: nn.Module, inputs: tuple[Any, ...], keywords: dict[str, Any]) -> None:
        started.append(module)
        kept[module] = (tuple(_kept(value) for value in inputs), dict(keywords))

    def after(module: nn.Module, inputs: tuple[Any, ...], keywords: dict[str, Any], output: Any) -> None:
        calls[module] = Call(module, *kept[module], _kept(output))

    handles = []
    for module in model.modules():
        if module is not model and any(True for _ in module.children()) and not _is_plain_container(module):
            handles.append(module.register_forward_pre_hook(before, with_kwargs=True))
            handles.append(module.register_forward_hook(after, with_kwargs=True))
    try:
        model(images)
    finally:
        for handle in handles:
            handle.remove()
    once = [module for module in dict.fromkeys(started) if started.count(module) == 1]
    return [calls[module] for module in once if module in calls]


def _is_plain_container(module: nn.Module) -> bool:
    return type(module) in (nn.Sequential, nn.ModuleList, nn.ModuleDict)


def _kept(value: Any) -> Any:
    return value.clone() if isinstance(value, Tensor) else value


@contextmanager
def evaluation_mode(model: nn.Module) -> Iterator[None]:
    """Evaluation mode for a while; every module gets its own mode back."""
    training = [module for module in model.modules() if module.training]
    try:
        if training:
            model.eval()
        yield
    finally:
        for module in training:
            module.training = True


@contextmanager
def hooked(handles: list[torch.utils.hooks.RemovableHandle]) -> Iterator[None]:
    """Remove hooks at the end, also after an exception."""
    try:
        yield
    finally:
        for handle in handles:
            handle.remove()
