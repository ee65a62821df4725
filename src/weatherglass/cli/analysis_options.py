"""What all analyses share on the command line: models, data, where results go; and what is written at the end."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

if TYPE_CHECKING:
    from weatherglass.evaluation.studies import Study
    from weatherglass.studies.bench import Bench


@dataclass(frozen=True)
class Common:
    """What the options common to all analyses say."""

    models: tuple[str, ...]
    data: str
    output: Path
    store: Path | None
    limit: int | None
    seed: int
    checkpoint: str | None
    device: str

    def run(self, study: "Callable[[Bench], Study]") -> None:
        """Make a study of these models and images, keep it, and write it down."""
        from weatherglass.cli.progress import Terminal
        from weatherglass.data.load import load_data
        from weatherglass.models.load import load_predictor
        from weatherglass.studies.bench import Bench

        images = load_data(self.data, limit=self.limit, seed=self.seed)
        predictors = [load_predictor(name, checkpoint=self.checkpoint, device=self.device) for name in self.models]
        store = self.store or self.output / "store"
        with Terminal() as terminal:
            made = study(Bench(tuple(predictors), images, store, self.seed, terminal))
        write_study(made, self.output, store)


def common(command: Callable[..., None]) -> Callable[..., None]:
    """The arguments and options of every analysis of models, gathered in a `Common`."""

    def gathered(**options: Any) -> None:
        fields = {name: options.pop(name) for name in Common.__dataclass_fields__}
        command(Common(**fields), **options)

    gathered.__doc__ = command.__doc__
    gathered.__click_params__ = getattr(command, "__click_params__", [])  # pyright: ignore[reportFunctionMemberAccess]
    for option in (
        click.option("--device", default="auto", show_default=True, help="cpu, cuda, cuda:1 ..."),
        click.option("--checkpoint", help="Local weights: safetensors or a weights-only torch file."),
        click.option(
            "--seed",
            default=0,
            show_default=True,
            help="Of the subset, and of lesions, noise and all else that is drawn.",
        ),
        click.option("--limit", type=click.IntRange(1), help="Look at so many images; each class keeps its share."),
        click.option(
            "--data", required=True, help="KIND:PATH, e.g. imagefolder:photos; without classes: images:photos."
        ),
        click.argument("models", nargs=-1, required=True),
    ):
        gathered = option(gathered)
    return places(gathered)


def places(command: Callable[..., None]) -> Callable[..., None]:
    """The options that say where results go."""
    store = click.option(
        "--store", type=click.Path(path_type=Path), help="Keeps cells and studies for reports [default: OUTPUT/store]."
    )
    output = click.option(
        "--output",
        type=click.Path(path_type=Path),
        default="analysis",
        show_default=True,
        help="Folder for tables and figures.",
    )
    return store(output(command))


def write_study(study: "Study", output: Path, store: Path) -> None:
    """Keep the study, write its tables, figures and pictures, and say what was found."""
    from weatherglass.evaluation.files import write_aside, write_text
    from weatherglass.evaluation.store import Store
    from weatherglass.evaluation.studies import keep_study
    from weatherglass.report.analysis_figures import csv_text
    from weatherglass.report.charts import save_figure

    for name, rows in study.tables.items():
        write_text(output / f"{name}.csv", csv_text(rows))
        click.echo(f"wrote {output / f'{name}.csv'} ({len(rows)} rows)")
    for figure in study.figures:
        click.echo(f"wrote {save_figure(figure, output)[1]}  {figure.caption}")
    for sheet in study.sheets:
        path = output / f"{sheet.name}.png"
        write_aside(path, lambda part, png=sheet.png: part.write_bytes(png))
        click.echo(f"wrote {path}  {sheet.caption}")
    keep_study(Store(store, create=True), study)
    if study.findings:
        click.echo(f"\nExpected after {study.card.source}, and found:")
    for claim in study.card.expected:
        found = [one for one in study.findings if one.claim == claim]
        if found:
            click.echo(f"  {claim}")
        for one in found:
            click.echo(f"    {one.verdict:9} {one.model}: {one.evidence}")
    click.echo(f"\nThe same as a page: weatherglass report {store}")
