"""Which corruptions and severities a run holds, which are missing, and whether they form a published suite."""

from collections import defaultdict
from collections.abc import Collection
from dataclasses import dataclass

from weatherglass.corruptions.suites import SUITES
from weatherglass.evaluation.runs import Run
from weatherglass.metrics.alexnet import ERROR, SEVERITIES

OF_MODEL = frozenset({"lesion", "attention"})
"""Families that disturb the model and not its input: they have figures of their own and are no worst conditions."""

_OTHER_SCALES = OF_MODEL | {"attack", "spatial"}
"""Families whose severity is a radius or a count: they have curves, but are no common corruptions."""

_ORDER = {name: position for position, name in enumerate(ERROR)}


@dataclass(frozen=True, kw_only=True)
class Grid:
    """The cells over which the aggregates are taken: corruptions x severities, or exactly those of a suite."""

    kinds: tuple[str, ...]
    """Corruptions, in the order of the published table where they stand in it, then by name."""
    severities: tuple[float, ...]
    """Severities that at least one of the corruptions has, ascending."""
    expected: dict[str, tuple[float, ...]]
    """Corruption -> its severities: all of `severities`, or fewer where the suite has fewer."""
    missing: tuple[str, ...]
    """Expected cells that were not measured, e.g. 'fog@3' or 'fog@3 (failed: ...)'."""
    suite: str | None
    """Name of the suite that the measured cells form exactly; None where they form none or cells are missing."""
    beside: tuple[str, ...]
    """Disturbed conditions outside the grid, which no aggregate counts (compositions, other backends ...)."""

    @property
    def complete(self) -> bool:
        """Whether there is anything to aggregate and nothing is missing from it."""
        return bool(self.kinds) and not self.missing

    @property
    def description(self) -> str:
        """E.g. 'imagenet-c (15 corruptions x 5 severities)'."""
        if not self.kinds:
            return "no corruptions"
        if len(set(self.expected.values())) > 1:
            return self._uneven
        severities = "5 severities" if self.severities == SEVERITIES else f"severity {_numbers(self.severities)}"
        size = f"{len(self.kinds)} corruption{'s' * (len(self.kinds) > 1)} x {severities}"
        return f"{self.suite} ({size})" if self.suite else size

    @property
    def _uneven(self) -> str:
        """E.g. 'cityscapes-c (16 corruptions, 72 conditions: severities 1, 2, 3 of gaussian_noise ..., else 5)'."""
        fewer = [kind for kind in self.kinds if len(self.expected[kind]) < len(self.severities)]
        cells = sum(len(self.expected[kind]) for kind in self.kinds)
        rule = f"severities {_numbers(self.expected[fewer[0]])} of {', '.join(fewer)}, {_numbers(self.severities)} else"
        size = f"{len(self.kinds)} corruptions, {cells} conditions: {rule}"
        return f"{self.suite} ({size})" if self.suite else size

    def cells(self, kind: str) -> list[str]:
        """The conditions of one corruption, by ascending severity, missing ones included."""
        return [f"{kind}@{severity:g}" for severity in self.expected[kind]]

    def missing_of(self, kind: str) -> list[str]:
        """What is missing of one corruption, in words."""
        return [cell for cell in self.missing if cell.split("@")[0] == kind]


def grid_of(run: Run) -> Grid:
    """The rectangle of common corruptions that a run holds or tried to hold."""
    measured: dict[str, set[float]] = defaultdict(set)
    for text, record in run.disturbed.items():
        if record.severity is None or record.family in _OTHER_SCALES:
            continue
        # Compositions ('fog@3+snow@1') and cells of a second backend have another text.
        if text == f"{record.kind}@{record.severity:g}":
            measured[record.kind].add(record.severity)
    failed = {failure.cell.disturbance: failure.reason for failure in run.failures}
    for text in failed:
        kind, _, severity = text.partition("@")
        if kind in ERROR and severity.isdigit():
            measured.setdefault(kind, set())
    whole = {s for kind in measured.values() for s in kind if s in SEVERITIES}
    severities = tuple(sorted(whole or {s for kind in measured.values() for s in kind}))
    kinds = sorted((k for k in measured if measured[k] & set(severities) or _has(failed, k)), key=_published_order)
    there = {kind: tuple(s for s in severities if s in measured[kind]) for kind in kinds}
    # Some suites have fewer severities of some corruptions; anything else with gaps in it is incomplete.
    suite = suite_of({f"{kind}@{s:g}" for kind in kinds for s in there[kind]})
    expected = there if suite else {kind: _expected_of(kind, there, severities) for kind in kinds}
    cells = [f"{kind}@{s:g}" for kind in kinds for s in expected[kind]]
    return Grid(
        kinds=tuple(kinds),
        severities=severities,
        expected=expected,
        missing=tuple(
            f"{cell} (failed: {failed[cell]})" if cell in failed else cell for cell in cells if cell not in run.records
        ),
        suite=suite,
        beside=tuple(text for text in run.single if text not in {"clean", *cells}),
    )


def suite_of(cells: Collection[str]) -> str | None:
    """Name of the suite whose conditions are exactly these, or None."""
    return next((name for name, conditions in suites().items() if conditions == set(cells)), None)


def suites() -> dict[str, set[str]]:
    """The conditions of every published suite, without the clean one."""
    return {name: {f"{kind}@{s:g}" for kind, s in suite.conditions} for name, suite in SUITES.items()}


def _expected_of(kind: str, there: dict[str, tuple[float, ...]], severities: tuple[float, ...]) -> tuple[float, ...]:
    """All severities, or exactly those that a wholly measured suite has of this corruption."""
    measured = {f"{name}@{s:g}" for name, row in there.items() for s in row}
    covered = [SUITES[name].severities for name, cells in suites().items() if cells <= measured]
    if any(rows.get(kind) == severities for rows in covered):
        return severities
    return there[kind] if any(rows.get(kind) == there[kind] for rows in covered) else severities


def _has(failed: Collection[str], kind: str) -> bool:
    return any(text.split("@")[0] == kind for text in failed)


def _published_order(kind: str) -> tuple[int, str]:
    return (_ORDER.get(kind, len(_ORDER)), kind)


def _numbers(values: tuple[float, ...]) -> str:
    return ", ".join(f"{value:g}" for value in values)
