"""Whether the best model is really better: paired tests on the same images, put into words."""

from collections.abc import Sequence
from dataclasses import dataclass

from weatherglass.report.content import DataGroup, ModelView

MOST_RIVALS = 10


@dataclass(frozen=True)
class Rival:
    """One model against the best of its data set."""

    view: ModelView
    difference: str
    interval: str
    p_value: str
    words: str
    significant: bool


def rivals_of(group: DataGroup) -> list[Rival]:
    """The best model of a group against the others, at most `MOST_RIVALS`; none where nothing was disturbed."""
    return []


def runner_up(rivals: Sequence[Rival]) -> Rival | None:
    """The rival that comes closest."""
    return rivals[0] if rivals else None
