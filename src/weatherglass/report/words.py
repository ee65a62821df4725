"""Numbers and names as a reader wants them: percentages, intervals, short labels, conditions in plain words."""

import unicodedata
from collections import Counter
from collections.abc import Sequence

from weatherglass.metrics.intervals import Estimate

LABEL_LENGTH = 40

_SPELLED = {"jpeg_compression": "JPEG compression"}


def percent(value: float | None) -> str:
    """A share as '71.3%'; an en dash for nothing."""
    return "–" if value is None else f"{100 * value:.1f}%"


def number(value: float) -> str:
    """A share as '71.3', for tables whose head says percent; a negative difference with a true minus sign."""
    return f"{100 * value:.1f}".replace("-", "−").replace("−0.0", "0.0")


def signed(value: float) -> str:
    """A difference of shares times 100 with its sign, e.g. '+2.1', '−0.4', '0.0'."""
    text = f"{100 * value:+.1f}".replace("-", "−")
    return "0.0" if text in {"+0.0", "−0.0"} else text


def across(value: float) -> str:
    """A share as a coordinate from 0 to 100, cut to that range."""
    return f"{100 * min(max(value, 0.0), 1.0):.1f}"


def titled(measure: str) -> str:
    """The name of a score at the head of a sentence: 'Accuracy', 'Box AP', and 'mIoU' as it is."""
    first, space, rest = measure.partition(" ")
    return (first.capitalize() if first.islower() else first) + space + rest


def spoken(estimate: Estimate) -> str:
    """A share with its interval in running text, e.g. '71.3% (69.9–72.7)'."""
    if estimate.method in {"none", "exact"}:
        return percent(estimate.value)
    return f"{percent(estimate.value)} ({number(estimate.low)}–{number(estimate.high)})"


def kind_in_words(kind: str) -> str:
    """'gaussian_noise' as 'gaussian noise'."""
    return _SPELLED.get(kind, kind.replace("_", " "))


def condition_in_words(disturbance: str, kind: str, severity: float | None) -> str:
    """'fog@3' as 'fog, severity 3'; anything that is not one kind at one severity stays as it is written."""
    if disturbance.startswith("sequence:"):
        return f"{kind_in_words(disturbance.removeprefix('sequence:'))}, last frame of the sequence"
    if severity is not None and disturbance == f"{kind}@{severity:g}":
        return f"{kind_in_words(kind)}, severity {severity:g}"
    return disturbance if " from " in disturbance else kind_in_words(disturbance)


def count(amount: int, singular: str, plural: str | None = None) -> str:
    """'1 image', '1,200 images'."""
    return f"{amount:,} {singular if amount == 1 else plural or singular + 's'}"


def listed(names: Sequence[str], limit: int = 6) -> str:
    """'a, b and c'; 'a, b and 12 more' beyond `limit`."""
    if len(names) > limit:
        return f"{', '.join(names[:limit])} and {len(names) - limit} more"
    return " and ".join(filter(None, [", ".join(names[:-1]), names[-1]])) if names else ""


def shortened(text: str, length: int = LABEL_LENGTH) -> str:
    """Text of at most `length` characters, its middle replaced by an ellipsis."""
    if len(text) <= length:
        return text
    kept = length - 1
    return f"{text[: kept - kept // 2]}…{text[len(text) - kept // 2 :]}"


def plain(text: str) -> str:
    """Text that cannot disturb the sentence it stands in: no control characters, no changes of direction.

    Text with right-to-left letters is isolated (Unicode's FSI and PDI), so that the words around it keep their order.
    """
    kept = "".join(letter for letter in text if unicodedata.category(letter) not in {"Cc", "Cf", "Cs"})
    if any(unicodedata.bidirectional(letter) in {"R", "AL"} for letter in kept):
        return f"\u2068{kept}\u2069"
    return kept


def short_labels(names: Sequence[str]) -> list[str]:
    """A short name for each of several models: what follows the last '/' or ':' where that tells them apart."""
    tails = [_tail(name) for name in names]
    often = Counter(tails)
    labels = [plain(shortened(tail if often[tail] == 1 else name)) for tail, name in zip(tails, names, strict=True)]
    repeated = Counter(labels)
    seen: Counter[str] = Counter()
    for i, label in enumerate(labels):
        if repeated[label] > 1:
            seen[label] += 1
            labels[i] = f"{label} ({seen[label]})"
    return labels


def _tail(name: str) -> str:
    tail = name.rstrip("/:").replace(":", "/").rsplit("/", 1)[-1]
    return tail or name or "(no name)"
