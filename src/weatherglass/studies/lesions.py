"""Lesion study: accuracy without single branches, without k at random, and at equal counts (protocol card 31)."""

from collections.abc import Callable, Sequence, Set
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float

from weatherglass.analysis.lesions import (
    ITEMS,
    Lesioned,
    equal_count_lesions,
    random_lesions,
    single_lesions,
)
from weatherglass.analysis.structure import Structure
from weatherglass.errors import UserError
from weatherglass.evaluation.runs import Run
from weatherglass.evaluation.studies import Card, Figure, Finding, Row, Study
from weatherglass.report import analysis_figures as figures
from weatherglass.report.analysis_figures import Axis
from weatherglass.studies.bench import Bench
from weatherglass.studies.evidence import KEPT, beyond, graded, mean_estimate, points

CARD = Card(
    name="lesions",
    title="Lesions",
    question="What is lost without a block, an attention or an MLP, with no fine-tuning?",
    source="Bhojanapalli et al., ICCV 2021, section 4",
    expected=(
        "Almost any single block after the first can be removed.",
        "The first block matters most.",
        "Removing MLPs hurts less than removing as many attentions.",
        "Branches of one block are hardly adapted to each other: k attentions and k MLPs from different blocks cost no "
        "more than k whole blocks.",
    ),
    caution="Also expected, across models: larger ones tolerate more, ones pre-trained on more data less. That needs "
    "several sizes and several pre-trainings; name them together to see it.",
)

TOLERATED = 0.02
"""Accuracy by which scattered branches may be dearer than whole blocks and still count as no dearer."""

LEAST_DRAWS = 3
"""For each count, below which chance decides what is drawn: intervals are over images and not over draws."""


@dataclass(frozen=True)
class LesionSettings:
    """Which lesions are measured."""

    items: tuple[str, ...] = ("blocks", "attentions", "mlps")
    """Kinds drawn at random, k = 1, 2, ... of each: of `ITEMS`."""
    repeats: int = 3
    """Draws for each count; 0: single lesions alone."""
    after: int = 0
    """First blocks that are spared when drawing."""
    equal: bool = False
    """Also k blocks against 2k branches against k attentions with k MLPs of other blocks."""
    inputs: tuple[str, ...] = ("clean",)
    """Conditions of the input under which every lesion is measured: 'clean', 'fog@3'."""

    def __post_init__(self) -> None:
        if unknown := [one for one in self.items if one not in ITEMS]:
            raise UserError(f"There are no '{unknown[0]}' to draw; items: {', '.join(ITEMS)}.")
        if not self.inputs:
            raise UserError("A lesion is measured under at least one condition of the input, e.g. clean.")


def study(bench: Bench, settings: LesionSettings = LesionSettings()) -> Study:
    """Measure every lesion of every model under every condition of the input."""
    rows: list[Row] = []
    areas: list[Row] = []
    findings: list[Finding] = []
    bench.require_classifiers()
    for predictor, structure in bench.structures():
        studied = _studied(structure, settings, bench.seed)
        texts = [_under(str(one), at) for at in settings.inputs for one in studied]
        run = bench.measure(predictor, [*(at for at in settings.inputs if at != "clean"), *texts])
        for at in settings.inputs:
            measured = _rows(run, structure, studied, at)
            curves = {items: _curve(run, measured, items, at) for items in settings.items if _counts(measured, items)}
            rows += measured
            areas += [{"model": predictor.name, "input": at} | _area_row(items, of) for items, of in curves.items()]
            if at == "clean":
                findings += _findings(predictor.name, run, measured)
    tables = {"lesions": rows} | ({"lesions_areas": areas} if areas else {})
    return bench.study(CARD, vars(settings), tables=tables, figures=_figures(bench, rows, areas), findings=findings)


def _studied(structure: Structure, settings: LesionSettings, seed: int) -> list[Lesioned]:
    repeats, after = settings.repeats, settings.after
    studied = single_lesions(structure)
    studied += random_lesions(structure, items=settings.items, repeats=repeats, after=after, seed=seed)
    if settings.equal:
        studied += equal_count_lesions(structure, repeats=repeats, after=after, seed=seed)
    return list(dict.fromkeys(studied))


def _under(lesion: str, condition: str) -> str:
    return lesion if condition == "clean" else f"{lesion}+{condition}"


def _rows(run: Run, structure: Structure, studied: Sequence[Lesioned], at: str) -> list[Row]:
    """One row a lesion; `block` is the position of a single one, `removed` and `repeat` belong to drawn ones."""
    order = [block.name for block in structure.trunk]
    baseline = run.records[at].scores["top1"]
    rows = []
    for one in studied:
        branches, drawn = one.branches(structure), one.random
        row: Row = {"model": run.model, "input": at, "lesion": str(one), "branches": len(branches)}
        if drawn:
            row |= {"kind": drawn.items, "block": None, "removed": drawn.count, "repeat": drawn.repeat}
        else:
            kind = branches[0].kind if len(branches) == 1 else "block"
            row |= {"kind": kind, "block": order.index(branches[0].block), "removed": 1, "repeat": None}
        rows.append(row | {"top1": run.records[_under(str(one), at)].scores["top1"], "baseline": baseline})
    return rows


def _counts(rows: Sequence[Row], items: str) -> set[int]:
    """How many items of a kind were removed at once."""
    return {row["removed"] for row in rows if row["kind"] == items and row["repeat"] is not None}


def _curve(
    run: Run, rows: Sequence[Row], items: str, at: str = "clean", counts: Set[int] | None = None
) -> Float[np.ndarray, " images"]:
    """For each image, how often it is right over counts of removed items, k = 0 included: its mean over images is the
    area under accuracy against k, and two such areas can be paired. Every count weighs the same."""
    chosen = _counts(rows, items) if counts is None else counts
    curves = [run.correct([at])[0].astype(float)]
    for count in sorted(chosen):
        texts = [_under(row["lesion"], at) for row in rows if (row["kind"], row["removed"]) == (items, count)]
        curves.append(run.correct(texts).mean(axis=0))
    return np.mean(curves, axis=0)


def _area_row(items: str, values: Float[np.ndarray, " images"]) -> Row:
    area = mean_estimate(values)
    return {"items": items, "area": area.value, "low": area.low, "high": area.high}


def _findings(model: str, run: Run, rows: Sequence[Row]) -> list[Finding]:
    """What the clean lesions say about the claims that they can speak to."""
    singles = sorted((row for row in rows if row["block"] is not None), key=lambda row: row["block"])
    wholes = [row for row in singles if row["kind"] == "block"] or singles
    found = []
    if len(wholes) > 2:
        found += [_single(model, wholes), _first(model, run, wholes)]
    if counts := _counts(rows, "attentions") & _counts(rows, "mlps"):
        gap = mean_estimate(_curve(run, rows, "mlps", counts=counts) - _curve(run, rows, "attentions", counts=counts))
        evidence = f"area under accuracy against k, MLPs less attentions: {points(gap)}.{_doubt(rows)}"
        found.append(Finding(CARD.expected[2], model, "open" if _doubt(rows) else beyond(gap), evidence))
    if counts := _counts(rows, "pairs") & _counts(rows, "blocks"):
        gap = mean_estimate(_curve(run, rows, "pairs", counts=counts) - _curve(run, rows, "blocks", counts=counts))
        verdict = "agrees" if gap.low > -TOLERATED else "disagrees" if gap.high < 0 else "open"
        evidence = f"area at equal counts, scattered pairs less whole blocks: {points(gap)}.{_doubt(rows)}"
        found.append(Finding(CARD.expected[3], model, "open" if _doubt(rows) else verdict, evidence))
    return found


def _doubt(rows: Sequence[Row]) -> str:
    """Why differences of drawn lesions decide nothing; empty where there are draws enough."""
    draws = len({row["repeat"] for row in rows if row["repeat"] is not None})
    return "" if draws >= LEAST_DRAWS else f" Draws for each count: {draws}; below {LEAST_DRAWS} the verdict is open."


def _single(model: str, wholes: Sequence[Row]) -> Finding:
    later = [row["top1"] / max(row["baseline"], 1e-9) for row in wholes if row["block"] > 0]
    share = sum(kept >= KEPT for kept in later) / len(later)
    evidence = (
        f"{sum(kept >= KEPT for kept in later)} of {len(later)} later blocks leave at least {KEPT:.0%} of the accuracy "
        f"({wholes[0]['baseline']:.1%}); the dearest leaves {min(later):.0%} of it. Agrees from 80 % of the blocks on, "
        "disagrees up to half."
    )
    return Finding(CARD.expected[0], model, graded(share, agrees=0.8, disagrees=0.5), evidence)


def _first(model: str, run: Run, wholes: Sequence[Row]) -> Finding:
    first, *others = wholes
    rival = min(others, key=lambda row: row["top1"])
    right = run.correct([first["lesion"], rival["lesion"]]).astype(float)
    gap = mean_estimate(right[1] - right[0])
    evidence = (
        f"accuracy {first['top1']:.1%} without the first block, {rival['top1']:.1%} without block {rival['block']}, "
        f"the dearest of the others; difference {points(gap)}."
    )
    return Finding(CARD.expected[1], model, beyond(gap), evidence)


def _figures(bench: Bench, rows: Sequence[Row], areas: Sequence[Row]) -> list[Figure]:
    panel = _panel(rows)
    single = [panel(row) for row in rows if row["block"] is not None]
    random = [row for row in rows if row["repeat"] is not None]
    drawn = [panel(row) for row in _over_repeats([row for row in random if row["kind"] in _whole_curves(random)])]
    say = bench.accuracy
    share = Axis("top1", say, percent=True)
    one = figures.lines(
        single, Axis("block", whole=True), Axis("top1", f"{say} without it", percent=True), "kind", rule="baseline"
    )
    charts = [
        figures.figure(
            "lesions_single",
            "One removed",
            f"{say.capitalize()} without one block or branch; dashed: nothing removed.",
            figures.facets(one, "panel"),
        )
    ]
    if drawn:
        many = figures.lines(drawn, Axis("removed", whole=True), share, "kind", band=("low", "high"))
        caption = f"{say.capitalize()} without k items drawn at random; band: lowest and highest draw."
        charts.append(figures.figure("lesions_random", "k removed", caption, figures.facets(many, "panel")))
        bars = figures.interval_dots(
            [panel(row) for row in areas], "items", "area", title=f"mean {say} over k = 0, 1, ..."
        )
        caption = "Area under the curves, with the 95 % interval over images; larger: more can go."
        charts.append(figures.figure("lesions_area", "Area under the curve", caption, figures.facets(bars, "panel")))
    if any(row["kind"] == "pairs" for row in random):
        same = [panel(row) for row in _at_equal_counts(random)]
        spec = figures.lines(same, Axis("branches", "branches removed", whole=True), share, "kind")
        caption = "At equal counts of branches: whole blocks, any branches, attentions and MLPs of different blocks."
        charts.append(figures.figure("lesions_equal", "Equal counts", caption, figures.facets(spec, "panel")))
    return charts


def _whole_curves(rows: Sequence[Row]) -> set[str]:
    """Kinds that were drawn at every count, not only where another kind has as many."""
    return {kind for kind in {row["kind"] for row in rows} if 1 in _counts(rows, kind) and kind != "pairs"}


def _at_equal_counts(rows: Sequence[Row]) -> list[Row]:
    """Mean accuracy over the draws against the number of branches removed, for the kinds that card 31 compares."""
    groups: dict[tuple[str, str, str, int], list[float]] = {}
    most = max(row["branches"] for row in rows if row["kind"] == "pairs")
    for row in rows:
        if row["kind"] in ("blocks", "branches", "pairs") and row["branches"] <= most:
            groups.setdefault((row["model"], row["input"], row["kind"], row["branches"]), []).append(row["top1"])
    return [
        {"model": m, "input": at, "kind": kind, "branches": k, "top1": sum(v) / len(v)}
        for (m, at, kind, k), v in groups.items()
    ]


def _panel(rows: Sequence[Row]) -> Callable[[Row], Row]:
    """Adds the heading of the small chart that a row belongs to: its model, and the input where there are several."""
    several = len({row["input"] for row in rows}) > 1

    def headed(row: Row) -> Row:
        return row | {"panel": f"{row['model']}, {row['input']}" if several else row["model"]}

    return headed


def _over_repeats(rows: Sequence[Row]) -> list[Row]:
    """Mean, lowest and highest accuracy over the draws of each count, with the baseline as k = 0."""
    groups: dict[tuple[str, str, str, int], list[float]] = {}
    for row in rows:
        groups.setdefault((row["model"], row["input"], row["kind"], 0), [row["baseline"]])
        groups.setdefault((row["model"], row["input"], row["kind"], row["removed"]), []).append(row["top1"])
    return [
        {"model": m, "input": at, "kind": kind, "removed": k, "top1": sum(v) / len(v), "low": min(v), "high": max(v)}
        for (m, at, kind, k), v in groups.items()
    ]
