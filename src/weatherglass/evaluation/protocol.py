"""What makes two numbers comparable, and what tells two that are not apart."""

from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from hashlib import blake2b
from typing import Any

import msgspec

CHOICES = (
    *("corruption definition", "corruption calibration", "re-encoding", "frost textures"),
    *("sequence calibration", "sequence revision"),
)
"""Parts of a disturbance that a whole family of conditions shares, so that they must agree within one mean."""


@dataclass(frozen=True, kw_only=True)
class Protocol:
    """How a cell was measured. Two cells are comparable when all but `disturbance` agree, and of that `choices`."""

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

    @property
    def choices(self) -> dict[str, str]:
        """What of the disturbance is no matter of this condition alone; empty for clean images and attacks.

        Within one run no two cells contradict each other in it: fog of one definition, contrast of another, or frost
        from disk beside frost made here have no mean.
        """
        found = {name: self.disturbance[name] for name in CHOICES if name in self.disturbance}
        if "stored" in self.disturbance or "corruption definition" in self.disturbance:
            found["corrupted images"] = "from disk" if "stored" in self.disturbance else "made"
        return found


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


def agree(first: Mapping[str, str], second: Mapping[str, str]) -> bool:
    """Whether two sets of choices contradict each other nowhere; what only one of them says is no contradiction."""
    return all(second.get(name, value) == value for name, value in first.items())


def differences(a: Protocol, b: Protocol) -> dict[str, tuple[str, str]]:
    """Protocol fields in which a and b differ, as 'field' or 'field.part' -> their two values as text."""
    flat_a, flat_b = flattened(a), flattened(b)
    names = [*flat_a, *(name for name in flat_b if name not in flat_a)]
    absent = "(absent)"
    pairs = {name: (flat_a.get(name, absent), flat_b.get(name, absent)) for name in names}
    return {name: pair for name, pair in pairs.items() if pair[0] != pair[1]}


def flattened(protocol: Protocol) -> dict[str, str]:
    """Every field as text, by its name; parts of a field as 'field.part'."""
    flat: dict[str, str] = {}
    for name, value in msgspec.to_builtins(protocol).items():
        if isinstance(value, dict):
            flat |= {f"{name}.{part}": str(text) for part, text in value.items()}
        else:
            flat[name] = str(value)
    return flat
