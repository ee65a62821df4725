"""A run as tables: for every condition the estimate of a score, then the same score in every bootstrap resample.

The formulas live in `weatherglass.metrics`; applied to whole tables they give the estimate and its resamples at once.
All tables of a data set share the resamples, so the rows of two conditions, or of two models, may be subtracted.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float

from weatherglass.evaluation.grid import Grid, grid_of, suites
from weatherglass.evaluation.outcomes import Outcomes, outcomes_of
from weatherglass.evaluation.reference import Reference
from weatherglass.evaluation.runs import Run
from weatherglass.metrics import robustness
from weatherglass.metrics.alexnet import MAIN_CORRUPTIONS, SEVERITIES
from weatherglass.metrics.intervals import Bootstrap, Estimate, estimate
from weatherglass.tasks.task import affordable

Rows = Float[np.ndarray, " rows"]
"""The estimate, then one value a resample."""

Table = dict[str, Rows]
"""By condition."""


@dataclass(frozen=True)
class Tables:
    """A run, measured."""

    run: Run
    outcomes: Outcomes
    grid: Grid
    bootstrap: Bootstrap
    level: float
    scores: dict[str, Table]
    """Every score of the task -> table."""

    @property
    def headline(self) -> Table:
        """The headline score of every condition: top-1 accuracy, mIoU."""
        return self.scores[self.outcomes.task.headline]

    @property
    def clean(self) -> Rows | None:
        """The clean headline score; None where it was not measured."""
        return self.headline.get("clean")

    def span(self, score: str) -> tuple[float, float] | None:
        """Between which values one image can lie."""
        return self.outcomes.task.scores[score].span

    def estimate(
        self, rows: Rows | None, span: tuple[float, float] | None = (0.0, 1.0), scale: float = 1.0
    ) -> Estimate | None:
        """The estimate in a column of a table; None for no column and for an undefined value."""
        if rows is None:
            return None
        samples = len(self.outcomes.ids)
        return estimate(float(rows[0]), rows[1:], samples=samples, level=self.level, span=span, scale=scale)

    def present(self, kind: str) -> list[str]:
        """The measured cells of one corruption of the grid."""
        return [cell for cell in self.grid.cells(kind) if cell in self.headline]

    def mean_over_kinds(self, score: str | None = None, kinds: Sequence[str] | None = None) -> Rows | None:
        """Mean over corruptions (default: all of the grid) of the mean over severities; None where there are none.

        `score` None: the headline."""
        table = self.headline if score is None else self.scores[score]
        cells = {kind: self.present(kind) for kind in (self.grid.kinds if kinds is None else kinds)}
        rates = {kind: stacked(table, present) for kind, present in cells.items() if present}
        return robustness.mean_corrupted_accuracy(rates) if rates else None

    def drop(self, condition: str) -> Rows | None:
        """Clean score minus that of a condition; None for the clean one and without it."""
        return None if self.clean is None or condition == "clean" else self.clean - self.headline[condition]

    def retention(self, kinds: Sequence[str] | None = None) -> Rows | None:
        """Mean corrupted score over clean score; None where either is missing or the clean one is 0."""
        corrupted = self.mean_over_kinds(kinds=kinds)
        if corrupted is None or self.clean is None or self.clean[0] == 0:
            return None
        return robustness.retention(corrupted, self.clean)

    def corruption_error(self, kind: str, divisor: Reference, *, relative: bool = False) -> Rows | None:
        """(Relative) CE of one corruption; None without all five severities or without a reference for them.

        CE divides shares of wrong images, so it is None for other tasks than classification too."""
        if not self.outcomes.task.counts_images:
            return None
        cells = [f"{kind}@{severity:g}" for severity in SEVERITIES]
        reference = divisor.of(cells)
        if reference is None or any(cell not in self.headline for cell in cells):
            return None
        error = 1 - stacked(self.headline, cells)
        if not relative:
            return robustness.corruption_error(error, reference)
        if divisor.clean_error is None or self.clean is None:
            return None
        return robustness.relative_corruption_error(error, 1 - self.clean, reference, divisor.clean_error)

    def mean_corruption_error(self, divisor: Reference, *, relative: bool = False) -> Rows | None:
        """(Relative) mCE over the fifteen main corruptions; None where one of their CE is missing."""
        rows = {kind: self.corruption_error(kind, divisor, relative=relative) for kind in MAIN_CORRUPTIONS}
        there = {kind: row for kind, row in rows.items() if row is not None}
        return robustness.mean_corruption_error(there) if len(there) == len(rows) else None

    def suites(self) -> dict[str, list[str]]:
        """The published suites all of whose conditions were measured, with their corruptions in the grid's order."""
        covered = {name: cells for name, cells in suites().items() if cells and cells <= self.headline.keys()}
        kinds = {name: {cell.split("@")[0] for cell in cells} for name, cells in covered.items()}
        return {name: [k for k in self.grid.kinds if k in there] for name, there in kinds.items()}

    def families(self) -> dict[str, list[str]]:
        """Family -> its measured corruptions."""
        groups: dict[str, list[str]] = {}
        for kind in self.grid.kinds:
            if cells := self.present(kind):
                groups.setdefault(self.run.records[cells[0]].family, []).append(kind)
        return groups


def tables_of(
    run: Run, *, resamples: int = 1000, level: float = 0.95, seed: int = 0, outcomes: Outcomes | None = None
) -> Tables:
    """Measure a run; `outcomes` are those to use instead of all that it holds (some of the images, say)."""
    outcomes = outcomes_of(run) if outcomes is None else outcomes
    made = affordable(outcomes.task, len(outcomes.ids), len(outcomes.conditions), resamples)
    bootstrap = Bootstrap(len(outcomes.ids), made, seed)
    scores = outcomes.task.tables(outcomes.columns, bootstrap)
    return Tables(
        run=run,
        outcomes=outcomes,
        grid=grid_of(run),
        bootstrap=bootstrap,
        level=level,
        scores={name: dict(zip(outcomes.conditions, rows.T, strict=True)) for name, rows in scores.items()},
    )


def ratio_estimate(
    tables: Tables, rows: Rows | None, divisor: Reference, kinds: Sequence[str], *, relative: bool = False
) -> Estimate | None:
    """The estimate of a (relative) CE or mCE over `kinds`; exactly 1 where the reference holds the run's own cells."""
    if rows is None:
        return None
    needed = {f"{kind}@{severity:g}" for kind in kinds for severity in SEVERITIES} | ({"clean"} if relative else set())
    if needed <= divisor.own:
        return Estimate(1.0, 1.0, 1.0, "exact")
    span = (-1.0, 1.0) if relative else (0.0, 1.0)
    return tables.estimate(rows, span, _scale(divisor, kinds, relative))


def without_errors(divisor: Reference, kinds: Sequence[str], *, relative: bool = False) -> list[str]:
    """The corruptions under which the reference makes no (excess) errors, so that no CE can be divided by them."""
    shift = float(divisor.clean_error[0]) if relative and divisor.clean_error is not None else 0.0
    sums = {kind: sum(divisor.errors[f"{kind}@{s:g}"][0] - shift for s in SEVERITIES) for kind in kinds}
    return [kind for kind, total in sums.items() if total == 0]


def missing_for_mce(tables: Tables, divisor: Reference, *, relative: bool = False) -> str | None:
    """Why (relative) mCE cannot be given, in words; None where it can."""
    cells = [f"{kind}@{severity:g}" for kind in MAIN_CORRUPTIONS for severity in SEVERITIES]
    needed = [*cells, "clean"] if relative else cells
    if not tables.outcomes.task.counts_images:
        return f"it divides errors of images, and {tables.outcomes.task.name} is not scored by whole images"
    if divisor.name is None:
        return divisor.reason
    if missing := [cell for cell in needed if cell not in tables.headline]:
        return f"it needs the 15 main corruptions at 5 severities; not measured: {listing(missing)}"
    if lacking := [cell for cell in cells if cell not in divisor.errors]:
        return f"the reference {divisor.name} lacks {listing(lacking)}"
    if relative and divisor.clean_error is None:
        return f"the reference {divisor.name} has no clean cell"
    if not set(needed) <= divisor.own and (perfect := without_errors(divisor, MAIN_CORRUPTIONS, relative=relative)):
        more = "no more errors than when clean" if relative else "no errors"
        return f"the reference {divisor.name} makes {more} under {listing(perfect)}; choose a weaker one"
    return None


def listing(items: Sequence[str], most: int = 6) -> str:
    """The first few of many names, e.g. 'fog@1, fog@2 ... (12 in all)'."""
    rest = f" ... ({len(items)} in all)" if len(items) > most else ""
    return ", ".join(items[:most]) + rest


def _scale(divisor: Reference, kinds: Sequence[str], relative: bool) -> float:
    """What a mean error an image is multiplied with to give (relative) CE, for intervals without a bootstrap."""
    shift = divisor.clean_error[0] if relative and divisor.clean_error is not None else 0.0
    means = [float(np.mean([divisor.errors[f"{k}@{s:g}"][0] - shift for s in SEVERITIES])) for k in kinds]
    return sum(1 / mean if mean else np.nan for mean in means) / len(means)


def stacked(table: Table, cells: Sequence[str]) -> Float[np.ndarray, "rows severities"]:
    """The rows of some conditions side by side."""
    return np.stack([table[cell] for cell in cells], axis=-1)
