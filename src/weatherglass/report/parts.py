"""The parts of the page that are plain tables: headline cards, worst conditions, classes, gaps."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Generic, TypeVar

from weatherglass.evaluation.estimates import ClassDamage
from weatherglass.evaluation.grid import OF_MODEL
from weatherglass.metrics.intervals import Estimate
from weatherglass.report.content import Content, DataGroup, ModelView
from weatherglass.report.words import condition_in_words, count, number, percent

Item = TypeVar("Item")

MOST_CARDS = 6
MOST_IN_LEAGUE = 40
MOST_WORST = 8
MOST_CLASSES = 12
MOST_GAPS = 12
MOST_CONDITIONS = 200


@dataclass(frozen=True)
class Capped(Generic[Item]):
    """The head of a list, and how many follow."""

    shown: tuple[Item, ...]
    more: int


def capped(items: Iterable[Item], most: int) -> Capped[Item]:
    """The first `most` of the items."""
    whole = tuple(items)
    return Capped(whole[:most], max(0, len(whole) - most))


@dataclass(frozen=True)
class Measure:
    """One line of a headline card."""

    title: str
    estimate: Estimate | None
    text: str
    why: str
    """Why there is no estimate."""
    bar: bool = True
    remark: str = ""


def measures_of(view: ModelView) -> list[Measure]:
    """Clean, disturbed, kept, mCE: what a card shows."""
    summary = view.summary
    partial = f"without {count(len(summary.grid.missing), 'missing cell')}" if summary.partial else ""
    under = f"Under disturbance ({count(len(summary.grid.kinds), 'corruption')})"
    return [
        _measure(view, _CLEAN.get(summary.task, f"Clean {summary.measure}"), summary.headline),
        _measure(view, under if summary.grid.kinds else "Under disturbance", "corrupted", partial),
        _measure(view, f"Kept of the clean {summary.measure}", "retention", partial),
        *([_mce(view)] if summary.task == "classification" else []),
    ]


_CLEAN = {"classification": "Clean images right"}


def _measure(view: ModelView, title: str, name: str, remark: str = "") -> Measure:
    estimate = view.summary.run_metrics[name]
    why = "" if estimate else _sentence(view.summary.absent.get(name, "it was not measured"))
    return Measure(title, estimate, percent(estimate.value) if estimate else "", why, remark=remark if estimate else "")


def _mce(view: ModelView) -> Measure:
    estimate = view.summary.mce
    if estimate is None:
        return Measure("mCE", None, "", _sentence(view.summary.absent.get("mce", "no reference")))
    remark = f"reference: {view.summary.reference}; less is better"
    return Measure("mCE", estimate, number(estimate.value), "", bar=False, remark=remark)


def _sentence(text: str) -> str:
    return text[:1].upper() + text[1:].rstrip(".") + "."


@dataclass(frozen=True)
class WorstRow:
    """One of the conditions in which a model is worst."""

    words: str
    score: Estimate
    drop: Estimate | None


def worst_rows(view: ModelView) -> list[WorstRow]:
    """The worst conditions of one model, the worst first."""
    conditions = [view.summary.conditions[text] for text in view.summary.worst[:MOST_WORST]]
    return [WorstRow(condition_in_words(c.disturbance, c.kind, c.severity), c.score, c.drop) for c in conditions]


def class_rows(view: ModelView) -> Capped[ClassDamage]:
    """The classes that lose most."""
    ordered = sorted(view.summary.classes, key=lambda c: -(c.drop.value if c.drop else 1 - c.corrupted.value))
    return capped(ordered, MOST_CLASSES)


@dataclass(frozen=True)
class ConditionTable:
    """Every condition of a data set, one column a model."""

    views: tuple[ModelView, ...]
    shown: tuple[tuple[str, tuple[Estimate | None, ...]], ...]
    more: int


def condition_table(group: DataGroup, models: Sequence[ModelView]) -> ConditionTable:
    """Headline score of `models` under every condition of the input; single moves have maps instead."""
    views = tuple(view for view in models if view in group.models)
    conditions = {
        text: condition
        for view in views
        for text, condition in view.summary.conditions.items()
        if condition.family not in OF_MODEL and not condition.kind.startswith("moved:")
    }
    rows = capped(conditions.items(), MOST_CONDITIONS)
    shown = tuple(
        (
            condition_in_words(text, c.kind, c.severity),
            tuple(v.summary.conditions[text].score if text in v.summary.conditions else None for v in views),
        )
        for text, c in rows.shown
    )
    return ConditionTable(views, shown, rows.more)


@dataclass(frozen=True)
class Gap:
    """Something that was meant to be measured and was not."""

    title: str
    meaning: str
    shown: tuple[str, ...]
    more: int


def gaps_of(content: Content) -> list[Gap]:
    """Failed cells, missing cells, unreadable files, left-out images: never silently dropped."""
    failed = [
        f"{view.label}: {failure.cell.disturbance}: {failure.reason}"
        for view in content.models
        for failure in view.run.failures
    ]
    failed += [f"{f.cell.model}: {f.cell.disturbance}: {f.reason}" for f in content.orphans]
    missing = [
        f"{view.label}: {cell}" for view in content.models for cell in view.summary.grid.missing if "failed" not in cell
    ]
    unreadable = [line for group in content.groups for line in group.unreadable]
    gaps = [
        _gap("condition could not be measured", "conditions could not be measured", _FAILED, failed),
        _gap("condition was not measured", "conditions were not measured", _MISSING, missing),
        _gap("file could not be read", "files could not be read", _UNREADABLE, unreadable),
    ]
    return [gap for gap in gaps if gap.shown]


_FAILED = "They count in no mean. The next run of the same command tries them again."
_MISSING = "The grid of corruptions and severities has holes; means are over what there is."
_UNREADABLE = "They were left out of the data, for every model and condition alike."


def _gap(singular: str, plural: str, meaning: str, lines: list[str]) -> Gap:
    head = capped(lines, MOST_GAPS)
    return Gap(count(len(lines), singular, plural), meaning, head.shown, head.more)
