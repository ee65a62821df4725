"""SQL over every sample that was ever measured into a store."""

import re
from typing import TYPE_CHECKING

import pyarrow as pa

from weatherglass.errors import MissingExtra, UserError

if TYPE_CHECKING:
    from weatherglass.evaluation.store import Store


def query(store: "Store", sql: str) -> pa.Table:
    """Run `sql` over the view `samples`; see `Store.query`. Raises `UserError` for SQL that DuckDB refuses."""
    try:
        import duckdb
    except ImportError as error:
        raise MissingExtra("duckdb", "report", "Querying a store") from error
    records = store.records()
    if not records:
        raise UserError(f"The store '{store.path}' holds no cells yet.")
    cells = pa.table(
        {
            "key": [r.key for r in records],
            "model": [r.cell.model for r in records],
            "data": [r.cell.data for r in records],
            "disturbance": [r.cell.disturbance for r in records],
            "kind": [r.kind for r in records],
            "severity": pa.array([r.severity for r in records], pa.float64()),
            "seed": [r.cell.seed for r in records],
        }
    )
    connection = duckdb.connect()
    try:
        connection.register("cells", cells)
        # The folder may be named like a pattern: 'runs[1]'. Each of these characters stands for itself in brackets.
        folder = re.sub(r"[\[*?]", r"[\g<0>]", str(store.path / "cells"))
        files = f"{folder}/[0-9a-f]*.parquet".replace("'", "''")
        found = connection.execute(f"describe select * from read_parquet('{files}', union_by_name = true)").fetchall()
        hidden = [name for name, *_ in found if name.startswith("clean_") or name.endswith("_picture")]
        connection.execute(
            f"create view samples as select cells.*, s.* exclude ({', '.join(['filename', *hidden])}) "
            f"from read_parquet('{files}', filename = true, union_by_name = true) s "
            "join cells on parse_filename(s.filename, true) = cells.key"
        )
        return connection.sql(sql).to_arrow_table()
    except duckdb.Error as error:
        raise UserError(f"DuckDB refuses the query: {str(error).splitlines()[0]}") from error
    finally:
        connection.close()
