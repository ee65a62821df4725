"""Drawing: Vega-Lite specifications become SVG and PNG on this machine, with one quiet theme.

A specification is a plain dict, data included, so that it can be read, kept and compared. Colours are drawn as
fixed hexadecimal tokens; the page's style sheet maps every token to a variable, which is how one SVG serves the
light page, the dark page and paper.
"""

import json
import re
from pathlib import Path
from typing import Any

from weatherglass.errors import MissingExtra, UserError
from weatherglass.evaluation.files import write_aside
from weatherglass.evaluation.studies import Figure

Spec = dict[str, Any]

INK, MUTED, RULE, OTHERS = "#1b1d21", "#646a73", "#e2dfd8", "#b9b6ae"

MODEL_COLOURS = ("#0b6fa4", "#c8581c", "#2a8c6e", "#8a5ba6", "#a17a05", "#c2487f")
"""Told apart with every common colour blindness, in this order; further models are drawn in `OTHERS`."""

MODEL_SHAPES = ("circle", "square", "triangle-up", "diamond", "triangle-down", "cross")
"""Beside the colour, so that the curves also read in black and white."""

SEVERITY_COLOURS = ("#4d7c9e", "#86a873", "#c9a23c", "#cf7a35", "#b2483f", "#7a2f45")
"""Clean and severities 1 to 5, from cool to warm with falling lightness."""

ACCURACY_RAMP = ("#fbf7e9", "#f7e3b0", "#f2c277", "#e6935a", "#cb6350", "#9c3d55", "#67294f", "#351a38")
"""Accuracy 1 down to 0: lightness falls monotonically, so it reads without colour vision and in print."""

_CONFIG: Spec = {
    "background": None,
    "font": "Helvetica Neue, Arial, Liberation Sans, sans-serif",
    "padding": 3,
    "view": {"stroke": None},
    "title": {"color": INK, "fontSize": 12, "fontWeight": 600, "anchor": "start", "offset": 6},
    "axis": {
        "labelColor": MUTED,
        "titleColor": MUTED,
        "labelFontSize": 10.5,
        "titleFontSize": 10.5,
        "titleFontWeight": "normal",
        "gridColor": RULE,
        "domainColor": RULE,
        "tickColor": RULE,
        "labelLimit": 220,
    },
    "legend": {"labelColor": INK, "titleColor": MUTED, "titleFontWeight": "normal", "labelLimit": 320},
    "header": {"labelColor": INK, "labelFontSize": 11, "labelFontWeight": 600, "titleColor": MUTED},
}


def converter() -> Any:
    """The Vega-Lite compiler. Raises `MissingExtra` where it is not installed."""
    try:
        import vl_convert
    except ImportError as error:
        raise MissingExtra("vl-convert-python", "report", "Drawing a report") from error
    return vl_convert


def themed(spec: Spec) -> Spec:
    """The specification with schema and theme, as it can be pasted into any Vega-Lite editor."""
    schema = "https://vega.github.io/schema/vega-lite/v5.json"
    return {"$schema": schema, "config": _CONFIG} | spec


def svg(spec: Spec) -> str:
    """A standalone SVG document."""
    return converter().vegalite_to_svg(themed(spec), allowed_base_urls=[])


def inline_svg(spec: Spec, description: str) -> str:
    """SVG to stand in a page: scales with its column, has a text alternative, inherits the page's font."""
    drawn = svg(spec)
    drawn = re.sub(r' font-family="[^"]*"', "", drawn)
    drawn = re.sub(r"(\d+\.\d{2})\d+", r"\1", drawn)  # hundredths of a pixel are enough
    found = re.match(r'<svg [^>]*?viewBox="([^"]+)"[^>]*>', drawn)
    if found is None:  # the compiler always writes a viewBox
        raise AssertionError("the chart compiler returned something that is not SVG")
    width = found[1].split()[2]
    head = (
        f'<svg xmlns="http://www.w3.org/2000/svg" class="chart" viewBox="{found[1]}" width="{width}" '
        f'role="img" aria-label="{_attribute(description)}">'
    )
    return head + drawn[found.end() :]


def save_figure(figure: Figure, folder: Path) -> list[Path]:
    """Write `figure` as SVG, as PNG at 2 pixels a point on white, and as its Vega-Lite specification."""
    spec = themed(figure.spec | {"background": "white", "padding": 12})
    paths = [folder / f"{figure.name}.{ending}" for ending in ("svg", "png", "vl.json")]
    drawn = converter().vegalite_to_svg(spec, allowed_base_urls=[])
    painted = converter().vegalite_to_png(spec, scale=2, allowed_base_urls=[])
    try:
        folder.mkdir(parents=True, exist_ok=True)
        paths[0].write_text(drawn, encoding="utf-8")
        paths[1].write_bytes(painted)
        paths[2].write_text(json.dumps(spec, indent=1, ensure_ascii=False), encoding="utf-8")
    except OSError as error:
        raise UserError(
            f"Cannot write figures to '{folder}': {error.strerror or error}. Choose another folder."
        ) from error
    return paths


WRITTEN = (".html", ".svg", ".png", ".pdf")
"""Endings of `write_chart`."""


def write_chart(spec: Spec, output: Path) -> None:
    """Write one chart on white; the ending of `output` chooses the form. HTML holds its script: no network is needed.

    Raises `UserError` for another ending or a place that cannot be written.
    """
    if output.suffix not in WRITTEN:
        raise UserError(f"'{output}': a plot ends in one of {', '.join(WRITTEN)}.")
    compiler, chart = converter(), themed(spec | {"background": "white", "padding": 12})
    if output.suffix == ".html":
        written = compiler.vegalite_to_html(chart, bundle=True).encode()
    elif output.suffix == ".svg":
        written = compiler.vegalite_to_svg(chart, allowed_base_urls=[]).encode()
    elif output.suffix == ".png":
        written = compiler.vegalite_to_png(chart, scale=2, allowed_base_urls=[])
    else:
        written = compiler.vegalite_to_pdf(chart, allowed_base_urls=[])
    write_aside(output, lambda part: part.write_bytes(written))


def theme_rules() -> str:
    """CSS that maps every colour token of the charts to a variable of the page."""
    names = {INK: "ink", MUTED: "muted", RULE: "rule", OTHERS: "others"}
    names |= {colour: f"model-{i}" for i, colour in enumerate(MODEL_COLOURS)}
    names |= {colour: f"severity-{i}" for i, colour in enumerate(SEVERITY_COLOURS)}
    names |= {colour: f"heat-{i}" for i, colour in enumerate(ACCURACY_RAMP)}
    return "\n".join(
        f'.chart [{part}="{colour}"] {{ {part}: var(--{name}); }}'
        for colour, name in names.items()
        for part in ("fill", "stroke")
    )


def heat_classes(steps: int = 20) -> list[tuple[str, str]]:
    """Background and readable text colour for `steps` equal steps of accuracy, from 0 up to 1."""
    backgrounds = [_ramp(1 - (step + 0.5) / steps) for step in range(steps)]
    return [(colour, "#000000" if _luminance(colour) > 0.179 else "#ffffff") for colour in backgrounds]


def _ramp(position: float) -> str:
    """Colour at `position` in [0, 1] along `ACCURACY_RAMP`, linear between its stops."""
    place = position * (len(ACCURACY_RAMP) - 1)
    low = min(int(place), len(ACCURACY_RAMP) - 2)
    pairs = zip(_channels(ACCURACY_RAMP[low]), _channels(ACCURACY_RAMP[low + 1]), strict=True)
    return "#" + "".join(f"{round(a + (b - a) * (place - low)):02x}" for a, b in pairs)


def _channels(colour: str) -> tuple[int, int, int]:
    return int(colour[1:3], 16), int(colour[3:5], 16), int(colour[5:7], 16)


def _luminance(colour: str) -> float:
    """Relative luminance of WCAG 2.1; black above 0.179 and white below keep 4.5 : 1."""
    linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in (v / 255 for v in _channels(colour))]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


def _attribute(text: str) -> str:
    return text.replace("&", "&amp;").replace('"', "&quot;").replace("<", "&lt;").replace(">", "&gt;")
