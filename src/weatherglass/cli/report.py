"""`weatherglass report`: draw stored results as one offline page."""

from pathlib import Path

import click


@click.command("report")
@click.argument("stores", nargs=-1, required=True, type=click.Path(path_type=Path), metavar="STORE [STORE ...]")
@click.option(
    "--output", "-o", type=click.Path(path_type=Path), default="report.html", show_default=True, help="The page."
)
@click.option(
    "--figures", type=click.Path(path_type=Path), help="Also write figures (SVG, PNG) and tables into this folder."
)
@click.option("--reference", metavar="RUN", help="Whose errors divide CE and mCE: 'STORE::MODEL' or 'alexnet'.")
def command(stores: tuple[Path, ...], output: Path, figures: Path | None, reference: str | None) -> None:
    """Draw the results in one or several stores as one self-contained HTML page.

    The page needs no network: open it, send it, print it. Nothing is measured; only stored results are read.
    """
    from weatherglass.report.document import report

    document = report(*stores, reference=reference)
    path = document.save(output)
    click.echo(f"Wrote {path} ({path.stat().st_size / 1e6:.1f} MB).")
    if figures is not None:
        written = document.save_figures(figures)
        click.echo(f"Wrote {len(written)} files to {figures}.")
