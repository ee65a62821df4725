"""The usual plot of shape bias: one row a category, one mark a model, texture on the right and shape on the left."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from weatherglass.evaluation.texture import TextureSummary
from weatherglass.report.charts import write_chart


def shape_bias_chart(summaries: Sequence[TextureSummary]) -> dict[str, Any]:
    """A Vega-Lite specification: the fraction of texture decisions by category, with each model's mean as a line."""
    rows = [
        {"model": one.model, "category": name, "texture": 1 - bias.bias.value, "stimuli": bias.stimuli}
        for one in summaries
        for name, bias in one.categories.items()
        if bias.bias is not None
    ]
    means = [{"model": s.model, "texture": 1 - s.overall.bias.value} for s in summaries if s.overall.bias is not None]
    axis = {"field": "texture", "type": "quantitative", "scale": {"domain": [0, 1]}}
    title = {"title": "fraction of texture decisions (0: shape, 1: texture)"}
    model = {"field": "model", "type": "nominal"}
    points = {
        "data": {"values": rows},
        "mark": {"type": "point", "filled": True, "size": 70},
        "encoding": {
            "x": axis | title,
            "y": {"field": "category", "type": "nominal", "title": None},
            "color": model,
            "shape": model,
            "tooltip": [{"field": name} for name in ("model", "category", "texture", "stimuli")],
        },
    }
    lines = {
        "data": {"values": means},
        "mark": {"type": "rule", "strokeDash": [4, 3]},
        "encoding": {"x": axis | title, "color": model},
    }
    return {
        "title": "Shape or texture? Cue-conflict stimuli",
        "width": 420,
        "height": 320,
        "layer": [points, lines],
    }


def write_shape_bias(summaries: Sequence[TextureSummary], output: Path) -> None:
    """Write the plot; the ending of `output` chooses the form. HTML needs no network."""
    write_chart(shape_bias_chart(summaries), output)
