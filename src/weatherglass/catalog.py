"""A catalog: a literal table of named things that answers a wrong name with the right ones."""

from collections.abc import Iterator, Mapping
from typing import Generic, TypeVar

from weatherglass.errors import UnknownName

Item = TypeVar("Item")


class Catalog(Mapping[str, Item], Generic[Item]):
    """A read-only mapping from name to item, in the order in which it was written down.

    `kind` is the singular noun used in messages: `Catalog("corruption", {...})["frgo"]` raises
    `UnknownName` with "There is no corruption named 'frgo'. Did you mean frost? ...".
    """

    def __init__(self, kind: str, items: Mapping[str, Item]) -> None:
        self.kind = kind
        self._items = dict(items)

    def __getitem__(self, name: str) -> Item:
        try:
            return self._items[name]
        except KeyError:
            raise UnknownName(self.kind, name, self._items) from None

    def __contains__(self, name: object) -> bool:
        return name in self._items

    def __iter__(self) -> Iterator[str]:
        return iter(self._items)

    def __len__(self) -> int:
        return len(self._items)

    def __repr__(self) -> str:
        return f"Catalog({self.kind!r}, {list(self._items)})"
