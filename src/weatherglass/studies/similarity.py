"""How alike the layers are: heat maps, the curve of adjacent layers, and whether layers form groups (card 30)."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np

from weatherglass.analysis.similarity import TOKENS, Similarity, block_structure, layer_similarity
from weatherglass.errors import UserError
from weatherglass.evaluation.studies import Card, Figure, Finding, Row, Study, Verdict
from weatherglass.report import analysis_figures as figures
from weatherglass.report.analysis_figures import Axis
from weatherglass.studies.bench import Bench
from weatherglass.studies.evidence import graded, rank_correlation

CARD = Card(
    name="similarity",
    title="Similarity of layers",
    question="How alike are the representations after each block?",
    source="Bhojanapalli et al., ICCV 2021, section 4",
    expected=(
        "Neighbouring layers grow more alike with depth.",
        "Layers form groups.",
        "The class token changes little early and rapidly late.",
    ),
    caution="The paper's measure is not known. Cosine keeps what all tokens share, Pearson removes it, CKA ignores "
    "rotations: a claim stands only where the measures agree.",
)

GROUPED = 0.05
"""Excess similarity within groups of layers that counts as groups (see `block_structure`)."""


@dataclass(frozen=True)
class SimilaritySettings:
    """What is compared."""

    tokens: str = "patches"
    """'patches', 'class' or 'all'."""
    between: bool = False
    """The layers of the first model with those of the second, by CKA alone."""

    def __post_init__(self) -> None:
        if self.tokens not in TOKENS:
            raise UserError(f"Tokens are {', '.join(TOKENS)}, not '{self.tokens}'.")


def study(bench: Bench, settings: SimilaritySettings = SimilaritySettings()) -> Study:
    """Compare all layers of every model, or those of two models."""
    first, *others = bench.predictors
    if settings.between and len(others) != 1:
        raise UserError(f"--between compares two models, and {len(bench.predictors)} were named.")
    rows: list[Row] = []
    curve: list[Row] = []
    findings: list[Finding] = []
    for predictor in (first,) if settings.between else bench.predictors:
        second = others[0] if settings.between else None
        found = layer_similarity(predictor, bench.images, second=second, tokens=settings.tokens)
        rows += [row for one in found for row in _matrix_rows(predictor.name, one)]
        if not settings.between:
            curve += [row for one in found for row in _curve_rows(predictor.name, one)]
            findings += _findings(predictor.name, found, settings.tokens)
    name = f"similarity_{settings.tokens}"
    tables = {name: rows} | ({f"{name}_adjacent": curve} if curve else {})
    charts = _figures(name, f"Similarity of layers ({settings.tokens})", rows, curve)
    return bench.study(CARD, vars(settings), tables=tables, figures=charts, findings=findings)


def _matrix_rows(model: str, found: Similarity) -> list[Row]:
    panel = {"model": model, "measure": found.measure, "panel": f"{model} {found.measure}"}
    return [
        panel | {"similarity": float(found.matrix[i, j]), "row": i, "column": j, "layer": name, "other": other}
        for i, name in enumerate(found.rows)
        for j, other in enumerate(found.columns)
    ]


def _curve_rows(model: str, found: Similarity) -> list[Row]:
    known = [(i + 1, float(value)) for i, value in enumerate(found.adjacent) if np.isfinite(value)]
    score, cuts = block_structure(found.matrix)
    about = {"model": model, "measure": found.measure, "block_structure": score, "groups_begin_at": _listed(cuts)}
    return [about | {"x": i, "similarity": value} for i, value in known]


def _listed(cuts: Sequence[int]) -> str:
    return " ".join(map(str, (0, *cuts))) if cuts else ""


def _findings(model: str, found: Sequence[Similarity], tokens: str) -> list[Finding]:
    trends = {one.measure: rank_correlation(np.arange(len(one.adjacent)), one.adjacent) for one in found}
    trends = {name: value for name, value in trends.items() if np.isfinite(value)}
    told = ", ".join(f"{name} {value:+.2f}" for name, value in trends.items())
    if tokens == "class":
        rule = "Spearman correlation of adjacent similarity with depth: " + told + ". Agrees where all are below -0.5."
        return [Finding(CARD.expected[2], model, _all_graded(trends.values(), agrees=-0.5, disagrees=0), rule)]
    rule = "Spearman correlation of adjacent similarity with depth: " + told + ". Agrees where all are above 0.5."
    findings = [Finding(CARD.expected[0], model, _all_graded(trends.values(), agrees=0.5, disagrees=0), rule)]
    scores = {one.measure: block_structure(one.matrix)[0] for one in found}
    scores = {name: value for name, value in scores.items() if np.isfinite(value)}
    if scores:
        told = ", ".join(f"{name} {value:.3f}" for name, value in scores.items())
        rule = f"block-structure score beyond fading with distance: {told}. Agrees where all reach {GROUPED:g}."
        grouped = _all_graded(scores.values(), agrees=GROUPED, disagrees=GROUPED / 2)
        findings.append(Finding(CARD.expected[1], model, grouped, rule))
    return findings


def _all_graded(values: Iterable[float], *, agrees: float, disagrees: float) -> Verdict:
    """What all values say; 'open' where they differ or there are none."""
    verdicts: set[Verdict] = {graded(value, agrees=agrees, disagrees=disagrees) for value in values}
    return verdicts.pop() if len(verdicts) == 1 else "open"


def _figures(name: str, title: str, rows: Sequence[Row], curve: Sequence[Row]) -> list[Figure]:
    charts = [figures.figure(name, title, f"{title}: 1 is equal.", figures.matrix(rows, "panel"))]
    if curve:
        spec = figures.lines(
            curve, Axis("x", "layer", whole=True), Axis("similarity", "with the next", zero=False), "measure"
        )
        caption = f"{title}: each layer with the next."
        charts.append(figures.figure(f"{name}_adjacent", "Adjacent layers", caption, figures.facets(spec, "model")))
    return charts
