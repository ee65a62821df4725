"""Is B better than A? Both on the same images: exact paired tests a condition, paired bootstrap for the aggregates."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np

from weatherglass.errors import UnknownName, UserError
from weatherglass.evaluation.estimates import headlines, lower_is_better
from weatherglass.evaluation.outcomes import Outcomes, align, outcomes_of
from weatherglass.evaluation.protocol_words import explained_differences
from weatherglass.evaluation.reference import ReferenceChoice, choose_reference
from weatherglass.evaluation.runs import Run
from weatherglass.evaluation.tables import Rows, Tables, listing, missing_for_mce, tables_of
from weatherglass.metrics.comparison import benjamini_hochberg, holm, unadjusted
from weatherglass.metrics.intervals import Estimate
from weatherglass.tasks.task import Task, stacked_wins

Verdict = Literal["better", "worse", "cannot be told apart"]
"""What the second run is, compared with the first."""

CORRECTIONS: dict[str, Callable[[np.ndarray], np.ndarray]] = {
    "holm": holm,
    "benjamini-hochberg": benjamini_hochberg,
    "none": unadjusted,
}
"""How p-values are corrected for the number of conditions."""


@dataclass(frozen=True, kw_only=True)
class ConditionComparison:
    """One condition: the headline of both runs and a paired test (McNemar's for classification)."""

    disturbance: str
    first: float
    second: float
    difference: Estimate
    """Second minus first."""
    only_first: int
    """Images that only the first run gets right; for segmentation, images whose own mIoU is higher in it."""
    only_second: int
    p_value: float
    adjusted_p: float
    """Corrected for the number of conditions."""
    verdict: Verdict


@dataclass(frozen=True, kw_only=True)
class AggregateComparison:
    """One aggregate of both runs, and their difference over shared resamples."""

    metric: str
    first: float
    second: float
    difference: Estimate
    """Second minus first."""
    verdict: Verdict
    """'better' or 'worse' where the interval of the difference excludes 0."""


@dataclass(frozen=True, kw_only=True)
class Comparison:
    """Two runs on the same images; every verdict is about the second."""

    first: str
    second: str
    samples: int
    level: float
    correction: str
    task: str
    reference: str | None
    aggregates: dict[str, AggregateComparison]
    """The headline ('top1', 'miou'), 'corrupted', 'retention' and, with a reference, 'mce', 'relative_mce'."""
    conditions: dict[str, ConditionComparison]
    absent: dict[str, str]
    """Aggregates that cannot be given, with the reason."""
    sentences: tuple[str, ...]
    """The findings in words, the most important first."""
    warnings: tuple[str, ...]
    """What makes this comparison less than fair."""

    @property
    def verdict(self) -> Verdict:
        """On the mean corrupted score; on the clean one where nothing was corrupted in both."""
        first = self.aggregates.get("corrupted") or next(iter(self.aggregates.values()), None)
        return first.verdict if first else next(iter(self.conditions.values())).verdict


def compare(
    first: Run,
    second: Run,
    *,
    reference: ReferenceChoice = "auto",
    correction: str = "holm",
    common_images: bool = False,
    mid_p: bool = False,
    resamples: int = 1000,
    level: float = 0.95,
) -> Comparison:
    """Compare two runs on the same images, in the conditions that both hold.

    `correction` is 'holm', 'benjamini-hochberg' or 'none'. `common_images` allows different data sets and restricts
    both runs to the images (ids with equal labels) they share; their pixels are not compared. Raises `UserError`
    when the data differ without it, when nothing is shared, and for an unknown correction.
    """
    if correction not in CORRECTIONS:
        raise UnknownName("correction", correction, CORRECTIONS)
    shared = [text for text in first.single if text in second.records]
    if not shared:
        raise UserError(f"'{first.name}' and '{second.name}' have no condition in common.")
    _check_task(first, second)
    _check_data(first, second, common_images)
    a, b = align(outcomes_of(first, shared), outcomes_of(second, shared))
    if not np.array_equal(a.labels, b.labels):
        raise UserError("The labels of shared images differ between the two runs; their data cannot be compared.")
    tables = [_tables(run, shared, seen, resamples, level) for run, seen in ((first, a), (second, b))]
    aggregates, absent, name = _aggregates(tables[0], tables[1], reference)
    conditions = _conditions(tables[0], tables[1], CORRECTIONS[correction], mid_p)
    return Comparison(
        first=first.name,
        second=second.name,
        samples=len(a.ids),
        level=level,
        correction=correction,
        task=first.protocol.task,
        reference=name,
        aggregates=aggregates,
        conditions=conditions,
        absent=absent,
        sentences=_sentences(aggregates, conditions, correction, level, a.task, a.task.test_name(mid_p=mid_p)),
        warnings=_warnings(first, second, shared, a, tables),
    )


def _check_task(first: Run, second: Run) -> None:
    tasks = first.protocol.task, second.protocol.task
    if tasks[0] != tasks[1]:
        raise UserError(f"'{first.name}' holds results of {tasks[0]}, '{second.name}' of {tasks[1]}.")


def _check_data(first: Run, second: Run, common_images: bool) -> None:
    if first.protocol.data == second.protocol.data or common_images:
        return
    raise UserError(
        f"The runs were measured on different data ({first.data}, {first.protocol.samples} images, "
        f"{first.protocol.selection}; {second.data}, {second.protocol.samples} images, {second.protocol.selection}). "
        f"Measure both on the same images, or restrict them to the images they share with --common-images."
    )


def _tables(run: Run, shared: Sequence[str], outcomes: Outcomes, resamples: int, level: float) -> Tables:
    part = replace(run, records={text: run.records[text] for text in shared})
    return tables_of(part, resamples=resamples, level=level, outcomes=outcomes)


def _aggregates(
    first: Tables, second: Tables, reference: ReferenceChoice
) -> tuple[dict[str, AggregateComparison], dict[str, str], str | None]:
    divisor = choose_reference(reference, first.run, first.outcomes, first.bootstrap)
    pairs: dict[str, tuple[Rows | None, Rows | None]] = {
        "corrupted": (first.mean_over_kinds(), second.mean_over_kinds()),
        first.outcomes.task.headline: (first.clean, second.clean),
        "retention": (first.retention(), second.retention()),
    }
    absent: dict[str, str] = {}
    for name, relative in (("mce", False), ("relative_mce", True)):
        if reason := missing_for_mce(first, divisor, relative=relative):
            absent[name] = reason
        else:
            rows = [tables.mean_corruption_error(divisor, relative=relative) for tables in (first, second)]
            pairs[name] = (rows[0], rows[1])
    found = {}
    for name, (a, b) in pairs.items():
        compared = None if a is None or b is None else _aggregate(name, first, a, b)
        if compared is None:
            absent[name] = "its cells were not measured in both runs"
        else:
            found[name] = compared
    return found, absent, divisor.name


def _aggregate(name: str, tables: Tables, first: Rows, second: Rows) -> AggregateComparison | None:
    difference = tables.estimate(second - first, (-1.0, 1.0))
    if difference is None:
        return None
    sign = -1 if lower_is_better(name, tables.outcomes.task.name) else 1
    return AggregateComparison(
        metric=name,
        first=float(first[0]),
        second=float(second[0]),
        difference=difference,
        verdict=_verdict(sign * difference.value, difference.low > 0 or difference.high < 0),
    )


def _conditions(
    first: Tables, second: Tables, correct: Callable[[np.ndarray], np.ndarray], mid_p: bool
) -> dict[str, ConditionComparison]:
    task, names = first.outcomes.task, first.outcomes.conditions
    own, other = (task.image_scores(tables.outcomes.columns) for tables in (first, second))
    only_first, only_second = stacked_wins(own, other)
    p_values = task.p_values(first.outcomes.columns, second.outcomes.columns, mid_p=mid_p)
    adjusted = correct(p_values)
    found = {}
    for row, text in enumerate(names):
        difference = first.estimate(second.headline[text] - first.headline[text], (-1.0, 1.0))
        assert difference is not None
        found[text] = ConditionComparison(
            disturbance=text,
            first=float(first.headline[text][0]),
            second=float(second.headline[text][0]),
            difference=difference,
            only_first=only_first[row],
            only_second=only_second[row],
            p_value=float(p_values[row]),
            adjusted_p=float(adjusted[row]),
            verdict=_verdict(difference.value, adjusted[row] < 1 - first.level),
        )
    return found


def _verdict(advantage: float, significant: bool) -> Verdict:
    if not significant or advantage == 0:
        return "cannot be told apart"
    return "better" if advantage > 0 else "worse"


# ------------------------------------------------------------------ words


def _sentences(
    aggregates: dict[str, AggregateComparison],
    conditions: dict[str, ConditionComparison],
    correction: str,
    level: float,
    task: Task,
    test: str,
) -> tuple[str, ...]:
    sentences = [_aggregate_sentence(compared, level, task.name) for compared in aggregates.values()]
    verdicts = [compared.verdict for compared in conditions.values()]
    corrected = "uncorrected" if correction == "none" else f"{correction.title()}-corrected"
    sentences.append(
        f"Of {len(verdicts)} conditions B is better in {verdicts.count('better')}, worse in {verdicts.count('worse')}, "
        f"and cannot be told apart in {verdicts.count('cannot be told apart')} "
        f"({test}, {corrected}, {100 * (1 - level):g} % level)."
    )
    return tuple(sentences)


def _aggregate_sentence(compared: AggregateComparison, level: float, task: str) -> str:
    name, difference = headlines(task)[compared.metric], compared.difference
    verdict = (
        "B and A cannot be told apart" if compared.verdict == "cannot be told apart" else f"B is {compared.verdict}"
    )
    title = name if name == "mCE" else name[0].upper() + name[1:]
    return (
        f"{title}: A {100 * compared.first:.1f} %, B {100 * compared.second:.1f} %, difference "
        f"{100 * difference.value:+.1f} points [{100 * difference.low:+.1f}, {100 * difference.high:+.1f}] "
        f"({100 * level:g} % interval): {verdict}."
    )


def _warnings(
    first: Run, second: Run, shared: Sequence[str], outcomes: Outcomes, tables: Sequence[Tables]
) -> tuple[str, ...]:
    warnings = []
    matter: dict[str, str] = {}
    for text in shared:
        for found in explained_differences(first.records[text].protocol, second.records[text].protocol):
            if found.weight != "model" and found.field != "data":
                matter.setdefault(found.field, f"{found.field} ({found.first} / {found.second}): {found.words}.")
    if other_data := first.protocol.data != second.protocol.data:
        warnings.append(
            f"The data differ (digests {first.protocol.data[:8]} / {second.protocol.data[:8]}) and the images are "
            "paired by name and label alone: be sure that equal names are equal pictures."
        )
    if first.protocol.weights == second.protocol.weights and not matter and not other_data:
        warnings.append("Both runs have the same weights and the same protocol: this compares a model with itself.")
    warnings += [f"The protocols differ in {sentence}" for sentence in matter.values()]
    for run, letter in ((first, "A"), (second, "B")):
        if alone := [text for text in run.single if text not in shared]:
            warnings.append(f"Only {letter} was measured under {listing(alone)}; these are not compared.")
        if lost := run.protocol.samples - len(outcomes.ids):
            warnings.append(f"{lost} of the {run.protocol.samples} images of {letter} are not compared.")
    if missing := tables[0].grid.missing:
        warnings.append(f"The shared grid has holes, so aggregates are over what is there: missing {listing(missing)}.")
    return tuple(warnings)
