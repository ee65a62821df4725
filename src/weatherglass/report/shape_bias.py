"""The usual plot of shape bias: one row a category, one mark a model, texture on the right and shape on the left."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from weatherglass.errors import MissingExtra, UserError
from weatherglass.evaluation.files import write_aside
from weatherglass.evaluation.texture import TextureSummary

ENDINGS = (".html", ".svg", ".png", ".pdf", ".json")


def shape_bias_chart(summaries: Sequence[TextureSummary]) -> Any:
    """An Altair chart of the fraction of texture decisions by category, with each model's mean as a line."""
    try:
        import altair
    except ImportError as error:
        raise MissingExtra("altair", "report", "The shape-bias plot") from error
    rows = [
        {"model": one.model, "category": name, "texture": 1 - bias.bias.value, "stimuli": bias.stimuli}
        for one in summaries
        for name, bias in one.categories.items()
        if bias.bias is not None
    ]
    means = [{"model": s.model, "texture": 1 - s.overall.bias.value} for s in summaries if s.overall.bias is not None]
    axis = altair.X("texture:Q", scale=altair.Scale(domain=[0, 1]), title="shape decisions  <-  texture  ->  texture")
    axis = axis.title("fraction of texture decisions (0: shape, 1: texture)")
    points = (
        altair.Chart(altair.Data(values=rows))
        .mark_point(filled=True, size=70)
        .encode(
            x=axis,
            y=altair.Y("category:N", title=None),
            color=altair.Color("model:N"),
            shape=altair.Shape("model:N"),
            tooltip=["model:N", "category:N", "texture:Q", "stimuli:Q"],
        )
    )
    lines = altair.Chart(altair.Data(values=means)).mark_rule(strokeDash=[4, 3]).encode(x="texture:Q", color="model:N")
    return (points + lines).properties(width=420, height=320, title="Shape or texture? Cue-conflict stimuli")


def write_shape_bias(summaries: Sequence[TextureSummary], output: Path) -> None:
    """Write the plot; the ending of `output` chooses the form. HTML needs no network."""
    if output.suffix not in ENDINGS[:-1]:
        raise UserError(f"'{output}': a plot ends in one of {', '.join(ENDINGS[:-1])}.")
    chart = shape_bias_chart(summaries)
    kind, options = output.suffix[1:], {"inline": True} if output.suffix == ".html" else {}
    write_aside(output, lambda part: chart.save(str(part), format=kind, **options))
