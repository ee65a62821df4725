"""Which children of a module are its residual branches: those whose silence leaves the input as it was."""

import copy
from collections.abc import Callable, Mapping, Sequence
from itertools import combinations
from typing import Any

import torch
from torch import Tensor, nn

from weatherglass.analysis.layouts import single_tensor
from weatherglass.analysis.tracing import Call, hooked

MAX_BRANCHES = 3
SEARCHED = {1: 64, 2: 14, 3: 10}
"""Children considered for sets of each size: those that sound like a mixer, then those with the most parameters."""


def zeros_instead(module: nn.Module, inputs: tuple[Any, ...], output: Any) -> Any:
    """A forward hook that replaces what a module returns by zeros."""
    if isinstance(output, Tensor):
        return torch.zeros_like(output)
    if isinstance(output, tuple):
        return tuple(zeros_instead(module, inputs, part) for part in output)
    return output


def is_silent_identity(module: nn.Module, call: Call, stream: int, children: Sequence[str]) -> bool:
    """Whether `module`, with `children` silenced, returns its input `stream` bit for bit, for the traced input."""
    output = _output(module, call, children)
    return output is not None and torch.equal(output, call.inputs[stream])


def branch_children(call: Call, stream: int) -> tuple[str, ...] | None:
    """Names of the fewest children that must be silent for the module to be the identity; None: there are none.

    Searched on a copy with random weights. Among sets of one size those with `TELLING` names come first, then those
    with most parameters, so that 'attn' is preferred to the layer scale behind it, which would do as well.
    """
    probe = _randomised(call.module)
    if probe is None:
        return None
    order = _called_once(probe, call)
    whole = _output(probe, call, ())
    if whole is None or torch.equal(whole, call.inputs[stream]):
        return None
    weight = {name: sum(p.numel() for p in probe.get_submodule(name).parameters()) for name in order}
    rank = {name: (kind_told_by(name) is not None, weight[name]) for name in order}
    ranked = sorted(order, key=lambda name: rank[name], reverse=True)
    for count in range(1, MAX_BRANCHES + 1):
        sets = combinations(ranked[: SEARCHED[count]], count)
        for names in sorted(sets, key=lambda names: _summed(rank, names), reverse=True):
            if is_silent_identity(probe, call, stream, names):
                return tuple(sorted(names, key=order.index))
    return None


TOKEN_MIXING, CHANNEL_MIXING, MIXED = "token_mixing", "channel_mixing", "mixed"

TELLING = {
    TOKEN_MIXING: ("attn", "attention", "token", "local_mp", "spatial", "modulation", "cpe"),
    CHANNEL_MIXING: ("mlp", "ffn", "feed_forward", "channel"),
}
"""Parts of names that tell what a module mixes."""

PARTS = {"qkv": TOKEN_MIXING, "fc1": CHANNEL_MIXING, "fc2": CHANNEL_MIXING}
"""Names of linear maps that tell which branch they belong to, in blocks that hold them without a module around."""


def kind_told_by(name: str) -> str | None:
    return next((kind for kind, words in TELLING.items() if any(word in name for word in words)), None)


def branch_kinds(module: nn.Module, branches: Sequence[str]) -> list[str]:
    """What each branch mixes, told by its own name or by those of the children between it and the branch before.

    A block's only branch does both. Where the names of one branch tell nothing and the other is an MLP, it mixes
    tokens.
    """
    if len(branches) == 1:
        return [MIXED]
    kinds: list[str | None] = []
    told: list[str] = []
    for name, _ in module.named_children():
        own = kind_told_by(name) or PARTS.get(name)
        told += [own] if own else []
        if name in branches:
            kinds.append(told[-1] if told else None)
            told = []
    fallback = TOKEN_MIXING if CHANNEL_MIXING in kinds else MIXED
    return [kind or fallback for kind in kinds]


def _summed(rank: Mapping[str, tuple[bool, int]], names: Sequence[str]) -> tuple[int, int]:
    return sum(rank[name][0] for name in names), sum(rank[name][1] for name in names)


def _called_once(module: nn.Module, call: Call) -> list[str]:
    """Children that run exactly once: one that serves two branches (CaiT's drop path) is neither of them."""
    counts = {name: 0 for name, _ in module.named_children()}

    def counter(name: str) -> Callable[..., None]:
        def count(*_: object) -> None:
            counts[name] += 1

        return count

    handles = [child.register_forward_hook(counter(name)) for name, child in module.named_children()]
    with hooked(handles):
        _output(module, call, ())
    return [name for name, count in counts.items() if count == 1]


def _output(module: nn.Module, call: Call, silent: Sequence[str]) -> Tensor | None:
    """What a module returns for the traced input; None where it fails, as some do when a child returns zeros."""
    handles = [module.get_submodule(name).register_forward_hook(zeros_instead) for name in silent]
    inputs = tuple(value.clone() if isinstance(value, Tensor) else value for value in call.inputs)
    with hooked(handles):
        try:
            return single_tensor(module(*inputs, **call.keywords))
        except (RuntimeError, TypeError, ValueError, AttributeError, IndexError, AssertionError):
            return None


def _randomised(module: nn.Module) -> nn.Module | None:
    """A copy in which no parameter is zero or one; None for modules that cannot be copied."""
    try:
        probe = copy.deepcopy(module)
    except (RuntimeError, TypeError, AttributeError):
        return None
    generator = torch.Generator().manual_seed(0)
    for parameter in probe.parameters():
        if parameter.is_floating_point():
            values = 0.2 * torch.randn(parameter.shape, generator=generator)
            parameter.data.copy_(values.sign() * 0.05 + values)
    for name, buffer in probe.named_buffers():
        if name.endswith("running_mean"):
            buffer.copy_(torch.randn(buffer.shape, generator=generator))
        elif name.endswith("running_var"):
            buffer.copy_(0.5 + torch.rand(buffer.shape, generator=generator))
    return probe
