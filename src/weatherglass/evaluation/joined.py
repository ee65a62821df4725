"""Several stores read as one: a suite that was measured in parts, on several machines, is one run."""

from collections.abc import Iterable, Sequence
from functools import cached_property
from pathlib import Path

from weatherglass.errors import UserError
from weatherglass.evaluation.record import CellRecord, DataManifest, FailedCell, Observations, Overlay, Picture
from weatherglass.evaluation.store import Store


class JoinedStore:
    """Reads like a store that holds every cell of several. A cell that two of them hold is one cell."""

    def __init__(self, stores: Sequence[Store]) -> None:
        self._stores = tuple(stores)

    @cached_property
    def _kept(self) -> dict[str, tuple[Store, CellRecord]]:
        found: dict[str, tuple[Store, CellRecord]] = {}
        for store in self._stores:
            for record in store.records():
                found.setdefault(record.key, (store, record))
        return found

    def records(self) -> list[CellRecord]:
        """Every measured cell once, in the order of `Store.records`."""
        records = [record for _, record in self._kept.values()]
        return sorted(records, key=lambda r: (r.cell.model, r.cell.data, r.cell.seed, r.cell.disturbance, r.key))

    def failures(self) -> list[FailedCell]:
        """Cells that could not be measured in one of the stores and were not measured in another."""
        failed = {one.key: one for store in self._stores for one in store.failures()}
        return [one for key, one in failed.items() if key not in self._kept]

    def data(self, digest: str) -> DataManifest:
        """What one of the stores keeps of the data set; `UserError` where none does."""
        problems: list[UserError] = []
        for store in self._stores:
            try:
                return store.data(digest)
            except UserError as error:
                problems.append(error)
        raise problems[0]

    def observations(self, key: str, columns: Iterable[str] | None = None) -> Observations:
        """See `Store.observations`."""
        return self._of(key).observations(key, columns)

    def pictures(self, key: str) -> list[Picture]:
        """See `Store.pictures`."""
        return self._of(key).pictures(key)

    def overlays(self, key: str) -> list[Overlay]:
        """See `Store.overlays`."""
        return self._of(key).overlays(key)

    def path_of(self, key: str) -> Path:
        """The folder of the store that holds a cell."""
        return self._of(key).path

    def _of(self, key: str) -> Store:
        return self._kept[key][0]
