"""`weatherglass shape-bias`: does a model follow the shape or the texture?"""

from pathlib import Path
from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from weatherglass.evaluation.texture import TextureSummary


@click.command("shape-bias")
@click.argument("models", nargs=-1, required=True)
@click.option("--data", required=True, help="cue-conflict:FOLDER or .zip, with files such as cat/cat7-elephant1.png.")
@click.option("--store", default="runs/shape-bias", show_default=True, help="Folder that keeps the results.")
@click.option("--output", type=click.Path(path_type=Path), help="Plot by category: .html, .svg, .png or .pdf.")
@click.option("--device", default="auto", show_default=True, help="cpu, cuda, cuda:1 ...")
def command(models: tuple[str, ...], data: str, store: str, output: Path | None, device: str) -> None:
    """Shape bias of MODELS on stimuli whose shape is of one category and whose texture of another.

    A decision is the category of 16 with the largest mean probability, or the model's own class on stimuli made of
    its classes (weatherglass conflict-stimuli); stimuli with agreeing cues are left out.
    """
    from weatherglass.cli.progress import Terminal
    from weatherglass.data.load import load_data
    from weatherglass.evaluation.evaluate import evaluate
    from weatherglass.evaluation.texture import texture_summary
    from weatherglass.models.load import load_predictor

    stimuli = load_data(data)
    predictors = [load_predictor(model, device=device) for model in models]
    with Terminal() as terminal:
        done = evaluate(predictors, data=stimuli, store=store, disturbances=["clean"], listener=terminal)
    summaries = [texture_summary(run) for run in done.runs]
    _print(summaries)
    if output is not None:
        from weatherglass.report.shape_bias import write_shape_bias

        write_shape_bias(summaries, output)
        click.echo(f"wrote {output}")


def _print(summaries: "list[TextureSummary]") -> None:
    from rich.console import Console
    from rich.table import Table

    console = Console(highlight=False, markup=False)
    table = Table(box=None, pad_edge=False)
    table.add_column("category")
    for summary in summaries:
        table.add_column(summary.model, justify="right", overflow="fold")
    for heading, name in (
        ("shape bias", "bias"),
        ("shape accuracy %", "shape_accuracy"),
        ("texture accuracy %", "texture_accuracy"),
    ):
        cells = [getattr(summary.overall, name) for summary in summaries]
        texts = ["-" if one is None else one.number(3) if name == "bias" else one.percent() for one in cells]
        table.add_row(heading, *texts)
    table.add_section()
    for category in summaries[0].categories:
        biases = [summary.categories[category].bias for summary in summaries]
        table.add_row(category, *["-" if bias is None else bias.number(2) for bias in biases])
    console.print(table)
    console.print(
        f"95 % intervals over {summaries[0].overall.stimuli} stimuli; below: shape bias by category of the shape."
    )
