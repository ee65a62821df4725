"""Cells of disturbed models as curves of their own: lesions against block or count, attention against distance."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from weatherglass.evaluation.grid import OF_MODEL
from weatherglass.report.analysis_figures import Axis, Row, lines
from weatherglass.report.charts import Spec, inline_svg
from weatherglass.report.content import DataGroup, ModelView
from weatherglass.report.words import kind_in_words

if TYPE_CHECKING:
    from weatherglass.analysis.attention_distance import AttentionDistance
    from weatherglass.analysis.lesions import Lesioned

MOST_CHARTS = 18


@dataclass(frozen=True)
class ModelCurve:
    """One chart."""

    title: str
    spec: Spec

    @property
    def svg(self) -> str:
        """To stand in the page."""
        return inline_svg(self.spec, f"Accuracy: {self.title}")


def model_curves(group: DataGroup, models: Sequence[ModelView]) -> list[ModelCurve]:
    """The charts of one data set: attention for all models together, lesions for each model; at most so many."""
    views = [view for view in models if view in group.models]
    drawn: dict[str, list[Row]] = {}
    for view in views:
        for row in _rows(view):
            drawn.setdefault(row["chart"], []).append(row)
    curves = [ModelCurve(title, _spec(rows)) for title, rows in drawn.items() if len({row["x"] for row in rows}) > 1]
    return curves[:MOST_CHARTS]


def _rows(view: ModelView) -> list[Row]:
    """One row a cell, with the chart and the line that it belongs to; draws of one count become one row."""
    from weatherglass.analysis.lesions import Lesioned
    from weatherglass.evaluation.composition import OfBoth
    from weatherglass.evaluation.conditions import parse_disturbance

    rows: list[Row] = []
    for text, condition in view.summary.conditions.items():
        if condition.family not in OF_MODEL:
            continue
        parsed = parse_disturbance(text)
        of_model, at = (parsed.model, str(parsed.input)) if isinstance(parsed, OfBoth) else (parsed, "clean")
        whole = view.summary.conditions.get(at)
        known = {"top1": condition.score.value, "whole": whole.top1.value if whole else None}
        place = _lesion_place(of_model, view) if isinstance(of_model, Lesioned) else _distance_place(of_model, view)  # pyright: ignore[reportArgumentType]
        suffix = "" if at == "clean" else f", {kind_in_words(at)}"
        rows.append(place | known | {"chart": f"{place['chart']}{suffix}"})
    _number_blocks(rows)
    return _averaged(rows)


def _lesion_place(lesion: "Lesioned", view: ModelView) -> Row:
    if lesion.random is not None:
        drawn = lesion.random
        spared = f" after the first {drawn.after}" if drawn.after else ""
        place = {"chart": f"{view.label}: k removed at random{spared}", "line": drawn.items, "axis": "k"}
        return place | {"x": drawn.count}
    name = ",".join(lesion.targets)
    numbered, part = _split(name)
    return {"chart": f"{view.label}: one removed", "line": part or "block", "axis": "block", "x": numbered}


def _distance_place(limit: "AttentionDistance", view: ModelView) -> Row:
    place: Row = {"line": view.label, "axis": "distance in tokens", "x": limit.distance}
    if limit.distance == 0 and limit.first < 0:
        return place | {"chart": "no attention between patches in the last m blocks", "axis": "m", "x": -limit.first}
    options = limit.kind.partition(":")[2].replace(",", ", ")
    return place | {"chart": "attention within a distance" + (f" ({options})" if options else "")}


def _split(name: str) -> tuple[tuple[int, ...], str]:
    """'layers.1.blocks.3.mlp' as ((1, 3), 'mlp'): where the block stands, and which part of it."""
    words = name.split(".")
    numbers = [place for place, word in enumerate(words) if word.isdigit()]
    last = numbers[-1] if numbers else len(words) - 1
    return tuple(int(words[place]) for place in numbers), ".".join(words[last + 1 :])


def _number_blocks(rows: list[Row]) -> None:
    """Replaces the places of single blocks by their positions among those of the chart."""
    placed = sorted({row["x"] for row in rows if isinstance(row["x"], tuple)})
    for row in rows:
        if isinstance(row["x"], tuple):
            row["x"] = placed.index(row["x"])


def _averaged(rows: Sequence[Row]) -> list[Row]:
    """Mean, lowest and highest of the rows at one place of one line."""
    places: dict[tuple[str, str, float], list[Row]] = {}
    for row in rows:
        places.setdefault((row["chart"], row["line"], row["x"]), []).append(row)
    averaged = []
    for same in places.values():
        values = [row["top1"] for row in same]
        averaged.append(same[0] | {"top1": sum(values) / len(values), "low": min(values), "high": max(values)})
    return sorted(averaged, key=lambda row: row["line"])


def _spec(rows: Sequence[Row]) -> Spec:
    several = any(row["low"] < row["high"] for row in rows)
    one_level = len({row["whole"] for row in rows}) == 1 and rows[0]["whole"] is not None
    return lines(
        rows,
        Axis("x", rows[0]["axis"], whole=True),
        Axis("top1", "accuracy", percent=True),
        "line",
        band=("low", "high") if several else None,
        rule="whole" if one_level else None,
    )
