"""`weatherglass corrupt`: a corrupted copy of a data set."""

from dataclasses import dataclass
from typing import Any

import click


@dataclass(frozen=True)
class Options:
    """What the command line said, one field an option."""

    source: str
    out: str
    suite: str | None = None
    corruptions: tuple[str, ...] = ()
    format: str = "png"
    quality: int | None = None
    size: int | None = None
    preprocessing: str | None = None
    limit: int | None = None
    fraction: float | None = None
    seed: int = 0
    clean: bool = True
    definition: str = "imagecorruptions"
    calibration: str = "auto"
    frost: str = "auto"
    backend: str = "auto"
    reencode: str | None = None
    workers: int = 0
    skip_unreadable: bool = False
    only_plan: bool = False


@click.command("corrupt")
@click.argument("source")
@click.argument("out")
@click.option("--suite", help="A named set of conditions [default: imagenet-c]. See: weatherglass list suites")
@click.option("--corruption", "corruptions", multiple=True, help="Such as fog@3; fog alone: severities 1-5.")
@click.option("--format", default="png", show_default=True, help="png, jpeg or webp.")
@click.option("--quality", type=click.IntRange(1, 100), help="Of jpeg [default: 85]; of webp [default: without loss].")
@click.option("--size", type=click.IntRange(16), help="Resize the shorter side and crop a square [default: as it is].")
@click.option("--preprocessing", help="Geometry in full, e.g. 'resize 256 bicubic, crop 224'.")
@click.option("--limit", type=click.IntRange(1), help="Copy so many images; each class keeps its share.")
@click.option("--fraction", type=click.FloatRange(0, 1, min_open=True), help="Copy such a share of the images.")
@click.option("--seed", default=0, show_default=True, help="Seed of the corruptions and of the subset.")
@click.option("--clean/--no-clean", default=True, help="Write the undisturbed images too, as OUT/clean [default: yes].")
@click.option("--definition", default="imagecorruptions", show_default=True, help="Or: imagenet-c (Hendrycks, 224 px).")
@click.option("--calibration", default="auto", show_default=True, help="Constants for 224, 64 or 32 pixels.")
@click.option("--frost", default="auto", show_default=True, help="procedural, reference, or a folder of textures.")
@click.option("--backend", default="auto", show_default=True, help="Of the corruptions: torch or numba.")
@click.option("--reencode", type=click.Choice(["jpeg85"]), help="JPEG round trip before the file is written.")
@click.option("--workers", type=click.IntRange(0), default=0, help="Processes [default: one per core].")
@click.option("--skip-unreadable", is_flag=True, help="Leave out files that do not decode; the manifest lists them.")
@click.option("--plan", "only_plan", is_flag=True, help="Print the plan and stop.")
def command(**options: Any) -> None:
    """Write a corrupted copy of SOURCE into the folder OUT, as corruption/severity/class/file with a manifest.

    Stop at any time, the same command goes on; conditions can be added later. Image sizes are kept. The copy is data
    of its own: weatherglass evaluate MODEL --data imagenet-c:OUT.

    \b
    weatherglass corrupt digits:test digits-foggy --corruption fog@3
    weatherglass corrupt imagefolder:photos/val photos-c --suite imagenet-c --format jpeg
    """
    run(Options(**options))


def run(options: Options) -> None:
    """Plan, write, say how to use it."""
    from rich.console import Console

    from weatherglass.data.load import load_data
    from weatherglass.evaluation.conditions import CorruptionChoices
    from weatherglass.evaluation.copy_files import Encoding
    from weatherglass.evaluation.copy_plan import CopySettings, describe, plan_copy

    data = load_data(options.source, limit=options.limit, fraction=options.fraction, seed=options.seed)
    settings = CopySettings(
        encoding=Encoding(options.format, options.quality),
        preprocessing=_geometry(options),
        seed=options.seed,
        clean=options.clean,
        choices=CorruptionChoices(
            options.definition, options.calibration, options.frost, options.backend, options.reencode
        ),
        workers=options.workers,
        skip_unreadable=options.skip_unreadable,
    )
    plan = plan_copy(data, options.out, suite=options.suite, corruptions=options.corruptions, settings=settings)
    console = Console(highlight=False, markup=False)
    console.print(
        f"{data.name}: {len(data):,} images ({data.selection}), {describe(plan.job.conditions)} to write, "
        f"{len(plan.kept)} there already",
        soft_wrap=True,
    )
    if plan.job.conditions:
        console.print(
            f"about {plan.files:,} {options.format} files, {plan.estimated_bytes / 2**20:,.1f} MiB or more, "
            f"geometry: {settings.preprocessing.geometry}, seed {options.seed}",
            soft_wrap=True,
        )
    if not options.only_plan:
        _write(plan, console)


def _geometry(options: Options):
    from weatherglass.errors import UserError
    from weatherglass.models.preprocessing import PreprocessingOverride
    from weatherglass.types import Preprocessing

    if options.size is not None and options.preprocessing is not None:
        raise UserError("Give --size or --preprocessing, not both.")
    if options.size is not None:
        return Preprocessing(size=(options.size, options.size), resize=options.size, source="command line")
    if options.preprocessing is not None:
        return PreprocessingOverride.parse(options.preprocessing).apply(Preprocessing(source="command line"))
    return Preprocessing()


def _write(plan, console) -> None:
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    from weatherglass.evaluation.copy_plan import MANIFEST
    from weatherglass.evaluation.corrupted_copy import write_copy

    columns = (TextColumn("writing"), BarColumn(bar_width=30), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, console=console, transient=True, disable=not console.is_terminal) as progress:
        bar = progress.add_task("writing", total=plan.files)
        result = write_copy(plan, lambda done, total: progress.update(bar, completed=done, total=total))
    for sentence in result.unreadable:
        console.print(f"left out: {sentence}", soft_wrap=True)
    console.print(
        f"{result.files:,} files, {result.bytes / 2**20:,.1f} MiB written; {result.out / MANIFEST} lists every file.\n"
        f"Evaluate with: weatherglass evaluate MODEL --data imagenet-c:{result.out}",
        soft_wrap=True,
    )
