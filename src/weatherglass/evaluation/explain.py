"""Why two numbers differ: the protocol fields in which two runs disagree, and what is left when they agree."""

from dataclasses import dataclass

import numpy as np

from weatherglass.evaluation.protocol_words import FieldDifference, explained_differences
from weatherglass.evaluation.runs import Run
from weatherglass.evaluation.tables import listing
from weatherglass.tasks.task import task_named


@dataclass(frozen=True, kw_only=True)
class ConditionExplanation:
    """One condition that both runs hold."""

    disturbance: str
    first: float
    """Headline score of the first run."""
    second: float
    fields: tuple[FieldDifference, ...]
    """What differs in this condition beyond the fields of the whole run: the part of the disturbance."""
    changed: int | None
    """Images whose prediction differs; None where the images are not the same."""


@dataclass(frozen=True, kw_only=True)
class Explanation:
    """What makes the numbers of two runs differ."""

    first: str
    second: str
    same_protocol: bool
    """Whether every field agrees, the weights aside."""
    same_weights: bool
    fields: tuple[FieldDifference, ...]
    """Fields that differ in the whole run, those that matter most first."""
    conditions: dict[str, ConditionExplanation]
    only_first: tuple[str, ...]
    """Conditions that the second run lacks."""
    only_second: tuple[str, ...]
    sentences: tuple[str, ...]


def explain_diff(first: Run, second: Run) -> Explanation:
    """Which protocol fields, in the whole run and in each condition, make the numbers of two runs differ."""
    shared = [text for text in first.records if text in second.records]
    # The disturbance's part belongs to the condition; everything else agrees within a run.
    whole = tuple(f for f in explained_differences(first.protocol, second.protocol) if not _of_disturbance(f))
    conditions = {text: _condition(first, second, text) for text in shared}
    same_protocol = not any(f.weight != "model" for f in (*whole, *(f for c in conditions.values() for f in c.fields)))
    same_weights = first.protocol.weights == second.protocol.weights
    return Explanation(
        first=first.name,
        second=second.name,
        same_protocol=same_protocol,
        same_weights=same_weights,
        fields=whole,
        conditions=conditions,
        only_first=tuple(text for text in first.records if text not in shared),
        only_second=tuple(text for text in second.records if text not in shared),
        sentences=_sentences(whole, conditions, same_protocol, same_weights),
    )


def _condition(first: Run, second: Run, text: str) -> ConditionExplanation:
    a, b = first.records[text], second.records[text]
    headline = task_named(a.protocol.task).headline
    return ConditionExplanation(
        disturbance=text,
        first=a.scores.get(headline, float("nan")),
        second=b.scores.get(headline, float("nan")),
        fields=tuple(f for f in explained_differences(a.protocol, b.protocol) if _of_disturbance(f)),
        changed=_changed(first, second, text),
    )


def _changed(first: Run, second: Run, text: str) -> int | None:
    task = task_named(first.protocol.task)
    if second.protocol.task != task.name:
        return None
    columns = ["prediction"] if task.counts_images else list(task.kept)
    a, b = (run.store.observations(run.records[text].key, columns) for run in (first, second))
    if a.ids != b.ids or any(a.columns[name].shape != b.columns[name].shape for name in columns):
        return None
    differ = [_differing(a.columns[name], b.columns[name]) for name in columns]
    return int(np.any(differ, axis=0).sum())


def _differing(first: np.ndarray, second: np.ndarray) -> np.ndarray:
    """Samples whose kept numbers, or lists of numbers, are not the same."""
    if first.dtype == object:
        return np.array([not np.array_equal(one, other) for one, other in zip(first, second, strict=True)])
    return ((first != second) & ~((first != first) & (second != second))).reshape(len(first), -1).any(axis=1)


def _of_disturbance(difference: FieldDifference) -> bool:
    return difference.field.startswith("disturbance.")


def _sentences(
    whole: tuple[FieldDifference, ...],
    conditions: dict[str, ConditionExplanation],
    same_protocol: bool,
    same_weights: bool,
) -> tuple[str, ...]:
    if not conditions:
        return ("The runs have no condition in common, so there are no two numbers to explain.",)
    moved = [text for text, c in conditions.items() if c.first != c.second]
    sentences = [f"{len(moved)} of {len(conditions)} shared conditions have different scores."]
    if same_protocol:
        sentences.append("The protocols are equal.")
        sentences.append(_remaining(conditions, same_weights))
        return tuple(sentences)
    for weight, opening in _OPENINGS.items():
        names = dict.fromkeys(f.field for f in whole if f.weight == weight)
        names |= dict.fromkeys(f.field for c in conditions.values() for f in c.fields if f.weight == weight)
        if names:
            sentences.append(f"{opening}: {listing(list(names))}.")
    if not same_weights:
        sentences.append("The weights differ too, so the model's own part cannot be told from the protocol's.")
    return tuple(sentences)


_OPENINGS = {
    "decisive": "The numbers answer different questions and must not stand in one table",
    "preparation": "The models saw differently prepared images; fair only where each uses its own preprocessing",
    "rounding": "Roundings differ; expect changes in a few images near a decision boundary",
}


def _remaining(conditions: dict[str, ConditionExplanation], same_weights: bool) -> str:
    """What is left to explain a difference when the protocols are equal."""
    if not same_weights:
        return "What remains is the model itself: the weights differ."
    changed = [text for text, c in conditions.items() if c.changed or c.first != c.second]
    if not changed:
        return "The weights are equal too, and so is every prediction: these are the same measurement."
    return (
        f"The weights are equal too, and yet predictions differ in {len(changed)} conditions "
        f"({listing(changed)}): something outside the protocol is not deterministic, or a store was edited."
    )
