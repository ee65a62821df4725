"""How far channel attention really gates (protocol card 1, equation 7 of FAN)."""

import numpy as np

from weatherglass.analysis.gates import PERCENTILES, GateDistribution, gate_distributions
from weatherglass.evaluation.studies import Card, Finding, Row, Study
from weatherglass.report import analysis_figures as figures
from weatherglass.studies.bench import Bench
from weatherglass.studies.evidence import graded

CARD = Card(
    name="gates",
    title="Gates of channel attention",
    question="Does channel attention reweight the channels by what it sees?",
    source="Zhou et al., ICML 2022, section 2.4 and equation 7",
    expected=("Channels are reweighted dynamically, by the content of the image.",),
    caution="In the released form a gate lies between 0.5 and 0.731 times its temperature, and at initialisation it "
    "hardly leaves 0.5. What differs between channels but not between images a constant could do as well.",
)


def study(bench: Bench) -> Study:
    """The distribution of the gates of every block of every model that has them."""
    rows: list[Row] = []
    findings: list[Finding] = []
    for predictor in bench.predictors:
        found = gate_distributions(predictor, bench.images)
        for block, one in enumerate(found):
            row: Row = {"model": predictor.name, "block": block, "name": one.name, "mean": one.mean}
            row |= {f"p{percent}": value for percent, value in zip(PERCENTILES, one.percentiles, strict=True)}
            row |= {"between_channels": one.between_channels, "between_images": one.between_images}
            temperature = one.temperature or (None, None)
            rows.append(row | {"temperature_min": temperature[0], "temperature_max": temperature[1]})
        findings.append(_finding(predictor.name, found))
    caption = "Dot: mean; bar: quartiles; line: 1st to 99th percentile over images and channels."
    chart = figures.figure("gates", CARD.title, caption, figures.gates(rows))
    return bench.study(CARD, {}, tables={"gates": rows}, figures=[chart], findings=findings)


def _finding(model: str, gates: list[GateDistribution]) -> Finding:
    shares = [one.between_images**2 / max(one.between_images**2 + one.between_channels**2, 1e-30) for one in gates]
    relative = [one.between_images / max(abs(one.mean), 1e-30) for one in gates]
    evidence = (
        f"gates from {min(one.percentiles[0] for one in gates):.3f} to {max(one.percentiles[-1] for one in gates):.3f} "
        f"(1st to 99th percentile); between images they vary by {min(relative):.2%} to {max(relative):.2%} of their "
        f"mean, {np.median(shares):.1%} of their variance (median over blocks), the rest is between channels. Agrees "
        "from 10 % of the variance on, disagrees below 1 %."
    )
    return Finding(CARD.expected[0], model, graded(float(np.median(shares)), agrees=0.1, disagrees=0.01), evidence)
