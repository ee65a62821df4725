"""What a card is: a question, published numbers, claims, and the small form that looks for them. No torch."""

from collections.abc import Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True)
class Claim:
    """One finding of a paper that a study can look for."""

    text: str
    check: str = ""
    """A name of `findings.CHECKS`; empty where no number of the small form speaks to it."""
    pair: tuple[str, str] | None = None
    """Two rows, by the names that their models are given: the claim holds where the second does better."""
    on: tuple[str, ...] = ("clean", "corrupted", "retention")
    """For a pair: the measures that are compared."""


@dataclass(frozen=True)
class Card:
    """One published table or figure."""

    question: str
    source: str
    small_form: str
    """What `weatherglass reproduce` measures, and how it differs from the paper."""
    cost: str
    claims: tuple[Claim, ...] = ()
    tables: tuple[str, ...] = ()
    """Published tables whose numbers are printed with it."""
    columns: Mapping[str, str] = field(default_factory=dict)
    """Column of the first published table -> measurement that stands beside it: 'clean', 'corrupted', 'retention',
    'mce', 'memory', 'shift:' and the kind of data, or 'kind:' and a corruption."""
    figure: str = ""
    """A name of `figures.FIGURES`."""
    suite: str = "imagenet-c"
    """The corruptions of the small form, where the command names no others."""
    data: str = "ImageNet"
    """What the published numbers were measured on."""
    recipes: Mapping[str, str] = field(default_factory=dict)
    """Row -> the recipe whose network stands for it in the small form; `--trained` looks for them."""
