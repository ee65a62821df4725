"""A run: all cells of a store that share model, data, seed and protocol, and so may stand in one table."""

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np

from weatherglass.errors import UserError
from weatherglass.evaluation.protocol import Protocol, digest_of
from weatherglass.evaluation.record import CellRecord, DataManifest, FailedCell, Observations
from weatherglass.evaluation.store import Store
from weatherglass.types import SEQUENCES


@dataclass(frozen=True)
class Run:
    """Cells that differ in their disturbance alone."""

    store: Store
    model: str
    data: str
    seed: int
    records: dict[str, CellRecord]
    """By the text form of the disturbance, e.g. 'clean', 'fog@3'."""

    @property
    def protocol(self) -> Protocol:
        """The protocol of any of its cells; all agree in everything but the part of the disturbance."""
        return next(iter(self.records.values())).protocol

    @property
    def key(self) -> str:
        """Digest of model, data and common protocol: equal runs of two stores have equal keys."""
        return digest_of([self.model, self.data, self.protocol.common])

    @property
    def name(self) -> str:
        """'store::model', as the command line takes it."""
        return f"{self.store.path}::{self.model}"

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
        ]

    def observations(self, disturbance: str) -> Observations:
        """Samples of one cell, in data-set order."""
        return self.store.observations(self.records[disturbance].key)

    def correct(self, disturbances: list[str]) -> np.ndarray:
        """bool, shape (disturbances, samples): which samples each condition left right. Columns are aligned."""
        rows = [self.store.observations(self.records[text].key, ["rank"]) for text in disturbances]
        return np.stack([row.correct for row in rows])


def runs_of(store: Store) -> list[Run]:
    """The runs of a store, ordered by model and data; empty for a new store."""
    groups: dict[tuple[str, str, int, str], dict[str, CellRecord]] = {}
    # The newest cell of a condition carries the plain name.
    for record in sorted(store.records(), key=lambda r: r.provenance.created, reverse=True):
        cell = record.cell
        group = (cell.model, cell.data, cell.seed, digest_of(record.protocol.common))
        groups.setdefault(group, {})[_condition(record, groups.get(group, {}))] = record
    return [
        Run(store, model, data, seed, records)
        for (model, data, seed, _), records in sorted(groups.items(), key=lambda item: item[0])
    ]


def _condition(record: CellRecord, others: dict[str, CellRecord]) -> str:
    """The text of the disturbance; an older cell of the same text (another backend, say) also names its protocol."""
    text = record.cell.disturbance
    if text not in others:
        return text
    return f"{text} [{', '.join(f'{k}={v}' for k, v in sorted(record.protocol.disturbance.items()))}]"


def find_run(text: str) -> Run:
    """The run named 'STORE' (when it holds one) or 'STORE::MODEL' (the model's name or a unique part of it).

    Raises `UserError` that lists the runs there are.
    """
    path, _, wanted = text.partition("::")
    found = runs_matching(text)
    runs = found or runs_of(Store(Path(path)))
    if not runs:
        raise UserError(f"The store '{path}' holds no measured cells yet.")
    if len(found) == 1:
        return found[0]
    names = ", ".join(sorted({f"'{path}::{r.model}'" for r in runs}))
    if not found:
        raise UserError(f"No model in '{path}' matches '{wanted}'. Runs there: {names}.")
    if len({r.model for r in found}) == 1:
        raise UserError(
            f"'{text}' holds {len(found)} runs of one model under different protocols or data. "
            f"Keep them in separate stores, or see: weatherglass explain-diff '{text}' '{text}'"
        )
    raise UserError(f"'{text}' matches {len(found)} runs; name one: {names}.")


def runs_matching(text: str) -> list[Run]:
    """The runs that 'STORE' or 'STORE::MODEL' may mean: of that very model, else of models with it in their name."""
    path, _, wanted = text.partition("::")
    runs = runs_of(Store(Path(path)))
    return [r for r in runs if r.model == wanted] or [r for r in runs if wanted in r.model]
