"""What is said of a run: records of estimates with intervals. Rates and ratios are fractions; mCE 1.0 prints as 100."""

from dataclasses import dataclass

from weatherglass.evaluation.grid import Grid
from weatherglass.metrics.intervals import Estimate
from weatherglass.tasks.task import task_named


@dataclass(frozen=True, kw_only=True)
class ConditionSummary:
    """One condition of a run."""

    disturbance: str
    kind: str
    family: str
    severity: float | None
    score: Estimate
    """The headline of the task: top-1 accuracy, mIoU."""
    others: dict[str, Estimate]
    """The other scores of the task by name: 'top5', 'ece', 'nll', 'brier'; 'pixel_accuracy' ..."""
    drop: Estimate | None
    """Clean headline minus this one; None without a clean cell and for the clean cell itself."""

    @property
    def top1(self) -> Estimate:
        """The headline under the name it has for classification."""
        return self.score


@dataclass(frozen=True, kw_only=True)
class KindSummary:
    """One corruption of a run over its severities."""

    kind: str
    family: str
    score: Estimate
    """Mean of the headline over the measured severities."""
    corruption_error: Estimate | None
    """CE against the reference, all five severities; None without a reference."""
    relative_corruption_error: Estimate | None
    first_failure: tuple[float, ...] | None
    """Shares of the images whose smallest failing severity is 0 (wrong when clean), each of the grid's severities,
    and none of them; they sum to 1. None where the clean cell or a severity is missing."""
    missing: tuple[str, ...] = ()
    """Severities that were not measured; the mean is then over the others."""

    @property
    def top1(self) -> Estimate:
        """The headline under the name it has for classification."""
        return self.score


@dataclass(frozen=True, kw_only=True)
class ClassDamage:
    """One class: what it loses under corruption, in accuracy or IoU."""

    index: int
    name: str
    samples: int
    """Images of it; for segmentation, images that hold it."""
    clean: Estimate | None
    corrupted: Estimate
    drop: Estimate | None
    """Clean minus corrupted."""


@dataclass(frozen=True, kw_only=True)
class SuiteSummary:
    """Mean corrupted score over one published suite, all of whose conditions the run holds."""

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
    task: str
    """'classification', 'segmentation'; names the scores (`tasks`)."""
    model: str
    data: str
    samples: int
    parameters: int
    level: float
    """Confidence of every interval, e.g. 0.95."""
    resamples: int
    grid: Grid
    clean: Estimate | None
    """Clean headline: top-1 accuracy, mIoU."""
    corrupted: Estimate | None
    """Mean corrupted headline over the grid; where the grid has holes (`partial`), over the cells there are."""
    clean_others: dict[str, Estimate]
    """The other scores of the clean cell by name, where it was measured."""
    corrupted_others: dict[str, Estimate]
    """The same, mean over the grid like `corrupted`."""
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
    conditions: dict[str, ConditionSummary]
    """By the text of the disturbance, 'clean' first."""
    kinds: dict[str, KindSummary]
    families: dict[str, Estimate]
    """Family of corruptions -> mean headline over its corruptions in the grid."""
    suites: dict[str, SuiteSummary]
    """Every published suite that the run covers."""
    classes: tuple[ClassDamage, ...]
    """In label order; classes without images are left out."""
    first_failure: tuple[float, ...] | None
    """Mean over the corruptions of `KindSummary.first_failure`."""
    worst: tuple[str, ...]
    """Disturbed conditions by ascending headline, at most ten."""
    absent: dict[str, str]
    """Name of a metric that is None -> the reason."""
    notes: tuple[str, ...]
    """What a reader must know before quoting these numbers."""
    sequences: SequenceSummary | None = None
    """Flips and top-5 distances at difficulty 1, where sequences were measured."""

    @property
    def headline(self) -> str:
        """Name of the headline score: 'top1', 'miou'."""
        return task_named(self.task).headline

    @property
    def measure(self) -> str:
        """The headline in running text: 'accuracy', 'mIoU'."""
        return task_named(self.task).measure

    @property
    def top1(self) -> Estimate | None:
        """Clean top-1 accuracy; None for other tasks."""
        return self.clean if self.headline == "top1" else None

    @property
    def run_metrics(self) -> dict[str, Estimate | None]:
        """Every number of the run as a whole by its name in `headlines`; None where it cannot be given."""
        task = task_named(self.task)
        named: dict[str, Estimate | None] = {name: getattr(self, name) for name in _OF_EVERY_TASK}
        named[task.headline] = self.clean
        for name in task.scores:
            if name != task.headline:
                named[name] = self.clean_others.get(name)
                named[corrupted_name(name)] = self.corrupted_others.get(name)
        return {name: named[name] for name in headlines(self.task)}

    @property
    def metrics(self) -> dict[str, Estimate]:
        """Every estimate under one flat name: 'top1', 'mce', 'fog@3', 'fog', 'ce.fog', 'drop.fog@3', 'weather',
        'corrupted.fan17' ... The names that rules and exports use."""
        named = dict(self.run_metrics)
        for text, condition in self.conditions.items():
            named[text] = condition.score
            named[f"drop.{text}"] = condition.drop
            named |= {f"{name}.{text}": found for name, found in condition.others.items()}
        for name, kind in self.kinds.items():
            named[name] = kind.score
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

    def __getattr__(self, name: str) -> Estimate | None:
        """Numbers of the run by name, for its task: `ece`, `nll_corrupted`, `corrupted_top5`, `pixel_accuracy` ..."""
        if name.startswith("_") or name not in headlines(self.task):
            raise AttributeError(f"A summary of {self.__dict__.get('task')} has no '{name}'.")
        return self.run_metrics[name]


_OF_EVERY_TASK = {
    "corrupted": "",
    "retention": "retention",
    "mce": "mCE",
    "relative_mce": "relative mCE",
    "effective_robustness": "effective robustness",
}


def headlines(task: str) -> dict[str, str]:
    """Numbers of a run as a whole, by name -> what they are called in text."""
    known = task_named(task)
    first, *others = known.scores.items()
    names = {first[0]: first[1].clean} | _OF_EVERY_TASK | {"corrupted": first[1].corrupted}
    names |= {name: score.clean for name, score in others}
    return names | {corrupted_name(name): score.corrupted for name, score in others}


def lower_is_better(metric: str, task: str) -> bool:
    """Whether less is better of a number of the run as a whole."""
    scores = task_named(task).scores.items()
    lower = {end for name, score in scores if score.lower_is_better for end in (name, corrupted_name(name))}
    return metric in {"mce", "relative_mce", "flips", "mfr", "mt5d"} | lower


def corrupted_name(score: str) -> str:
    """Name of a score's mean over the grid: 'ece_corrupted'; of the top-5 accuracy, 'corrupted_top5'."""
    return "corrupted_top5" if score == "top5" else f"{score}_corrupted"
