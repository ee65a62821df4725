"""The tables of the FAN paper as printed, with what in them contradicts itself. Data, read when asked for; no torch."""

import json
from dataclasses import dataclass
from functools import cache
from importlib.resources import files

from weatherglass.errors import UnknownName

Value = float | int | str | None


@dataclass(frozen=True)
class PublishedColumn:
    """One column of a published table."""

    key: str
    unit: str
    description: str
    better: str | None
    """'higher', 'lower', or None where neither is better."""


@dataclass(frozen=True)
class PublishedRow:
    """One row of a published table."""

    model: str
    printed: str
    """As it stands in the paper, with its marks and reference."""
    values: dict[str, Value]
    """By the key of the column; None where the paper prints nothing."""
    group: str = ""
    """The heading it stands under."""


@dataclass(frozen=True)
class PublishedTable:
    """A table of the paper."""

    id: str
    title: str
    source: str
    columns: tuple[PublishedColumn, ...]
    rows: tuple[PublishedRow, ...]
    notes: tuple[str, ...]
    doubts: tuple[str, ...]
    """Where its numbers contradict themselves or another table."""


def published_table(name: str) -> PublishedTable:
    """The table 'table1' ... 'table14'. Raises `UnknownName` for another name."""
    tables = _tables()
    if name not in tables:
        raise UnknownName("published table", name, tables)
    return tables[name]


@cache
def _tables() -> dict[str, PublishedTable]:
    content = json.loads(files("weatherglass.experiments").joinpath("published.json").read_text(encoding="utf-8"))
    return {
        table["id"]: PublishedTable(
            id=table["id"],
            title=table["title"],
            source=content["source"],
            columns=tuple(PublishedColumn(**column) for column in table["columns"]),
            rows=tuple(
                PublishedRow(row["model"], row["printed"], row["values"], row.get("group", "")) for row in table["rows"]
            ),
            notes=tuple(table["notes"]),
            doubts=tuple(table["doubts"]),
        )
        for table in content["tables"]
    }
