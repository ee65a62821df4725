"""Rotations and shifts as pictures: heat maps over angle and shift, and agreement by the length of a shift."""

from collections.abc import Sequence
from typing import Any

from weatherglass.evaluation.runs import Run
from weatherglass.evaluation.space import MovedAccuracy, SubPatchShift, moved_accuracies, plane
from weatherglass.report.charts import ACCURACY_RAMP, MODEL_COLOURS, MODEL_SHAPES, MUTED, Spec

PLANES = (
    ("angle", "right", "angle, degrees", "shift right, px"),
    ("down", "right", "shift down, px", "shift right, px"),
)
"""Coordinates that run downwards and across, with their words."""

SHOWN = 21
"""Cells along one side up to which the numbers stand in them."""


def space_charts(run: Run) -> list[Spec]:
    """The heat maps of one run: angle and shift, and both shifts, where it holds a whole rectangle of them."""
    points = moved_accuracies(run)
    maps = [(plane(points, down, across), *words) for down, across, *words in PLANES]
    found = zip(maps, PLANES, strict=True)
    return [
        _heat(cells, down, across, title_down, title_across)
        for (cells, title_down, title_across), (down, across, *_) in found
        if cells
    ]


def space_figure(runs: Sequence[tuple[str, Run]]) -> Spec | None:
    """One row a model, given as (label, run), with its maps side by side; None where no run holds one."""
    rows = [(label, charts) for label, run in runs for charts in [space_charts(run)] if charts]
    if not rows:
        return None
    return {"vconcat": [{"title": label, "hconcat": charts} for label, charts in rows]}


def sub_patch_figure(shifts: Sequence[tuple[str, SubPatchShift]]) -> Spec:
    """Agreement with the unshifted image by the shift in pixels, one line a model; whole patches are marked."""
    rows = [
        {"model": label, "shift": pixels + 1, "value": one.value, "low": one.low, "high": one.high}
        for label, found in shifts
        for pixels, one in enumerate(found.agreement)
    ]
    labels = [label for label, _ in shifts]
    colours = [MODEL_COLOURS[k % len(MODEL_COLOURS)] for k in range(len(labels))]
    shapes = [MODEL_SHAPES[k % len(MODEL_SHAPES)] for k in range(len(labels))]
    legend = {"title": None, "orient": "bottom", "columns": 3}
    named = {"field": "model", "type": "nominal", "legend": legend}
    x = {
        "field": "shift",
        "type": "quantitative",
        "title": "shift right, px",
        "axis": {"grid": False, "tickMinStep": 1},
    }
    y = {"type": "quantitative", "title": "same prediction as unshifted", "axis": {"format": ".0%"}}
    y |= {"scale": {"zero": False}}
    colour = named | {"scale": {"domain": labels, "range": colours}}
    encoding = {"x": x, "color": colour}
    patches = [{"shift": patch} for patch in sorted({found.patch for _, found in shifts})]
    layers: list[dict[str, Any]] = [
        {
            "data": {"values": patches},
            "mark": {"type": "rule", "strokeDash": [3, 3], "aria": False},
            "encoding": {"x": x, "color": {"value": MUTED}},
        },
        {
            "mark": {"type": "area", "opacity": 0.15, "aria": False},
            "encoding": {"y": y | {"field": "low"}, "y2": {"field": "high"}},
        },
        {"mark": {"type": "line", "aria": False}, "encoding": {"y": y | {"field": "value"}}},
        {
            "mark": {"type": "point", "filled": True, "size": 34, "opacity": 1},
            "encoding": {
                "y": y | {"field": "value"},
                "shape": named | {"scale": {"domain": labels, "range": shapes}},
            },
        },
    ]
    return {"data": {"values": rows}, "width": 360, "height": 220, "encoding": encoding, "layer": layers}


def _heat(cells: Sequence[MovedAccuracy], down: str, across: str, title_down: str, title_across: str) -> Spec:
    rows = [
        {"down": getattr(cell, down), "across": getattr(cell, across), "value": round(cell.accuracy.value, 4)}
        for cell in cells
    ]
    steps = list(reversed(ACCURACY_RAMP))
    domain = [k / (len(steps) - 1) for k in range(len(steps))]
    bare = {"domain": False, "ticks": False, "labelAngle": 0, "format": "~g"}
    # Upwards is a positive angle; downwards is a positive shift down, as on the screen.
    order = "descending" if down == "angle" else "ascending"
    y = {"field": "down", "type": "ordinal", "sort": order, "title": title_down, "axis": bare}
    x = {"field": "across", "type": "ordinal", "title": title_across, "axis": bare}
    colour = {
        "field": "value",
        "type": "quantitative",
        "scale": {"domain": domain, "range": steps, "clamp": True},
        "legend": {"format": ".0%", "title": "right", "values": [0, 0.25, 0.5, 0.75, 1]},
    }
    tiles = {"mark": {"type": "rect", "stroke": "white", "strokeWidth": 1}, "encoding": {"color": colour}}
    ink = {"condition": {"test": "datum.value < 0.45", "value": "#ffffff"}, "value": "#000000"}
    number = {"field": "value", "type": "quantitative", "format": ".0%"}
    words = {"mark": {"type": "text", "fontSize": 9}, "encoding": {"text": number, "color": ink}}
    many = max(len({row["down"] for row in rows}), len({row["across"] for row in rows})) > SHOWN
    return {
        "data": {"values": rows},
        "width": {"step": 14 if many else 38},
        "height": {"step": 14 if many else 20},
        "encoding": {"x": x, "y": y},
        "layer": [tiles] if many else [tiles, words],
    }
