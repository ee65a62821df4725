"""`weatherglass conflict-stimuli`: our own stimuli, the shape of one class in the texture of another."""

from pathlib import Path

import click


@click.command("conflict-stimuli")
@click.argument("data")
@click.argument("folder", type=click.Path(path_type=Path))
@click.option("--count", type=click.IntRange(1), default=200, show_default=True, help="Stimuli to write.")
@click.option("--patch", type=click.IntRange(2), default=8, show_default=True, help="Side of a patch, even.")
@click.option("--detail", type=click.FloatRange(0), default=1.0, show_default=True, help="Pattern against brightness.")
@click.option("--size", type=click.IntRange(4), help="Side of the stimuli [default: that of the images, or 224].")
@click.option("--seed", default=0, show_default=True, help="Which images meet.")
def command(data: str, folder: Path, count: int, patch: int, detail: float, size: int | None, seed: int) -> None:
    """Redraw images of DATA with patches of images of other classes, into a new FOLDER.

    Files are named SHAPE/SHAPEn-TEXTUREm.png, so cue-conflict:FOLDER reads them and shape-bias measures on them. The
    stimuli are ours: compare shape biases on them with each other, not with published ones. Photographs of ImageNet
    classes are grouped into the 16 categories.
    """
    from weatherglass.data.load import load_data
    from weatherglass.evaluation.conflicts import ConflictSettings, write_conflicts

    settings = ConflictSettings(count, patch, detail, size, seed)
    made = write_conflicts(load_data(data), folder, settings)
    click.echo(f"wrote {len(made)} stimuli and their manifest to {folder}")
    click.echo(f"next: weatherglass shape-bias MODEL --data cue-conflict:{folder}")
