"""The information bottleneck step beside slot attention and self-attention, on points with known groups (card 2)."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from itertools import pairwise

from weatherglass import __version__
from weatherglass.analysis.bottleneck import STEPS, Iteration, gaussian_mixture, iterate, noise_filtering
from weatherglass.errors import UserError
from weatherglass.evaluation.studies import Card, Figure, Finding, Row, Study
from weatherglass.report import analysis_figures as figures
from weatherglass.report.analysis_figures import Axis

CARD = Card(
    name="bottleneck",
    title="The information bottleneck beside attention",
    question="Does the iterative information bottleneck group points and filter noise, and does attention do the same?",
    source="Zhou et al., ICML 2022, proposition 2.1 and appendix A.1",
    expected=(
        "The exact step never increases its objective.",
        "Centres merge to the groups that generated the points.",
        "Input noise is filtered.",
    ),
    caution="Three loose ends of the derivation are switches, not claims: it gives the prior n_c / n where equation 4 "
    "prints its logarithm, which is negative; the step takes its softmax over centres for every input, as slot "
    "attention does, while attention takes it over keys for every query, and the two coincide only for a symmetric "
    "matrix; and the paper's introduction exchanges the two terms of the objective, where its equations have the usual "
    "order.",
)


@dataclass(frozen=True)
class BottleneckSettings:
    """One experiment."""

    beta: float = 1.0
    """Relevance against compression; the paper's is 2."""
    iterations: int = 100

    def __post_init__(self) -> None:
        if not self.beta > 0 or self.iterations < 1:
            raise UserError(f"beta is above 0 and there is at least 1 iteration, not {self.beta:g}, {self.iterations}.")


def study(settings: BottleneckSettings = BottleneckSettings()) -> Study:
    """Iterate all three steps from the same points."""
    points, truth = gaussian_mixture()
    every = max(1, settings.iterations // 50)
    rows: list[Row] = []
    findings: list[Finding] = []
    response = noise_filtering(points, beta=settings.beta)
    for step in STEPS:
        found = iterate(points, truth, step=step, iterations=settings.iterations, every=every, beta=settings.beta)
        rows += [asdict(one) | {"beta": settings.beta} for one in found]
        findings += _findings(step, found, [value for name, _, value in response if name == step])
    filtered: list[Row] = [{"step": step, "scale": scale, "response": value} for step, scale, value in response]
    return Study(
        card=CARD,
        models={},
        data=f"{len(points)} points around {int(truth.max()) + 1} random means",
        protocol={"beta": str(settings.beta), "iterations": str(settings.iterations), "version": __version__},
        tables={"bottleneck": rows, "bottleneck_noise": filtered},
        figures=_figures(rows, filtered, settings.beta),
        findings=tuple(findings),
    )


def _findings(step: str, found: Sequence[Iteration], responses: Sequence[float]) -> list[Finding]:
    last = found[-1]
    evidence = f"{last.distinct} distinct centres, adjusted Rand index {last.agreement:.2f} with the true groups."
    made = [Finding(CARD.expected[1], step, "agrees" if last.agreement > 0.99 else "disagrees", evidence)]
    worst = max(responses)
    evidence = f"of a change of the input {min(responses):.2f} to {worst:.2f} is left in the output. Agrees below 1."
    made.append(Finding(CARD.expected[2], step, "agrees" if worst < 1 else "disagrees", evidence))
    values = [one.objective for one in found if one.objective is not None]
    if len(values) > 1:
        rise = max(later - earlier for earlier, later in pairwise(values))
        evidence = (
            f"from {values[0]:.3f} to {values[-1]:.3f} nats, largest rise {max(rise, 0.0):.1e}. Agrees up to 1e-6."
        )
        made.insert(0, Finding(CARD.expected[0], step, "agrees" if rise <= 1e-6 else "disagrees", evidence))
    return made


def _figures(rows: Sequence[Row], filtered: Sequence[Row], beta: float) -> tuple[Figure, ...]:
    charts = []
    for field, title in (
        ("objective", "I(i;c) - beta I(x;c)"),
        ("distinct", "distinct centres"),
        ("agreement", "adjusted Rand index with the truth"),
    ):
        part = [row for row in rows if row[field] is not None]
        spec = figures.lines(part, Axis("iteration", whole=True), Axis(field, title, zero=False), "step")
        charts.append(figures.figure(f"bottleneck_{field}", title, f"{title}; beta = {beta:g}.", spec))
    spec = figures.lines(filtered, Axis("scale", "noise on the points"), Axis("response", "share left"), "step")
    caption = "What is left of a change of the points after 20 steps, in relation to the change; below 1: filtered."
    return (*charts, figures.figure("bottleneck_noise", "Noise filtering", caption, spec))
