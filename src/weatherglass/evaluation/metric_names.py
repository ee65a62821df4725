"""The names that numbers of a run have, measured or not: what a rule of a gate may ask for."""

from weatherglass.analysis.names import MODEL_DISTURBANCES
from weatherglass.attacks.names import SPATIAL
from weatherglass.corruptions.perturbations import PERTURBATIONS
from weatherglass.corruptions.severity import CORRUPTIONS
from weatherglass.corruptions.suites import SUITES
from weatherglass.evaluation.estimates import headlines
from weatherglass.tasks.task import task_named

_WITHOUT_SEVERITY = (*SPATIAL, *MODEL_DISTURBANCES, "moved")
"""Disturbances whose text has no '@'."""


def metric_names(task: str) -> set[str]:
    """Every name of `Summary.metrics` that a run of this task can have, but for those of single conditions."""
    names = {*headlines(task), *CORRUPTIONS, *(corruption.family for corruption in CORRUPTIONS.values())}
    names |= {f"{mean}.{suite}" for mean in ("corrupted", "retention") for suite in SUITES}
    if task_named(task).counts_images:
        names |= {f"{ratio}.{name}" for ratio in ("ce", "relative_ce") for name in CORRUPTIONS}
        names |= {"flips", "mfr", "mt5d", *(f"flips.{name}" for name in PERTURBATIONS)}
    return names


def is_condition(metric: str, task: str) -> bool:
    """Whether the name is that of one condition, or of a score or the drop under one: 'fog@3', 'top5.pgd@8/255',
    'lesion:blocks.3'."""
    score, dot, condition = metric.partition(".")
    if dot and score in (*task_named(task).scores, "drop"):
        metric = condition
    return "@" in metric or metric.partition(":")[0] in _WITHOUT_SEVERITY
