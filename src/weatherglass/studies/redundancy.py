"""Redundancy: what share of the multiply-adds can go, and what is left of the accuracy (protocol card 33)."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from weatherglass.analysis.attention_distance import AttentionDistance
from weatherglass.analysis.lesions import Lesioned, random_lesions
from weatherglass.analysis.redundancy import Cost, cost_of
from weatherglass.evaluation.studies import Card, Figure, Finding, Row, Study
from weatherglass.report import analysis_figures as figures
from weatherglass.report.analysis_figures import Axis
from weatherglass.studies.bench import Bench
from weatherglass.studies.evidence import graded
from weatherglass.types import Disturbance

CARD = Card(
    name="redundancy",
    title="Redundancy",
    question="How much of the computation can be left out, with no fine-tuning, and what is left of the accuracy?",
    source="Bhojanapalli et al., ICCV 2021, section 4",
    expected=("There is a surprising amount of redundancy: the model could be pruned strongly at inference.",),
    caution="Restricted attention is counted as a sparse implementation would need it; a mask saves nothing by itself. "
    "The best strategy is chosen on the images on which it is measured, which flatters it.",
)

BUDGETS = (0.9, 0.75, 0.5)
"""Shares of the multiply-adds at which accuracy is read off."""

STRATEGIES = {
    "blocks": "random blocks",
    "attentions": "random attentions",
    "mlps": "random MLPs",
    "within": "attention within a distance",
    "late": "no attention between patches in late blocks",
}


@dataclass(frozen=True)
class RedundancySettings:
    """What is left out."""

    repeats: int = 3
    """Draws for each number of blocks, attentions or MLPs."""
    after: int = 0
    """First blocks that are spared."""


def study(bench: Bench, settings: RedundancySettings = RedundancySettings()) -> Study:
    """Accuracy against the share of multiply-adds kept, for every strategy and model."""
    rows: list[Row] = []
    budgets: list[Row] = []
    findings: list[Finding] = []
    bench.require_classifiers()
    for predictor in bench.predictors:
        cost = cost_of(predictor, bench.size(predictor))
        studied = _strategies(cost, settings, bench.seed)
        run = bench.measure(predictor, [str(one) for _, one in studied])
        baseline = run.records["clean"].scores["top1"]
        mine = [_row(predictor.name, name, one, cost, run.records[str(one)].scores["top1"]) for name, one in studied]
        starts = [
            {"model": predictor.name, "strategy": STRATEGIES[name], "disturbance": "", "kept": 1.0, "top1": baseline}
            for name in dict.fromkeys(name for name, _ in studied)
        ]
        rows += [row | {"baseline": baseline, "multiply_adds": cost.whole} for row in [*starts, *mine]]
        mean = _mean_curves([*starts, *mine])
        budgets += _budgets(predictor.name, mean, baseline)
        findings.append(_finding(predictor.name, budgets, baseline))
    tables = {"redundancy": rows, "redundancy_budgets": budgets}
    return bench.study(CARD, vars(settings), tables=tables, figures=_figures(bench, rows), findings=findings)


def _strategies(cost: Cost, settings: RedundancySettings, seed: int) -> list[tuple[str, Disturbance]]:
    made: list[tuple[str, Disturbance]] = []
    repeats, after = settings.repeats, settings.after
    for items in ("blocks", "attentions", "mlps"):
        drawn = random_lesions(cost.structure, items=(items,), repeats=repeats, after=after, seed=seed)
        made += [(items, one) for one in drawn]
    if cost.pairs:
        made += [("within", AttentionDistance(float(d))) for d in range(math.ceil(cost.pairs.farthest("chebyshev")))]
        made += [("late", AttentionDistance(0.0, first=-m)) for m in range(1, len(cost.pairs.blocks) + 1)]
    return made


def _row(model: str, strategy: str, one: Disturbance, cost: Cost, top1: float) -> Row:
    row: Row = {"model": model, "strategy": STRATEGIES[strategy], "disturbance": str(one)}
    row["removed"] = one.random.count if isinstance(one, Lesioned) and one.random else None
    return row | {"kept": cost.kept(one), "top1": top1}


def _mean_curves(rows: Sequence[Row]) -> dict[str, tuple[np.ndarray, np.ndarray]]:
    """Strategy -> multiply-adds kept, ascending, and accuracy there; draws of one count are averaged."""
    groups: dict[tuple[str, object], list[Row]] = {}
    for row in rows:
        drawn = row.get("removed")
        groups.setdefault((row["strategy"], row["disturbance"] if drawn is None else drawn), []).append(row)
    points: dict[str, list[tuple[float, float]]] = {}
    for (strategy, _), same in groups.items():
        point = np.mean([(row["kept"], row["top1"]) for row in same], axis=0)
        points.setdefault(strategy, []).append((float(point[0]), float(point[1])))
    return {name: tuple(np.array(sorted(of)).T) for name, of in points.items()}  # pyright: ignore[reportReturnType]


def _budgets(model: str, curves: dict[str, tuple[np.ndarray, np.ndarray]], baseline: float) -> list[Row]:
    """Accuracy of every strategy at the budgets, linear between its points; None below the least that it reaches."""
    found: list[Row] = []
    for strategy, (kept, top1) in curves.items():
        for budget in BUDGETS:
            value = float(np.interp(budget, kept, top1)) if kept[0] <= budget else None
            row: Row = {"model": model, "strategy": strategy, "budget": budget, "top1": value}
            found.append(row | {"share": None if value is None else value / max(baseline, 1e-9)})
    return found


def _finding(model: str, budgets: Sequence[Row], baseline: float) -> Finding:
    mine = [row for row in budgets if row["model"] == model and row["top1"] is not None]
    best = {
        budget: max((row for row in mine if row["budget"] == budget), key=lambda row: row["top1"], default=None)
        for budget in BUDGETS
    }
    told = [f"{b:.0%}: {row['top1']:.1%} ({row['strategy']})" for b, row in best.items() if row]
    evidence = (
        f"of {baseline:.1%}, the best strategy keeps at a share of the multiply-adds of {'; '.join(told)}. Agrees "
        "where three quarters of them keep 95 % of the accuracy, disagrees where they keep less than 80 %."
    )
    row = best[0.75]
    kept = row["share"] if row else float("nan")
    return Finding(CARD.expected[0], model, graded(kept, agrees=0.95, disagrees=0.8), evidence)


def _figures(bench: Bench, rows: Sequence[Row]) -> list[Figure]:
    means = []
    for model in dict.fromkeys(row["model"] for row in rows):
        curves = _mean_curves([row for row in rows if row["model"] == model])
        for strategy, (kept, top1) in curves.items():
            means += [
                {"model": model, "strategy": strategy, "kept": float(k), "top1": float(t)}
                for k, t in zip(kept, top1, strict=True)
            ]
    spec = figures.lines(
        means,
        Axis("kept", "multiply-adds kept", percent=True),
        Axis("top1", bench.accuracy, percent=True),
        "strategy",
    )
    caption = f"{bench.accuracy.capitalize()} against the multiply-adds that are left, mean over draws; no fine-tuning."
    return [figures.figure("redundancy", "What can be left out", caption, figures.facets(spec, "model"))]
