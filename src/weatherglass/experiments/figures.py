"""The figures of the cards as Vega-Lite specifications: accuracy by size, accuracy by share of training data."""

from collections.abc import Callable
from typing import Any

import numpy as np

from weatherglass.experiments.study import Study
from weatherglass.metrics.scaling import fit_size
from weatherglass.report.charts import MODEL_COLOURS, MODEL_SHAPES, Spec

PANEL = {"width": 220, "height": 170}


def by_size(study: Study) -> Spec:
    """One panel a benchmark: error over parameters (logarithmic), colour the share of data, mark the family."""
    return {"hconcat": [_size_panel(study, benchmark) for benchmark in study.benchmarks]}


def by_share(study: Study) -> Spec:
    """One panel a benchmark: accuracy over the share of training data, one line for each family and size."""
    return {"hconcat": [_share_panel(study, benchmark) for benchmark in study.benchmarks]}


def by_row(study: Study) -> Spec:
    """One panel a benchmark, and one for what is kept: every row of the card in its order, trainings side by side."""
    measures = [*study.benchmarks, *(["retention"] if "corrupted" in study.benchmarks else [])]
    return {"hconcat": [_row_panel(study, measure, first=k == 0) for k, measure in enumerate(measures)]}


FIGURES: dict[str, Callable[[Study], Spec]] = {"size": by_size, "grid": by_share, "rows": by_row}
"""By the name that a card gives."""


def _size_panel(study: Study, benchmark: str) -> Spec:
    rows = _rows(study, benchmark)
    x = {
        "field": "parameters",
        "type": "quantitative",
        "scale": {"type": "log", "nice": False, "padding": 18},
        "title": "parameters, M",
        "axis": {"grid": False, "format": "~g"},
    }
    y = {
        "field": "error",
        "type": "quantitative",
        "title": "error",
        "axis": {"format": ".0%"},
        "scale": {"zero": False},
    }
    encoding = {"x": x, "color": _colour("group", [row["group"] for row in rows])}
    bars = {"mark": {"type": "rule"}, "encoding": {"y": y | {"field": "low"}, "y2": {"field": "high"}}}
    shape = {"field": "family", "type": "nominal", "scale": {"range": list(MODEL_SHAPES)}, "legend": None}
    points = {
        "mark": {"type": "point", "filled": True, "size": 60, "opacity": 1},
        "encoding": {"y": y, "shape": shape, "description": {"field": "tip"}},
    }
    lines = {
        "data": {"values": _fitted(study, benchmark)},
        "mark": {"type": "line", "strokeWidth": 1.4, "aria": False},
        "encoding": {"y": y},
    }
    return PANEL | {"title": benchmark, "data": {"values": rows}, "encoding": encoding, "layer": [lines, bars, points]}


def _share_panel(study: Study, benchmark: str) -> Spec:
    rows = _rows(study, benchmark)
    x = {
        "field": "share",
        "type": "nominal",
        "sort": study.shares,
        "title": "training data",
        "axis": {"labelAngle": 0, "grid": False},
    }
    y = {"field": "accuracy", "type": "quantitative", "axis": {"format": ".0%"}, "scale": {"zero": False}}
    encoding = {"x": x, "color": _colour("line", [row["line"] for row in rows])}
    layers: list[dict[str, Any]] = [
        {"mark": {"type": "line", "aria": False}, "encoding": {"y": y}},
        {"mark": {"type": "rule"}, "encoding": {"y": y | {"field": "accuracy_low"}, "y2": {"field": "accuracy_high"}}},
        {
            "mark": {"type": "point", "filled": True, "size": 50, "opacity": 1},
            "encoding": {"y": y, "description": {"field": "tip"}},
        },
    ]
    return PANEL | {"title": benchmark, "data": {"values": rows}, "encoding": encoding, "layer": layers}


def _row_panel(study: Study, measure: str, *, first: bool) -> Spec:
    rows = []
    for row in study.rows:
        found = row.summary.retention if measure == "retention" else row.accuracy[measure]
        if found is not None:
            text = f"{row.member.family}: {found.percent()} % {measure}"
            rows.append(
                {"row": row.member.family, "value": found.value, "low": found.low, "high": found.high, "tip": text}
            )
    axis = {"title": None, "labelLimit": 220} if first else None
    y = {"field": "row", "type": "nominal", "sort": study.families, "axis": axis}
    x = {"type": "quantitative", "title": measure, "axis": {"format": ".0%"}, "scale": {"zero": False}}
    colour = {"value": MODEL_COLOURS[0]}
    layers: list[dict[str, Any]] = [
        {"mark": {"type": "rule"}, "encoding": {"x": x | {"field": "low"}, "x2": {"field": "high"}}},
        {
            "mark": {"type": "point", "filled": True, "size": 60, "opacity": 1},
            "encoding": {"x": x | {"field": "value"}, "description": {"field": "tip"}},
        },
    ]
    encoding = {"y": y, "color": colour}
    return {"width": 220, "height": {"step": 24}, "data": {"values": rows}, "encoding": encoding, "layer": layers}


def _rows(study: Study, benchmark: str) -> list[dict[str, Any]]:
    rows = []
    for row in study.rows:
        found = row.accuracy[benchmark]
        rows.append(
            {
                "family": row.member.family,
                "share": row.member.share,
                "group": row.member.group,
                "line": f"{row.member.family} {row.parameters / 1e6:.2g} M",
                "parameters": row.parameters / 1e6,
                "error": 1 - found.value,
                "low": 1 - found.high,
                "high": 1 - found.low,
                "accuracy": found.value,
                "accuracy_low": found.low,
                "accuracy_high": found.high,
                "tip": f"{row.member.spec}: {found.percent()} % right on {benchmark}",
            }
        )
    return rows


def _fitted(study: Study, benchmark: str) -> list[dict[str, Any]]:
    """Ends of the fitted line of every group that has at least two sizes."""
    lines = []
    for family in study.families:
        for share in study.shares:
            rows = study.positions(family, share)
            sizes = study.sizes[rows]
            if len(set(sizes.tolist())) < 2:
                continue
            fit = fit_size(1 - study.points[benchmark][rows], sizes)
            group = study.rows[rows[0]].member.group
            for size in np.geomspace(sizes.min(), sizes.max(), 8).tolist():
                lines.append({"group": group, "parameters": size / 1e6, "error": float(fit.at(size))})
    return lines


def _colour(field: str, values: list[str]) -> Spec:
    domain = list(dict.fromkeys(values))
    colours = [MODEL_COLOURS[k % len(MODEL_COLOURS)] for k in range(len(domain))]
    legend = {"title": None, "orient": "bottom", "columns": 3} if len(domain) > 1 else None
    return {"field": field, "type": "nominal", "scale": {"domain": domain, "range": colours}, "legend": legend}
