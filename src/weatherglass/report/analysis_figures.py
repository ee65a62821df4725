"""The figures of the analyses as Vega-Lite specifications, in the form of the papers: pure functions of tidy rows."""

import csv
import io
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from weatherglass.evaluation.studies import Figure, Row
from weatherglass.report.charts import INK, MODEL_COLOURS, MUTED, SEVERITY_COLOURS, Spec

WIDTH, HEIGHT = 260, 170


@dataclass(frozen=True)
class Axis:
    """A column of the rows and how it is drawn."""

    field: str
    title: str = ""
    """Empty: the name of the column."""
    percent: bool = False
    whole: bool = False
    """Whole numbers alone get a tick."""
    zero: bool = True
    """Whether a vertical axis begins at zero."""

    @property
    def spec(self) -> Spec:
        """As an encoding of Vega-Lite."""
        axis: Spec = ({"format": ".0%"} if self.percent else {}) | ({"tickMinStep": 1} if self.whole else {})
        return {"field": self.field, "type": "quantitative", "title": self.title or self.field, "axis": axis}


def lines(
    rows: Sequence[Row],
    x: Axis,
    y: Axis,
    colour: str,
    *,
    band: tuple[str, str] | None = None,
    marks: str | None = None,
    rule: str | None = None,
) -> Spec:
    """One line for each value of `colour`, points on it, and a band between two columns where there is one.

    `marks` names a Boolean column: its rows get a larger, open point. `rule` names a column whose value, the same for
    all rows of a chart, is drawn as a dashed line.
    """
    across, along = x.spec, y.spec | {"scale": {"zero": y.zero}}
    across["axis"] |= {"grid": False} if x.whole else {"grid": False, "tickCount": 5}
    layers: list[Spec] = []
    if band:
        area = {"y": along | {"field": band[0]}, "y2": {"field": band[1]}}
        layers.append({"mark": {"type": "area", "opacity": 0.17, "aria": False}, "encoding": area})
    layers.append({"mark": {"type": "line", "strokeWidth": 1.7, "aria": False}, "encoding": {"y": along}})
    points = {"type": "point", "filled": True, "size": 26, "opacity": 1, "tooltip": True}
    layers.append({"mark": points, "encoding": {"y": along}})
    if marks:
        ringed = {"type": "point", "filled": False, "size": 90, "strokeWidth": 1.4}
        layers.append({"transform": [{"filter": f"datum['{marks}']"}], "mark": ringed, "encoding": {"y": along}})
    if rule:
        dashed = {"type": "rule", "strokeDash": [4, 3], "color": MUTED}
        level = {"y": along | {"field": rule, "aggregate": "mean"}, "x": None, "color": None}
        layers.append({"mark": dashed, "encoding": level})
    return {
        "data": {"values": list(rows)},
        "width": WIDTH,
        "height": HEIGHT,
        "encoding": {"x": across, "color": _colour(rows, colour)},
        "layer": layers,
    }


def facets(spec: Spec, field: str, columns: int = 3) -> Spec:
    """The same chart for every value of `field`."""
    inner = {key: value for key, value in spec.items() if key != "data"} | {"width": 200}
    inner |= {} if isinstance(spec.get("height"), dict) else {"height": 140}
    header = {"labelAnchor": "start"}
    order = list(dict.fromkeys(row[field] for row in spec["data"]["values"]))
    facet = {"field": field, "type": "nominal", "title": None, "header": header, "sort": order}
    return {"data": spec["data"], "facet": facet, "columns": columns, "spec": inner}


def matrix(rows: Sequence[Row], facet: str) -> Spec:
    """Similarity of layers as heat maps, one for each value of `facet`. Rows: `row`, `column` (layers), `similarity`.

    Networks of different depths have axes of their own. A map in which nothing but the diagonal is defined is left out.
    """
    known = [row for row in rows if np.isfinite(row["similarity"])]
    told = dict.fromkeys(row[facet] for row in known if row["row"] != row["column"])
    layer: Spec = {"type": "ordinal", "title": "layer", "axis": {"labelAngle": 0, "ticks": False}}
    scale = {"scheme": "viridis", "domain": [0, 1], "clamp": True}
    return {
        "data": {"values": [row for row in known if row[facet] in told]},
        "facet": {"field": facet, "type": "nominal", "title": None, "sort": list(told)},
        "columns": 3,
        "spec": {
            "width": 160,
            "height": 160,
            "mark": {"type": "rect", "tooltip": True},
            "encoding": {
                "x": layer | {"field": "column"},
                "y": layer | {"field": "row", "sort": "descending"},
                "color": {"field": "similarity", "type": "quantitative", "scale": scale},
            },
        },
        "resolve": {"scale": {"x": "independent", "y": "independent"}},
    }


def grouping(rows: Sequence[Row]) -> Spec:
    """FAN, figure 3: bars of significant eigenvalues, a line of the noise on a second axis, one chart a model."""
    x = {"field": "layer", "type": "ordinal", "title": "block (0: embedding)", "axis": {"labelAngle": 0}}
    bars = {
        "mark": {"type": "bar", "color": SEVERITY_COLOURS[0], "opacity": 0.75},
        "encoding": {"y": {"field": "share", "type": "quantitative", "title": "significant eigenvalues / tokens"}},
    }
    noise: Spec = {"field": "noise", "type": "quantitative", "title": "noise", "axis": {"orient": "right"}}
    line = {
        "mark": {"type": "line", "color": SEVERITY_COLOURS[4], "point": {"color": SEVERITY_COLOURS[4]}},
        "encoding": {"y": noise},
    }
    # Facets cannot give each chart two axes of its own, charts side by side can.
    charts = [
        {
            "title": model,
            "data": {"values": [row for row in rows if row["model"] == model]},
            "width": 190,
            "height": 140,
            "encoding": {"x": x},
            "layer": [bars, line],
            "resolve": {"scale": {"y": "independent"}},
        }
        for model in dict.fromkeys(row["model"] for row in rows)
    ]
    return {"concat": charts, "columns": 3}


def gates(rows: Sequence[Row]) -> Spec:
    """Percentiles of the gates of each block. Rows: `block`, `p1` ... `p99`, `mean`, `model`."""
    x = {"field": "block", "type": "ordinal", "title": "block", "axis": {"labelAngle": 0}}
    y: Spec = {"type": "quantitative", "title": "gate", "scale": {"zero": False}}
    thin = {"mark": {"type": "rule", "color": MUTED}, "encoding": {"y": y | {"field": "p1"}, "y2": {"field": "p99"}}}
    thick = {
        "mark": {"type": "bar", "width": 9, "color": MODEL_COLOURS[0]},
        "encoding": {"y": y | {"field": "p25"}, "y2": {"field": "p75"}},
    }
    dot = {"mark": {"type": "point", "filled": True, "color": INK}, "encoding": {"y": y | {"field": "mean"}}}
    return {
        "data": {"values": list(rows)},
        "facet": {"field": "model", "type": "nominal", "title": None},
        "columns": 3,
        "spec": {"width": 190, "height": 140, "encoding": {"x": x}, "layer": [thin, thick, dot]},
    }


def interval_dots(rows: Sequence[Row], y: str, x: str, *, title: str) -> Spec:
    """A dot with its interval (`low`, `high`) for every value of `y`; shares."""
    along: Spec = {"field": x, "type": "quantitative", "title": title, "axis": {"format": ".0%"}}
    names: Spec = {"field": y, "type": "nominal", "title": None, "sort": None}
    span = {
        "mark": {"type": "rule", "strokeWidth": 2, "color": MODEL_COLOURS[0]},
        "encoding": {"x": along | {"field": "low"}, "x2": {"field": "high"}},
    }
    dot = {
        "mark": {"type": "point", "filled": True, "size": 55, "opacity": 1, "color": INK, "tooltip": True},
        "encoding": {"x": along},
    }
    return {
        "data": {"values": list(rows)},
        "width": WIDTH,
        "height": {"step": 22},
        "encoding": {"y": names},
        "layer": [span, dot],
    }


def _colour(rows: Sequence[Row], field: str) -> Spec:
    names = list(dict.fromkeys(row[field] for row in rows))
    palette = [MODEL_COLOURS[i % len(MODEL_COLOURS)] for i in range(len(names))]
    scale = {"domain": names, "range": palette}
    return {
        "field": field,
        "type": "nominal",
        "scale": scale,
        "legend": {"title": None, "orient": "bottom", "symbolOpacity": 1},
    }


def csv_text(rows: Sequence[Row]) -> str:
    """Tidy rows as CSV with a header."""
    columns = list(dict.fromkeys(key for row in rows for key in row))
    text = io.StringIO()
    writer = csv.DictWriter(text, columns, lineterminator="\n")
    writer.writeheader()
    writer.writerows({key: f"{v:.6g}" if isinstance(v, float) else v for key, v in row.items()} for row in rows)
    return text.getvalue()


def figure(name: str, title: str, caption: str, spec: Spec) -> Figure:
    """A figure with its words."""
    return Figure(name, title, caption, spec | {"title": title})


def png_of(pixels: np.ndarray) -> bytes:
    """uint8 RGB as PNG with a palette, which keeps contact sheets small."""
    from PIL import Image

    file = io.BytesIO()
    Image.fromarray(pixels).quantize(128, dither=Image.Dither.NONE).save(file, "PNG", optimize=True)
    return file.getvalue()
