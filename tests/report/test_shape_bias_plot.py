"""The plot of shape bias in every form it can be written in."""

from pathlib import Path

import pytest

from weatherglass.errors import UserError
from weatherglass.evaluation.texture import TextureSummary
from weatherglass.metrics.intervals import Estimate
from weatherglass.metrics.shape_bias import ShapeBias
from weatherglass.report.shape_bias import shape_bias_chart, write_shape_bias


def some_bias(value: float | None) -> ShapeBias:
    half = Estimate(0.5, 0.4, 0.6)
    return ShapeBias(20, half, half, None if value is None else Estimate(value, value - 0.1, value + 0.1))


def some_summaries() -> list[TextureSummary]:
    return [
        TextureSummary("cnn", "clean", some_bias(0.2), {"cat": some_bias(0.1), "dog": some_bias(None)}),
        TextureSummary("vit", "clean", some_bias(0.6), {"cat": some_bias(0.7), "dog": some_bias(0.5)}),
    ]


def test_the_chart_shows_texture_decisions_and_leaves_out_what_is_undefined() -> None:
    points, lines = shape_bias_chart(some_summaries())["layer"]
    assert [row["texture"] for row in points["data"]["values"]] == pytest.approx([0.9, 0.3, 0.5])
    assert [row["texture"] for row in lines["data"]["values"]] == pytest.approx([0.8, 0.4])


@pytest.mark.parametrize(("ending", "start"), [(".svg", b"<svg"), (".png", b"\x89PNG"), (".html", b"<!DOCTYPE html>")])
def test_it_is_written_in_every_form(tmp_path: Path, ending: str, start: bytes) -> None:
    output = tmp_path / f"bias{ending}"
    write_shape_bias(some_summaries(), output)
    assert output.read_bytes().lstrip().startswith(start)
    if ending == ".html":
        assert b'src="http' not in output.read_bytes()


def test_another_ending_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="svg"):
        write_shape_bias(some_summaries(), tmp_path / "bias.txt")
