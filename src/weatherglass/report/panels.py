"""The drawn parts of the page: curves, failing severities, reliability, with the sentences that explain them."""

from collections.abc import Sequence
from dataclasses import dataclass

from weatherglass.report.charts import Spec, inline_svg
from weatherglass.report.content import ModelView
from weatherglass.report.curves import Curves, Facet
from weatherglass.report.figures import Row, failing_severity, reliability, severity_curve
from weatherglass.report.reliability import (
    Confident,
    confident_answers,
    level_name,
    reliability_by_severity,
    reliability_rows,
)
from weatherglass.report.words import kind_in_words, percent

MOST_KINDS = 24


@dataclass(frozen=True)
class Panel:
    """One chart of one model."""

    view: ModelView
    spec: Spec
    sentence: str
    """What the picture says."""

    @property
    def svg(self) -> str:
        """To stand in the page."""
        return inline_svg(self.spec, f"{self.view.label}: {self.sentence}")


@dataclass(frozen=True)
class Panels:
    """The same chart for several models, and its legend: (CSS class, words)."""

    panels: tuple[Panel, ...]
    legend: tuple[tuple[str, str], ...]


@dataclass(frozen=True)
class Calibration:
    """Reliability diagrams, and by severity what they amount to."""

    panels: Panels
    levels: tuple[str, ...]
    errors: tuple[tuple[ModelView, tuple[float | None, ...]], ...]
    """Calibration error by level, mean over the corruptions; None where a condition is missing."""
    confident: tuple[tuple[ModelView, tuple[Confident | None, ...]], ...]


def curve_svg(facet: Facet, curves: Curves) -> str:
    """One severity curve to stand in the page."""
    ends = {row["model"]: row for row in facet.rows}
    said = "; ".join(f"{model} ends at {percent(row['value'])}" for model, row in ends.items())
    return inline_svg(
        severity_curve(facet.rows, curves.labels, radii=facet.family == "attack"),
        f"Score by severity of {facet.title}: {said}",
    )


def failing_panels(models: Sequence[ModelView]) -> Panels | None:
    """How much it takes to break an image, by corruption; None where no model has a whole curve."""
    severities = max((view.summary.grid.severities for view in models), key=len, default=())
    panels = [
        Panel(view, failing_severity(rows, kinds, bands), _failing_sentence(view))
        for view in models
        for kinds, bands, rows in [_failing_rows(view)]
        if rows
    ]
    if not panels:
        return None
    words = ["wrong when clean", *(f"severity {s:g}" for s in severities), "never"]
    tones = ["mx", *(f"s{_place(i, len(severities))}" for i in reversed(range(len(severities)))), "never"]
    return Panels(tuple(panels), tuple(zip(tones, words, strict=True)))


def _failing_rows(view: ModelView) -> tuple[list[str], list[str], list[Row]]:
    summary = view.summary
    bands = ["wrong when clean", *(f"severity {s:g}" for s in summary.grid.severities), "never"]
    whole = {name: kind.first_failure for name, kind in summary.kinds.items() if kind.first_failure is not None}
    shown = list(whole.items())[:MOST_KINDS]
    rows: list[Row] = [
        {
            "kind": kind_in_words(kind),
            "band": band,
            "order": i,
            "share": round(share, 5),
            "tip": f"{kind_in_words(kind)}, {_failing_words(band)}: {percent(share)}",
        }
        for kind, shares in shown
        for i, (band, share) in enumerate(zip(bands, shares, strict=True))
        if share > 0
    ]
    return [kind_in_words(kind) for kind, _ in shown], bands, rows


def _failing_words(band: str) -> str:
    return {"wrong when clean": "wrong when clean", "never": "never wrong"}.get(band, f"first wrong at {band}")


def _failing_sentence(view: ModelView) -> str:
    shares = view.summary.first_failure
    if shares is None:
        return ""
    return (
        f"On average {percent(shares[-1])} of the images survive everything; {percent(shares[0])} are wrong when clean."
    )


def calibration_of(models: Sequence[ModelView]) -> Calibration | None:
    """Reliability by severity; None where nothing was measured clean or on a grid."""
    measured = [
        (view, reliability_by_severity(view.run, _calibrated(view)))
        for view in models
        if view.summary.task == "classification"
    ]
    panels = [
        Panel(view, reliability(rows, [level_name(severity) for severity in bins]), _reliability_sentence(view))
        for view, bins in measured
        for rows in [reliability_rows(bins)]
        if rows
    ]
    if not panels:
        return None
    severities = sorted({severity for _, bins in measured for severity in bins})
    graded = [severity for severity in severities if severity]
    tones = ["s0" if s == 0 else f"s{_place(graded.index(s), len(graded))}" for s in severities]
    levels = [level_name(severity) for severity in severities]
    errors, confident = [], []
    for view, bins in measured:
        sure = {answers.severity: answers for answers in confident_answers(bins)}
        errors.append((view, tuple(_mean_error(view, severity) for severity in severities)))
        confident.append((view, tuple(sure.get(severity) for severity in severities)))
    legend = tuple(zip(tones, levels, strict=True))
    return Calibration(Panels(tuple(panels), legend), tuple(levels), tuple(errors), tuple(confident))


def _calibrated(view: ModelView) -> list[tuple[str, float]]:
    """The clean condition and the cells of the grid, each with its severity (0 for clean)."""
    cells = _grid_cells(view)
    conditions = view.summary.conditions.items()
    return [(text, condition.severity or 0.0) for text, condition in conditions if text == "clean" or text in cells]


def _mean_error(view: ModelView, severity: float) -> float | None:
    """Mean over the corruptions of the calibration errors at one severity."""
    kinds = view.summary.grid.kinds
    cells = ["clean"] if severity == 0 else [f"{kind}@{severity:g}" for kind in kinds]
    found = [view.summary.conditions[cell].others["ece"].value for cell in cells if cell in view.summary.conditions]
    return sum(found) / len(found) if found and len(found) == len(cells) else None


def _grid_cells(view: ModelView) -> set[str]:
    return {cell for kind in view.summary.grid.kinds for cell in view.summary.grid.cells(kind)}


def _reliability_sentence(view: ModelView) -> str:
    clean, disturbed = view.summary.ece, view.summary.ece_corrupted
    if clean is None or disturbed is None:
        known = clean or disturbed
        return f"Calibration error {percent(known.value)}." if known else ""
    return f"Calibration error {percent(clean.value)} on clean images, {percent(disturbed.value)} under disturbance."


def _place(position: int, total: int) -> int:
    """Which of the five severity colours stands for the severity at `position` of `total`."""
    return 5 if total <= 1 else 1 + round(position * 4 / (total - 1))
