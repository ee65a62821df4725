"""What each class loses under corruption, with intervals."""

from collections.abc import Sequence

import numpy as np
from jaxtyping import Float

from weatherglass.evaluation.estimates import ClassDamage
from weatherglass.evaluation.grid import Grid
from weatherglass.evaluation.outcomes import Outcomes
from weatherglass.metrics.intervals import Bootstrap, Estimate, estimate, fixed_point, wilson_interval


def class_damage(
    outcomes: Outcomes, grid: Grid, names: Sequence[str] | None, bootstrap: Bootstrap, level: float
) -> tuple[ClassDamage, ...]:
    """Clean and corrupted accuracy of every class that has images; empty without corruptions.

    The clean rate has Wilson's interval (classes are small), the others the bootstrap's.
    """
    cells = {kind: [outcomes.row(c) for c in grid.cells(kind) if c in outcomes.conditions] for kind in grid.kinds}
    rows = [row for row in cells.values() if row]
    if not rows:
        return ()
    corrupted = np.mean([outcomes.correct[row].mean(axis=0) for row in rows], axis=0)
    clean = outcomes.correct[outcomes.row("clean")] if "clean" in outcomes.conditions else None
    order = np.argsort(outcomes.labels, kind="stable")
    labels, starts, sizes = np.unique(outcomes.labels[order], return_index=True, return_counts=True)
    columns = [corrupted] if clean is None else [corrupted, clean.astype(np.float64) - corrupted]
    resampled = _class_means(np.array(columns)[:, order], order, starts, bootstrap)
    found = []
    for k, (label, start, size) in enumerate(zip(labels.tolist(), starts.tolist(), sizes.tolist(), strict=True)):
        members = order[start : start + size]
        rate = None if clean is None else float(clean[members].mean())
        found.append(
            ClassDamage(
                index=label,
                name=names[int(label)] if names else str(label),
                samples=size,
                clean=None if rate is None else Estimate(rate, *wilson_interval(rate, size, level), "wilson"),
                corrupted=_mean_of(columns[0][members], resampled[0][:, k], level, (0.0, 1.0)),
                drop=None if clean is None else _mean_of(columns[1][members], resampled[1][:, k], level, (-1.0, 1.0)),
            )
        )
    return tuple(found)


def _mean_of(values: np.ndarray, resampled: np.ndarray, level: float, span: tuple[float, float]) -> Estimate:
    found = estimate(float(values.mean()), resampled, samples=len(values), level=level, span=span)
    assert found is not None  # A class that is here has an image.
    return found


def _class_means(
    values: Float[np.ndarray, "columns samples"], order: np.ndarray, starts: np.ndarray, bootstrap: Bootstrap
) -> list[Float[np.ndarray, "resamples classes"]]:
    """Mean of each column within each class, in every resample; nan where a resample holds no image of the class."""
    values = fixed_point(values)
    blocks: list[list[np.ndarray]] = [[] for _ in values]
    for counts in bootstrap.counts():
        weights = counts[:, order].astype(np.float64)
        sizes = np.add.reduceat(weights, starts, axis=1)
        for block, column in zip(blocks, values, strict=True):
            sums = np.add.reduceat(weights * column, starts, axis=1)
            block.append(np.divide(sums, sizes, out=np.full_like(sums, np.nan), where=sizes > 0))
    return [np.concatenate(block) for block in blocks]
