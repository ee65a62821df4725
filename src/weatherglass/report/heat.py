"""The heat map as a table: corruption by severity, values in the cells, families as headings."""

from dataclasses import dataclass
from typing import Literal

from weatherglass.report.content import ModelView
from weatherglass.report.words import condition_in_words, kind_in_words, number, percent, spoken, titled

STEPS = 20
"""Colours of the scale, each for five points of accuracy or mIoU."""

MOST_ROWS = 40

State = Literal["measured", "absent", "failed"]


@dataclass(frozen=True)
class HeatCell:
    """One condition."""

    text: str
    step: int
    """0 (nothing right) to STEPS - 1 (all right)."""
    tip: str
    state: State = "measured"


@dataclass(frozen=True)
class HeatRow:
    """One corruption."""

    kind: str
    cells: tuple[HeatCell, ...]
    mean: str
    mean_tip: str


@dataclass(frozen=True)
class HeatTable:
    """One model."""

    severities: tuple[str, ...]
    families: tuple[tuple[str, tuple[HeatRow, ...]], ...]
    clean: HeatCell | None
    severity_means: tuple[str, ...]
    """Plain means over the corruptions; an en dash where one is missing."""
    mean: str
    more: int
    """Corruptions that are left out."""


def heat_table(view: ModelView) -> HeatTable | None:
    """The table of one model; None where nothing was disturbed at a severity."""
    grid = view.summary.grid
    kinds = [kind for kind in grid.kinds if kind in view.summary.kinds or grid.missing_of(kind)]
    if not kinds:
        return None
    families: dict[str, list[HeatRow]] = {}
    for kind in kinds[:MOST_ROWS]:
        families.setdefault(family_of(view, kind), []).append(_row(view, kind))
    clean = view.summary.conditions.get("clean")
    return HeatTable(
        severities=tuple(f"{severity:g}" for severity in grid.severities),
        families=tuple((name, tuple(rows)) for name, rows in families.items()),
        clean=None if clean is None else HeatCell(number(clean.score.value), step_of(clean.score.value), ""),
        severity_means=tuple(_severity_mean(view, kinds, i) for i in range(len(grid.severities))),
        mean=number(view.summary.corrupted.value) if view.summary.corrupted else "–",
        more=max(0, len(kinds) - MOST_ROWS),
    )


def family_of(view: ModelView, kind: str) -> str:
    """Heading of a corruption; 'not measured' for one that failed throughout."""
    summary = view.summary.kinds.get(kind)
    return summary.family if summary else "not measured"


def step_of(share: float) -> int:
    """Step of the colour scale for a share in [0, 1]."""
    return min(STEPS - 1, max(0, int(share * STEPS)))


def _row(view: ModelView, kind: str) -> HeatRow:
    summary = view.summary.kinds.get(kind)
    grid = view.summary.grid
    cells = tuple(
        _cell(view, f"{kind}@{severity:g}")
        if severity in grid.expected[kind]
        else HeatCell("", 0, f"{kind_in_words(kind)} has no severity {severity:g} in {grid.suite}", "absent")
        for severity in grid.severities
    )
    mean = number(summary.score.value) if summary else "–"
    return HeatRow(kind_in_words(kind), cells, mean, spoken(summary.score) if summary else "not measured")


def _cell(view: ModelView, text: str) -> HeatCell:
    measured = view.summary.conditions.get(text)
    if measured is not None:
        words = condition_in_words(text, measured.kind, measured.severity)
        tip = f"{words}: {spoken(measured.score)} {view.summary.measure}"
        return HeatCell(number(measured.score.value), step_of(measured.score.value), tip)
    failed = next((f for f in view.run.failures if f.cell.disturbance == text), None)
    if failed is not None:
        return HeatCell("failed", 0, f"{text} could not be measured: {failed.reason}", "failed")
    return HeatCell("–", 0, f"{text} was not measured", "absent")


def _severity_mean(view: ModelView, kinds: list[str], position: int) -> str:
    texts = [f"{kind}@{view.summary.grid.severities[position]:g}" for kind in kinds]
    measured = [view.summary.conditions[text].score.value for text in texts if text in view.summary.conditions]
    return number(sum(measured) / len(measured)) if len(measured) == len(texts) else "–"


def described(view: ModelView) -> str:
    """The text alternative of one model's heat map."""
    corrupted = view.summary.corrupted
    worst = view.summary.worst[0] if view.summary.worst else None
    text = f"{titled(view.summary.measure)} of {view.label} by corruption and severity"
    if corrupted:
        text += f", {percent(corrupted.value)} on average"
    return text + (f", lowest at {worst}." if worst else ".")
