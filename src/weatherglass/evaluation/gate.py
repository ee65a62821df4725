"""A gate: does a run meet its rules? What was not measured fails, with the reason."""

from dataclasses import dataclass, replace
from pathlib import Path

from weatherglass.errors import UnknownName, UserError
from weatherglass.evaluation.estimates import ClassDamage, Summary, lower_is_better
from weatherglass.evaluation.metric_names import is_condition, metric_names
from weatherglass.evaluation.outcomes import align, outcomes_of
from weatherglass.evaluation.reference import Reference, ReferenceChoice, choose_reference, reference_named
from weatherglass.evaluation.rules import Rule, Rules, read_rules
from weatherglass.evaluation.runs import Run, find_run
from weatherglass.evaluation.sequences import reference_of_sequences, sequence_rows
from weatherglass.evaluation.summary import summary_of
from weatherglass.evaluation.tables import Rows, Tables, listing, stacked, tables_of
from weatherglass.metrics.intervals import Estimate

GROUPS = ("conditions", "kinds", "classes", "classes_clean", "classes_drop")
_SMALLER_IS_BETTER = ("ce.", "relative_ce.", "drop.", "ece.", "nll.", "brier.", "flips.")


@dataclass(frozen=True, kw_only=True)
class RuleResult:
    """One rule, judged."""

    name: str
    metric: str
    passed: bool
    value: Estimate | None
    """The metric, the regression, or of a group its worst member; None where nothing was measured."""
    reason: str
    """Why it passed or failed, in one line."""


@dataclass(frozen=True, kw_only=True)
class GateResult:
    """All rules, judged. The gate is passed when every rule is."""

    run: str
    baseline: str | None
    samples: int
    passed: bool
    results: tuple[RuleResult, ...]
    notes: tuple[str, ...]


@dataclass(frozen=True)
class _Evidence:
    """What the rules are held against."""

    summary: Summary
    tables: Tables
    divisor: Reference
    baseline: Tables | None


def gate(run: Run, require: Rules | str | Path, *, baseline: Run | None = None) -> GateResult:
    """Judge a run by rules (a `Rules` record or the path of a TOML file).

    Raises `UserError` for rules that cannot be read, an unknown metric, a regression rule without a baseline, and a
    baseline measured on other data.
    """
    rules = require if isinstance(require, Rules) else read_rules(Path(require))
    if baseline is None and rules.baseline is not None:
        baseline = find_run(rules.baseline)
    evidence, notes = _evidence(run, baseline, rules, reference_named(rules.reference))
    results = tuple(_judge(rule, evidence) for rule in rules.rules)
    return GateResult(
        run=run.name,
        baseline=baseline.name if baseline else None,
        samples=evidence.summary.samples,
        passed=all(result.passed for result in results),
        results=results,
        notes=notes,
    )


def _evidence(
    run: Run, baseline: Run | None, rules: Rules, reference: ReferenceChoice
) -> tuple[_Evidence, tuple[str, ...]]:
    outcomes, other, notes = outcomes_of(run), None, []
    whole = tables_of(run, resamples=rules.resamples, level=rules.level, outcomes=outcomes)
    divisor = choose_reference(reference, run, outcomes, whole.bootstrap)
    summary = summary_of(whole, divisor)
    tables = whole
    if baseline is not None:
        if baseline.protocol.data != run.protocol.data:
            raise UserError(f"The baseline '{baseline.name}' was measured on other data than '{run.name}'.")
        mine, theirs = align(outcomes, outcomes_of(baseline))
        if len(mine.ids) < len(outcomes.ids):
            notes.append(f"Regressions are judged on the {len(mine.ids)} images that both runs hold.")
            tables = tables_of(run, resamples=rules.resamples, level=rules.level, outcomes=mine)
            # Its errors are those of all the images; ratios to it on fewer would not be paired.
            divisor = replace(divisor, errors={}, name=None)
        other = tables_of(baseline, resamples=rules.resamples, level=rules.level, outcomes=theirs)
    return _Evidence(summary, tables, divisor, other), (*summary.notes, *notes)


def _judge(rule: Rule, evidence: _Evidence) -> RuleResult:
    if rule.maximum_regression is not None:
        return _judge_regression(rule, rule.maximum_regression, evidence)
    group = rule.metric.partition(".")[0]
    if group in GROUPS:
        return _judge_group(rule, evidence.summary)
    found, missing = _measured(rule.metric, evidence.summary)
    if found is None or missing is not None:
        return _failed(rule, missing or "not measured", found)
    broken = _broken(rule, found)
    return _result(rule, broken is None, found, broken or f"{_text(rule.metric, found)}")


def _judge_group(rule: Rule, summary: Summary) -> RuleResult:
    members, missing = _members(rule.metric, summary)
    if missing:
        return _failed(rule, f"not measured: {listing(missing)}")
    if not members:
        return _failed(rule, "there is none")
    lowest = rule.minimum is not None
    worst = (min if lowest else max)(members, key=lambda name: _judged(rule, members[name]))
    broken = {name: why for name, found in members.items() if (why := _broken(rule, found))}
    if not broken:
        return _result(rule, True, members[worst], f"all {len(members)}; nearest {worst} {members[worst].percent()}")
    names = sorted(broken, key=lambda name: (members[name].value, name), reverse=not lowest)
    words = [f"{name} {members[name].percent()}" for name in names]
    return _result(rule, False, members[names[0]], f"{len(broken)} of {len(members)} fail: {listing(words, 3)}")


def _judge_regression(rule: Rule, allowed: float, evidence: _Evidence) -> RuleResult:
    if rule.metric.partition(".")[0] in GROUPS or rule.metric == "effective_robustness":
        raise UserError(f"maximum_regression cannot be judged for '{rule.metric}'; use a metric or a condition.")
    if evidence.baseline is None:
        raise UserError(f"Rule '{rule.name}' needs a baseline; give --baseline STORE::MODEL or baseline = '...'.")
    _, missing = _measured(rule.metric, evidence.summary)
    mine = rows_named(rule.metric, evidence.tables, evidence.divisor)
    theirs = rows_named(rule.metric, evidence.baseline, evidence.divisor)
    if missing is not None or mine is None:
        return _failed(rule, missing or "not measured")
    if theirs is None:
        return _failed(rule, "not measured in the baseline")
    if other := _other_choices(rule.metric, evidence.tables, evidence.baseline):
        return _failed(rule, f"the baseline was measured with another {other}")
    if _spans_grid(rule.metric, evidence.summary) and evidence.baseline.grid.expected != evidence.tables.grid.expected:
        return _failed(rule, "the baseline holds other corruptions, so the means are of different things")
    if _spans_grid(rule.metric, evidence.summary) and evidence.baseline.grid.missing:
        return _failed(rule, f"the baseline lacks {listing(evidence.baseline.grid.missing)}")
    known_as_less = lower_is_better(rule.metric, evidence.summary.task)
    less_is_better = known_as_less or rule.metric.startswith(_SMALLER_IS_BETTER)
    found = evidence.tables.estimate(mine - theirs if less_is_better else theirs - mine, (-1.0, 1.0))
    if found is None:
        return _failed(rule, "undefined")
    judged = _judged(rule, found)
    words = f"{100 * theirs[0]:.1f} -> {100 * mine[0]:.1f}, regression {found.percent()} points"
    return _result(
        rule, judged <= allowed, found, f"{words}; by {rule.by}: {100 * judged:.1f}, allowed {100 * allowed:g}"
    )


def _other_choices(metric: str, tables: Tables, baseline: Tables) -> str:
    """The choices, in words, under which a metric of two runs is of different conditions; '' where they agree."""
    if metric in tables.scores:  # of clean images, which no choice touches
        return ""
    condition = next((text for text in (metric, metric.partition(".")[2]) if text in tables.headline), None)
    mine, theirs = (
        run.records[condition].protocol.choices if condition else run.choices for run in (tables.run, baseline.run)
    )
    of_sequences = metric.startswith(("flips", "mfr", "mt5d"))
    names = [name for name in mine if name.startswith("sequence") == of_sequences]
    return ", ".join(f"{k} ({theirs[k]}, not {mine[k]})" for k in names if mine[k] != theirs.get(k, mine[k]))


# ------------------------------------------------------------------ from a name to a number


def _measured(metric: str, summary: Summary) -> tuple[Estimate | None, str | None]:
    """The estimate of a metric, and why it must not be relied on (None where it may). Raises `UnknownName`."""
    metrics = summary.metrics
    found = metrics.get(metric)
    kind = metric.split(".")[-1].split("@")[0]
    if found is None:
        known = metric_names(summary.task)
        if metric not in known and not is_condition(metric, summary.task):
            raise UnknownName("metric", metric, {*metrics, *known, *GROUPS})
        if metric in ("mfr", "mt5d") and summary.sequences is not None:
            return None, summary.sequences.reason
        return None, summary.absent.get(metric, f"'{metric}' was not measured")
    if summary.partial and _spans_grid(metric, summary):
        return found, f"the grid has holes: {listing(summary.grid.missing)} not measured"
    if metric in summary.kinds and summary.kinds[kind].missing:
        return found, f"not measured: {listing(summary.kinds[kind].missing)}"
    return found, None


def _spans_grid(metric: str, summary: Summary) -> bool:
    """Whether a metric is a mean over the whole grid, or over a family of it."""
    means = "corrupted" in metric and "." not in metric
    return means or metric == "retention" or metric in summary.families


def _members(metric: str, summary: Summary) -> tuple[dict[str, Estimate], tuple[str, ...]]:
    """The estimates of a group, or of the one member named after a dot, and what is missing of it."""
    group, _, member = metric.partition(".")
    if group == "conditions":
        found = {text: c.score for text, c in summary.conditions.items() if text != "clean"}
        missing = summary.grid.missing
    elif group == "kinds":
        found, missing = {name: kind.score for name, kind in summary.kinds.items()}, summary.grid.missing
    else:
        found = {c.name: e for c in summary.classes if (e := _class_estimate(group, c)) is not None}
        missing = summary.grid.missing
        if len(found) < len(summary.classes) or not found:
            missing = (
                *missing,
                summary.absent.get("corrupted") or summary.absent.get(summary.headline) or "some classes",
            )
    if member and member not in found:
        raise UnknownName(f"member of '{group}'", member, found)
    chosen = {member: found[member]} if member else found
    # A class is often called '5' or 'cat'; beside a number that needs the word.
    return ({f"class {n}": e for n, e in chosen.items()} if group.startswith("classes") else chosen), missing


def _class_estimate(group: str, damage: ClassDamage) -> Estimate | None:
    return {"classes": damage.corrupted, "classes_clean": damage.clean, "classes_drop": damage.drop}[group]


def rows_named(metric: str, tables: Tables, divisor: Reference) -> Rows | None:
    """A metric by its name in `Summary.metrics`, as estimate and resamples; None where it was not measured."""
    start, _, rest = metric.partition(".")
    if start in ("flips", "mfr", "mt5d"):
        return sequence_rows(tables.run, metric, reference_of_sequences(divisor), tables.bootstrap.resamples)
    if metric in ("mce", "relative_mce"):
        return tables.mean_corruption_error(divisor, relative=metric == "relative_mce")
    if start in ("ce", "relative_ce"):
        return tables.corruption_error(rest, divisor, relative=start == "relative_ce")
    if start in ("corrupted", "retention"):
        kinds = tables.suites().get(rest) if rest else list(tables.grid.kinds)
        if kinds is None:
            return None
        return tables.retention(kinds) if start == "retention" else tables.mean_over_kinds(kinds=kinds)
    if metric == "corrupted_top5":
        return tables.mean_over_kinds("top5")
    if metric.removesuffix("_corrupted") in tables.scores and metric.endswith("_corrupted"):
        return tables.mean_over_kinds(metric.removesuffix("_corrupted"))
    if start in tables.scores:
        return tables.scores[start].get(rest or "clean")
    if start == "drop":
        return tables.drop(rest) if rest in tables.headline else None
    if metric in tables.headline:
        return tables.headline[metric]
    if metric in tables.grid.kinds:
        cells = tables.present(metric)
        return stacked(tables.headline, cells).mean(axis=-1) if cells else None
    kinds = tables.families().get(metric)
    return tables.mean_over_kinds(kinds=kinds) if kinds else None


# ------------------------------------------------------------------ judging and words


def _judged(rule: Rule, found: Estimate) -> float:
    return {"estimate": found.value, "low": found.low, "high": found.high}[rule.by]


def _broken(rule: Rule, found: Estimate) -> str | None:
    """How the rule is broken, or None."""
    judged = _judged(rule, found)
    what = "" if rule.by == "estimate" else f" (judged by its {rule.by} end)"
    if rule.minimum is not None and judged < rule.minimum:
        return f"{_text(rule.metric, found)}{what} is below {_bound_text(rule.metric, rule.minimum)}"
    if rule.maximum is not None and judged > rule.maximum:
        return f"{_text(rule.metric, found)}{what} is above {_bound_text(rule.metric, rule.maximum)}"
    return None


def _text(metric: str, found: Estimate) -> str:
    return found.number() if metric.startswith(("nll", "brier")) else found.percent()


def _bound_text(metric: str, bound: float) -> str:
    return f"{bound:g}" if metric.startswith(("nll", "brier")) else f"{100 * bound:g} %"


def _failed(rule: Rule, reason: str, found: Estimate | None = None) -> RuleResult:
    return _result(rule, False, found, reason)


def _result(rule: Rule, passed: bool, value: Estimate | None, reason: str) -> RuleResult:
    return RuleResult(name=rule.name, metric=rule.metric, passed=passed, value=value, reason=reason)
