"""What each class loses under corruption, with intervals."""

from collections.abc import Sequence

import numpy as np

from weatherglass.evaluation.estimates import ClassDamage
from weatherglass.evaluation.grid import Grid
from weatherglass.evaluation.outcomes import Outcomes
from weatherglass.metrics.intervals import Bootstrap, Estimate, estimate, wilson_interval
from weatherglass.tasks.task import ClassTable


def class_damage(
    outcomes: Outcomes, grid: Grid, names: Sequence[str] | None, bootstrap: Bootstrap, level: float
) -> tuple[ClassDamage, ...]:
    """Clean and corrupted score of every class that occurs; empty without corruptions.

    A clean rate of images has Wilson's interval (classes are small), the others the bootstrap's.
    """
    cells = {kind: [outcomes.row(c) for c in grid.cells(kind) if c in outcomes.conditions] for kind in grid.kinds}
    kinds = [rows for rows in cells.values() if rows]
    if not kinds:
        return ()
    clean = outcomes.row("clean") if "clean" in outcomes.conditions else None
    tables = outcomes.task.classes(outcomes.columns, outcomes.labels, clean, kinds, bootstrap)
    rates = outcomes.task.counts_images
    return tuple(_damage(table, names, level, rates) for table in tables)


def _damage(table: ClassTable, names: Sequence[str] | None, level: float, rates: bool) -> ClassDamage:
    def estimated(rows: np.ndarray, span: tuple[float, float]) -> Estimate:
        found = estimate(float(rows[0]), rows[1:], samples=table.samples, level=level, span=span)
        assert found is not None  # A class that is here has an image.
        return found

    clean = None if table.clean is None else estimated(table.clean, (0.0, 1.0))
    if clean is not None and rates:
        clean = Estimate(clean.value, *wilson_interval(clean.value, table.samples, level), "wilson")
    return ClassDamage(
        index=table.index,
        name=names[table.index] if names else str(table.index),
        samples=table.samples,
        clean=clean,
        corrupted=estimated(table.corrupted, (0.0, 1.0)),
        drop=None if table.clean is None else estimated(table.clean - table.corrupted, (-1.0, 1.0)),
    )
