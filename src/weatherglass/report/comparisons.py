"""Whether the best model is really better: paired comparisons on the same images, put into words."""

from collections import Counter
from dataclasses import dataclass

from weatherglass.errors import UserError
from weatherglass.evaluation.comparison import AggregateComparison, Comparison, compare
from weatherglass.report.content import DataGroup, ModelView
from weatherglass.report.words import count, listed, number, signed

MOST_RIVALS = 8


@dataclass(frozen=True)
class Rival:
    """One model against the best of its data set."""

    view: ModelView
    comparison: Comparison
    aggregate: AggregateComparison
    """Under disturbance, or on clean images where nothing was disturbed."""

    @property
    def difference(self) -> str:
        """Rival minus best, e.g. '−2.1'."""
        return signed(self.aggregate.difference.value)

    @property
    def interval(self) -> str:
        """E.g. '−3.2 to −1.0'."""
        return f"{signed(self.aggregate.difference.low)} to {signed(self.aggregate.difference.high)}"

    @property
    def significant(self) -> bool:
        """Whether the interval of the difference excludes 0."""
        return self.aggregate.verdict != "cannot be told apart"

    @property
    def conditions(self) -> str:
        """In how many conditions the rival is better or worse, each tested by itself."""
        verdicts = Counter(condition.verdict for condition in self.comparison.conditions.values())
        return f"better in {verdicts['better']}, worse in {verdicts['worse']} of {len(self.comparison.conditions)}"


def rivals_of(group: DataGroup) -> list[Rival]:
    """The best model of a group against the next ones, at most `MOST_RIVALS`."""
    best, *others = group.models
    rivals = []
    for view in others[:MOST_RIVALS]:
        try:
            compared = compare(best.run, view.run, reference=None)
        except UserError:  # no condition or no image in common: the page shows both and compares nothing
            continue
        aggregate = next(iter(compared.aggregates.values()), None)
        if aggregate is not None:
            rivals.append(Rival(view, compared, aggregate))
    return rivals


def told_apart(best: ModelView, rivals: list[Rival], level: str) -> str:
    """One sentence: is the best model's lead more than the luck of the images?"""
    if not rivals:
        return "No two of these models share a condition, so none can be called better than another."
    where = "under disturbance" if rivals[0].aggregate.metric == "corrupted" else "on clean images"
    equal = [rival.view.label for rival in rivals if not rival.significant]
    first = rivals[0]
    lead = first.aggregate.difference  # rival minus best; said the other way round
    gap = f"{number(-lead.value)} points"
    how = (
        f"({level} interval {signed(-lead.high)} to {signed(-lead.low)}, paired on the same "
        f"{count(first.comparison.samples, 'image')})"
    )
    if not first.significant:
        others = f"; {len(equal) - 1} more cannot be told apart from it either" if len(equal) > 1 else ""
        return (
            f"Whether it is really the best is open: its lead of {gap} over {first.view.label} {where} may be chance "
            f"{how}{others}."
        )
    if first.aggregate.verdict == "better":  # possible where the two were not measured in the same conditions
        ahead = f"{number(lead.value)} points ({level} interval {signed(lead.low)} to {signed(lead.high)})"
        return f"In the conditions that both were measured in, {first.view.label} leads {best.label} by {ahead}."
    sentence = f"{best.label} leads {first.view.label} by {gap} {where} {how}: significant"
    if not equal and len(rivals) > 1:
        rest = [rival.view.label for rival in rivals[1:]]
        return f"{sentence}, as {'is its lead' if len(rest) == 1 else 'are its leads'} over {listed(rest, 3)}."
    return f"{sentence}."
