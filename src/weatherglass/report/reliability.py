"""Reliability diagrams: how often a model is right when it is so sure, by severity."""

from collections import defaultdict
from dataclasses import dataclass

import numpy as np

from weatherglass.evaluation.runs import Run

BINS = 10
SMALLEST_BIN = 10
"""A bin with fewer predictions than this is not drawn: its accuracy would be noise."""


@dataclass
class ReliabilityBins:
    """Sums over predictions, by bin of confidence; equal widths over [0, 1]."""

    predictions: np.ndarray
    right: np.ndarray
    confidence: np.ndarray

    @classmethod
    def empty(cls) -> "ReliabilityBins":
        return cls(np.zeros(BINS), np.zeros(BINS), np.zeros(BINS))

    def add(self, confidence: np.ndarray, correct: np.ndarray) -> None:
        """Count the predictions of one more condition."""
        bins = np.clip(np.ceil(confidence.astype(np.float64) * BINS).astype(int) - 1, 0, BINS - 1)
        self.predictions += np.bincount(bins, minlength=BINS)
        self.right += np.bincount(bins, weights=correct, minlength=BINS)
        self.confidence += np.bincount(bins, weights=confidence.astype(np.float64), minlength=BINS)


def reliability_by_severity(run: Run, conditions: list[tuple[str, float]]) -> dict[float, ReliabilityBins]:
    """Bins for every severity (0 is clean) over the named conditions, reading one condition at a time."""
    bins: dict[float, ReliabilityBins] = defaultdict(ReliabilityBins.empty)
    for text, severity in conditions:
        seen = run.store.observations(run.records[text].key, ["rank", "confidence"])
        bins[severity].add(seen.columns["confidence"], seen.correct)
    return dict(sorted(bins.items()))


def reliability_rows(bins: dict[float, ReliabilityBins]) -> list[dict[str, object]]:
    """One mark a severity and bin with enough predictions, for `figures.reliability`."""
    rows: list[dict[str, object]] = []
    for severity, sums in bins.items():
        level = level_name(severity)
        for i in np.flatnonzero(sums.predictions >= SMALLEST_BIN):
            confidence = sums.confidence[i] / sums.predictions[i]
            accuracy = sums.right[i] / sums.predictions[i]
            tip = f"{level}: {confidence:.0%} sure, {accuracy:.0%} right ({int(sums.predictions[i]):,} predictions)"
            rows.append({"level": level, "confidence": confidence, "accuracy": accuracy, "tip": tip})
    return rows


@dataclass(frozen=True)
class Confident:
    """What becomes of the answers that a model is very sure of, at one severity."""

    severity: float
    share: float
    """Of all answers, those in the highest bin of confidence (over 90%)."""
    wrong: float | None
    """Of those, the wrong ones; None where there are too few."""


def confident_answers(bins: dict[float, ReliabilityBins]) -> list[Confident]:
    """The highest bin of confidence at every severity: a wrong answer in it is one that no threshold will catch."""
    answers = []
    for severity, sums in bins.items():
        sure = sums.predictions[-1]
        wrong = 1 - sums.right[-1] / sure if sure >= SMALLEST_BIN else None
        answers.append(Confident(severity, float(sure / sums.predictions.sum()), wrong))
    return answers


def level_name(severity: float) -> str:
    """'clean' or 'severity 3'."""
    return "clean" if severity == 0 else f"severity {severity:g}"
