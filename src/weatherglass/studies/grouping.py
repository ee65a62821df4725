"""Do tokens group while noise decays? Figure 3 of FAN, with the sweep that says how far to trust it (card 3)."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from weatherglass.analysis.grouping import NORMALISATIONS, THRESHOLDS
from weatherglass.analysis.noise_decay import (
    NoiseDecay,
    Spectrum,
    check_noise,
    middle_correlation,
    noise_decay,
    spectra,
)
from weatherglass.errors import UserError
from weatherglass.evaluation.studies import Card, Figure, Finding, Row, Study, Verdict
from weatherglass.report import analysis_figures as figures
from weatherglass.report.analysis_figures import Axis
from weatherglass.studies.bench import Bench
from weatherglass.studies.evidence import beyond, mean_estimate, rank_correlation

CARD = Card(
    name="grouping",
    title="Grouping of tokens and decay of noise",
    question="Does the number of significant eigenvalues of the token affinity fall with depth, and noise with it?",
    source="Zhou et al., ICML 2022, section 2.2 and figure 3",
    expected=(
        "The number of significant eigenvalues falls with depth.",
        "Input noise falls with depth.",
        "Both fall together over the middle blocks.",
    ),
    caution="The paper's threshold and normalisation are not known, so all are tried; a fall that is not seen in "
    "most of them is reported as open; networks whose resolution falls are left out of it. Expected across models: FAN "
    "more clearly than ViT; a ResNet falls where the resolution falls and ends with less decay.",
)

MOST = 0.8
"""Share of the sweep that must show the same for a verdict."""


@dataclass(frozen=True)
class GroupingSettings:
    """How grouping and noise are read."""

    sigma: float = 0.18
    """Standard deviation of the noise on pixels in [0, 1]; above 0."""
    draws: int = 5
    """Of the noise, for each image; at least 1."""
    mode: str = "difference"
    """'difference' or 'pure' (see `noise_decay`)."""
    normalisation: str = "l2"
    """Of the tokens, in the main figure; the sweep has all."""
    threshold: float = 1.0
    """Of an eigenvalue whose mean is 1, in the main figure."""

    def __post_init__(self) -> None:
        check_noise(self.sigma, self.draws, self.mode)
        if self.normalisation not in NORMALISATIONS or self.threshold not in THRESHOLDS:
            raise UserError(
                f"The normalisation is {', '.join(NORMALISATIONS)} and the threshold one of "
                f"{', '.join(f'{one:g}' for one in THRESHOLDS)}."
            )


def study(bench: Bench, settings: GroupingSettings = GroupingSettings()) -> Study:
    """Count eigenvalues and follow the noise through every model."""
    rows: list[Row] = []
    sweep: list[Row] = []
    findings: list[Finding] = []
    for predictor in bench.predictors:
        seen = spectra(predictor, bench.images)
        noise = noise_decay(
            predictor, bench.images, sigma=settings.sigma, draws=settings.draws, mode=settings.mode, seed=bench.seed
        )
        rows += _rows(seen[settings.normalisation], noise, settings.threshold)
        mine = [row for one in seen.values() if _keeps_its_tokens(one) for row in _sweep_rows(one, noise)]
        sweep += mine
        findings += _findings(predictor.name, mine, seen[settings.normalisation], noise, settings.threshold)
    tables = {"grouping": rows} | ({"grouping_sensitivity": sweep} if sweep else {})
    return bench.study(CARD, vars(settings), tables=tables, figures=_figures(rows, sweep), findings=findings)


def _rows(seen: Spectrum, noise: NoiseDecay, threshold: float) -> list[Row]:
    """One row a layer: medians over images of the counts, means of the noise; `share` only where the tokens stay."""
    rows = []
    for i, layer in enumerate(seen.layers):
        counts = {f"significant_{key:g}": float(np.median(v[:, i])) for key, v in seen.significant.items()}
        row: Row = {"model": seen.model, "layer": i, "name": layer.name, "tokens": layer.layout.tokens}
        share = counts[f"significant_{threshold:g}"] / layer.layout.tokens
        row |= {"share": share if _keeps_its_tokens(seen) else None}
        row |= {"noise": float(noise.noise[:, i].mean()), "decay": float(noise.decay[i])}
        row |= {"depth": i / (len(seen.layers) - 1), "zero": float(np.median(seen.zero[:, i]))}
        row |= {"effective_rank": float(seen.effective_rank[:, i].mean()), "downsamples": layer.downsamples}
        rows.append(row | counts)
    return rows


def _sweep_rows(seen: Spectrum, noise: NoiseDecay) -> list[Row]:
    """One row a layer and threshold, with what the whole curve does: its trend, and its agreement with the noise."""
    rows = []
    for threshold, counts in seen.significant.items():
        tokens = np.array([layer.layout.tokens for layer in seen.layers])
        shares = np.median(counts, axis=0) / tokens
        trend = rank_correlation(np.arange(len(shares)), shares)
        whole, low, high = middle_correlation(seen, noise, threshold=threshold, resamples=200)
        about = {"model": seen.model, "normalisation": seen.normalisation, "threshold": threshold}
        about |= {"trend": trend, "with_noise": whole, "with_noise_low": low, "with_noise_high": high}
        rows += [about | {"layer": i, "share": float(share)} for i, share in enumerate(shares)]
    return rows


def _findings(model: str, sweep: Sequence[Row], seen: Spectrum, noise: NoiseDecay, threshold: float) -> list[Finding]:
    trends = {(row["normalisation"], row["threshold"]): row["trend"] for row in sweep}
    left = mean_estimate(noise.noise[:, -1] / np.maximum(noise.noise[:, 0], 1e-30))
    fallen = mean_estimate(1 - noise.noise[:, -1] / np.maximum(noise.noise[:, 0], 1e-30))
    evidence = f"at the end the noise is {left.number(2)} times that of the embedding (sigma {noise.sigma:g})."
    decay = Finding(CARD.expected[1], model, beyond(fallen), evidence)
    if not _keeps_its_tokens(seen):
        return [decay]
    counts = np.median(seen.significant[threshold], axis=0)
    falls = sum(trend <= -0.5 for trend in trends.values())
    rises = sum(trend >= 0.5 for trend in trends.values())
    evidence = (
        f"from {counts[0]:g} of {seen.layers[0].layout.tokens} at the embedding to {counts[-1]:g} of "
        f"{seen.layers[-1].layout.tokens} ({seen.normalisation}, threshold {threshold:g}). Of {len(trends)} pairs of "
        f"normalisation and threshold {falls} fall and {rises} rise (Spearman with depth beyond 0.5). Agrees where "
        f"{MOST:.0%} fall."
    )
    found = [Finding(CARD.expected[0], model, _swept(trends, falls), evidence), decay]
    whole, low, high = middle_correlation(seen, noise, threshold=threshold)
    blocks = len(noise.layers) - 1
    evidence = (
        f"Spearman correlation of both over the middle half of {blocks} blocks {whole:.2f} [{low:.2f}, {high:.2f}] "
        "(images resampled). Agrees where the interval is above 0, and there are at least 8 blocks."
    )
    together: Verdict = "agrees" if low > 0 else "disagrees" if high < 0 else "open"
    found.append(Finding(CARD.expected[2], model, together if blocks >= 8 else "open", evidence))
    return found


def _keeps_its_tokens(seen: Spectrum) -> bool:
    """Whether every layer has as many tokens; where they become fewer, so must the eigenvalues."""
    return len({layer.layout.tokens for layer in seen.layers}) == 1


def _swept(trends: Mapping[tuple[str, float], float], falls: int) -> Verdict:
    """'agrees' where most of the sweep falls, 'disagrees' where most does not, else 'open'."""
    if falls >= MOST * len(trends):
        return "agrees"
    return "disagrees" if falls <= (1 - MOST) * len(trends) else "open"


def _figures(rows: Sequence[Row], sweep: Sequence[Row]) -> list[Figure]:
    decay = figures.lines(
        rows,
        Axis("depth", "relative depth", percent=True),
        Axis("decay", "noise / noise at embedding"),
        "model",
        marks="downsamples",
    )
    named = [row | {"panel": f"{row['model']}, {row['normalisation']}", "at": f"{row['threshold']:g}"} for row in sweep]
    swept = figures.lines(
        named, Axis("layer", "block (0: embedding)", whole=True), Axis("share", "significant / tokens"), "at"
    )
    both = (
        "Bars: share of eigenvalues above the threshold (median over images), where the number of tokens stays. Line: "
        "noise in relation to the tokens."
    )
    caption = "Share of significant eigenvalues for every normalisation of the tokens (panels) and threshold (lines)."
    charts = [
        figures.figure("grouping", CARD.title, both, figures.grouping(rows)),
        figures.figure("noise_decay", "Decay of noise", "Rings: the resolution falls.", decay),
    ]
    if sweep:
        spec = figures.facets(swept, "panel")
        charts.append(figures.figure("grouping_sensitivity", "How far it hangs on choices", caption, spec))
    return charts
