"""`weatherglass demo`: the whole path on embedded data: measure, compare, report; offline."""

import time
from pathlib import Path

import click

MODELS = ("digits_cnn", "digits_vit", "digits_fan")
QUICK_IMAGES = 150


@click.command("demo")
@click.option("--store", default="runs/demo", show_default=True, help="Folder that keeps the results.")
@click.option("--output", default="report.html", show_default=True, help="The page that is written.")
@click.option("--quick", is_flag=True, help=f"Only {QUICK_IMAGES} of the 597 images.")
def command(store: str, output: str, quick: bool) -> None:
    """Three small models, 597 handwritten digits, 15 corruptions at 5 severities, and a page that shows the result.

    Everything it needs ships with the package. Run it again and it finds everything measured.
    """
    from weatherglass.cli.evaluate import Options, run
    from weatherglass.cli.progress import print_comparison
    from weatherglass.report import report

    started = time.perf_counter()
    limit = QUICK_IMAGES if quick else None
    evaluation = run(Options(models=MODELS, data="digits:test", store=store, suite="imagenet-c", limit=limit))
    assert evaluation is not None
    first, *others = evaluation.runs
    for other in others:
        print_comparison(first, other)
    report(evaluation.store).save(output)
    page = Path(output).resolve()
    click.echo(f"\nDone in {time.perf_counter() - started:.0f} s. The results: {store}  The page: {page}")
    click.echo(
        f"Next, your own model: weatherglass evaluate my_model.py:build --data imagefolder:photos --store {store}-2"
    )
