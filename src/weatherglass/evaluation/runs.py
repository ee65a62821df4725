"""A run: cells of one model on one data set under one protocol, which may stand in one table and in one mean."""

import re
from collections import Counter, defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path

import numpy as np

from weatherglass.errors import UserError
from weatherglass.evaluation.joined import JoinedStore
from weatherglass.evaluation.protocol import Protocol, agree, digest_of, flattened
from weatherglass.evaluation.record import CellRecord, DataManifest, FailedCell, Observations
from weatherglass.evaluation.store import Store
from weatherglass.types import SEQUENCES


@dataclass(frozen=True)
class Run:
    """Cells that differ in their disturbance alone, and whose choices (`Protocol.choices`) nowhere contradict."""

    store: Store | JoinedStore
    model: str
    data: str
    seed: int
    records: dict[str, CellRecord]
    """By the text form of the disturbance, e.g. 'clean', 'fog@3'; the clean one first."""
    variant: str = ""
    """What tells it from other runs of its model in the store, 'field=value' joined by '::'; '' for the only one."""
    asked: frozenset[str] | None = None
    """Keys of the cells that one evaluation asked for, where the run is of that alone."""

    @property
    def protocol(self) -> Protocol:
        """The protocol of any of its cells; all agree in everything but the part of the disturbance."""
        return next(iter(self.records.values())).protocol

    @cached_property
    def choices(self) -> dict[str, str]:
        """Definition, calibration, re-encoding ... of all its cells that have them."""
        return {name: value for record in self.records.values() for name, value in record.protocol.choices.items()}

    @property
    def key(self) -> str:
        """Digest of model, data, common protocol and choices: what is the same in every part of one run."""
        return digest_of([self.model, self.data, self.protocol.common, self.choices])

    @property
    def name(self) -> str:
        """'store::model', as the command line takes it; with the variant where the store holds several such runs."""
        path = self.store.path_of(next(iter(self.records.values())).key)
        return "::".join([str(path), self.model, *([self.variant] if self.variant else [])])

    @cached_property
    def fields(self) -> dict[str, str]:
        """What tells runs apart, by name: the choices, the data, every field that all its cells share."""
        flat = {k: v for k, v in flattened(self.protocol).items() if not k.startswith("disturbance.")}
        digest = flat.pop("data")
        return self.choices | {"data": self.data} | flat | {"data digest": digest}

    def field(self, name: str) -> str:
        """One of its fields; '(absent)' where it has none of this name."""
        return self.fields.get(name, "(absent)")

    @property
    def clean(self) -> CellRecord | None:
        """The undisturbed cell, or None where it was not measured."""
        return self.records.get("clean")

    @property
    def disturbed(self) -> dict[str, CellRecord]:
        """Every cell but the clean one."""
        return {text: record for text, record in self.records.items() if text != "clean"}

    @property
    def single(self) -> dict[str, CellRecord]:
        """The cells in which the model saw one version of each image, and so has an accuracy: all but sequences."""
        return {text: record for text, record in self.records.items() if record.family != SEQUENCES}

    @property
    def sequences(self) -> dict[str, CellRecord]:
        """The cells of sequences, in which the model saw each image many times."""
        return {text: record for text, record in self.records.items() if record.family == SEQUENCES}

    @cached_property
    def manifest(self) -> DataManifest:
        """What is known of its data set."""
        return self.store.data(self.protocol.data)

    @cached_property
    def failures(self) -> list[FailedCell]:
        """Cells of this run that could not be measured."""
        return [
            failed
            for failed in self.store.failures()
            if (failed.cell.model, failed.cell.data, failed.cell.seed) == (self.model, self.data, self.seed)
            and failed.protocol.common == self.protocol.common
            and agree(failed.protocol.choices, self.choices)
            and (self.asked is None or failed.key in self.asked)
        ]

    def observations(self, disturbance: str) -> Observations:
        """Samples of one cell, in data-set order."""
        return self.store.observations(self.records[disturbance].key)

    def correct(self, disturbances: list[str]) -> np.ndarray:
        """bool, shape (disturbances, samples): which samples each condition left right. Columns are aligned."""
        rows = [self.store.observations(self.records[text].key, ["rank"]) for text in disturbances]
        return np.stack([row.correct for row in rows])


def runs_of(*stores: Store) -> list[Run]:
    """The runs of one store, or of several read as one, ordered by model and data; empty for new stores.

    Cells of one protocol whose choices contradict each other are several runs. What does not depend on the choice, the
    clean cell above all, belongs to each of them.
    """
    store = stores[0] if len(stores) == 1 else JoinedStore(stores)
    groups: dict[tuple[str, str, int, str], list[CellRecord]] = defaultdict(list)
    for record in store.records():
        cell = record.cell
        groups[(cell.model, cell.data, cell.seed, digest_of(record.protocol.common))].append(record)
    runs = [
        Run(store, model, data, seed, _by_condition(r for r in records if agree(r.protocol.choices, choices)))
        for (model, data, seed, _), records in sorted(groups.items(), key=lambda item: item[0])
        for choices in _fullest([record.protocol.choices for record in records])
    ]
    return _told_apart(runs)


def run_asked_for(store: Store, keys: Collection[str]) -> Run | None:
    """The run of exactly the cells that an evaluation asked for, whatever else the store holds; None for none kept."""
    records = [store.record(key) for key in sorted(keys) if key in store]
    if not records:
        return None
    cell = records[0].cell
    return Run(store, cell.model, cell.data, cell.seed, _by_condition(records), asked=frozenset(keys))


def _fullest(choices: Iterable[Mapping[str, str]]) -> list[dict[str, str]]:
    """The largest unions of choices without a contradiction, one a run, in a fixed order."""
    distinct = [dict(one) for one in sorted({tuple(sorted(one.items())) for one in choices})]
    cliques: set[frozenset[int]] = {frozenset()}
    for position, one in enumerate(distinct):
        friends = frozenset(other for other in range(position) if agree(distinct[other], one))
        cliques = {c for c in cliques if not c <= friends} | {(c & friends) | {position} for c in cliques}
        cliques = {c for c in cliques if not any(c < other for other in cliques)}
    unions = [{name: value for member in clique for name, value in distinct[member].items()} for clique in cliques]
    return sorted(unions, key=lambda union: sorted(union.items()))


def _by_condition(records: Iterable[CellRecord]) -> dict[str, CellRecord]:
    """The cells by the text of the disturbance, the clean one first.

    The newest of several cells of one text (of two backends, say) has the plain name; the others name their protocol.
    """
    newest_first = sorted(records, key=lambda r: (r.provenance.created, r.key), reverse=True)
    named: dict[str, CellRecord] = {}
    for record in newest_first:
        text = record.cell.disturbance
        if text in named:
            text = f"{text} [{', '.join(f'{k}={v}' for k, v in sorted(record.protocol.disturbance.items()))}]"
        named[text] = record
    return dict(sorted(named.items(), key=lambda item: (item[0] != "clean", item[0])))


def _told_apart(runs: Sequence[Run]) -> list[Run]:
    """The runs, those of one model with the fewest fields that tell them apart."""
    often = Counter(run.model for run in runs)
    return [
        replace(run, variant=_variant(run, [o for o in runs if o.model == run.model])) if often[run.model] > 1 else run
        for run in runs
    ]


def _variant(run: Run, others: Sequence[Run]) -> str:
    said, names = [], dict.fromkeys(name for one in (run, *others) for name in one.fields)
    # A run without corruptions has no re-encoding: what all of them have tells better than what some lack.
    for name in sorted(names, key=lambda name: any(name not in other.fields for other in others)):
        left = [other for other in others if other.field(name) == run.field(name)]
        if len(left) < len(others):
            said.append(f"{name}={run.field(name)}")
            others = left
    return "::".join(said)


def find_run(text: str) -> Run:
    """The run named 'STORE' (when it holds one), 'STORE::MODEL' (the model's name or a unique part of it), or
    'STORE::MODEL::FIELD=VALUE' where a model has several: 'runs/first::resnet50::re-encoding=jpeg85'.

    Raises `UserError` that lists the runs there are.
    """
    path, _, wanted = text.partition("::")
    found = runs_matching(text)
    runs = found or runs_of(Store(Path(path)))
    if not runs:
        raise UserError(f"The store '{path}' holds no measured cells yet.")
    if len(found) == 1:
        return found[0]
    names = ", ".join(sorted({f"'{run.name}'" for run in runs}))
    if not found:
        raise UserError(f"No model in '{path}' matches '{wanted}'. Runs there: {names}.")
    if len({r.model for r in found}) == 1:
        raise UserError(
            f"'{text}' holds {len(found)} runs of one model under different protocols or data; name one: {names}. "
            f"What differs: weatherglass explain-diff '{text}' '{text}'"
        )
    raise UserError(f"'{text}' matches {len(found)} runs; name one: {names}.")


def runs_matching(text: str) -> list[Run]:
    """The runs that 'STORE' or 'STORE::MODEL' may mean: of that very model, else of models with it in their name;
    of these the ones with every 'FIELD=VALUE' that follows."""
    path, _, rest = text.partition("::")
    # Names of data may have '::' in them, so a field begins where a word and '=' follow.
    wanted, *given = re.split(r"::(?=[a-z][\w .-]*=)", rest)
    fields = [part.partition("=")[::2] for part in given]
    runs = runs_of(Store(Path(path)))
    named = [r for r in runs if r.model == wanted] or [r for r in runs if wanted in r.model]
    return [run for run in named if all(run.field(name) == value for name, value in fields)]
