"""The figures of a report as Vega-Lite specifications: pure functions of a few aggregated rows."""

from collections.abc import Mapping, Sequence
from typing import Any

from weatherglass.report.charts import (
    ACCURACY_RAMP,
    INK,
    MODEL_COLOURS,
    MODEL_SHAPES,
    MUTED,
    OTHERS,
    RULE,
    SEVERITY_COLOURS,
    Spec,
)

Row = dict[str, Any]
"""One mark of a chart. Shares are in [0, 1]."""


def colour_of(position: int) -> str:
    """Colour of the model at `position` of the report."""
    return MODEL_COLOURS[position] if position < len(MODEL_COLOURS) else OTHERS


def severity_curve(rows: Sequence[Row], labels: Sequence[str], *, legend: bool = False, radii: bool = False) -> Spec:
    """Accuracy against severity, one line and one interval band a model.

    Rows: `model` (one of `labels`), `severity` (0 for clean), `value`, `low`, `high`, `tip`. `radii`: the severities
    are radii, which double from one to the next; their axis goes by the square root, so that the small ones part.
    """
    colour = _model_scale(labels, legend)
    shape = {
        "field": "model",
        "type": "nominal",
        "scale": {"domain": list(labels), "range": [MODEL_SHAPES[i % len(MODEL_SHAPES)] for i in range(len(labels))]},
        "legend": colour["legend"],
    }
    severities = sorted({row["severity"] for row in rows} | {0})
    x = {
        "field": "severity",
        "type": "quantitative",
        "scale": {"domain": [severities[0], severities[-1]], "nice": False, "padding": 6}
        | ({"type": "sqrt"} if radii else {}),
        "axis": {"values": severities, "grid": False, "title": None, "labelExpr": _CLEAN_LABEL, "labelFlush": False},
    }
    y = {
        "type": "quantitative",
        "scale": {"domain": [0, 1]},
        "axis": {"format": ".0%", "title": None, "values": [0, 0.25, 0.5, 0.75, 1], "domain": False, "ticks": False},
    }
    band = {
        "mark": {"type": "area", "opacity": 0.17, "aria": False},
        "encoding": {"y": y | {"field": "low"}, "y2": {"field": "high"}},
    }
    line = {"mark": {"type": "line", "strokeWidth": 1.8, "aria": False}, "encoding": {"y": y | {"field": "value"}}}
    points = {
        "mark": {"type": "point", "filled": True, "size": 26, "opacity": 1},
        "encoding": {"y": y | {"field": "value"}, "shape": shape, "description": {"field": "tip"}},
    }
    return {
        "data": {"values": list(rows)},
        "width": 165,
        "height": 112,
        "encoding": {"x": x, "color": colour},
        "layer": [band, line, points],
    }


def faceted(spec: Spec, field: str, order: Sequence[str], columns: int) -> Spec:
    """The same chart once for every value of `field`, in `order`, as one picture."""
    inner = {key: value for key, value in spec.items() if key != "data"}
    facet = {"field": field, "type": "nominal", "sort": list(order), "title": None, "header": {"labelAnchor": "start"}}
    return {"data": spec["data"], "facet": facet, "columns": columns, "spec": inner}


def heat_map(rows: Sequence[Row], kinds: Sequence[str]) -> Spec:
    """Accuracy by disturbance and severity, printed in its cell. Rows: `kind`, `severity`, `value`."""
    steps = list(reversed(ACCURACY_RAMP))
    y = {"field": "kind", "type": "nominal", "sort": list(kinds), "title": None, "axis": _BARE_AXIS}
    x = {"field": "severity", "type": "ordinal", "title": "severity", "axis": _BARE_AXIS | {"orient": "top"}}
    colour = {
        "field": "value",
        "type": "quantitative",
        "scale": {"domain": [i / (len(steps) - 1) for i in range(len(steps))], "range": steps, "clamp": True},
        "legend": {"format": ".0%", "title": "right", "values": [0, 0.25, 0.5, 0.75, 1]},
    }
    ink = {"condition": {"test": "datum.value < 0.45", "value": "#ffffff"}, "value": "#000000"}
    number = {"field": "value", "type": "quantitative", "format": ".1%"}
    return {
        "data": {"values": list(rows)},
        "width": {"step": 44},
        "height": {"step": 21},
        "encoding": {"x": x, "y": y},
        "layer": [
            {"mark": {"type": "rect", "stroke": "white", "strokeWidth": 1}, "encoding": {"color": colour}},
            {"mark": {"type": "text", "fontSize": 10}, "encoding": {"text": number, "color": ink}},
        ],
    }


def failing_severity(rows: Sequence[Row], kinds: Sequence[str], bands: Sequence[str]) -> Spec:
    """How far each disturbance gets before images fail. Rows: `kind`, `band` (one of `bands`), `order`, `share`, `tip`.

    `bands` run from 'wrong when clean' over the severities to 'never fails'.
    """
    palette = [OTHERS, *reversed(_spread(SEVERITY_COLOURS[1:], len(bands) - 2)), RULE]
    colour = {
        "field": "band",
        "type": "nominal",
        "scale": {"domain": list(bands), "range": palette[: len(bands)]},
        "legend": None,
    }
    x = {"field": "share", "type": "quantitative", "stack": "zero", "title": None, "scale": {"domain": [0, 1]}}
    x["axis"] = {"format": ".0%", "grid": False, "values": [0, 0.25, 0.5, 0.75, 1]}
    y = {
        "field": "kind",
        "type": "nominal",
        "sort": list(kinds),
        "title": None,
        "axis": _BARE_AXIS | {"labelColor": INK},
    }
    return {
        "data": {"values": list(rows)},
        "width": 240,
        "height": {"step": 17},
        "mark": {"type": "bar", "height": {"band": 0.78}},
        "encoding": {"x": x, "y": y, "color": colour, "order": {"field": "order"}, "description": {"field": "tip"}},
    }


def reliability(rows: Sequence[Row], levels: Sequence[str]) -> Spec:
    """Accuracy against confidence by severity. Rows: `level` (one of `levels`), `confidence`, `accuracy`, `tip`."""
    colour = {
        "field": "level",
        "type": "nominal",
        "scale": {"domain": list(levels), "range": severity_palette(len(levels))},
        "legend": None,
    }
    axis = {"format": ".0%", "values": [0, 0.25, 0.5, 0.75, 1], "grid": True, "domain": False, "ticks": False}
    x = {"field": "confidence", "type": "quantitative", "scale": {"domain": [0, 1]}}
    y = {"field": "accuracy", "type": "quantitative", "scale": {"domain": [0, 1]}}
    x["axis"], y["axis"] = axis | {"title": "how sure the model is"}, axis | {"title": "how often it is right"}
    diagonal = {
        "data": {"values": [{"confidence": 0, "accuracy": 0}, {"confidence": 1, "accuracy": 1}]},
        "mark": {"type": "line", "strokeDash": [3, 3], "strokeWidth": 1, "color": MUTED, "aria": False},
        "encoding": {"x": x, "y": y},
    }
    lines = {
        "mark": {"type": "line", "strokeWidth": 1.6, "aria": False},
        "encoding": {"x": x, "y": y, "color": colour},
    }
    points = {
        "mark": {"type": "point", "filled": True, "size": 20, "opacity": 1},
        "encoding": {"x": x, "y": y, "color": colour, "description": {"field": "tip"}},
    }
    return {"data": {"values": list(rows)}, "width": 230, "height": 190, "layer": [diagonal, lines, points]}


def dumbbells(rows: Sequence[Row], names: Sequence[str]) -> Spec:
    """Clean and disturbed accuracy of each class, joined. Rows: `name`, `clean`, `disturbed`, `tip`."""
    y = {"field": "name", "type": "nominal", "sort": list(names), "title": None, "axis": _BARE_AXIS}
    x: Mapping[str, Any] = {
        "type": "quantitative",
        "scale": {"domain": [0, 1]},
        "axis": {"format": ".0%", "title": None},
    }
    joined = {
        "mark": {"type": "rule", "strokeWidth": 2, "color": OTHERS, "aria": False},
        "encoding": {"x": {**x, "field": "disturbed"}, "x2": {"field": "clean"}},
    }
    ends = [
        {
            "mark": {"type": "point", "filled": True, "size": 46, "opacity": 1, "color": colour},
            "encoding": {"x": {**x, "field": field}, "description": {"field": "tip"}},
        }
        for field, colour in (("clean", SEVERITY_COLOURS[0]), ("disturbed", SEVERITY_COLOURS[4]))
    ]
    return {
        "data": {"values": list(rows)},
        "width": 260,
        "height": {"step": 18},
        "encoding": {"y": y},
        "layer": [joined, *ends],
    }


def interval_bars(rows: Sequence[Row], names: Sequence[str]) -> Spec:
    """Accuracies with their intervals, one bar a condition. Rows: `name`, `value`, `low`, `high`."""
    y = {"field": "name", "type": "nominal", "sort": list(names), "title": None, "axis": _BARE_AXIS}
    x = {"type": "quantitative", "axis": {"format": ".0%", "title": None}, "scale": {"zero": True}}
    bar = {
        "mark": {"type": "bar", "height": {"band": 0.66}, "color": SEVERITY_COLOURS[0]},
        "encoding": {"x": x | {"field": "value"}},
    }
    rule = {
        "mark": {"type": "rule", "color": INK, "strokeWidth": 1.2},
        "encoding": {"x": x | {"field": "low"}, "x2": {"field": "high"}},
    }
    return {
        "data": {"values": list(rows)},
        "width": 260,
        "height": {"step": 18},
        "encoding": {"y": y},
        "layer": [bar, rule],
    }


def severity_palette(levels: int) -> list[str]:
    """Colours for clean and the severities, spread over the palette when there are not five of them."""
    return [SEVERITY_COLOURS[0], *_spread(SEVERITY_COLOURS[1:], levels - 1)] if levels else []


_CLEAN_LABEL = "datum.value == 0 ? 'clean' : format(datum.value, '~g')"
_BARE_AXIS: Spec = {"domain": False, "ticks": False, "labelAngle": 0, "labelColor": INK}


def _model_scale(labels: Sequence[str], legend: bool) -> Spec:
    return {
        "field": "model",
        "type": "nominal",
        "scale": {"domain": list(labels), "range": [colour_of(i) for i in range(len(labels))]},
        "legend": {"orient": "bottom", "title": None, "columns": 3, "symbolOpacity": 1} if legend else None,
    }


def _spread(colours: Sequence[str], count: int) -> list[str]:
    """`count` colours from first to last of `colours`, evenly; repeated where there are not enough."""
    if count <= 1:
        return list(colours[-1:]) * max(count, 0)
    return [colours[round(i * (len(colours) - 1) / (count - 1))] for i in range(count)]
