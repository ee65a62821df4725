"""Self-attention as it happens: fused or not, every softmax over tokens passes here and may be masked or kept.

Fused attention stays fused: the mask is handed to `scaled_dot_product_attention`. Written-out attention is masked at
its softmax, `nn.MultiheadAttention` by its own mask argument.
"""

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import torch
import torch.nn.functional as F
from jaxtyping import Bool, Float
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode

from weatherglass.analysis.silencing import TOKEN_MIXING
from weatherglass.analysis.structure import Block
from weatherglass.analysis.tracing import hooked
from weatherglass.errors import UserError

Allowed = Bool[Tensor, "queries keys"]
Weights = Float[Tensor, "batch heads queries keys"]
MaskOf = Callable[[Block, int, int], Allowed | None]
"""(block, queries, keys) -> which pairs may attend; None: all, and the computation stays untouched."""

_SOFTMAX = (torch.softmax, Tensor.softmax, F.softmax)


class AttentionCalls(TorchFunctionMode):
    """While active, attention inside the token-mixing branch of a chosen block is masked, and its weights are kept."""

    def __init__(self, mask_of: MaskOf | None = None, keep: Callable[[Block, Weights], None] | None = None) -> None:
        super().__init__()
        self.block: Block | None = None
        self.seen: set[str] = set()
        """Names of the blocks in which attention was met."""
        self._mask_of = mask_of
        self._keep = keep

    def __torch_function__(self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: Any = None) -> Any:
        kwargs = dict(kwargs or {})
        if self.block is None:
            return func(*args, **kwargs)
        if func is F.scaled_dot_product_attention:
            return self._fused(args, kwargs)
        if func is F.multi_head_attention_forward:
            return self._multi_head(args, kwargs)
        if func in _SOFTMAX:
            return self._written_out(func, args, kwargs)
        return func(*args, **kwargs)

    def _allowed(self, queries: int, keys: int, device: torch.device) -> Allowed | None:
        assert self.block is not None
        self.seen.add(self.block.name)
        mask = self._mask_of(self.block, queries, keys) if self._mask_of else None
        return None if mask is None or bool(mask.all()) else mask.to(device)

    def _fused(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Tensor:
        names = ("query", "key", "value", "attn_mask", "dropout_p", "is_causal")
        given = dict(zip(names, args, strict=False)) | kwargs
        query, key = given["query"], given["key"]
        if query.shape[-2] > 1 and not given.get("is_causal"):
            allowed = self._allowed(query.shape[-2], key.shape[-2], query.device)
            if allowed is not None:
                given["attn_mask"] = _combined(given.get("attn_mask"), allowed)
            if self._keep:
                self._keep(self._current(), _weights(query, key, given.get("attn_mask"), given.get("scale")))
        return F.scaled_dot_product_attention(**given)

    def _written_out(self, func: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Tensor:
        logits, *rest = args if args else (kwargs.pop("input"),)
        axis = kwargs.get("dim", rest[0] if rest else None)
        if not (logits.ndim >= 3 and axis in (-1, logits.ndim - 1) and logits.shape[-2] > 1):
            return func(logits, *rest, **kwargs)
        allowed = self._allowed(logits.shape[-2], logits.shape[-1], logits.device)
        if allowed is not None:
            logits = logits.masked_fill(~allowed, -torch.inf)
        weights = func(logits, *rest, **kwargs)
        if self._keep:
            self._keep(self._current(), weights)
        return weights

    def _multi_head(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        query, key = args[0], args[1]  # tokens first: (tokens, batch, channels)
        allowed = self._allowed(query.shape[0], key.shape[0], query.device)
        if allowed is not None:
            forbidden = torch.zeros(allowed.shape, dtype=query.dtype, device=query.device)
            kwargs["attn_mask"] = forbidden.masked_fill(~allowed, -torch.inf)
        if not self._keep:
            return F.multi_head_attention_forward(*args, **kwargs)
        by_head = {"need_weights": True, "average_attn_weights": False}
        output, weights = F.multi_head_attention_forward(*args, **kwargs | by_head)
        assert weights is not None
        self._keep(self._current(), weights)
        return output, weights.mean(dim=1)

    def _current(self) -> Block:
        assert self.block is not None
        return self.block


def _combined(mask: Tensor | None, allowed: Allowed) -> Tensor:
    if mask is None:
        return allowed
    if mask.dtype == torch.bool:
        return mask & allowed
    return mask.masked_fill(~allowed, -torch.inf)


def _weights(query: Tensor, key: Tensor, mask: Tensor | None, scale: float | None) -> Weights:
    """What fused attention does not return: softmax(query key^T * scale + mask)."""
    logits = query @ key.transpose(-2, -1) * (query.shape[-1] ** -0.5 if scale is None else scale)
    if mask is not None:
        logits = logits.masked_fill(~mask, -torch.inf) if mask.dtype == torch.bool else logits + mask
    return logits.softmax(dim=-1)


@contextmanager
def watching(model: nn.Module, blocks: Mapping[str, Block], calls: AttentionCalls) -> Iterator[None]:
    """Within, attention in the token-mixing branches of `blocks` (by name) goes through `calls`."""
    handles = []
    for block in blocks.values():
        for branch in block.branches:
            if branch.kind != TOKEN_MIXING:
                continue
            module = model.get_submodule(attention_name(model, branch.name))
            handles.append(module.register_forward_pre_hook(_enter(calls, block)))
            handles.append(module.register_forward_hook(_leave(calls), always_call=True))
    with hooked(handles), calls:
        yield


def attention_name(model: nn.Module, name: str) -> str:
    """The module with the attention of a branch: the branch, or what comes before it where that is a norm (Swin V2)."""
    parent, _, child = name.rpartition(".")
    block = model.get_submodule(parent)
    for sibling in ("attn", "attention", "self_attention"):
        if child.startswith("norm") and isinstance(getattr(block, sibling, None), nn.Module):
            return f"{parent}.{sibling}" if parent else sibling
    return name


def _enter(calls: AttentionCalls, block: Block) -> Callable[..., None]:
    def enter(module: nn.Module, inputs: object) -> None:
        calls.block = block

    return enter


def _leave(calls: AttentionCalls) -> Callable[..., None]:
    def leave(module: nn.Module, inputs: object, output: object) -> None:
        calls.block = None

    return leave


def require_attention(blocks: Mapping[str, Block], seen: set[str]) -> None:
    """Raise `UserError` where a block was computed without any attention between tokens."""
    lacking = [name for name in blocks if name not in seen]
    if lacking:
        raise UserError(
            f"In {lacking[0]} no attention between tokens was met ({len(lacking)} of {len(blocks)} blocks): it mixes "
            "tokens in another way (convolution, pooling, attention over channels), which has no distance to restrict."
        )
