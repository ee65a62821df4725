"""Severity curves: one small chart a corruption, the models of one data set as colours."""

from collections.abc import Sequence
from dataclasses import dataclass

from weatherglass.evaluation.estimates import ConditionSummary
from weatherglass.evaluation.grid import OF_MODEL
from weatherglass.report.content import DataGroup, ModelView
from weatherglass.report.figures import Row
from weatherglass.report.words import kind_in_words, spoken

MOST_CHARTS = 24


@dataclass(frozen=True)
class Facet:
    """The rows of one chart."""

    kind: str
    family: str
    title: str
    rows: tuple[Row, ...]


@dataclass(frozen=True)
class Curves:
    """The charts of one data set."""

    facets: tuple[Facet, ...]
    labels: tuple[str, ...]
    more: int
    """Corruptions that are left out."""

    @property
    def families(self) -> list[tuple[str, list[Facet]]]:
        """Charts under their headings, in order."""
        grouped: dict[str, list[Facet]] = {}
        for facet in self.facets:
            grouped.setdefault(facet.family, []).append(facet)
        return list(grouped.items())


def curves_of(group: DataGroup, models: tuple[ModelView, ...]) -> Curves | None:
    """Curves of `models` over every kind of disturbance with at least two severities; None where there is none."""
    views = [view for view in models if view in group.models]
    kinds: dict[str, str] = {}
    for view in views:
        kinds = _curve_kinds(view) | kinds
    if not kinds:
        return None
    facets = [
        Facet(kind, family, _title(views, kind), tuple(row for view in views for row in _rows(view, kind)))
        for kind, family in list(kinds.items())[:MOST_CHARTS]
    ]
    return Curves(tuple(facets), tuple(view.label for view in views), max(0, len(kinds) - MOST_CHARTS))


def _curve_kinds(view: ModelView) -> dict[str, str]:
    """Kinds of disturbance that have a curve -> family: those of the grid first, then others (attacks, say)."""
    severities: dict[str, set[float]] = {}
    families: dict[str, str] = {}
    for condition in view.summary.conditions.values():
        if condition.severity is not None and condition.family not in OF_MODEL:
            severities.setdefault(condition.kind, set()).add(condition.severity)
            families[condition.kind] = condition.family
    order = dict.fromkeys([*view.summary.grid.kinds, *severities])
    return {kind: families[kind] for kind in order if len(severities.get(kind, ())) > 1}


def _title(views: Sequence[ModelView], kind: str) -> str:
    """The kind in words; radii in grey levels say so."""
    conditions = [c for view in views for c in view.summary.conditions.values() if c.kind == kind]
    grey = all(condition.disturbance.endswith("/255") for condition in conditions)
    return f"{kind_in_words(kind)}, radius in 1/255" if grey else kind_in_words(kind)


def _rows(view: ModelView, kind: str) -> list[Row]:
    """Points of one model's curve, from clean upwards."""
    points = [c for c in view.summary.conditions.values() if c.kind == kind and c.severity is not None]
    # A second backend's cells carry a longer name; the curve shows the plain ones.
    plain = [c for c in points if c.disturbance == f"{kind}@{c.severity:g}"]
    clean = view.summary.conditions.get("clean")
    path = [*([clean] if clean else []), *sorted(plain or points, key=lambda c: c.severity or 0)]
    return [
        {
            "model": view.label,
            "severity": _place(condition),
            "value": round(condition.score.value, 5),
            "low": round(condition.score.low, 5),
            "high": round(condition.score.high, 5),
            "tip": f"{view.label}, {_where(condition)}: {spoken(condition.score)}",
        }
        for condition in path
    ]


def _place(condition: ConditionSummary) -> float:
    """Position on the axis: the severity; for radii that are written in grey levels, those."""
    if condition.disturbance.endswith("/255"):
        return round(255 * (condition.severity or 0), 4)
    return condition.severity or 0


def _where(condition: ConditionSummary) -> str:
    if condition.severity is None:
        return "clean"
    return condition.disturbance if condition.family == "attack" else f"severity {condition.severity:g}"
