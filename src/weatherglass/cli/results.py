"""How verbs that read stored results print: tables that stay readable on a terminal, in a pipe and in a log."""

from collections.abc import Sequence

from rich.box import SIMPLE
from rich.console import Console
from rich.table import Table
from rich.text import Text

WIDTH = 98


def console() -> Console:
    """A console of fixed width: colours appear on a terminal only, and a pipe gets the same lines."""
    return Console(width=WIDTH, highlight=False, soft_wrap=False)


def print_table(out: Console, columns: Sequence[str], rows: Sequence[Sequence[str]], *, text_columns: int = 1) -> None:
    """Print rows under columns; the first `text_columns` lean left, numbers lean right. Markup in cells is text."""
    table = Table(box=SIMPLE, header_style="bold", pad_edge=False)
    for position, name in enumerate(columns):
        table.add_column(name, justify="left" if position < text_columns else "right", overflow="fold")
    for row in rows:
        table.add_row(*(Text(cell) for cell in row))
    out.print(table)


def print_lines(out: Console, lines: Sequence[str], *, mark: str = "") -> None:
    """Print sentences, each wrapped on its own."""
    for line in lines:
        out.print(Text(f"{mark}{line}"))


def print_json(record: object) -> None:
    """Print a record as indented JSON."""
    import click
    import msgspec

    click.echo(msgspec.json.format(msgspec.json.encode(record), indent=2).decode())
