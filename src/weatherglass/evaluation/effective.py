"""Effective robustness: what a model keeps under a shift beyond what its clean accuracy lets one expect.

Taori et al., "Measuring Robustness to Natural Distribution Shifts in Image Classification" (NeurIPS 2020), section 2:
over many models, accuracy under a shift is nearly a line in clean accuracy when both are on the logit scale. The line
goes through baseline models; what a model keeps beyond it, as a difference of accuracies, is its effective robustness.
"""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float

from weatherglass.errors import UserError
from weatherglass.evaluation.runs import Run
from weatherglass.metrics.intervals import Bootstrap, Estimate, estimate
from weatherglass.metrics.robustness import RobustnessLine, fit_robustness_line

FEWEST_BASELINES = 3


@dataclass(frozen=True)
class Measurement:
    """What is looked up in a run: a data set and a condition."""

    data: str
    """The name of the data or a part of it."""
    condition: str = "clean"

    @classmethod
    def parse(cls, text: str) -> "Measurement":
        """'DATA' or 'DATA::CONDITION', e.g. 'cifar10_test::fog@3'."""
        data, _, condition = text.partition("::")
        return cls(data, condition or "clean")

    def __str__(self) -> str:
        return self.data if self.condition == "clean" else f"{self.data}::{self.condition}"

    def of(self, runs: Sequence[Run]) -> list[Run]:
        """The runs that hold it: on data of that very name, else on data with it in the name; of those that share the
        cell (the clean one belongs to runs of every re-encoding), the first."""
        by_cell: dict[str, Run] = {}
        for run in runs:
            if self.condition in run.records:
                by_cell.setdefault(run.records[self.condition].key, run)
        there = list(by_cell.values())
        return [run for run in there if run.data == self.data] or [run for run in there if self.data in run.data]


@dataclass(frozen=True)
class EffectiveRobustness:
    """One model beside the line."""

    model: str
    clean: Estimate
    shifted: Estimate
    expected: float
    """Accuracy under the shift that the line gives for its clean accuracy."""
    effective: Estimate
    """Shifted minus expected, a difference of accuracies; positive is better."""
    baseline: bool
    """Whether the line goes through it, which draws the line towards it."""


@dataclass(frozen=True)
class RobustnessStudy:
    """Models on one shift, and their line."""

    clean: str
    shift: str
    line: RobustnessLine
    models: tuple[EffectiveRobustness, ...]
    """By effective robustness, the largest first."""
    images: tuple[int, int]
    """Clean and shifted ones that all models saw."""
    left_out: tuple[str, ...]
    """Models that lack one of the two measurements."""


def effective_robustness(
    runs: Sequence[Run],
    clean: Measurement,
    shift: Measurement,
    *,
    baselines: Sequence[str] = (),
    resamples: int = 1000,
    level: float = 0.95,
    seed: int = 0,
) -> RobustnessStudy:
    """Fit the line through `baselines` (names or parts of names; default: all models) and measure every model by it.

    Intervals: percentile bootstrap over both sets of images; in each resample the line is fitted again, so they hold
    for these baselines and other images of the same kind. Raises `UserError` where a measurement is not stored, the
    outputs that compete differ, or fewer than three baselines are left.
    """
    pairs, left_out = _pairs(runs, clean, shift)
    models = list(pairs)
    inside = _baselines(models, baselines)
    right = [
        _right([pair[side] for pair in pairs.values()], where.condition) for side, where in enumerate((clean, shift))
    ]
    rates = [rows.mean(axis=1) for rows in right]
    # Conditions of one data set share their images, and so their resamples.
    paired = all(_images(one) == _images(other) for one, other in pairs.values())
    drawn = [
        Bootstrap(rows.shape[1], resamples, seed if paired else seed + side).means(rows)
        for side, rows in enumerate(right)
    ]
    try:
        line = fit_robustness_line(rates[0][inside], rates[1][inside])
    except ValueError as error:
        raise UserError(f"No line can be fitted: {error}.") from error
    residuals = _resampled_residuals(drawn[0], drawn[1], inside)
    found = []
    for row, model in enumerate(models):
        ends = [
            estimate(float(rates[side][row]), drawn[side][:, row], samples=right[side].shape[1], level=level)
            for side in (0, 1)
        ]
        expected = float(line.expected(rates[0][row]))
        value = float(rates[1][row]) - expected
        beyond = estimate(value, residuals[:, row], samples=right[1].shape[1], level=level, span=(-1.0, 1.0))
        assert ends[0] is not None
        assert ends[1] is not None
        assert beyond is not None  # accuracies of at least one image, and a line of finite coefficients
        found.append(EffectiveRobustness(model, ends[0], ends[1], expected, beyond, bool(inside[row])))
    found.sort(key=lambda one: -one.effective.value)
    sizes = (right[0].shape[1], right[1].shape[1])
    return RobustnessStudy(str(clean), str(shift), line, tuple(found), sizes, tuple(left_out))


def _pairs(runs: Sequence[Run], clean: Measurement, shift: Measurement) -> tuple[dict[str, tuple[Run, Run]], list[str]]:
    """For each model its run with the clean measurement and its run with the shifted one, and who lacks one."""
    held = {where: where.of(runs) for where in (clean, shift)}
    for where, found in held.items():
        if not found:
            there = ", ".join(sorted({run.data for run in runs}))
            raise UserError(f"No stored run holds '{where}'. Data there: {there}. Write DATA or DATA::CONDITION.")
        names = sorted({run.data for run in found})
        if len(names) > 1:
            raise UserError(f"'{where}' means several data sets: {', '.join(names)}. Write more of the name.")
        twice = [model for model, times in Counter(run.model for run in found).items() if times > 1]
        if twice:
            raise UserError(
                f"{twice[0]} has several runs on {names[0]}, under different protocols. Keep them in separate stores."
            )
    by_model = [{run.model: run for run in found} for found in (held[clean], held[shift])]
    pairs = {model: (run, by_model[1][model]) for model, run in by_model[0].items() if model in by_model[1]}
    for model, (one, other) in pairs.items():
        if one.protocol.classes != other.protocol.classes:
            raise UserError(
                f"{model} decided among '{one.protocol.classes}' on {one.data} and among '{other.protocol.classes}' on "
                f"{other.data}. Measure both with the same --outputs."
            )
    return pairs, sorted(by_model[0].keys() ^ by_model[1].keys())


def _images(run: Run) -> tuple[str, str, str]:
    return run.data, run.protocol.data, run.protocol.selection


def _baselines(models: Sequence[str], wanted: Sequence[str]) -> Bool[np.ndarray, " models"]:
    for part in wanted:
        if not any(part in model for model in models):
            raise UserError(f"No model matches the baseline '{part}'. Models measured twice: {', '.join(models)}.")
    inside = np.array([not wanted or any(part in model for part in wanted) for model in models], dtype=bool)
    if inside.sum() < FEWEST_BASELINES:
        raise UserError(
            f"The line needs at least {FEWEST_BASELINES} models that were measured clean and shifted; there are "
            f"{int(inside.sum())}. Measure more models, or name more baselines."
        )
    return inside


def _right(runs: Sequence[Run], condition: str) -> Bool[np.ndarray, "models samples"]:
    """Which images each model got right, on the images that all of them saw."""
    seen = [run.observations(condition) for run in runs]
    shared = set(seen[0].ids).intersection(*(one.ids for one in seen[1:]))
    if not shared:
        raise UserError(f"The runs on {runs[0].data} have no image in common; measure all models on the same subset.")
    rows = []
    for one in seen:
        kept = [position for position, sample in enumerate(one.ids) if sample in shared]
        kept.sort(key=lambda position: one.ids[position])
        rows.append(one.correct[kept])
    return np.stack(rows)


def _resampled_residuals(
    clean: Float[np.ndarray, "resamples models"],
    shifted: Float[np.ndarray, "resamples models"],
    inside: Bool[np.ndarray, " models"],
) -> Float[np.ndarray, "resamples models"]:
    residuals = np.full(clean.shape, np.nan)
    for row, (x, y) in enumerate(zip(clean, shifted, strict=True)):
        try:
            residuals[row] = fit_robustness_line(x[inside], y[inside]).effective_robustness(x, y)
        except ValueError:  # all baselines alike in this resample: no line, and no residual
            continue
    return residuals
