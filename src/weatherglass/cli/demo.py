"""`weatherglass demo`: the whole path on embedded data: measure, compare, report; offline."""

import time

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
    from weatherglass.cli.evaluate import Options, measure
    from weatherglass.cli.progress import print_comparison, print_summaries
    from weatherglass.report.document import report

    started = time.perf_counter()
    limit = QUICK_IMAGES if quick else None
    evaluation = measure(
        Options(models=MODELS, data="digits:test", store=store, suite="imagenet-c", limit=limit, frost="procedural")
    )
    assert evaluation is not None
    first, *others = evaluation.runs
    print_summaries(evaluation.runs)
    for other in others:
        print_comparison(first, other)
    page = report(evaluation.store).save(output).resolve()
    click.echo(f"\nDone in {time.perf_counter() - started:.0f} s. Results: {store}. The page: {page}")
    click.echo("Next, your own model: weatherglass evaluate my_model.py:build --data imagefolder:photos")
