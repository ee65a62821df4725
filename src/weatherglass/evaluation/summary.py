"""A run in numbers: every metric with its interval, from what was kept of every image.

The formulas live in `weatherglass.metrics`; here they are applied to tables whose row 0 is the estimate and whose
other rows are the bootstrap resamples, the same ones for all conditions.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float

from weatherglass.errors import UserError
from weatherglass.evaluation.damage import class_damage
from weatherglass.evaluation.estimates import ConditionSummary, KindSummary, SuiteSummary, Summary
from weatherglass.evaluation.grid import Grid, grid_of, suites
from weatherglass.evaluation.outcomes import Outcomes, outcomes_of
from weatherglass.evaluation.reference import Reference, ReferenceChoice, choose_reference
from weatherglass.evaluation.runs import Run
from weatherglass.metrics import robustness
from weatherglass.metrics.alexnet import MAIN_CORRUPTIONS, SEVERITIES
from weatherglass.metrics.classification import expected_calibration_error, mean_score, resampled_calibration_error
from weatherglass.metrics.intervals import Bootstrap, Estimate, centred, estimate

Table = dict[str, Float[np.ndarray, " rows"]]
"""Condition -> its mean score: the estimate first, then one value a resample."""

_SCORES = ("ece", "nll", "brier")


@dataclass(frozen=True)
class _Measured:
    """A run with its tables, for the functions below."""

    run: Run
    outcomes: Outcomes
    grid: Grid
    bootstrap: Bootstrap
    level: float
    top1: Table
    top5: Table
    scores: dict[str, Table]
    """'ece', 'nll', 'brier'."""

    def estimate(
        self, rows: np.ndarray | None, span: tuple[float, float] | None = (0.0, 1.0), scale: float = 1.0
    ) -> Estimate | None:
        """The estimate in a column of a table; None for no column and for an undefined value."""
        if rows is None:
            return None
        samples = len(self.outcomes.ids)
        return estimate(float(rows[0]), rows[1:], samples=samples, level=self.level, span=span, scale=scale)

    def present(self, kind: str) -> list[str]:
        """The measured cells of one corruption."""
        return [cell for cell in self.grid.cells(kind) if cell in self.top1]

    def corrupted(self, table: Table, kinds: Sequence[str] | None = None) -> np.ndarray | None:
        """Mean over corruptions of the mean over severities, of a whole table; None for an empty grid."""
        cells = {kind: self.present(kind) for kind in (self.grid.kinds if kinds is None else kinds)}
        rates = {kind: _stack(table, present) for kind, present in cells.items() if present}
        return robustness.mean_corrupted_accuracy(rates) if rates else None


def summarise(
    run: Run,
    *,
    reference: ReferenceChoice = "auto",
    baselines: Sequence[Run] = (),
    resamples: int = 1000,
    level: float = 0.95,
    seed: int = 0,
) -> Summary:
    """All metrics of a run, each with a percentile-bootstrap interval over its images.

    `reference` divides CE and mCE: a run on the same images, 'alexnet', None, or 'auto' (AlexNet where it applies).
    `baselines`, at least three runs on the same images, give the line of effective robustness. The result depends on
    the measurements and the arguments alone; 50,000 images x 76 conditions take seconds.
    Raises `UserError` for a reference measured on other data, a level outside (0, 1), or fewer than 1 resample.
    """
    if not 0 < level < 1 or resamples < 1:
        raise UserError(f"level must lie between 0 and 1 and resamples be at least 1, not {level} and {resamples}.")
    measured = _measure(run, resamples, level, seed)
    divisor = choose_reference(reference, run, measured.outcomes, measured.bootstrap)
    absent: dict[str, str] = {}
    conditions = {text: _condition(measured, text) for text in measured.outcomes.conditions}
    kinds = {kind: _kind(measured, kind, divisor) for kind in measured.grid.kinds if measured.present(kind)}
    corrupted, clean = measured.corrupted(measured.top1), measured.top1.get("clean")
    if corrupted is None:
        absent |= dict.fromkeys(("corrupted", "corrupted_top5", "retention"), "no corruption was measured")
        absent |= dict.fromkeys((f"{name}_corrupted" for name in _SCORES), "no corruption was measured")
    if clean is None:
        absent |= dict.fromkeys(("top1", "top5", *_SCORES, "retention"), "the clean cell was not measured")
    failures = [kind.first_failure for kind in kinds.values() if kind.first_failure is not None]
    retention = _retention(measured, corrupted)
    if retention is None:
        absent.setdefault("retention", "the clean accuracy is 0")
    mce = _mean_corruption_error(measured, divisor, absent)
    relative_mce = _mean_corruption_error(measured, divisor, absent, relative=True)
    return Summary(
        run=run.name,
        key=run.key,
        model=run.model,
        data=run.data,
        samples=len(measured.outcomes.ids),
        parameters=next(iter(run.records.values())).parameters,
        level=level,
        resamples=resamples,
        grid=measured.grid,
        top1=measured.estimate(clean),
        top5=measured.estimate(measured.top5.get("clean")),
        corrupted=measured.estimate(corrupted),
        corrupted_top5=measured.estimate(measured.corrupted(measured.top5)),
        partial=bool(measured.grid.missing),
        retention=retention,
        mce=mce,
        relative_mce=relative_mce,
        reference=divisor.name,
        reference_reason=divisor.reason,
        effective_robustness=_effective_robustness(measured, baselines, corrupted, absent),
        baselines=tuple(baseline.model for baseline in baselines),
        ece=measured.estimate(measured.scores["ece"].get("clean")),
        nll=measured.estimate(measured.scores["nll"].get("clean"), None),
        brier=measured.estimate(measured.scores["brier"].get("clean"), (0.0, 2.0)),
        ece_corrupted=measured.estimate(measured.corrupted(measured.scores["ece"])),
        nll_corrupted=measured.estimate(measured.corrupted(measured.scores["nll"]), None),
        brier_corrupted=measured.estimate(measured.corrupted(measured.scores["brier"]), (0.0, 2.0)),
        conditions=conditions,
        kinds=kinds,
        families=_families(measured),
        suites=_suites(measured),
        classes=class_damage(measured.outcomes, measured.grid, _class_names(run), measured.bootstrap, level),
        first_failure=tuple(np.mean(failures, axis=0).tolist()) if failures else None,
        worst=tuple(sorted((t for t in conditions if t != "clean"), key=lambda t: conditions[t].top1.value)[:10]),
        absent=absent,
        notes=_notes(measured, divisor if mce is not None else None),
    )


def _measure(run: Run, resamples: int, level: float, seed: int) -> _Measured:
    outcomes = outcomes_of(run)
    bootstrap = Bootstrap(len(outcomes.ids), resamples, seed)
    names, correct = outcomes.conditions, outcomes.correct
    hits = np.concatenate([correct, outcomes.rank < 5])
    losses = np.concatenate([outcomes.nll, outcomes.brier])
    hit_rates = np.vstack([hits.mean(axis=1), bootstrap.means(hits)])
    mean_losses = np.vstack([[mean_score(row) for row in losses], bootstrap.means(losses)])
    gap = np.array([expected_calibration_error(c, r) for c, r in zip(outcomes.confidence, correct, strict=True)])
    gaps = resampled_calibration_error(outcomes.confidence, correct, bootstrap)
    # Resampling alone adds to a calibration error, so its resamples are moved back onto the estimate.
    gaps = np.stack([centred(column, value) for column, value in zip(gaps.T, gap, strict=True)], axis=1)
    return _Measured(
        run=run,
        outcomes=outcomes,
        grid=grid_of(run),
        bootstrap=bootstrap,
        level=level,
        top1=_table(names, hit_rates[:, : len(names)]),
        top5=_table(names, hit_rates[:, len(names) :]),
        scores={
            "ece": _table(names, np.vstack([gap, gaps])),
            "nll": _table(names, mean_losses[:, : len(names)]),
            "brier": _table(names, mean_losses[:, len(names) :]),
        },
    )


def _condition(measured: _Measured, text: str) -> ConditionSummary:
    record, clean = measured.run.records[text], measured.top1.get("clean")
    drop = None if text == "clean" or clean is None else measured.estimate(clean - measured.top1[text], (-1.0, 1.0))
    return ConditionSummary(
        disturbance=text,
        kind=record.kind,
        family=record.family,
        severity=record.severity,
        top1=_certain(measured.estimate(measured.top1[text])),
        top5=_certain(measured.estimate(measured.top5[text])),
        drop=drop,
        ece=_certain(measured.estimate(measured.scores["ece"][text])),
        nll=_certain(measured.estimate(measured.scores["nll"][text], None)),
        brier=_certain(measured.estimate(measured.scores["brier"][text], (0.0, 2.0))),
    )


def _kind(measured: _Measured, kind: str, divisor: Reference) -> KindSummary:
    cells, missing = measured.present(kind), measured.grid.missing_of(kind)
    outcomes, first_failure = measured.outcomes, None
    if not missing and "clean" in measured.top1 and measured.grid.expected[kind] == measured.grid.severities:
        rows = [outcomes.row(cell) for cell in cells]
        clean = outcomes.correct[outcomes.row("clean")]
        first_failure = _failure_shares(clean, outcomes.correct[rows], measured.grid.severities)
    return KindSummary(
        kind=kind,
        family=measured.run.records[cells[0]].family,
        top1=_certain(measured.estimate(_stack(measured.top1, cells).mean(axis=-1))),
        corruption_error=_corruption_error(measured, kind, divisor),
        relative_corruption_error=_corruption_error(measured, kind, divisor, relative=True),
        first_failure=first_failure,
        missing=tuple(missing),
    )


def _failure_shares(
    clean: Bool[np.ndarray, " samples"], correct: Bool[np.ndarray, "severities samples"], severities: tuple[float, ...]
) -> tuple[float, ...]:
    first = robustness.smallest_failing_severity(clean, correct, severities)
    return tuple(float(np.mean(first == severity)) for severity in (0.0, *severities, np.inf))


# ------------------------------------------------------------------ ratios to a reference


def _error_rows(measured: _Measured, kind: str, divisor: Reference, relative: bool) -> np.ndarray | None:
    """(Relative) CE of one corruption, estimate and resamples; None without all five severities or a reference."""
    cells = [f"{kind}@{severity:g}" for severity in SEVERITIES]
    reference = divisor.of(cells)
    if reference is None or any(cell not in measured.top1 for cell in cells):
        return None
    error = 1 - _stack(measured.top1, cells)
    if not relative:
        return robustness.corruption_error(error, reference)
    if divisor.clean_error is None or "clean" not in measured.top1:
        return None
    return robustness.relative_corruption_error(error, 1 - measured.top1["clean"], reference, divisor.clean_error)


def _scale(divisor: Reference, kinds: Sequence[str], relative: bool) -> float:
    """What a mean error an image is multiplied with to give (relative) CE, for intervals without a bootstrap."""
    shift = divisor.clean_error[0] if relative and divisor.clean_error is not None else 0.0
    means = [float(np.mean([divisor.errors[f"{k}@{s:g}"][0] - shift for s in SEVERITIES])) for k in kinds]
    return sum(1 / mean if mean else np.nan for mean in means) / len(means)


def _corruption_error(measured: _Measured, kind: str, divisor: Reference, relative: bool = False) -> Estimate | None:
    rows = _error_rows(measured, kind, divisor, relative)
    if rows is None:
        return None
    return _ratio_estimate(measured, rows, divisor, [kind], relative)


def _mean_corruption_error(
    measured: _Measured, divisor: Reference, absent: dict[str, str], relative: bool = False
) -> Estimate | None:
    name = "relative_mce" if relative else "mce"
    needed = [f"{kind}@{severity:g}" for kind in MAIN_CORRUPTIONS for severity in SEVERITIES]
    if relative:
        needed.append("clean")
    missing = [cell for cell in needed if cell not in measured.top1]
    if divisor.name is None:
        absent[name] = divisor.reason
    elif missing:
        absent[name] = f"it needs the 15 main corruptions at 5 severities; not measured: {_listing(missing)}"
    elif lacking := [cell for cell in needed if cell != "clean" and cell not in divisor.errors]:
        absent[name] = f"the reference {divisor.name} lacks {_listing(lacking)}"
    elif relative and divisor.clean_error is None:
        absent[name] = f"the reference {divisor.name} has no clean cell"
    else:
        rows = {kind: _error_rows(measured, kind, divisor, relative) for kind in MAIN_CORRUPTIONS}
        mean = robustness.mean_corruption_error({kind: row for kind, row in rows.items() if row is not None})
        found = _ratio_estimate(measured, mean, divisor, MAIN_CORRUPTIONS, relative)
        if found is None:
            absent[name] = f"the reference {divisor.name} makes no errors under some corruption"
        return found
    return None


def _ratio_estimate(
    measured: _Measured, rows: np.ndarray, divisor: Reference, kinds: Sequence[str], relative: bool
) -> Estimate | None:
    if divisor.itself:
        return Estimate(1.0, 1.0, 1.0, "exact")
    span = (-1.0, 1.0) if relative else (0.0, 1.0)
    return measured.estimate(rows, span, _scale(divisor, kinds, relative))


def _retention(measured: _Measured, corrupted: np.ndarray | None) -> Estimate | None:
    clean = measured.top1.get("clean")
    if corrupted is None or clean is None or clean[0] == 0:
        return None
    return measured.estimate(robustness.retention(corrupted, clean), scale=1 / float(clean[0]))


# ------------------------------------------------------------------ groups of corruptions, and sets of runs


def _families(measured: _Measured) -> dict[str, Estimate]:
    groups: dict[str, list[str]] = {}
    for kind in measured.grid.kinds:
        if cells := measured.present(kind):
            groups.setdefault(measured.run.records[cells[0]].family, []).append(kind)
    found = {family: measured.estimate(measured.corrupted(measured.top1, kinds)) for family, kinds in groups.items()}
    return {family: mean for family, mean in found.items() if mean is not None}


def _suites(measured: _Measured) -> dict[str, SuiteSummary]:
    found = {}
    for name, cells in suites().items():
        kinds = list(dict.fromkeys(cell.split("@")[0] for cell in sorted(cells)))
        if not cells or not cells <= measured.top1.keys() or any(kind not in measured.grid.kinds for kind in kinds):
            continue
        rows = measured.corrupted(measured.top1, kinds)
        found[name] = SuiteSummary(corrupted=_certain(measured.estimate(rows)), retention=_retention(measured, rows))
    return found


def _effective_robustness(
    measured: _Measured, baselines: Sequence[Run], corrupted: np.ndarray | None, absent: dict[str, str]
) -> Estimate | None:
    cells = {kind: measured.present(kind) for kind in measured.grid.kinds}
    needed = ["clean", *(cell for row in cells.values() for cell in row)]
    lacking = [b.model for b in baselines if any(cell not in b.records for cell in needed)]
    foreign = [b.model for b in baselines if b.protocol.data != measured.run.protocol.data]
    if not baselines:
        absent["effective_robustness"] = "it needs at least 3 baseline runs on the same images; none was given"
    elif corrupted is None or "clean" not in measured.top1:
        absent["effective_robustness"] = "it needs the clean cell and corruptions"
    elif foreign or lacking:
        why = f"measured on other data: {_listing(foreign)}" if foreign else f"conditions missing: {_listing(lacking)}"
        absent["effective_robustness"] = f"the baselines do not fit ({why})"
    else:
        points = [_point(baseline, cells) for baseline in baselines]
        try:
            line = robustness.fit_robustness_line(*np.array(points).T)
        except ValueError as error:
            absent["effective_robustness"] = str(error)
            return None
        return measured.estimate(line.effective_robustness(measured.top1["clean"], corrupted), (-1.0, 1.0))
    return None


def _point(run: Run, cells: Mapping[str, Sequence[str]]) -> tuple[float, float]:
    """Clean and mean corrupted accuracy of a baseline, from the scores of its cells."""
    rates = {kind: np.array([run.records[c].scores["top1"] for c in row]) for kind, row in cells.items() if row}
    return run.records["clean"].scores["top1"], float(robustness.mean_corrupted_accuracy(rates))


# ------------------------------------------------------------------ words


def _notes(measured: _Measured, divisor: Reference | None) -> tuple[str, ...]:
    grid, run, notes = measured.grid, measured.run, []
    if grid.missing:
        notes.append(f"The grid has holes; means are over what was measured. Missing: {_listing(grid.missing)}.")
    if grid.beside:
        notes.append(f"No mean counts these conditions: {_listing(grid.beside)}.")
    elsewhere = [f"{f.cell.disturbance} ({f.reason})" for f in run.failures]
    if elsewhere:
        notes.append(f"Could not be measured: {_listing(elsewhere)}.")
    if measured.outcomes.left_out:
        notes.append(f"{measured.outcomes.left_out} images are not in every condition and count in none.")
    if len(measured.outcomes.ids) < 100:
        notes.append(f"Only {len(measured.outcomes.ids)} images: the intervals are rough.")
    if divisor is not None and divisor.note:
        notes.append(divisor.note)
    return tuple(notes)


def _listing(items: Sequence[str], most: int = 6) -> str:
    rest = f" ... ({len(items)} in all)" if len(items) > most else ""
    return ", ".join(items[:most]) + rest


def _class_names(run: Run) -> tuple[str, ...] | None:
    try:
        return run.manifest.classes
    except UserError:  # A store merged by hand may lack the manifest; numbers do then for names.
        return None


def _table(names: Sequence[str], rows: Float[np.ndarray, "rows conditions"]) -> Table:
    return dict(zip(names, rows.T, strict=True))


def _stack(table: Table, cells: Sequence[str]) -> Float[np.ndarray, "rows severities"]:
    return np.stack([table[cell] for cell in cells], axis=-1)


def _certain(found: Estimate | None) -> Estimate:
    assert found is not None  # A rate of at least one image is always defined.
    return found
