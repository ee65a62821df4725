"""Restricted attention: accuracy when tokens see only near ones, only far ones, or none (protocol card 32)."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

from weatherglass.analysis.attention_distance import METRICS, AttentionDistance
from weatherglass.analysis.attention_pairs import AttentionPairs, attention_pairs
from weatherglass.analysis.disturbed import module_of
from weatherglass.errors import UserError
from weatherglass.evaluation.studies import Card, Figure, Finding, Row, Study
from weatherglass.report import analysis_figures as figures
from weatherglass.report.analysis_figures import Axis
from weatherglass.studies.bench import Bench
from weatherglass.studies.evidence import graded

CARD = Card(
    name="distance",
    title="Attention distance",
    question="How far must tokens see, and in which blocks, with no fine-tuning?",
    source="Bhojanapalli et al., ICCV 2021, section 4",
    expected=(
        "Mostly local attention suffices.",
        "Late blocks need hardly any attention between patches.",
    ),
    caution="The distances of the paper are not known. Windows (Swin) are restricted within the window; a mask "
    "saves no time by itself.",
)

NEARLY_ALL = 0.95
"""Share of the accuracy that counts as kept."""

STUDIES = {
    "within": ("Attention within a distance", "distance in tokens"),
    "beyond": ("Attention beyond a distance only", "distance in tokens"),
    "late": ("No attention between patches in the last m blocks", "m"),
    "from": ("Restricted from a block on", "first restricted block"),
    "until": ("Restricted up to a block", "last restricted block"),
    "class-blind": ("Class token blind up to a block", "last block in which it is blind"),
}
"""Experiment -> title and horizontal axis."""


@dataclass(frozen=True)
class DistanceSettings:
    """Which restrictions are measured."""

    metric: str = "chebyshev"
    """Of `METRICS`."""
    near: float | None = None
    """Also restrict to this distance from each block on, and up to each block; and blind the class token up to each."""
    condition: str = "clean"
    """Of the input: 'clean' or e.g. 'fog@3'."""

    def __post_init__(self) -> None:
        if self.metric not in METRICS:
            raise UserError(f"The metric is {', '.join(METRICS)}, not '{self.metric}'.")


def study(bench: Bench, settings: DistanceSettings = DistanceSettings()) -> Study:
    """Measure every restriction of every model."""
    rows: list[Row] = []
    findings: list[Finding] = []
    bench.require_classifiers()
    for predictor, structure in bench.structures():
        pairs = attention_pairs(module_of(predictor), structure)
        studied = restrictions(pairs, settings)
        suffix = "" if settings.condition == "clean" else f"+{settings.condition}"
        texts = [f"{one}{suffix}" for _, _, one in studied]
        run = bench.measure(predictor, [*([settings.condition] if suffix else []), *texts])
        baseline = run.records[settings.condition].scores["top1"]
        common = {"model": predictor.name, "input": settings.condition, "baseline": baseline}
        mine: list[Row] = [common | {"study": "late", "x": 0, "distance": None, "top1": baseline, "kept_pairs": 1.0}]
        for (name, x, one), text in zip(studied, texts, strict=True):
            row = common | {"study": name, "x": x, "distance": one.distance, "top1": run.records[text].scores["top1"]}
            mine.append(row | {"kept_pairs": pairs.share(one)})
        rows += mine
        if not suffix:
            findings += _findings(predictor.name, mine, len(pairs.blocks))
    return bench.study(
        CARD, vars(settings), tables={"distance": rows}, figures=_figures(bench, rows), findings=findings
    )


def restrictions(pairs: AttentionPairs, settings: DistanceSettings) -> list[tuple[str, float, AttentionDistance]]:
    """(experiment, position on its axis, restriction) for a model that attends between `pairs`."""
    blocks, metric = pairs.blocks, settings.metric
    count, distances = len(blocks), range(math.ceil(pairs.farthest(metric)) + 1)
    made: list[tuple[str, float, AttentionDistance]] = [
        ("within", d, AttentionDistance(float(d), metric)) for d in distances
    ]
    made += [("beyond", d, AttentionDistance(float(d), metric, beyond=True)) for d in distances]
    made += [("late", m, AttentionDistance(0.0, metric, first=-m)) for m in range(1, count + 1)]
    if settings.near is not None:
        made += [("from", b, AttentionDistance(settings.near, metric, first=b)) for b in range(count)]
        made += [("until", b, AttentionDistance(settings.near, metric, last=b)) for b in range(count)]
        if any(block.layout.prefix for block in blocks):
            whole = float(2 * max(max(block.layout.grid) for block in blocks))
            made += [
                ("class-blind", b, AttentionDistance(whole, metric, last=b, class_reads=False)) for b in range(count)
            ]
    return made


def _findings(model: str, rows: Sequence[Row], count: int) -> list[Finding]:
    baseline = rows[0]["baseline"]
    within = [row for row in rows if row["study"] == "within"]
    enough = next((row for row in within if row["top1"] >= NEARLY_ALL * baseline), within[-1])
    evidence = (
        f"distance {enough['distance']:g} of {len(within) - 1}, {enough['kept_pairs']:.0%} of the pairs, keeps "
        f"{enough['top1']:.1%} of {baseline:.1%}; at distance 0 it is {within[0]['top1']:.1%}. Agrees where "
        f"{NEARLY_ALL:.0%} of the accuracy needs at most half of the pairs, disagrees where it needs over 80 %."
    )
    found = [Finding(CARD.expected[0], model, graded(enough["kept_pairs"], agrees=0.5, disagrees=0.8), evidence)]
    last = max(1, count // 3)
    late = next(row for row in rows if row["study"] == "late" and row["x"] == last)
    kept = late["top1"] / max(baseline, 1e-9)
    evidence = (
        f"without attention between patches in the last {last} of {count} blocks {late['top1']:.1%} of {baseline:.1%} "
        f"are right. Agrees from {NEARLY_ALL:.0%} of the accuracy on, disagrees below 80 %."
    )
    found.append(Finding(CARD.expected[1], model, graded(kept, agrees=NEARLY_ALL, disagrees=0.8), evidence))
    return found


def _figures(bench: Bench, rows: Sequence[Row]) -> list[Figure]:
    charts = []
    for name, (title, title_x) in STUDIES.items():
        part = [row for row in rows if row["study"] == name]
        if part:
            spec = figures.lines(
                part, Axis("x", title_x, whole=True), Axis("top1", bench.accuracy, percent=True), "model"
            )
            caption = f"{title}: {bench.accuracy}, no fine-tuning."
            charts.append(figures.figure(f"distance_{name.replace('-', '_')}", title, caption, spec))
    return charts
