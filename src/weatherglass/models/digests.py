"""Digest of a model: everything that decides the function it computes, and nothing that differs between machines."""

import sys
from argparse import Namespace
from collections.abc import Callable, Iterable, Mapping, Set
from dataclasses import fields, is_dataclass
from enum import Enum
from functools import partial
from hashlib import blake2b
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from weatherglass.user_code import VERSIONED_LIBRARIES

_OF_EVERY_MODULE = frozenset(vars(nn.Module()))
_DEEPEST = 8
"""Settings nested deeper are left out."""


def digest_of(module: nn.Module) -> str:
    """blake2b over the kinds and settings of all parts and the bytes of all parameters and buffers: for named networks.

    Parts count because a ReLU exchanged for a GELU is another function of the same weights. So do the source files
    that define parts of other libraries than those whose versions the protocol names.
    """
    return _started(module).hexdigest()


def digest_of_own(module: nn.Module, sources: Iterable[Path] = ()) -> str:
    """The same for a user's network, which no name and no version describes.

    Here plain attributes of all parts count too (numbers, text, tensors, functions by name, and records and
    containers of them), since `attention.scale *= 2` makes another model, and so do the `sources` of the user's code.
    """
    return _digest_of_own(module, set(), sources)


def _digest_of_own(module: nn.Module, seen: set[int], sources: Iterable[Path] = ()) -> str:
    """`seen` are the networks that are digested already; they may hold each other."""
    digest = _started(module)
    seen.update(id(part) for part in module.modules())
    for name, part in module.named_modules():
        for attribute, value in sorted(vars(part).items()):
            if attribute not in _OF_EVERY_MODULE and (text := _as_text(value, seen)) is not None:
                digest.update(f"{name}.{attribute}={text};".encode(errors="surrogatepass"))
    digest.update(digest_of_files(sources).encode())
    return digest.hexdigest()


def digest_of_files(sources: Iterable[Path]) -> str:
    """Of names and contents, wherever the files lie."""
    contents = sorted((source.name, source.read_bytes()) for source in sources)
    digest = blake2b(digest_size=16)
    for name, content in contents:
        digest.update(f"{name}:{len(content)};".encode(errors="surrogatepass"))
        digest.update(content)
    return digest.hexdigest()


def _started(module: nn.Module) -> "blake2b":
    digest = blake2b(digest_size=16)
    for name, part in module.named_modules():
        digest.update(f"{name}:{type(part).__name__}({part.extra_repr()});".encode())
    sources = {source for part in module.modules() if (source := _source_file(type(part))) is not None}
    for source in sorted(sources):
        digest.update(Path(source).read_bytes())
    for name, tensor in [*module.named_parameters(), *module.named_buffers()]:
        digest.update(f"{name}:{tensor.dtype}:{tuple(tensor.shape)};".encode())
        digest.update(_bytes_of(tensor))
    return digest


def _bytes_of(tensor: Tensor) -> memoryview:
    return tensor.detach().cpu().contiguous().reshape(-1).view(torch.uint8).numpy().data


def _source_file(kind: type) -> str | None:
    """The file that defines a class, unless it belongs to a library whose version the protocol names."""
    if kind.__module__.partition(".")[0] in VERSIONED_LIBRARIES:
        return None
    file = getattr(sys.modules.get(kind.__module__), "__file__", None)
    return file if file and Path(file).is_file() else None


def _as_text(value: Any, seen: set[int], within: tuple[int, ...] = ()) -> str | None:
    """A setting as text that is the same in every process and on every machine; None for what is no setting.

    `within` are the containers around it: one may hold itself.
    """
    if id(value) in within or len(within) > _DEEPEST:
        return None
    match value:
        case None | bool() | int() | float() | complex() | bytes() | torch.dtype() | np.generic():
            return repr(value)
        case str():
            return None if Path(value).is_absolute() else repr(value)  # where something lies decides nothing
        case Enum():
            return f"{type(value).__name__}.{value.name}"
        case Tensor() if not value.is_meta and value.layout == torch.strided:
            return f"{value.dtype}{tuple(value.shape)}{blake2b(_bytes_of(value), digest_size=16).hexdigest()}"
        case np.ndarray() if value.dtype != object:
            content = blake2b(np.ascontiguousarray(value).tobytes(), digest_size=16).hexdigest()
            return f"{value.dtype}{value.shape}{content}"
        case nn.Module():
            # Kept in a list, say, it is no part by PyTorch's count.
            return type(value).__name__ if id(value) in seen else _digest_of_own(value, seen)
        case _:
            return _whole_as_text(value, lambda one: _as_text(one, seen, (*within, id(value))))


def _whole_as_text(value: Any, text: Callable[[Any], str | None]) -> str | None:
    """Containers, records and functions. What is no setting in them is left out."""
    kind = type(value).__name__
    match value:
        case list() | tuple():
            return f"{kind}({', '.join(str(text(one)) for one in value)})"
        case Set():
            return f"{kind}({', '.join(sorted(str(text(one)) for one in value))})"
        case Mapping():
            return f"{kind}({', '.join(sorted(f'{text(key)}: {text(one)}' for key, one in value.items()))})"
        case partial():
            return f"{kind}({text(value.func)}, {text(value.args)}, {text(value.keywords)})"
        case SimpleNamespace() | Namespace():
            return f"{kind}{text(vars(value))}"
        case _ if is_dataclass(value) and not isinstance(value, type):
            return f"{kind}{text({field.name: getattr(value, field.name) for field in fields(value)})}"
        case _:
            return getattr(value, "__qualname__", None) if callable(value) else None
