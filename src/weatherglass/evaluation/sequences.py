"""How stable the predictions of a run are along its sequences: flips, top-5 distance, and both against a reference."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from jaxtyping import Float

from weatherglass.corruptions.perturbations import PERTURBATION_SUITES, PERTURBATIONS
from weatherglass.errors import UserError
from weatherglass.evaluation.estimates import SequenceResult, SequenceSummary
from weatherglass.evaluation.reference import Reference
from weatherglass.evaluation.runs import Run
from weatherglass.metrics.alexnet import FLIP_PROBABILITY, REFERENCE_NAME
from weatherglass.metrics.flips import flips, top5_distances
from weatherglass.metrics.intervals import Bootstrap, Estimate, estimate
from weatherglass.types import SEQUENCES

LARGEST_DISTANCE = 15.0
"""Top-5 distance of two lists without a common class."""

Rows = Float[np.ndarray, " rows"]
"""The estimate, then one value a resample."""


@dataclass(frozen=True)
class _Divisor:
    """Flips and top-5 distances of the reference, by perturbation: (1,) as published, (1 + resamples,) of a run."""

    name: str | None
    reason: str
    flips: Mapping[str, Rows]
    distances: Mapping[str, Rows]


def sequence_summary(
    run: Run,
    *,
    difficulty: int = 1,
    reference: Run | Literal["alexnet"] | None = None,
    resamples: int = 1000,
    level: float = 0.95,
) -> SequenceSummary | None:
    """Flips and top-5 distances of every sequence that the run holds; None where it holds none.

    `difficulty` 2 or 3 reads the stronger noise, and of the other sequences frames so many apart. `reference` is a run
    on the same images, or the published flips of AlexNet. Intervals: percentile bootstrap over the images, with the
    same resamples for both runs. Raises `UserError` where the reference saw other images.
    """
    if difficulty not in (1, 2, 3):
        raise UserError(f"The difficulty of sequences is 1, 2 or 3, got {difficulty}.")
    cells = _cells(run, difficulty)
    if not cells:
        return None
    samples = next(iter(run.sequences.values())).protocol.samples
    bootstrap = Bootstrap(samples, resamples)
    rows = {name: _rows(run, text, name, difficulty, bootstrap) for name, text in cells.items()}
    divisor = _divisor(run, reference, difficulty, bootstrap)

    def rate(values: Rows | None) -> Estimate | None:
        if values is None:
            return None
        return estimate(float(values[0]), values[1:], samples=samples, level=level, span=None)

    def mean(values: Rows, top: float) -> Estimate:
        found = estimate(float(values[0]), values[1:], samples=samples, level=level, span=(0.0, top))
        assert found is not None  # a mean of at least one image is a number
        return found

    rates = {name: _ratio(pair[0], divisor.flips.get(name)) for name, pair in rows.items()}
    distances = {name: _ratio(pair[1], divisor.distances.get(name)) for name, pair in rows.items()}
    return SequenceSummary(
        difficulty=difficulty,
        results=tuple(
            SequenceResult(
                disturbance=cells[name],
                perturbation=name,
                flips=mean(flipped, 1.0),
                top5_distance=mean(moved, LARGEST_DISTANCE),
                flip_rate=rate(rates[name]),
                top5_rate=rate(distances[name]),
            )
            for name, (flipped, moved) in rows.items()
        ),
        suite=next((name for name, suite in PERTURBATION_SUITES.items() if set(suite.names) == set(cells)), None),
        flips=mean(np.mean([flipped for flipped, _ in rows.values()], axis=0), 1.0),
        top5_distance=mean(np.mean([moved for _, moved in rows.values()], axis=0), LARGEST_DISTANCE),
        mean_flip_rate=rate(_mean(rates)),
        mean_top5_rate=rate(_mean(distances)),
        reference=divisor.name,
        reason=divisor.reason,
    )


def sequence_rows(
    run: Run, metric: str, reference: Run | Literal["alexnet"] | None, resamples: int = 1000
) -> Rows | None:
    """'flips', 'flips.tilt', 'mfr' or 'mt5d' at difficulty 1, with resamples that all runs on the same images share.

    None where the run, or for a rate the reference, does not hold it.
    """
    name, _, perturbation = metric.partition(".")
    cells = {each: text for each, text in _cells(run, 1).items() if perturbation in ("", each)}
    if not cells:
        return None
    bootstrap = Bootstrap(next(iter(run.sequences.values())).protocol.samples, resamples)
    side = 1 if name == "mt5d" else 0  # of flips and distances
    rows = {each: _rows(run, text, each, 1, bootstrap)[side] for each, text in cells.items()}
    if name == "flips":
        return np.mean(list(rows.values()), axis=0)
    divisor = _divisor(run, reference, 1, bootstrap)
    there = divisor.distances if side else divisor.flips
    return _mean({each: _ratio(values, there.get(each)) for each, values in rows.items()})


def reference_of_sequences(divisor: Reference) -> Run | Literal["alexnet"] | None:
    """Whose flips divide where these errors do: the same run, or AlexNet as published."""
    return divisor.run or ("alexnet" if divisor.name == REFERENCE_NAME else None)


def _cells(run: Run, difficulty: int) -> dict[str, str]:
    """Perturbation -> the cell that holds it at this difficulty, in the order of the catalog."""
    found = {}
    for name, perturbation in PERTURBATIONS.items():
        harder = f",difficulty={difficulty}" if difficulty > 1 and perturbation.noise else ""
        if (text := f"{SEQUENCES}:{name}{harder}") in run.records:
            found[name] = text
    return found


def _rows(run: Run, text: str, name: str, difficulty: int, bootstrap: Bootstrap) -> tuple[Rows, Rows]:
    """Flips and top-5 distance of one cell, each with its resamples."""
    best = run.store.observations(run.records[text].key, ["best"]).columns["best"].swapaxes(0, 1)
    noise = PERTURBATIONS[name].noise
    step = 1 if noise else difficulty
    of_each = np.stack(
        [
            flips(best[..., 0], noise=noise, step=step).mean(axis=0),
            top5_distances(best, noise=noise, step=step).mean(axis=0),
        ]
    )  # quantity sample
    table = np.vstack([of_each.mean(axis=1), bootstrap.means(of_each)])
    return table[:, 0], table[:, 1]


def _divisor(run: Run, reference: Run | Literal["alexnet"] | None, difficulty: int, bootstrap: Bootstrap) -> _Divisor:
    if isinstance(reference, Run):
        return _stored(run, reference, difficulty, bootstrap)
    if reference is None:
        return _Divisor(None, "Flip rates need a reference: a run that holds the same sequences.", {}, {})
    if difficulty > 1:
        return _Divisor(None, "AlexNet's flips are known at difficulty 1 alone.", {}, {})
    return _Divisor(
        REFERENCE_NAME,
        "AlexNet's flips were measured on the released videos, whose frames are compressed and cut from a larger "
        "picture; its top-5 distances are not published.",
        {name: np.array([rate]) for name, rate in FLIP_PROBABILITY.items()},
        {},
    )


def _stored(run: Run, reference: Run, difficulty: int, bootstrap: Bootstrap) -> _Divisor:
    if (reference.protocol.data, reference.protocol.selection) != (run.protocol.data, run.protocol.selection):
        raise UserError(f"The reference '{reference.name}' was measured on other images than '{run.name}'.")
    cells = _cells(reference, difficulty)
    rows = {name: _rows(reference, text, name, difficulty, bootstrap) for name, text in cells.items()}
    if not rows:
        return _Divisor(None, f"The reference {reference.model} holds no sequences.", {}, {})
    return _Divisor(
        reference.model,
        "The reference is the stored run that was named.",
        {name: pair[0] for name, pair in rows.items()},
        {name: pair[1] for name, pair in rows.items()},
    )


def _ratio(values: Rows, divisor: Rows | None) -> Rows | None:
    """None without a reference, or where it never flips; resamples in which it never flips are undefined."""
    if divisor is None or divisor[0] == 0:
        return None
    divisor = np.broadcast_to(divisor, values.shape)
    return np.divide(values, divisor, out=np.full(values.shape, np.nan), where=divisor > 0)


def _mean(rates: Mapping[str, Rows | None]) -> Rows | None:
    """The mean over the sequences; None where one of them has no rate."""
    there: Sequence[Rows] = [rate for rate in rates.values() if rate is not None]
    return np.mean(there, axis=0) if there and len(there) == len(rates) else None
