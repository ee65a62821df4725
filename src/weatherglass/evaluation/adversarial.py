"""What a run says about attacks: accuracy and success of each, and whether the attacks can be believed."""

from dataclasses import dataclass
from itertools import pairwise

import numpy as np

from weatherglass.evaluation.runs import Run
from weatherglass.metrics.intervals import Estimate, wilson_interval

FAMILIES = frozenset({"attack", "spatial"})
TOLERATED = 0.005
"""Accuracy by which a stronger attack may seem weaker before it is worth a word."""
UNMOVED = 0.05
"""Share of images without a gradient that is worth a word."""


@dataclass(frozen=True)
class AttackResult:
    """One attack on one model."""

    disturbance: str
    kind: str
    radius: float | None
    accuracy: Estimate
    """Over all images."""
    success: Estimate | None
    """Share fooled of the images that were right when clean; None where no clean cell or no such image exists."""


def attack_results(run: Run) -> list[AttackResult]:
    """Every attack and spatial search of a run, by kind and radius, with Wilson intervals at 95 %."""
    found = [record for record in run.disturbed.values() if record.family in FAMILIES and record.kind[:5] != "moved"]
    texts = [text for text, record in run.disturbed.items() if record in found]
    if not texts:
        return []
    clean = run.correct(["clean"])[0] if run.clean is not None else None
    results = []
    for text in texts:
        record, right = run.records[text], run.correct([text])[0]
        fooled = ~right[clean] if clean is not None and clean.any() else None
        results.append(
            AttackResult(
                disturbance=text,
                kind=record.kind,
                radius=record.severity,
                accuracy=_rate(right),
                success=None if fooled is None else _rate(fooled),
            )
        )
    return sorted(results, key=lambda result: (result.kind, result.radius or 0.0, result.disturbance))


def attack_warnings(run: Run) -> list[str]:
    """Reasons to doubt the attacks of a run, from its stored cells alone.

    Carlini et al., "On Evaluating Adversarial Robustness" (2019), section 5: gradients that vanish, a larger radius or
    a stronger attack that does less, and random noise that does as much.
    """
    results = {result.disturbance: result for result in attack_results(run)}
    if not results:
        return []
    # Images made on another model are no attack on this one: weakness is what they measure.
    gradient = [result for result in results.values() if result.radius and " from " not in result.kind]
    return [
        *_unmoved(run, gradient),
        *_not_monotone(gradient),
        *_weaker(gradient),
        *_no_better_than_noise(run, gradient),
    ]


def _unmoved(run: Run, results: list[AttackResult]) -> list[str]:
    if run.clean is None:
        return []
    clean = run.observations("clean")
    found = []
    for result in results:
        # AutoAttack returns the image itself where it fails.
        if result.kind == "random_sign" or result.kind.startswith("autoattack"):
            continue
        unmoved = (run.observations(result.disturbance).columns["nll"] == clean.columns["nll"]) & clean.correct
        share = float(unmoved.sum() / max(clean.correct.sum(), 1))
        if share > UNMOVED:
            found.append(
                f"{run.model}: under {result.disturbance} {share:.0%} of the images that were right have exactly "
                f"their clean loss: the gradient is zero, for it is masked, or the model is so sure that its loss is 0 "
                f"either way. No bound."
            )
    return found


def _not_monotone(results: list[AttackResult]) -> list[str]:
    found = []
    for smaller, larger in pairwise(results):
        if smaller.kind == larger.kind and larger.accuracy.value > smaller.accuracy.value + TOLERATED:
            found.append(
                f"{larger.disturbance} leaves more right ({larger.accuracy.value:.1%}) than {smaller.disturbance} "
                f"({smaller.accuracy.value:.1%}): a larger radius cannot be weaker, so the attack does not converge."
            )
    return found


def _weaker(results: list[AttackResult]) -> list[str]:
    """FGSM must not beat PGD, nor PGD AutoAttack, in the same ball."""
    found = []
    for strong in results:
        for weak in results:
            same_ball = strong.radius == weak.radius and _norm(strong.kind) == _norm(weak.kind)
            if same_ball and _rank(strong.kind) > _rank(weak.kind) > 0:
                excess = strong.accuracy.value - weak.accuracy.value
                if excess > TOLERATED * (2 if strong.kind.startswith("auto") else 1):
                    found.append(
                        f"{strong.disturbance} leaves more right ({strong.accuracy.value:.1%}) than the weaker "
                        f"{weak.disturbance} ({weak.accuracy.value:.1%}): gradients may be masked; "
                        f"try restarts or more steps."
                    )
    return found


def _no_better_than_noise(run: Run, results: list[AttackResult]) -> list[str]:
    if run.clean is None:
        return []
    clean = run.clean.scores["top1"]
    noise = {result.radius: clean - result.accuracy.value for result in results if result.kind == "random_sign"}
    return [
        f"{result.disturbance} costs {clean - result.accuracy.value:.1%} of accuracy and random signs of the same "
        f"radius {noise[result.radius]:.1%}: the attack hardly uses the model."
        for result in results
        if result.radius in noise
        and result.kind != "random_sign"
        and _norm(result.kind) == "linf"
        and noise[result.radius] > 0.02
        and clean - result.accuracy.value < 2 * noise[result.radius]
        and result.accuracy.value > 0.05
    ]


def _rank(kind: str) -> int:
    for position, name in enumerate(("fgsm", "pgd", "autoattack")):
        if kind.startswith(name):
            return position + 1
    return 0


def _norm(kind: str) -> str:
    return "l2" if kind.partition(":")[0].partition("-")[0].endswith("_l2") else "linf"


def _rate(values: np.ndarray) -> Estimate:
    rate = float(values.mean())
    return Estimate(rate, *wilson_interval(rate, len(values)), "wilson")
