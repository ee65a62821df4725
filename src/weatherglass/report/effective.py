"""The plot of effective robustness: accuracy under the shift over clean accuracy, both on the logit scale."""

import math
from typing import Any

from weatherglass.evaluation.effective import EffectiveRobustness, RobustnessStudy
from weatherglass.report.charts import INK, MUTED, OTHERS, SEVERITY_COLOURS, Spec
from weatherglass.report.words import short_labels

TICKS = (0.01, 0.02, 0.05, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 0.95, 0.98, 0.99)


def effective_chart(study: RobustnessStudy) -> Spec:
    """A Vega-Lite specification: one point a model with both intervals, the line, and the diagonal of no loss."""
    labels = short_labels([one.model for one in study.models])
    rows = [_row(one, label) for one, label in zip(study.models, labels, strict=True)]
    axis = {name: _axis(rows, name) for name in ("clean", "shifted")}
    x = {"type": "quantitative", "title": f"accuracy on {study.clean}"} | axis["clean"]
    y = {"type": "quantitative", "title": f"accuracy on {study.shift}"} | axis["shifted"]
    ends = axis["clean"]["scale"]["domain"]
    line = [{"x": end, "y": study.line.slope * end + study.line.intercept} for end in ends]
    same = [{"x": end, "y": end} for end in ends]
    colour = {
        "field": "kind",
        "type": "nominal",
        "scale": {"domain": ["baseline", "other"], "range": [SEVERITY_COLOURS[0], SEVERITY_COLOURS[4]]},
        "legend": None if all(row["kind"] == "baseline" for row in rows) else {"title": None, "orient": "bottom"},
    }
    layers: list[Any] = [
        _path(same, x, y, {"color": OTHERS, "strokeDash": [3, 3]}),
        _path(line, x, y, {"color": MUTED}),
        *[
            {"mark": {"type": "rule", "strokeWidth": 1, "opacity": 0.6}, "encoding": {"color": colour, **encoding}}
            for encoding in (
                {"x": x | {"field": "cleanlow"}, "x2": {"field": "cleanhigh"}, "y": y | {"field": "shiftedvalue"}},
                {"y": y | {"field": "shiftedlow"}, "y2": {"field": "shiftedhigh"}, "x": x | {"field": "cleanvalue"}},
            )
        ],
    ]
    at = {"x": x | {"field": "cleanvalue"}, "y": y | {"field": "shiftedvalue"}}
    points = {"type": "point", "filled": True, "size": 60, "opacity": 1}
    layers.append({"mark": points, "encoding": at | {"color": colour, "description": {"field": "tip"}}})
    words = {"type": "text", "align": "left", "dx": 7, "dy": -6, "fontSize": 10, "color": INK}
    layers.append({"mark": words, "encoding": at | {"text": {"field": "model"}}})
    return {"data": {"values": rows}, "width": 420, "height": 320, "layer": layers}


def _row(one: EffectiveRobustness, label: str) -> dict[str, Any]:
    row: dict[str, Any] = {"model": label, "kind": "baseline" if one.baseline else "other"}
    for name, rate in (("clean", one.clean), ("shifted", one.shifted)):
        row |= {f"{name}{part}": _logit(getattr(rate, part)) for part in ("value", "low", "high")}
    row["tip"] = f"{label}: clean {one.clean}, shifted {one.shifted}, effective robustness {one.effective} points"
    return row


def _path(values: list[dict[str, float]], x: Spec, y: Spec, mark: Spec) -> Spec:
    return {
        "data": {"values": values},
        "mark": {"type": "line", "strokeWidth": 1.2, "clip": True, "aria": False} | mark,
        "encoding": {"x": x | {"field": "x"}, "y": y | {"field": "y"}},
    }


def _axis(rows: list[dict[str, Any]], name: str) -> Spec:
    """Ticks at round percentages, and a domain that holds all intervals."""
    low, high = min(row[f"{name}low"] for row in rows), max(row[f"{name}high"] for row in rows)
    domain = [low - 0.25, high + 0.25]
    ticks = [_logit(tick) for tick in TICKS if domain[0] <= _logit(tick) <= domain[1]]
    words = {
        "values": ticks,
        "labelExpr": "format(1 / (1 + exp(-datum.value)), '.0%')",
        "domain": False,
        "ticks": False,
    }
    return {"scale": {"domain": domain, "nice": False, "zero": False}, "axis": words}


def _logit(rate: float) -> float:
    inside = min(max(rate, 1e-3), 1 - 1e-3)
    return math.log(inside / (1 - inside))
