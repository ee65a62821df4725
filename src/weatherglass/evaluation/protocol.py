"""What makes two numbers comparable, and what tells two that are not apart."""

from dataclasses import dataclass, field, fields
from hashlib import blake2b
from typing import Any

import msgspec


@dataclass(frozen=True, kw_only=True)
class Protocol:
    """How a cell was measured. Two cells are comparable when all but `disturbance` agree."""

    task: str
    weights: str
    """Digest of the model's parameters and buffers."""
    preprocessing: str
    """Geometry applied before the disturbance, e.g. 'resize 256 bicubic, crop 224x224'."""
    normalisation: str
    """Applied by the predictor after the disturbance."""
    data: str
    """Digest of sample ids, labels and stored bytes."""
    selection: str
    """Which part of the data: 'all', or how the subset was drawn."""
    samples: int
    classes: str
    """Which outputs compete for the prediction: 'all 1000', or the name of a class mask."""
    seed: int
    precision: str
    device: str
    """'cpu' or 'cuda': their roundings differ."""
    forward_batch: int
    """Images per forward pass. It is fixed and the last pass is padded, because roundings depend on it."""
    versions: dict[str, str]
    """Versions of the libraries whose code the pixels and numbers pass through."""
    disturbance: dict[str, str] = field(default_factory=dict)
    """Backend, definition, constants and textures of the disturbance; empty for clean images."""

    @property
    def common(self) -> dict[str, Any]:
        """Everything but the disturbance's own part: equal for all cells of one run."""
        return {f.name: getattr(self, f.name) for f in fields(self) if f.name != "disturbance"}


@dataclass(frozen=True)
class Cell:
    """One thing to measure: which model, on which data, under which disturbance."""

    model: str
    data: str
    disturbance: str
    seed: int = 0

    def key(self, protocol: Protocol) -> str:
        """Identity of the measurement: digest of the cell and of every protocol field. 32 hexadecimal digits."""
        return digest_of({"cell": self, "protocol": protocol})


def digest_of(value: object) -> str:
    """128-bit digest of any nest of records, dicts, lists, text and numbers, independent of dict order."""
    return blake2b(msgspec.json.encode(value, order="sorted"), digest_size=16).hexdigest()


def differences(a: Protocol, b: Protocol) -> dict[str, tuple[str, str]]:
    """Protocol fields in which a and b differ, as 'field' or 'field.part' -> their two values as text."""
    flat_a, flat_b = _flatten(a), _flatten(b)
    names = [*flat_a, *(name for name in flat_b if name not in flat_a)]
    absent = "(absent)"
    pairs = {name: (flat_a.get(name, absent), flat_b.get(name, absent)) for name in names}
    return {name: pair for name, pair in pairs.items() if pair[0] != pair[1]}


def _flatten(protocol: Protocol) -> dict[str, str]:
    flat: dict[str, str] = {}
    for name, value in msgspec.to_builtins(protocol).items():
        if isinstance(value, dict):
            flat |= {f"{name}.{part}": str(text) for part, text in value.items()}
        else:
            flat[name] = str(value)
    return flat
