"""Does a study show what the paper claims? Differences of families with intervals over images."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from weatherglass.errors import UserError
from weatherglass.experiments.card import Card, Claim
from weatherglass.experiments.study import Study
from weatherglass.metrics.intervals import Estimate, estimate
from weatherglass.metrics.scaling import fit_size

TRANSFORMERS = ("vit", "deit", "fan", "transformer")
"""Beginnings of family names that count as transformers; 'resnet' and 'r' are the other side."""


@dataclass(frozen=True)
class Finding:
    """What a study says about one claim on one benchmark."""

    claim: str
    benchmark: str
    measured: str
    estimate: Estimate | None
    """In error or accuracy as a fraction; None where the study lacks the models."""
    verdict: str
    """'seen', 'the opposite was seen', 'cannot be told', or 'not measured'."""


@dataclass(frozen=True)
class Slope:
    """error = a + b log10(parameters) of one family and share of data on one benchmark."""

    family: str
    share: str
    benchmark: str
    models: int
    slope: Estimate
    """Change of the error for ten times the parameters, as a fraction."""


def findings_of(card: Card, study: Study) -> list[Finding]:
    """Every claim of the card on every benchmark of the study, and every pair on its own measures."""
    found = []
    for claim in card.claims:
        if claim.pair is not None:
            found += [_second_is_ahead(claim, claim.pair, study, measure) for measure in claim.on]
        elif claim.check:
            found += [CHECKS[claim.check](claim.text, study, benchmark) for benchmark in study.benchmarks]
    return found


def slopes_of(study: Study) -> list[Slope]:
    """For every family and share with at least two sizes, how its error falls with size, on every benchmark."""
    found = []
    for benchmark in study.benchmarks:
        for family in study.families:
            for share in study.shares:
                rows = study.positions(family, share)
                if len({study.sizes[k] for k in rows}) < 2:
                    continue
                point, draws = _errors(study, benchmark, rows)
                sizes = study.sizes[rows]
                value = float(fit_size(point, sizes).slope)
                slope = _estimate(value, fit_size(draws, sizes).slope, study.samples[benchmark])
                found.append(Slope(family, share, benchmark, len(rows), slope))
    return found


def _slope(claim: str, study: Study, benchmark: str) -> Finding:
    """Slope of transformers minus slope of ResNets with the largest share of data; negative: they gain more."""
    share = study.shares[-1]
    sides = [[k for family in side for k in study.positions(family, share)] for side in _sides(study)]
    if any(len({study.sizes[k] for k in rows}) < 2 for rows in sides):
        return _missing(claim, benchmark, f"two sizes of transformers and two of ResNets{_with(share)}")
    values, draws = [], []
    for rows in sides:
        point, resampled = _errors(study, benchmark, rows)
        values.append(float(fit_size(point, study.sizes[rows]).slope))
        draws.append(fit_size(resampled, study.sizes[rows]).slope)
    found = _estimate(values[0] - values[1], draws[0] - draws[1], study.samples[benchmark])
    words = f"slope of the error for ten times the parameters, transformers minus ResNets{_with(share)}"
    return Finding(claim, benchmark, words, found, _verdict(found, wanted=-1))


def _ahead(claim: str, study: Study, benchmark: str, *, share: str, wanted: int) -> Finding:
    """Accuracy of transformers minus that of ResNets at one size between them."""
    sides = [[k for family in side for k in study.positions(family, share)] for side in _sides(study)]
    if not all(sides):
        return _missing(claim, benchmark, f"a transformer and a ResNet{_with(share)}")
    size = float(np.exp(np.mean([np.log(study.sizes[rows]).mean() for rows in sides])))
    values, draws = [], []
    for rows in sides:
        point, resampled = _errors(study, benchmark, rows)
        values.append(float(fit_size(point, study.sizes[rows]).at(size)))
        draws.append(fit_size(resampled, study.sizes[rows]).at(size))
    found = _estimate(values[1] - values[0], draws[1] - draws[0], study.samples[benchmark])
    words = f"accuracy of transformers minus that of ResNets{_with(share)}, at {size / 1e6:.2g} M parameters"
    return Finding(claim, benchmark, words, found, _verdict(found, wanted=wanted))


def _little(claim: str, study: Study, benchmark: str) -> Finding:
    if len(study.shares) < 2:
        return _missing(claim, benchmark, "models of at least two shares of data")
    return _ahead(claim, study, benchmark, share=study.shares[0], wanted=-1)


def _much(claim: str, study: Study, benchmark: str) -> Finding:
    return _ahead(claim, study, benchmark, share=study.shares[-1], wanted=1)


def _data(claim: str, study: Study, benchmark: str) -> Finding:
    """Gain of transformers from the first to the last share, minus that of ResNets."""
    first, last = study.shares[0], study.shares[-1]
    sides = [
        ([k for f in side for k in study.positions(f, first)], [k for f in side for k in study.positions(f, last)])
        for side in _sides(study)
    ]
    if first == last or not all(rows for pair in sides for rows in pair):
        return _missing(claim, benchmark, "a transformer and a ResNet, each with two shares of data")
    point, draws = study.points[benchmark], study.resampled[benchmark]
    gains = [(point[late].mean() - point[early].mean()) for early, late in sides]
    drawn = [(draws[:, late].mean(axis=1) - draws[:, early].mean(axis=1)) for early, late in sides]
    found = _estimate(float(gains[0] - gains[1]), drawn[0] - drawn[1], study.samples[benchmark])
    words = f"gain in accuracy from {first} to {last}, transformers minus ResNets"
    return Finding(claim, benchmark, words, found, _verdict(found, wanted=1))


def _second_is_ahead(claim: Claim, pair: tuple[str, str], study: Study, measure: str) -> Finding:
    """The second row minus the first, on the same images; trainings of a row are averaged and their luck counted."""
    rows = [study.positions(name) for name in pair]
    if not all(rows) or measure not in ("retention", *study.benchmarks):
        return _missing(claim.text, measure, f"{pair[1]} and {pair[0]} on clean and corrupted images")
    if measure == "retention" and "corrupted" not in study.benchmarks:
        return _missing(claim.text, measure, "corrupted images (--suite)")
    found = study.difference(measure, *rows)
    trainings = "" if len(rows[0]) == len(rows[1]) == 1 else f", {len(rows[1])} and {len(rows[0])} trainings"
    words = f"{pair[1]} minus {pair[0]}{trainings}"
    if found is None:
        return Finding(claim.text, measure, f"{words}: not defined, a clean score is 0", None, "cannot be told")
    return Finding(claim.text, measure, words, found, _verdict(found, wanted=1))


CHECKS: dict[str, Callable[[str, Study, str], Finding]] = {
    "slope": _slope,
    "little": _little,
    "much": _much,
    "data": _data,
}
"""How a claim is looked for."""


def _sides(study: Study) -> tuple[list[str], list[str]]:
    """Families that are transformers, and the others."""
    transformers = [family for family in study.families if family.lower().startswith(TRANSFORMERS)]
    return transformers, [family for family in study.families if family not in transformers]


def _errors(study: Study, benchmark: str, rows: list[int]) -> tuple[np.ndarray, np.ndarray]:
    return 1 - study.points[benchmark][rows], 1 - study.resampled[benchmark][:, rows]


def _estimate(value: float, draws: np.ndarray, samples: int) -> Estimate:
    found = estimate(value, draws, samples=samples, span=(-1.0, 1.0))
    if found is None:
        raise UserError("The study holds an accuracy that is no number.")
    return found


def _missing(claim: str, benchmark: str, needed: str) -> Finding:
    return Finding(claim, benchmark, f"needs {needed}", None, "not measured")


def _with(share: str) -> str:
    return f" with {share} of the data" if share else ""


def _verdict(found: Estimate, *, wanted: int) -> str:
    """Against 0, by the interval."""
    if found.low <= 0 <= found.high:
        return "cannot be told"
    return "seen" if (found.value > 0) == (wanted > 0) else "the opposite was seen"
