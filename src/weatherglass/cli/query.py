"""`weatherglass query`: SQL over every sample of a store."""

import click


@click.command("query")
@click.argument("store")
@click.argument("sql")
@click.option("--limit", default=50, show_default=True, help="Rows printed at most; 0 prints all.")
def command(store: str, sql: str, limit: int) -> None:
    """Ask STORE in SQL (DuckDB). The table is called `samples`: model, data, disturbance, kind, severity, seed, key,
    id, label, prediction, rank, confidence, nll, brier.

    \b
    weatherglass query runs/demo "select kind, avg((rank = 0)::int) from samples group by kind order by 2"
    """
    from rich.console import Console
    from rich.table import Table

    from weatherglass.evaluation.store import Store

    answer = Store(store).query(sql)
    rows = answer.slice(0, limit or answer.num_rows)
    table = Table(box=None, pad_edge=False)
    for name in answer.column_names:
        table.add_column(name)
    for row in rows.to_pylist():
        table.add_row(*[f"{value:.6g}" if isinstance(value, float) else str(value) for value in row.values()])
    Console(highlight=False, markup=False).print(table)
    if rows.num_rows < answer.num_rows:
        click.echo(f"... {answer.num_rows - rows.num_rows} more rows (--limit 0 prints all)")
