"""How steady the predictions are while an image changes little by little: the table of sequences."""

from collections.abc import Sequence
from dataclasses import dataclass

from weatherglass.evaluation.estimates import SequenceSummary
from weatherglass.metrics.intervals import Estimate
from weatherglass.report.content import DataGroup, ModelView
from weatherglass.report.words import kind_in_words


@dataclass(frozen=True)
class StabilityRow:
    """One sequence, or the mean of all: (flips, top-5 distance, flip rate) for each model; None: not measured."""

    words: str
    cells: tuple[tuple[Estimate, Estimate, Estimate | None] | None, ...]


@dataclass(frozen=True)
class StabilityTable:
    """Every sequence of a data set, one column a model."""

    name: str
    """Of the data."""
    views: tuple[ModelView, ...]
    rows: tuple[StabilityRow, ...]
    reasons: tuple[str, ...]
    """What divides the flip rates, or why there are none."""


def stability_tables(groups: Sequence[DataGroup], most: int) -> list[StabilityTable]:
    """One table for each data set on which sequences were measured; the first `most` models of each."""
    tables = []
    for group in groups:
        held = [(view, view.summary.sequences) for view in group.models if view.summary.sequences is not None][:most]
        if held:
            tables.append(_table(group.name, held))
    return tables


def _table(name: str, held: Sequence[tuple[ModelView, SequenceSummary]]) -> StabilityTable:
    names = list(dict.fromkeys(result.perturbation for _, sequences in held for result in sequences.results))
    by_model = [
        {r.perturbation: (r.flips, r.top5_distance, r.flip_rate) for r in sequences.results} for _, sequences in held
    ]
    rows = [StabilityRow(kind_in_words(each), tuple(cells.get(each) for cells in by_model)) for each in names]
    # Means over different sequences do not belong in one row.
    if len({frozenset(cells) for cells in by_model}) == 1:
        means = tuple((s.flips, s.top5_distance, s.mean_flip_rate) for _, s in held)
        rows.append(StabilityRow("mean", means))
    reasons = tuple(dict.fromkeys(sequences.reason for _, sequences in held))
    return StabilityTable(name, tuple(view for view, _ in held), tuple(rows), reasons)
