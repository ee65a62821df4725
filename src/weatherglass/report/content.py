"""What a page says, before it is written down: models in order, groups that may be compared, parts that are there."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property

from weatherglass.errors import UserError
from weatherglass.evaluation.estimates import Summary
from weatherglass.evaluation.record import FailedCell
from weatherglass.evaluation.reference import ReferenceChoice
from weatherglass.evaluation.runs import Run, runs_of
from weatherglass.evaluation.store import Store
from weatherglass.evaluation.studies import studies_of
from weatherglass.evaluation.summary import summarise
from weatherglass.report.charts import MODEL_COLOURS
from weatherglass.report.words import count, plain, short_labels, shortened

DETAILED = 8
"""Models that get every part of the page, best first; the others stand in the headline table."""


@dataclass(frozen=True)
class ModelView:
    """One run as the page shows it."""

    run: Run
    summary: Summary
    label: str
    """Short, and unique on the page."""
    position: int
    """Place in the order of the page, from 0; decides the colour."""

    @property
    def name(self) -> str:
        """As the user wrote it."""
        return self.run.model

    @property
    def tone(self) -> str:
        """Suffix of the CSS class that carries its colour."""
        return str(self.position) if self.position < len(MODEL_COLOURS) else "x"

    @property
    def about(self) -> str:
        """What stands under its name."""
        facts = [count(self.summary.samples, "image")]
        if self.summary.parameters:
            facts.insert(0, f"{_compact(self.summary.parameters)} parameters")
        return ", ".join([*facts, count(len(self.run.disturbed), "disturbed condition")])


@dataclass(frozen=True)
class DataGroup:
    """Models that were measured on the same images; only they are compared."""

    name: str
    models: tuple[ModelView, ...]
    unreadable: tuple[str, ...]
    selection: str
    classes: int

    @property
    def measure(self) -> str:
        """The score of its models in running text: 'accuracy', 'mIoU'."""
        return self.models[0].summary.measure

    @property
    def samples(self) -> str:
        """Number of images in words; a range where the runs differ."""
        sizes = sorted({view.summary.samples for view in self.models})
        return count(sizes[0], "image") if len(sizes) == 1 else f"{sizes[0]:,} to {count(sizes[-1], 'image')}"


@dataclass(frozen=True)
class Content:
    """Everything the page is made of."""

    stores: tuple[Store, ...]
    groups: tuple[DataGroup, ...]

    @cached_property
    def models(self) -> tuple[ModelView, ...]:
        """Of all groups, in the order of the page."""
        return tuple(view for group in self.groups for view in group.models)

    @property
    def measure(self) -> str:
        """The score of all its models in running text; 'score' where it holds several tasks."""
        measures = {group.measure for group in self.groups}
        return measures.pop() if len(measures) == 1 else "score"

    @cached_property
    def detailed(self) -> tuple[ModelView, ...]:
        """Those that get every part of the page."""
        return self.models[:DETAILED]

    @cached_property
    def orphans(self) -> tuple[FailedCell, ...]:
        """Failures of models that have no measured cell at all."""
        claimed = {failed.key for view in self.models for failed in view.run.failures}
        claimed |= {record.key for view in self.models for record in view.run.records.values()}  # in another store
        failures = [failed for store in self.stores for failed in store.failures()]
        return tuple({f.key: f for f in failures if f.key not in claimed}.values())


def read_stores(stores: Sequence[Store], reference: ReferenceChoice = "auto") -> Content:
    """Summarise every run of the stores; one run at a time is in memory.

    Runs of several stores that are parts of one appear as one, with the cells of all; stores that hold studies alone
    have no runs. Raises `UserError` when there is neither.
    """
    runs = runs_of(*stores)
    if isinstance(reference, Run):
        reference = _whole(reference, runs)
    if not runs and not any(studies_of(store) for store in stores):
        raise UserError(f"{' and '.join(repr(str(s.path)) for s in stores)}: no measured cells yet, nothing to report.")
    by_data: dict[tuple[str, str], list[tuple[Run, Summary]]] = {}
    for run in runs:
        summary = summarise(run, reference=_reference_for(run, reference))
        by_data.setdefault((run.protocol.data, run.protocol.selection), []).append((run, summary))
    ordered = [sorted(members, key=lambda member: _rank(member[1])) for members in by_data.values()]
    labels = iter(_labels([run for members in ordered for run, _ in members]))
    groups, position = [], 0
    for members in ordered:
        views = [ModelView(run, summary, next(labels), position + i) for i, (run, summary) in enumerate(members)]
        position += len(views)
        groups.append(_group(views))
    return Content(tuple(stores), tuple(_told_apart(groups)))


def _whole(part: Run, runs: Sequence[Run]) -> Run:
    """The run of all the stores that holds every cell of this one; itself where it is of none of them."""
    keys = {record.key for record in part.records.values()}
    return next((run for run in runs if keys <= {record.key for record in run.records.values()}), part)


def _reference_for(run: Run, reference: ReferenceChoice) -> ReferenceChoice:
    """A named run divides the errors of runs on its own images; the others are left to the default."""
    if isinstance(reference, Run) and reference.protocol.data != run.protocol.data:
        return "auto"
    return reference


def _rank(summary: Summary) -> tuple[float, float, str]:
    """Sort key: what holds best first; clean accuracy decides where nothing was disturbed."""
    corrupted = summary.corrupted.value if summary.corrupted else -1.0
    clean = summary.clean.value if summary.clean else -1.0
    return (-corrupted, -clean, summary.model)


def _group(views: list[ModelView]) -> DataGroup:
    run = views[0].run
    try:
        manifest = run.manifest
        unreadable, classes = manifest.unreadable, len(manifest.classes)
    except UserError:  # a store without the manifest still has a report
        unreadable, classes = (), 0
    return DataGroup(plain(shortened(run.data, 80)), tuple(views), unreadable, run.protocol.selection, classes)


def _told_apart(groups: list[DataGroup]) -> list[DataGroup]:
    """Data sets of one name (two versions, two subsets) also say by what they differ."""
    often = Counter(group.name for group in groups)
    named = []
    for group in groups:
        protocol = group.models[0].run.protocol
        others = {other.models[0].run.protocol.selection for other in groups if other.name == group.name}
        extra = shortened(plain(protocol.selection), 40) if len(others) == often[group.name] else protocol.data[:8]
        named.append(replace(group, name=f"{group.name} ({extra})") if often[group.name] > 1 else group)
    return named


def _labels(runs: Sequence[Run]) -> list[str]:
    """Short names; a model measured several times also says by what its runs differ."""
    often = Counter(run.model for run in runs)
    first = {run.model: run for run in reversed(runs)}
    names = short_labels(list(often))
    short = dict(zip(often, names, strict=True))
    labels: list[str] = []
    for run in runs:
        label = short[run.model]
        if often[run.model] > 1:
            label = f"{shortened(label, 24)} · {_what_differs(run, first[run.model], runs)}"
        labels.append(label if label not in labels else f"{label} ({labels.count(label) + 1})")
    return labels


def _what_differs(run: Run, first: Run, runs: Sequence[Run]) -> str:
    others = [other for other in runs if other.model == run.model and other is not run]
    elsewhere = [other for other in others if other.data != run.data]
    alike = [other for other in others if other.data == run.data]
    said = [plain(shortened(run.data, 24))] if elsewhere else []
    if alike:
        said.append(_differing_field(run, first if first in alike else alike[0]))
    return ", ".join(said)


def _differing_field(run: Run, other: Run) -> str:
    named = {k: v for k, v in run.fields.items() if k in other.fields and v != other.fields[k]}
    if not named:
        return "again"
    if "samples" in named:
        return f"{run.protocol.samples:,} images"
    name, value = next(iter(named.items()))
    return shortened(f"{name.removeprefix('corruption ')} {value[:8] if name in _DIGESTS else value}", 28)


_DIGESTS = frozenset({"weights", "data digest"})
"""Fields whose values are digests; their beginning tells two of them apart."""


def _compact(amount: int) -> str:
    """'272k', '25.6M'."""
    for limit, divisor, suffix in ((1e9, 1e9, "G"), (1e6, 1e6, "M"), (1e3, 1e3, "k")):
        if amount >= limit:
            return f"{amount / divisor:.3g}{suffix}"
    return str(amount)
