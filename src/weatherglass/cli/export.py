"""`weatherglass export`: stored results in the formats of others."""

from pathlib import Path

import click


@click.command("export")
@click.argument("store", type=click.Path(path_type=Path))
@click.option("--format", "form", default="tidy", show_default=True, help="timm, robustbench, tidy, markdown or latex.")
@click.option("--output", type=click.Path(path_type=Path), help="File to write; tidy also as .parquet. Default: print.")
@click.option("--reference", default="auto", show_default=True, help="Divides mCE: auto, alexnet, or STORE::MODEL.")
def command(store: Path, form: str, output: Path | None, reference: str) -> None:
    """Write every run of STORE as timm CSV, RobustBench JSON, tidy CSV or Parquet, or text tables.

    Equal measurements give equal bytes.
    """
    from weatherglass.evaluation.reference import reference_named
    from weatherglass.evaluation.store import Store
    from weatherglass.report.exports import export

    text = export(Store(store), form, output, reference=reference_named(reference))
    if text is not None:
        click.echo(text, nl=False)
    else:
        click.echo(f"Wrote {output}.")
