"""Every figure of a report as files for a paper or a slide."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from weatherglass.evaluation.files import write_text
from weatherglass.evaluation.studies import Figure
from weatherglass.report.charts import save_figure
from weatherglass.report.content import Content, DataGroup, ModelView
from weatherglass.report.curves import curves_of
from weatherglass.report.figures import dumbbells, faceted, heat_map, interval_bars, severity_curve
from weatherglass.report.panels import calibration_of, failing_panels
from weatherglass.report.parts import class_rows, worst_rows
from weatherglass.report.space import space_figure
from weatherglass.report.tables import grid_table, headline_table, latex, markdown
from weatherglass.report.words import kind_in_words, percent, shortened, titled

MOST_MODELS = 12
"""Models that get figures of their own."""

MOST_LINES = 6
"""Models in one chart of severity curves."""


def save_album(content: Content, folder: Path) -> list[Path]:
    """Write all figures as SVG, PNG and Vega-Lite, their captions, and the tables into `folder`; returns the paths.

    Raises `UserError` when the folder cannot be written.
    """
    figures = list(figures_of(content))
    paths = [path for figure in figures for path in save_figure(figure, folder)]
    captions = "\n\n".join(f"## {figure.name}\n\n**{figure.title}.** {figure.caption}" for figure in figures)
    write_text(folder / "captions.md", f"# Figures\n\n{captions}\n")
    tables = [headline_table([view.summary for view in group.models]) for group in content.groups]
    tables += [grid_table(view.summary) for view in content.models[:MOST_MODELS] if view.summary.kinds]
    write_text(folder / "tables.md", "\n".join(markdown(table) for table in tables))
    write_text(folder / "tables.tex", "\n".join(latex(table) for table in tables))
    return [*paths, *(folder / name for name in ("captions.md", "tables.md", "tables.tex"))]


def figures_of(content: Content) -> Iterator[Figure]:
    """All figures of a report, one after the other."""
    for number, group in enumerate(content.groups):
        yield from _curves(group, f"-{number + 1}" if len(content.groups) > 1 else "")
    yield from _space(content)
    for view in content.models[:MOST_MODELS]:
        yield from _of_model(view)


def _space(content: Content) -> Iterator[Figure]:
    """Maps of rotations and shifts, all models in one picture."""
    maps = space_figure([(view.label, view.run) for view in content.models[:MOST_MODELS]])
    if maps is not None:
        caption = "Accuracy when every image is rotated and shifted alike; black comes in from outside."
        yield Figure("spatial-maps", "Rotations and shifts", caption, maps)


def _curves(group: DataGroup, suffix: str) -> Iterator[Figure]:
    curves = curves_of(group, group.models[:MOST_LINES])
    if curves is None:
        return
    for attacks in (False, True):
        facets = [facet for facet in curves.facets if (facet.family == "attack") == attacks]
        if not facets:
            continue
        rows = [row | {"kind": facet.title} for facet in facets for row in facet.rows]
        titles = [facet.title for facet in facets]
        drawn = severity_curve(rows, curves.labels, legend=True, radii=attacks)
        end = "largest radius" if attacks else "strongest severity"
        caption = (
            f"{titled(group.measure)} on {group.name} from clean images to the {end}, with 95% intervals "
            f"(percentile bootstrap over {group.samples})."
        )
        name, title = ("accuracy-radius", "Accuracy by radius") if attacks else ("severity-curves", "Severity curves")
        yield Figure(f"{name}{suffix}", title, caption, faceted(drawn, "kind", titles, columns=4))


def _of_model(view: ModelView) -> Iterator[Figure]:
    name = f"{view.position + 1:02d}-{_file_name(view.label)}"
    cells = [c for c in view.summary.conditions.values() if c.disturbance in _grid(view)]
    if cells:
        rows = [
            {"kind": kind_in_words(c.kind), "severity": c.severity, "value": round(c.score.value, 5)} for c in cells
        ]
        kinds = [kind_in_words(kind) for kind in view.summary.grid.kinds]
        mean = percent(view.summary.corrupted.value if view.summary.corrupted else None)
        measure = titled(view.summary.measure)
        caption = f"{measure} in percent by corruption and severity, mean {mean}. The darker, the more goes wrong."
        yield Figure(
            f"heat-map-{name}", f"{measure} of {view.label} by corruption and severity", caption, heat_map(rows, kinds)
        )
    yield from _worst(view, name)
    yield from _classes(view, name)
    calibration = calibration_of([view])
    for kind, panels, caption in (
        ("failing-severity", failing_panels([view]), "Share of images by the mildest severity that first breaks them."),
        (
            "reliability",
            calibration and calibration.panels,
            "Accuracy against confidence by severity.",
        ),
    ):
        if panels:
            panel = panels.panels[0]
            yield Figure(f"{kind}-{name}", f"{view.label}: {panel.sentence}", caption, _with_legend(panel.spec))


def _worst(view: ModelView, name: str) -> Iterator[Figure]:
    rows = worst_rows(view)
    if rows:
        marks = [
            {"name": row.words, "value": row.score.value, "low": row.score.low, "high": row.score.high} for row in rows
        ]
        caption = f"The conditions of the lowest {view.summary.measure}, with 95% intervals."
        spec = interval_bars(marks, [row.words for row in rows])
        yield Figure(f"worst-conditions-{name}", f"Worst conditions of {view.label}", caption, spec)


def _classes(view: ModelView, name: str) -> Iterator[Figure]:
    shown = [row for row in class_rows(view).shown if row.clean]
    if shown and view.summary.corrupted:
        names = [shortened(f"{row.name}", 36) for row in shown]
        marks = [
            {"name": label, "clean": row.clean.value, "disturbed": row.corrupted.value, "tip": label}
            for label, row in zip(names, shown, strict=True)
            if row.clean
        ]
        what = {"mIoU": "IoU"}.get(view.summary.measure, view.summary.measure)
        caption = f"The classes that lose most: {what} on clean images (cool) and under disturbance (warm)."
        yield Figure(f"classes-{name}", f"Classes of {view.label}", caption, dumbbells(marks, names))


def _grid(view: ModelView) -> set[str]:
    return {cell for kind in view.summary.grid.kinds for cell in view.summary.grid.cells(kind)}


def _with_legend(spec: Any) -> Any:
    """The same chart with its colour legend, which the page writes in HTML instead."""
    if isinstance(spec, list):
        return [_with_legend(item) for item in spec]
    if not isinstance(spec, dict):
        return spec
    inner = {key: _with_legend(value) for key, value in spec.items() if key != "data"}
    inner |= {"data": spec["data"]} if "data" in spec else {}
    return inner | ({"legend": {"title": None}} if inner.get("legend", "") is None else {})


def _file_name(label: str) -> str:
    """Letters, digits, dots and dashes of a label; everything else becomes a dash."""
    kept = "".join(letter if letter.isascii() and (letter.isalnum() or letter in "._") else "-" for letter in label)
    return kept.strip("-.")[:60] or "model"
