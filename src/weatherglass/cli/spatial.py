"""`weatherglass spatial`: accuracy over angle and shift, the worst of them, and shifts of less than a patch."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from weatherglass.evaluation.runs import Run


@click.command("spatial")
@click.argument("models", nargs=-1, required=True)
@click.option("--data", required=True, help="KIND:PATH, e.g. imagefolder:photos/val. See: weatherglass list data")
@click.option("--store", default="runs/spatial", show_default=True, help="Folder that keeps the results.")
@click.option("--angle", default=30.0, show_default=True, help="Largest rotation of the map in degrees, both ways.")
@click.option("--angles", type=click.IntRange(3), default=13, show_default=True, help="Rotations of the map; odd.")
@click.option("--shift", "shift_text", default="3/28", show_default=True, help="Largest shift, as a share of the side.")
@click.option("--shifts", type=click.IntRange(3), default=5, show_default=True, help="Shifts along each axis; odd.")
@click.option("--patch", type=click.IntRange(2), help="Side of a patch: also measures shifts of less than it.")
@click.option(
    "--worst/--no-worst", default=True, show_default=True, help="Also search the worst of 775 for each image."
)
@click.option("--limit", type=click.IntRange(1), help="Measure so many images; each class keeps its share.")
@click.option("--seed", default=0, show_default=True, help="Seed of the subset.")
@click.option("--output", type=click.Path(path_type=Path), help="Folder for the figures, as SVG and PNG.")
@click.option("--device", default="auto", show_default=True, help="cpu, cuda, cuda:1 ...")
def command(
    models: tuple[str, ...],
    data: str,
    store: str,
    angle: float,
    angles: int,
    shift_text: str,
    shifts: int,
    patch: int | None,
    worst: bool,
    limit: int | None,
    seed: int,
    output: Path | None,
    device: str,
) -> None:
    """Rotate and shift the images of DATA and look where MODELS fail.

    The map measures single moves, the same for all images; the worst is sought for every image by itself. `weatherglass
    report` draws the maps of a store too.
    """
    from weatherglass.attacks.parse import parse_number
    from weatherglass.cli.progress import Terminal
    from weatherglass.data.load import load_data
    from weatherglass.evaluation.evaluate import EvaluationSettings
    from weatherglass.evaluation.space import SpatialGrid, measure_space
    from weatherglass.models.load import load_predictor

    grid = SpatialGrid(angle, angles, parse_number(shift_text, "the largest shift"), shifts, patch)
    images = load_data(data, limit=limit, seed=seed)
    predictors = [load_predictor(model, device=device) for model in models]
    with Terminal() as terminal:
        done = measure_space(
            predictors,
            grid,
            data=images,
            store=store,
            worst=worst,
            settings=EvaluationSettings(seed=seed),
            listener=terminal,
        )
    _print(done.runs, patch)
    if output is not None:
        for path in _draw(done.runs, patch, output):
            click.echo(f"wrote {path}")


def _print(runs: "Sequence[Run]", patch: int | None) -> None:
    from weatherglass.attacks.names import SPATIAL
    from weatherglass.cli.results import console, print_lines, print_table
    from weatherglass.evaluation.adversarial import attack_results
    from weatherglass.evaluation.space import moved_accuracies, sub_patch_shift
    from weatherglass.report.words import short_labels

    out, rows = console(), []
    for run, label in zip(runs, short_labels([run.model for run in runs]), strict=True):
        points = moved_accuracies(run)
        still = next(point for point in points if (point.angle, point.down, point.right) == (0, 0, 0))
        lowest = min(points, key=lambda point: point.accuracy.value)
        found = {result.disturbance: result.accuracy.percent() for result in attack_results(run)}
        rows.append([label, still.accuracy.percent(), lowest.accuracy.percent(), *(found.get(s, "-") for s in SPATIAL)])
        where = f"{lowest.angle:g} degrees, {lowest.down:g} px down, {lowest.right:g} px right"
        print_lines(out, [f"{label}: {len(points)} single moves; the worst of them is {where}."])
        if patch is not None and (sub := sub_patch_shift(run, patch)) is not None:
            print_lines(
                out,
                [
                    f"  Shift of a whole patch ({patch} px): {sub.agreement[patch - 1].percent()} % of the predictions "
                    f"stay; {sub.sensitivity.percent()} points more than at the shifts around it."
                ],
            )
    names = {"rotation_translation": "both", "rotation": "rotations", "translation": "shifts"}
    print_table(out, ["accuracy %", "clean", "worst move", *(names[name] for name in SPATIAL)], rows)
    print_lines(out, [f"Last columns: right under every move of {', '.join(SPATIAL)}."])


def _draw(runs: "Sequence[Run]", patch: int | None, folder: Path) -> list[Path]:
    from weatherglass.evaluation.space import sub_patch_shift
    from weatherglass.report.charts import Figure, save_figure
    from weatherglass.report.space import space_figure, sub_patch_figure
    from weatherglass.report.words import short_labels

    labelled = list(zip(short_labels([run.model for run in runs]), runs, strict=True))
    figures = []
    if (maps := space_figure(labelled)) is not None:
        figures.append(
            Figure("spatial-maps", "Rotations and shifts", "Accuracy under single rotations and shifts.", maps)
        )
    if patch is not None:
        shifts = [(label, found) for label, run in labelled if (found := sub_patch_shift(run, patch)) is not None]
        if shifts:
            caption = "Share of the predictions that stay when the image is shifted to the right."
            figures.append(Figure("sub-patch-shifts", "Shifts within a patch", caption, sub_patch_figure(shifts)))
    return [path for figure in figures for path in save_figure(figure, folder)]
