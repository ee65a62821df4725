"""A run in numbers: every metric with its interval, from what was kept of every image."""

from collections.abc import Mapping, Sequence

import numpy as np
from jaxtyping import Bool

from weatherglass.errors import UserError
from weatherglass.evaluation.damage import class_damage
from weatherglass.evaluation.estimates import ConditionSummary, KindSummary, SuiteSummary, Summary, corrupted_name
from weatherglass.evaluation.grid import OF_MODEL
from weatherglass.evaluation.reference import Reference, ReferenceChoice, choose_reference
from weatherglass.evaluation.runs import Run
from weatherglass.evaluation.sequences import reference_of_sequences, sequence_summary
from weatherglass.evaluation.tables import Tables, listing, missing_for_mce, ratio_estimate, stacked, tables_of
from weatherglass.metrics import robustness
from weatherglass.metrics.alexnet import MAIN_CORRUPTIONS
from weatherglass.metrics.intervals import Estimate
from weatherglass.tasks.task import task_named


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
    the measurements and the arguments alone. 50,000 images x 76 conditions x 1000 resamples, with 1000 classes, take
    about 10 s of processor time and 0.6 GB.
    Raises `UserError` for a reference measured on other data, a level outside (0, 1), or fewer than 1 resample.
    """
    if not 0 < level < 1 or resamples < 1:
        raise UserError(f"level must lie between 0 and 1 and resamples be at least 1, not {level} and {resamples}.")
    tables = tables_of(run, resamples=resamples, level=level, seed=seed)
    return summary_of(tables, choose_reference(reference, run, tables.outcomes, tables.bootstrap), baselines)


def summary_of(tables: Tables, divisor: Reference, baselines: Sequence[Run] = ()) -> Summary:
    """The summary of a run that was measured already; see `summarise`."""
    run, absent = tables.run, _absent(tables)
    headline = tables.outcomes.task.headline
    clean = {name: tables.estimate(table.get("clean"), tables.span(name)) for name, table in tables.scores.items()}
    corrupted = {name: tables.estimate(tables.mean_over_kinds(name), tables.span(name)) for name in tables.scores}
    conditions = {text: _condition(tables, text) for text in tables.outcomes.conditions}
    kinds = {kind: _kind(tables, kind, divisor) for kind in tables.grid.kinds if tables.present(kind)}
    failures = [kind.first_failure for kind in kinds.values() if kind.first_failure is not None]
    mce, relative_mce = (_mce(tables, divisor, absent, relative=relative) for relative in (False, True))
    divides = mce is not None or any(kind.corruption_error for kind in kinds.values()) or divisor.run is not None
    return Summary(
        run=run.name,
        key=run.key,
        task=tables.outcomes.task.name,
        model=run.model,
        data=run.data,
        samples=len(tables.outcomes.ids),
        parameters=next(iter(run.records.values())).parameters,
        level=tables.level,
        resamples=tables.bootstrap.resamples,
        grid=tables.grid,
        clean=clean.pop(headline),
        corrupted=corrupted.pop(headline),
        clean_others={name: found for name, found in clean.items() if found is not None},
        corrupted_others={name: found for name, found in corrupted.items() if found is not None},
        partial=bool(tables.grid.missing),
        retention=_retention(tables),
        mce=mce,
        relative_mce=relative_mce,
        reference=divisor.name,
        reference_reason=divisor.reason,
        effective_robustness=_effective_robustness(tables, baselines, absent),
        baselines=tuple(baseline.model for baseline in baselines),
        conditions=conditions,
        kinds=kinds,
        families={
            family: _certain(tables.estimate(tables.mean_over_kinds(kinds=kinds)))
            for family, kinds in tables.families().items()
        },
        suites={
            name: SuiteSummary(
                corrupted=_certain(tables.estimate(tables.mean_over_kinds(kinds=kinds))),
                retention=_retention(tables, kinds),
            )
            for name, kinds in tables.suites().items()
        },
        classes=class_damage(tables.outcomes, tables.grid, _class_names(run), tables.bootstrap, tables.level),
        first_failure=tuple(np.mean(failures, axis=0).tolist()) if failures else None,
        worst=tuple(sorted(_of_input(conditions), key=lambda t: conditions[t].score.value)[:10]),
        absent=absent,
        notes=_notes(tables, divisor if divides else None),
        sequences=sequence_summary(
            run,
            reference=reference_of_sequences(divisor),
            resamples=tables.bootstrap.resamples,
            level=tables.level,
        ),
    )


def _of_input(conditions: Mapping[str, ConditionSummary]) -> list[str]:
    """The conditions in which only the input was disturbed; the single moves of a map stand in the map."""
    disturbed = {text: one for text, one in conditions.items() if text != "clean" and one.family not in OF_MODEL}
    return [text for text, one in disturbed.items() if not one.kind.startswith("moved:")]


def _absent(tables: Tables) -> dict[str, str]:
    """Why a metric cannot be given, for the metrics that only need cells."""
    absent: dict[str, str] = {}
    task = tables.outcomes.task
    undefined = [end for name in task.scores if name not in tables.scores for end in (name, corrupted_name(name))]
    absent |= dict.fromkeys(undefined, "the data or the model have nothing that it could be measured on")
    if tables.mean_over_kinds() is None:
        others = [corrupted_name(name) for name in task.scores if name != task.headline]
        absent |= dict.fromkeys(("corrupted", "retention", *others), "no corruption was measured")
    if tables.clean is None:
        absent |= dict.fromkeys((*task.scores, "retention"), "the clean cell was not measured")
    elif tables.clean[0] == 0:
        absent.setdefault("retention", f"the clean {task.measure} is 0")
    return absent


def _condition(tables: Tables, text: str) -> ConditionSummary:
    record = tables.run.records[text]
    found = {name: _certain(tables.estimate(table[text], tables.span(name))) for name, table in tables.scores.items()}
    return ConditionSummary(
        disturbance=text,
        kind=record.kind,
        family=record.family,
        severity=record.severity,
        score=found.pop(tables.outcomes.task.headline),
        others=found,
        drop=tables.estimate(tables.drop(text), (-1.0, 1.0)),
    )


def _kind(tables: Tables, kind: str, divisor: Reference) -> KindSummary:
    cells, missing, grid = tables.present(kind), tables.grid.missing_of(kind), tables.grid
    outcomes, first_failure = tables.outcomes, None
    whole = not missing and tables.clean is not None and grid.expected[kind] == grid.severities
    if whole and outcomes.task.counts_images:  # an image is right or wrong; a map is neither
        rows = [outcomes.row(cell) for cell in cells]
        first_failure = _failure_shares(
            outcomes.correct[outcomes.row("clean")], outcomes.correct[rows], grid.severities
        )
    error, relative = (tables.corruption_error(kind, divisor, relative=relative) for relative in (False, True))
    return KindSummary(
        kind=kind,
        family=tables.run.records[cells[0]].family,
        score=_certain(tables.estimate(stacked(tables.headline, cells).mean(axis=-1))),
        corruption_error=ratio_estimate(tables, error, divisor, [kind]),
        relative_corruption_error=ratio_estimate(tables, relative, divisor, [kind], relative=True),
        first_failure=first_failure,
        missing=tuple(missing),
    )


def _failure_shares(
    clean: Bool[np.ndarray, " samples"], correct: Bool[np.ndarray, "severities samples"], severities: tuple[float, ...]
) -> tuple[float, ...]:
    first = robustness.smallest_failing_severity(clean, correct, severities)
    return tuple(float(np.mean(first == severity)) for severity in (0.0, *severities, np.inf))


def _retention(tables: Tables, kinds: Sequence[str] | None = None) -> Estimate | None:
    rows = tables.retention(kinds)
    return None if rows is None or tables.clean is None else tables.estimate(rows, scale=1 / float(tables.clean[0]))


def _mce(tables: Tables, divisor: Reference, absent: dict[str, str], *, relative: bool) -> Estimate | None:
    """(Relative) mCE, or None and the reason noted in `absent`."""
    reason = missing_for_mce(tables, divisor, relative=relative)
    if reason is not None:
        absent["relative_mce" if relative else "mce"] = reason
        return None
    rows = tables.mean_corruption_error(divisor, relative=relative)
    return ratio_estimate(tables, rows, divisor, MAIN_CORRUPTIONS, relative=relative)


# ------------------------------------------------------------------ sets of runs


def _effective_robustness(tables: Tables, baselines: Sequence[Run], absent: dict[str, str]) -> Estimate | None:
    """The residual over the line through the baselines, or None and the reason noted in `absent`."""
    cells = {kind: tables.present(kind) for kind in tables.grid.kinds}
    needed = {"clean", *(cell for row in cells.values() for cell in row)}
    corrupted = tables.mean_over_kinds()
    if not baselines:
        reason = "it needs at least 3 baseline runs on the same images; none was given"
    elif corrupted is None or tables.clean is None:
        reason = "it needs the clean cell and corruptions"
    elif foreign := [b.model for b in baselines if b.protocol.data != tables.run.protocol.data]:
        reason = f"these baselines were measured on other data: {listing(foreign)}"
    elif lacking := [baseline.model for baseline in baselines if not needed <= baseline.records.keys()]:
        reason = f"these baselines lack conditions of the run: {listing(lacking)}"
    else:
        try:
            line = robustness.fit_robustness_line(*np.array([_point(baseline, cells) for baseline in baselines]).T)
            return tables.estimate(line.effective_robustness(tables.clean, corrupted), (-1.0, 1.0))
        except ValueError as error:
            reason = str(error)
    absent["effective_robustness"] = reason
    return None


def _point(run: Run, cells: Mapping[str, Sequence[str]]) -> tuple[float, float]:
    """Clean and mean corrupted headline of a baseline, from the scores of its cells."""
    score = task_named(run.protocol.task).headline
    rates = {kind: np.array([run.records[c].scores[score] for c in row]) for kind, row in cells.items() if row}
    return run.records["clean"].scores[score], float(robustness.mean_corrupted_accuracy(rates))


# ------------------------------------------------------------------ words


def _notes(tables: Tables, divisor: Reference | None) -> tuple[str, ...]:
    grid, run, notes = tables.grid, tables.run, []
    if grid.missing:
        notes.append(f"The grid has holes; means are over what was measured. Missing: {listing(grid.missing)}.")
    if grid.beside:
        notes.append(f"No mean counts these conditions: {listing(grid.beside)}.")
    if failed := [f"{failure.cell.disturbance} ({failure.reason})" for failure in run.failures]:
        notes.append(f"Could not be measured: {listing(failed)}.")
    if tables.outcomes.left_out:
        notes.append(f"{tables.outcomes.left_out} images are not in every condition and count in none.")
    if len(tables.outcomes.ids) < 100:
        notes.append(f"Only {len(tables.outcomes.ids)} images: the intervals are rough.")
    if divisor is not None and divisor.note:
        notes.append(divisor.note)
    return tuple(notes)


def _class_names(run: Run) -> tuple[str, ...] | None:
    try:
        return run.manifest.classes
    except UserError:  # A store merged by hand may lack the manifest; numbers do then for names.
        return None


def _certain(found: Estimate | None) -> Estimate:
    assert found is not None  # A rate of at least one image is always defined.
    return found
