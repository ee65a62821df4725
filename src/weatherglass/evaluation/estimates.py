"""What is said of a run: records of estimates with intervals. Rates and ratios are fractions; mCE 1.0 prints as 100."""

from dataclasses import dataclass

from weatherglass.evaluation.grid import Grid
from weatherglass.metrics.intervals import Estimate


@dataclass(frozen=True, kw_only=True)
class ConditionSummary:
    """One condition of a run."""

    disturbance: str
    kind: str
    family: str
    severity: float | None
    top1: Estimate
    top5: Estimate
    drop: Estimate | None
    """Clean top-1 minus this top-1; None without a clean cell and for the clean cell itself."""
    ece: Estimate
    nll: Estimate
    brier: Estimate


@dataclass(frozen=True, kw_only=True)
class KindSummary:
    """One corruption of a run over its severities."""

    kind: str
    family: str
    top1: Estimate
    """Mean over the measured severities."""
    corruption_error: Estimate | None
    """CE against the reference, all five severities; None without a reference."""
    relative_corruption_error: Estimate | None
    first_failure: tuple[float, ...] | None
    """Shares of the images whose smallest failing severity is 0 (wrong when clean), each of the grid's severities,
    and none of them; they sum to 1. None where the clean cell or a severity is missing."""
    missing: tuple[str, ...] = ()
    """Severities that were not measured; the mean is then over the others."""


@dataclass(frozen=True, kw_only=True)
class ClassDamage:
    """One class: what it loses under corruption."""

    index: int
    name: str
    samples: int
    clean: Estimate | None
    corrupted: Estimate
    drop: Estimate | None
    """Clean minus corrupted accuracy."""


@dataclass(frozen=True, kw_only=True)
class SuiteSummary:
    """Mean corrupted accuracy over one published suite, all of whose conditions the run holds."""

    corrupted: Estimate
    retention: Estimate | None


@dataclass(frozen=True, kw_only=True)
class SequenceResult:
    """One sequence of slightly different versions of every image: how the prediction changes along it."""

    disturbance: str
    perturbation: str
    """E.g. 'tilt'."""
    flips: Estimate
    """FP: share of the steps at which the prediction changes."""
    top5_distance: Estimate
    """T5D: places by which the five best classes move in a step, added up; 0..15."""
    flip_rate: Estimate | None
    """FR: flips over those of the reference; None without one that flips."""
    top5_rate: Estimate | None


@dataclass(frozen=True, kw_only=True)
class SequenceSummary:
    """All sequences of a run at one difficulty."""

    difficulty: int
    results: tuple[SequenceResult, ...]
    suite: str | None
    """The suite that these sequences are, e.g. 'imagenet-p'; None for any others."""
    flips: Estimate
    """Mean over the sequences."""
    top5_distance: Estimate
    mean_flip_rate: Estimate | None
    """mFR: mean of the flip rates; 1.0 is printed as 100."""
    mean_top5_rate: Estimate | None
    """mT5D, likewise."""
    reference: str | None
    reason: str
    """Why that reference, or why none."""


@dataclass(frozen=True, kw_only=True)
class Summary:
    """Everything a table, a page or a gate says of one run. A number that cannot be given is None, and `absent`
    says why."""

    run: str
    """'store::model', as the command line takes it."""
    key: str
    model: str
    data: str
    samples: int
    parameters: int
    level: float
    """Confidence of every interval, e.g. 0.95."""
    resamples: int
    grid: Grid
    top1: Estimate | None
    """Clean top-1 accuracy."""
    top5: Estimate | None
    """Clean top-5 accuracy."""
    corrupted: Estimate | None
    """Mean corrupted accuracy over the grid; where the grid has holes (`partial`), over the cells there are."""
    corrupted_top5: Estimate | None
    partial: bool
    """Whether cells of the grid are missing, so that `corrupted` and what follows from it are provisional."""
    retention: Estimate | None
    mce: Estimate | None
    """Mean corruption error over the fifteen main corruptions at five severities; 1.0 equals the reference."""
    relative_mce: Estimate | None
    reference: str | None
    """Whose errors divide CE and mCE."""
    reference_reason: str
    """Why that reference, or why none."""
    effective_robustness: Estimate | None
    baselines: tuple[str, ...]
    """Models through which the line of effective robustness goes."""
    ece: Estimate | None
    nll: Estimate | None
    brier: Estimate | None
    """Clean calibration error, negative log-likelihood (nats) and Brier score."""
    ece_corrupted: Estimate | None
    nll_corrupted: Estimate | None
    brier_corrupted: Estimate | None
    """The same, mean over the grid like `corrupted`."""
    conditions: dict[str, ConditionSummary]
    """By the text of the disturbance, 'clean' first."""
    kinds: dict[str, KindSummary]
    families: dict[str, Estimate]
    """Family of corruptions -> mean top-1 over its corruptions in the grid."""
    suites: dict[str, SuiteSummary]
    """Every published suite that the run covers."""
    classes: tuple[ClassDamage, ...]
    """In label order; classes without images are left out."""
    first_failure: tuple[float, ...] | None
    """Mean over the corruptions of `KindSummary.first_failure`."""
    worst: tuple[str, ...]
    """Disturbed conditions by ascending accuracy, at most ten."""
    absent: dict[str, str]
    """Name of a metric that is None -> the reason."""
    notes: tuple[str, ...]
    """What a reader must know before quoting these numbers."""
    sequences: SequenceSummary | None = None
    """Flips and top-5 distances at difficulty 1, where sequences were measured."""

    @property
    def metrics(self) -> dict[str, Estimate]:
        """Every estimate under one flat name: 'top1', 'mce', 'fog@3', 'fog', 'ce.fog', 'drop.fog@3', 'weather',
        'corrupted.fan17' ... The names that rules and exports use."""
        named: dict[str, Estimate | None] = {name: getattr(self, name) for name in HEADLINE}
        for text, condition in self.conditions.items():
            named[text] = condition.top1
            for name in ("drop", "top5", "ece", "nll", "brier"):
                named[f"{name}.{text}"] = getattr(condition, name)
        for name, kind in self.kinds.items():
            named[name] = kind.top1
            named[f"ce.{name}"] = kind.corruption_error
            named[f"relative_ce.{name}"] = kind.relative_corruption_error
        named |= self.families
        for name, suite in self.suites.items():
            named[f"corrupted.{name}"] = suite.corrupted
            named[f"retention.{name}"] = suite.retention
        if self.sequences is not None:
            named |= {"mfr": self.sequences.mean_flip_rate, "mt5d": self.sequences.mean_top5_rate}
            named |= {"flips": self.sequences.flips}
            named |= {f"flips.{each.perturbation}": each.flips for each in self.sequences.results}
        return {name: estimate for name, estimate in named.items() if estimate is not None}


HEADLINE: dict[str, str] = {
    "top1": "clean top-1 accuracy",
    "top5": "clean top-5 accuracy",
    "corrupted": "mean corrupted accuracy",
    "corrupted_top5": "mean corrupted top-5 accuracy",
    "retention": "retention",
    "mce": "mCE",
    "relative_mce": "relative mCE",
    "effective_robustness": "effective robustness",
    "ece": "clean calibration error",
    "nll": "clean negative log-likelihood",
    "brier": "clean Brier score",
    "ece_corrupted": "mean corrupted calibration error",
    "nll_corrupted": "mean corrupted negative log-likelihood",
    "brier_corrupted": "mean corrupted Brier score",
}
"""Fields of `Summary` that hold one estimate -> what they are called in text."""

LOWER_IS_BETTER = frozenset({"mce", "relative_mce", "ece", "nll", "brier", "ece_corrupted", "nll_corrupted"}) | {
    *("brier_corrupted", "flips", "mfr", "mt5d")
}
"""Headline metrics of which less is better."""
