"""Attacks on the page: accuracy and success, doubts, transfer matrices, maps of rotations and shifts."""

from collections.abc import Sequence
from dataclasses import dataclass

from weatherglass.errors import UserError
from weatherglass.evaluation.adversarial import AttackResult, attack_results, attack_warnings
from weatherglass.evaluation.transfer import TransferMatrix, transfer_matrix
from weatherglass.report.charts import inline_svg
from weatherglass.report.content import DataGroup, ModelView
from weatherglass.report.space import space_charts
from weatherglass.report.words import percent

_FROM = " from "


@dataclass(frozen=True)
class AttackTable:
    """The attacks on the models of one data set: one row an attack, one cell a model."""

    views: tuple[ModelView, ...]
    rows: tuple[tuple[str, tuple[AttackResult | None, ...]], ...]
    doubts: tuple[str, ...]
    """Reasons not to believe a number."""


@dataclass(frozen=True)
class TransferTable:
    """One attack: rows are the models it was made on, columns those that look."""

    matrix: TransferMatrix
    labels: tuple[str, ...]


@dataclass(frozen=True)
class SpaceMaps:
    """The heat maps of one model."""

    view: ModelView
    pictures: tuple[str, ...]


def attack_table(group: DataGroup, models: Sequence[ModelView]) -> AttackTable | None:
    """Every attack and worst-case search on `models`, in the order of kinds and radii; None where there is none."""
    views = tuple(view for view in models if view in group.models)
    found = [{result.disturbance: result for result in attack_results(view.run)} for view in views]
    kept = [{text: one for text, one in results.items() if _FROM not in text} for results in found]
    order = {text: result for results in kept for text, result in results.items()}
    if not order:
        return None
    texts = sorted(order, key=lambda text: (order[text].kind, order[text].radius or 0.0))
    rows = tuple((text, tuple(results.get(text) for results in kept)) for text in texts)
    return AttackTable(views, rows, tuple(doubt for view in views for doubt in attack_warnings(view.run)))


def transfer_tables(group: DataGroup) -> list[TransferTable]:
    """The transfer matrix of every attack whose images were shown to all the models they were made on."""
    attacks = dict.fromkeys(
        text.partition(_FROM)[0] for view in group.models for text in view.run.disturbed if _FROM in text
    )
    tables = []
    for attack in attacks:
        sources = [view for view in group.models if f"{attack}{_FROM}{view.name}" in view.run.records]
        names = [view.name for view in sources]
        whole = all(f"{attack}{_FROM}{name}" in view.run.records for view in sources for name in names)
        if len(sources) < 2 or len(set(names)) < len(names) or not whole or any(v.run.clean is None for v in sources):
            continue
        try:
            matrix = transfer_matrix([view.run for view in sources], attack, names)
        except UserError:  # no image that all models get right: there is nothing to show
            continue
        tables.append(TransferTable(matrix, tuple(view.label for view in sources)))
    return tables


def space_maps(models: Sequence[ModelView]) -> list[SpaceMaps]:
    """The models that were moved over a whole grid, with their maps."""
    drawn = []
    for view in models:
        charts = space_charts(view.run)
        if charts:
            clean = percent(view.summary.top1.value if view.summary.top1 else None)
            words = f"{view.label}: accuracy under single rotations and shifts, {clean} unmoved"
            drawn.append(SpaceMaps(view, tuple(inline_svg(chart, words) for chart in charts)))
    return drawn
