"""`weatherglass train`: train a network by a recipe."""

import os
import sys
import time
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import click

if TYPE_CHECKING:
    from weatherglass.training.objective import Objective
    from weatherglass.training.progress import Listener
    from weatherglass.training.recipe import Recipe
    from weatherglass.training.training import Training
    from weatherglass.types import ImageData


@click.command("train")
@click.argument("recipe")
@click.option("--data", help="What to train on: KIND:PATH. Its own test part is scored, where it has one.")
@click.option("--validation", help="What to score on, where --data has no such part.")
@click.option("--output", help="Folder for checkpoints and weights  [default: runs/training/RECIPE].")
@click.option("--set", "settings", multiple=True, metavar="KEY=VALUE", help="Change the recipe: schedule.epochs=20.")
@click.option("--limit", type=click.IntRange(1), help="Train on so many images; each class keeps its share.")
@click.option("--device", default="auto", show_default=True, help="cpu, cuda, cuda:1 ...")
@click.option(
    "--workers", type=click.IntRange(0), help="Processes that load samples  [default: one less than processors]."
)
@click.option("--threads", type=click.IntRange(1), help="Processor threads of the network  [default: torch's choice].")
@click.option("--score-every", type=click.IntRange(1), default=1, show_default=True, help="Epochs between two scores.")
@click.option("--tensorboard", is_flag=True, help="Write for TensorBoard too, into OUTPUT/tensorboard.")
@click.option("--show", is_flag=True, help="Print the recipe as TOML and stop.")
def command(
    recipe: str,
    data: str | None,
    validation: str | None,
    output: str | None,
    settings: tuple[str, ...],
    limit: int | None,
    device: str,
    workers: int | None,
    threads: int | None,
    score_every: int,
    tensorboard: bool,
    show: bool,
) -> None:
    """Train a network by RECIPE, a name of `weatherglass list recipes` or a TOML file.

    The same command goes on where it stopped; a stopped run ends as one that never stopped. The weights that come out
    are evaluated with: weatherglass evaluate OUTPUT/model.safetensors --data ...

    \b
    weatherglass train fan-vit-micro --data cifar10:data
    weatherglass train fan-vit-s --data imagenet:ILSVRC --set batch=512 --set optimiser.rate=1e-3
    torchrun --nproc-per-node 8 -m weatherglass train fan-hybrid-s --data imagenet:ILSVRC
    """
    from weatherglass.errors import UserError
    from weatherglass.training.recipe_text import as_toml, with_settings
    from weatherglass.training.recipes import find_recipe

    chosen = with_settings(find_recipe(recipe), _settings(settings))
    if show:
        click.echo(as_toml(chosen), nl=False)
        return
    if data is None:
        raise UserError("train needs --data KIND:PATH, for example cifar10:FOLDER. See: weatherglass list data")
    import torch

    from weatherglass.training.distributed import joined
    from weatherglass.training.loop import train
    from weatherglass.training.parts import training_and_validation

    if threads is not None:
        torch.set_num_threads(threads)
    training_data, held_out = training_and_validation(data, validation, limit=limit, seed=chosen.seed)
    loading = workers if workers is not None else min((os.cpu_count() or 1) - 1, 8)
    folder = output or f"runs/training/{chosen.name}"
    with joined(device) as group:
        objective = _objective(chosen, training_data, held_out)
        listener = _listener(tensorboard) if group.leads else None
        done = train(
            chosen, objective, folder, group=group, workers=loading, score_every=score_every, listener=listener
        )
        if group.leads:
            _conclude(done, chosen)


def _objective(recipe: "Recipe", data: "ImageData", validation: "ImageData | None") -> "Objective[Any]":
    """What the recipe's network learns: to segment or to detect where its name says so, else to classify."""
    from weatherglass.models.detector_names import is_detector
    from weatherglass.models.segmenter_names import is_segmenter

    if is_detector(recipe.network.name):
        from weatherglass.training.detection import Detection

        return Detection(recipe, data, validation)
    if is_segmenter(recipe.network.name):
        from weatherglass.training.segmentation import Segmentation

        return Segmentation(recipe, data, validation)
    from weatherglass.training.classification import Classification

    return Classification(recipe, data, validation)


def _settings(given: tuple[str, ...]) -> dict[str, str]:
    from weatherglass.errors import UserError

    pairs = {}
    for text in given:
        key, equals, value = text.partition("=")
        if not equals or not key:
            raise UserError(f"--set takes KEY=VALUE, such as schedule.epochs=20; got '{text}'.")
        pairs[key.strip()] = value.strip()
    return pairs


def _listener(tensorboard: bool) -> "Listener":
    if not tensorboard:
        return terminal()
    from weatherglass.training.tensorboard import Several, TensorBoard

    return Several([terminal(), TensorBoard()])


def terminal() -> "Listener":
    """Progress on the terminal: a line an epoch, and within it every ten seconds where someone is watching."""
    from weatherglass.training.progress import Listener, Pace

    class Terminal(Listener):
        spoke = 0.0

        def started(self, training: "Training") -> None:
            recipe, samples = training.recipe, training.objective.samples
            parameters = sum(parameter.numel() for parameter in training.model.parameters())
            click.echo(
                f"{recipe.name}: {recipe.network.name}, {parameters / 1e6:.2f} M parameters, {samples:,} samples, "
                f"{recipe.epochs} epochs of {training.steps_an_epoch:,} steps of {recipe.batch}, peak rate "
                f"{recipe.peak_rate:g}, {recipe.precision} on {training.group.device}"
                + (f", {training.group.size} processes" if training.group.size > 1 else "")
            )
            memory, steps = recipe.averaging.decay, recipe.epochs * training.steps_an_epoch
            if memory and 1 / (1 - memory) > steps / 5:
                origin = "untrained network" if recipe.network.start is None else "network it starts from"
                click.echo(
                    f"Note: averaging.decay={memory:g} remembers {1 / (1 - memory):,.0f} of {steps:,} steps: the "
                    f"average will hold much of the {origin}. Lower it, or set it to 0."
                )
            for remark in training.objective.remarks:
                click.echo(f"Note: {remark}")
            if training.step:
                click.echo(f"going on after step {training.step:,} (epoch {training.epoch} of {recipe.epochs} is done)")

        def stepped(self, training: "Training", pace: Pace) -> None:
            now = time.monotonic()
            if now - self.spoke < 10 or not sys.stderr.isatty():
                return
            self.spoke = now
            left = training.recipe.epochs * training.steps_an_epoch - training.step
            seconds = left * training.recipe.batch / pace.rate
            click.echo(
                f"\r  epoch {training.epoch + 1}, step {training.step:,}: {pace.rate:,.0f} samples/s, "
                f"{duration(seconds)} left   ",
                nl=False,
                err=True,
            )

        def epoch_ended(self, training: "Training", row: Mapping[str, float]) -> None:
            left = (training.recipe.epochs - training.epoch) * row["seconds"]
            name = headline(row)
            accuracy = f", {name} {100 * row[name]:.2f} %" if name else ""
            click.echo(
                f"epoch {row['epoch']:.0f}/{training.recipe.epochs}: loss {row['loss']:.4f}{accuracy}, "
                f"{row['samples/s']:,.0f} samples/s, {100 * row['waiting']:.0f} % of it waiting for samples, "
                f"{duration(left)} left"
            )

    return Terminal()


def _conclude(training: "Training", recipe: "Recipe") -> None:
    from weatherglass.metrics.intervals import wilson_interval

    row = next((row for row in reversed(training.history) if headline(row)), None)
    words = {"miou": "mIoU", "box_ap": "box AP"}
    if row is not None and (name := headline(row)) in words:
        click.echo(
            f"{recipe.name}: {words[name]} {100 * row[name]:.2f} % on {row['images']:,.0f} images it did not train on"
        )
    elif row is not None:
        low, high = wilson_interval(row["accuracy"], int(row["images"]))
        click.echo(
            f"{recipe.name}: {100 * row['accuracy']:.2f} % [{100 * low:.2f}, {100 * high:.2f}] of "
            f"{row['images']:,.0f} images that it did not train on"
        )
    click.echo(f"Weights: {training.folder.weights}  (weatherglass evaluate {training.folder.weights} --data ...)")


def headline(row: "Mapping[str, float]") -> str | None:
    """The score that is shown of an epoch, where it was scored."""
    return next((name for name in ("accuracy", "miou", "box_ap") if name in row), None)


def duration(seconds: float) -> str:
    """'42 s', '3 min', '2.5 h'."""
    if seconds < 90:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 5400 else f"{seconds / 3600:.1f} h"
