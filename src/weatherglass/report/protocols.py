"""The protocol of every run, field by field, with what differs brought forward."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from weatherglass.evaluation.runs import Run
from weatherglass.report.content import ModelView
from weatherglass.report.words import listed, shortened

MODEL_FIELDS = frozenset({"weights", "normalisation"})
"""Fields that belong to the model itself: two models always differ in them, and their numbers stay comparable."""

MOST_VALUES = 8

_SAID: dict[str, str] = {
    "task": "task",
    "weights": "digest of the weights",
    "preprocessing": "geometry before the disturbance",
    "normalisation": "normalisation in the model",
    "data": "digest of the data",
    "selection": "part of the data",
    "samples": "images",
    "classes": "classes that compete",
    "seed": "seed",
    "precision": "precision",
    "device": "device",
    "forward_batch": "images per forward pass",
}


@dataclass(frozen=True)
class ProtocolRow:
    """One field."""

    field: str
    values: tuple[tuple[str, str], ...]
    """Each value with the labels of the models that have it; no labels where all agree."""
    differs: bool
    """Whether the values differ in a way that makes two numbers incomparable."""
    more: int = 0


def protocol_rows(views: Sequence[ModelView]) -> list[ProtocolRow]:
    """All fields of all runs, those that differ first."""
    fields = {view.label: protocol_fields(view.run) for view in views}
    names = list(dict.fromkeys(name for of in fields.values() for name in of))
    rows = [_row(name, {label: of.get(name, "(absent)") for label, of in fields.items()}) for name in names]
    return sorted(rows, key=lambda row: not row.differs)


def differing_fields(views: Sequence[ModelView]) -> list[str]:
    """Names of the fields in which runs that stand side by side differ, beyond the models themselves."""
    return [row.field for row in protocol_rows(views) if row.differs]


def protocol_fields(run: Run) -> dict[str, str]:
    """Every field of a run's protocol in words -> its value; the disturbances' own parts are gathered."""
    flat: dict[str, str] = {}
    for name, value in run.protocol.common.items():
        if isinstance(value, dict):
            flat |= {f"{name} · {part}": str(text) for part, text in value.items()}
        else:
            flat[_SAID.get(name, name)] = str(value)
    return flat | _disturbance_fields(run)


def _disturbance_fields(run: Run) -> dict[str, str]:
    """What the disturbances say of themselves; a part that changes from cell to cell is only counted."""
    seen: dict[str, dict[str, None]] = {}
    for record in run.disturbed.values():
        for part, value in record.protocol.disturbance.items():
            seen.setdefault(f"disturbance · {part}", {})[str(value)] = None
    return {part: next(iter(values)) if len(values) == 1 else _varied(list(values)) for part, values in seen.items()}


def _varied(values: list[str]) -> str:
    if len(values) <= 3 and all(len(value) < 40 for value in values):
        return listed(sorted(values))
    return f"{len(values)} values, one a condition or group of conditions"


def _row(name: str, values: Mapping[str, str]) -> ProtocolRow:
    labels: dict[str, list[str]] = {}
    for label, value in values.items():
        labels.setdefault(value, []).append(label)
    if len(labels) == 1:
        return ProtocolRow(name, ((shortened(next(iter(labels)), 200), ""),), False)
    shown = tuple((shortened(value, 200), listed(of, 4)) for value, of in list(labels.items())[:MOST_VALUES])
    own = name in {_SAID[field] for field in MODEL_FIELDS}
    return ProtocolRow(name, shown, not own, max(0, len(labels) - MOST_VALUES))


def versions_of(views: Sequence[ModelView]) -> dict[str, Any]:
    """Library -> versions that took part in any of the runs."""
    seen: dict[str, dict[str, None]] = {}
    for view in views:
        for library, version in view.run.protocol.versions.items():
            seen.setdefault(library, {})[version] = None
    return {library: ", ".join(versions) for library, versions in sorted(seen.items())}
