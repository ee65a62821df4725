"""What a run saw, as aligned arrays: one row a condition, one column an image."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from jaxtyping import Bool, Int

from weatherglass.errors import UserError
from weatherglass.evaluation.record import Observations
from weatherglass.evaluation.runs import Run
from weatherglass.tasks.task import Columns, Task, task_named


@dataclass(frozen=True)
class Outcomes:
    """The observations of several conditions of one run. Columns of all rows are the same images."""

    task: Task
    conditions: tuple[str, ...]
    ids: tuple[str, ...]
    labels: Int[np.ndarray, " samples"]
    columns: Columns
    """What the task keeps, stacked: shape (conditions, samples) or (conditions, samples, values)."""
    left_out: int = 0
    """Images that some of the conditions lack, and that therefore count in none."""

    @property
    def correct(self) -> Bool[np.ndarray, "conditions samples"]:
        """Whether the largest output is the true class (classification)."""
        return self.columns["rank"] == 0

    def row(self, condition: str) -> int:
        """Position of a condition among the rows."""
        return self.conditions.index(condition)

    def take(self, columns: Int[np.ndarray, " kept"]) -> "Outcomes":
        """The images at `columns`, in that order."""
        return replace(
            self,
            ids=tuple(self.ids[i] for i in columns),
            labels=self.labels[columns],
            columns={name: values[:, columns] for name, values in self.columns.items()},
        )


def outcomes_of(run: Run, conditions: Sequence[str] | None = None) -> Outcomes:
    """Read the named conditions of a run (default: all but sequences, the clean one first).

    Images that are not in every condition are left out and counted. Raises `UserError` when no image is in all
    conditions.
    """
    task = task_named(run.protocol.task)
    names = tuple(conditions) if conditions is not None else _all_conditions(run)
    if not names:
        raise UserError(f"'{run.name}' holds sequences alone; measure its clean cell too.")
    kept = _read(run, names, task)
    ids = kept[0].ids
    rows: list[np.ndarray | slice] = [slice(None)] * len(kept)
    left_out = 0
    if any(seen.ids != ids for seen in kept):
        shared = set(ids).intersection(*(seen.ids for seen in kept))
        left_out = len(set(ids).union(*(seen.ids for seen in kept)) - shared)
        ids = tuple(sample for sample in ids if sample in shared)
        rows = [_positions(seen.ids, ids) for seen in kept]
    if not ids:
        raise UserError(f"The conditions of '{run.name}' have no image in common, so they cannot be summarised.")

    def stack(column: str) -> np.ndarray:
        return np.stack([seen.columns[column][row] for seen, row in zip(kept, rows, strict=True)])

    return Outcomes(
        task=task,
        conditions=names,
        ids=ids,
        labels=kept[0].labels[rows[0]],
        columns={name: stack(name) for name in task.kept},
        left_out=left_out,
    )


def align(first: Outcomes, second: Outcomes) -> tuple[Outcomes, Outcomes]:
    """Both restricted to the images they share, in the order of the first. Raises `UserError` when there are none."""
    if first.ids == second.ids:
        return first, second
    shared = set(first.ids) & set(second.ids)
    if not shared:
        raise UserError("The two runs have no image in common; measure both on the same data.")
    ids = tuple(sample for sample in first.ids if sample in shared)
    return first.take(_positions(first.ids, ids)), second.take(_positions(second.ids, ids))


def _read(run: Run, names: Sequence[str], task: Task) -> list[Observations]:
    """The observations of some conditions; equal ids are kept once, since they weigh more than all the numbers."""
    kept: list[Observations] = []
    for name in names:
        seen = run.store.observations(run.records[name].key, task.kept)
        kept.append(replace(seen, ids=kept[0].ids) if kept and seen.ids == kept[0].ids else seen)
    return kept


def _all_conditions(run: Run) -> tuple[str, ...]:
    return (*(("clean",) if run.clean else ()), *(text for text in run.single if text != "clean"))


def _positions(ids: Sequence[str], wanted: Sequence[str]) -> np.ndarray:
    where = {sample: i for i, sample in enumerate(ids)}
    return np.array([where[sample] for sample in wanted], dtype=np.int64)
