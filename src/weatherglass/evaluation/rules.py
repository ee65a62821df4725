"""Rules of a gate, read from TOML and checked key by key: a rule that was mistyped must not pass."""

import math
import sys
import tomllib
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any, Literal

from weatherglass.errors import UnknownName, UserError

By = Literal["estimate", "low", "high"]

_BOUNDS = ("minimum", "maximum", "maximum_regression")
_BY = ("estimate", "low", "high")
_UNBOUNDED = ("nll", "brier")


@dataclass(frozen=True, kw_only=True)
class Rule:
    """One requirement. Bounds are fractions."""

    name: str
    """What the report of the gate calls it; by default the requirement itself, e.g. 'corrupted >= 55 %'."""
    metric: str
    """A name of `Summary.metrics`, or a group whose every member must comply: 'conditions', 'kinds', 'classes',
    'classes_clean', 'classes_drop'."""
    minimum: float | None = None
    maximum: float | None = None
    maximum_regression: float | None = None
    """How much worse than the baseline it may be."""
    by: By
    """What is held against the bound: the estimate or an end of its interval. Regressions are judged by the low end
    unless told otherwise: the rule then fails only for a significant regression beyond the bound."""


@dataclass(frozen=True, kw_only=True)
class Rules:
    """The content of a rules file."""

    rules: tuple[Rule, ...]
    level: float = 0.95
    """Confidence of the intervals."""
    resamples: int = 1000
    reference: str = "auto"
    """'auto', 'alexnet' or a run 'STORE::MODEL' for CE and mCE."""
    baseline: str | None = None
    """The run 'STORE::MODEL' for regressions; the command line's --baseline goes before it."""


def read_rules(path: Path) -> Rules:
    """Read and check a rules file. Raises `UserError` that names what is wrong and the nearest right name."""
    try:
        content = tomllib.loads(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError) as error:
        raise UserError(f"The rules '{path}' cannot be read: {error}.") from error
    except tomllib.TOMLDecodeError as error:
        raise UserError(f"The rules '{path}' are not valid TOML: {error}.") from error
    try:
        return parse_rules(content)
    except UserError as error:
        raise UserError(f"{path}: {error}") from error


def parse_rules(content: dict[str, Any]) -> Rules:
    """Check the content of a rules file; see `Rules` and `Rule` for its keys. Raises `UserError`."""
    known = {"rule", *(f.name for f in fields(Rules))} - {"rules"}
    _check_keys("key of a rules file", content, known)
    entries = content.get("rule", [])
    if not isinstance(entries, list) or not entries or not all(isinstance(entry, dict) for entry in entries):
        raise UserError("There is no rule in it. Write at least one table [[rule]] with a metric and a bound.")
    level, resamples = content.get("level", 0.95), content.get("resamples", 1000)
    if not isinstance(level, float) or not 0 < level < 1:
        raise UserError(f"level is {level!r}; it is a number between 0 and 1, such as 0.95.")
    if not isinstance(resamples, int) or isinstance(resamples, bool) or resamples < 100:
        raise UserError(f"resamples is {resamples!r}; it is a whole number of at least 100.")
    for key in ("reference", "baseline"):
        if not isinstance(content.get(key, ""), str):
            raise UserError(f"{key} is {content[key]!r}; it is the name of a run, such as 'runs/first::resnet50'.")
    return Rules(
        rules=tuple(_rule(position, entry) for position, entry in enumerate(entries, 1)),
        level=level,
        resamples=resamples,
        reference=content.get("reference", "auto"),
        baseline=content.get("baseline"),
    )


def _rule(position: int, entry: dict[str, Any]) -> Rule:
    _check_keys(f"key of a rule (number {position})", entry, {f.name for f in fields(Rule)})
    metric = entry.get("metric")
    if not isinstance(metric, str):
        raise UserError(f"Rule {position} names no metric, such as metric = 'corrupted'.")
    bounds = {key: _bound(position, metric, key, entry[key]) for key in _BOUNDS if key in entry}
    if not bounds:
        raise UserError(f"Rule {position} ({metric}) has no bound; give {' or '.join(_BOUNDS)}.")
    if "maximum_regression" in bounds and len(bounds) > 1:
        raise UserError(f"Rule {position} ({metric}) mixes maximum_regression with other bounds; write two rules.")
    by = entry.get("by", "low" if "maximum_regression" in bounds else "estimate")
    if by not in _BY:
        raise UnknownName("way to judge (by)", str(by), _BY)
    name = entry.get("name", _title(metric, bounds, by))
    if not isinstance(name, str):
        raise UserError(f"The name of rule {position} is {name!r}; it must be text.")
    return Rule(name=name, metric=metric, by=by, **bounds)


def _bound(position: int, metric: str, key: str, value: object) -> float:
    """A fraction from 0.55 or '55 %'; a bare 55 is refused, because it could mean either."""
    if isinstance(value, str) and value.strip().endswith("%"):
        try:
            share = float(value.strip().removesuffix("%")) / 100
        except ValueError:
            share = math.nan
        if math.isfinite(share):
            return share
    elif isinstance(value, int | float) and not isinstance(value, bool):
        if -1 <= value <= 1 or (metric.startswith(_UNBOUNDED) and abs(value) <= sys.float_info.max):
            return float(value)
        raise UserError(
            f"{key} of rule {position} ({metric}) is {value}. Write a fraction such as 0.55, or percent in quotes: "
            f"'{value} %'."
        )
    raise UserError(f"{key} of rule {position} ({metric}) is {value!r}; write a fraction 0.55 or '55 %'.")


def _title(metric: str, bounds: dict[str, float], by: str) -> str:
    plain = metric.startswith(_UNBOUNDED)
    text = {key: f"{value:g}" if plain else f"{100 * value:g} %" for key, value in bounds.items()}
    subject = metric if by == "estimate" or "maximum_regression" in bounds else f"{metric} ({by})"
    words = {"minimum": "{0} >= {1}", "maximum": "{0} <= {1}", "maximum_regression": "{0} regresses by <= {1}"}
    return ", ".join(words[key].format(subject, value) for key, value in text.items())


def _check_keys(kind: str, table: dict[str, Any], known: set[str]) -> None:
    for key in table:
        if key not in known:
            raise UnknownName(kind, key, known)
