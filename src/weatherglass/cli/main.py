"""The command line: a few verbs, each in a file of its own that is imported when it is used."""

import os
import sys
from importlib import import_module

import click

from weatherglass import __version__
from weatherglass.cli.allocation import keep_freed_memory
from weatherglass.cli.interruption import listen
from weatherglass.errors import UserError

VERBS: dict[str, tuple[str, str]] = {
    "demo": ("weatherglass.cli.demo", "Everything, small and offline: three models on embedded digits."),
    "evaluate": (
        "weatherglass.cli.evaluate",
        "Measure models, clean and under disturbances; goes on where it stopped.",
    ),
    "report": ("weatherglass.cli.report", "Draw stored results as one offline HTML page."),
    "compare": ("weatherglass.cli.compare", "Is B really better than A? Paired tests on the same images."),
    "gate": ("weatherglass.cli.gate", "Pass or fail a run by rules; exit code for continuous integration."),
    "explain-diff": ("weatherglass.cli.explain_diff", "Which parts of the protocol make two numbers differ."),
    "export": ("weatherglass.cli.export", "Write results as timm CSV, RobustBench JSON or tidy CSV/Parquet."),
    "corrupt": ("weatherglass.cli.corrupt", "Write a corrupted copy of a data set, with a manifest."),
    "show": ("weatherglass.cli.show", "Draw one photograph under a corruption at every severity."),
    "convert": ("weatherglass.cli.convert", "Turn a published checkpoint into safetensors."),
    "effective-robustness": (
        "weatherglass.cli.effective_robustness",
        "What models keep under a shift beyond what their clean accuracy promises.",
    ),
    "transfer": ("weatherglass.cli.transfer", "Do adversarial images made on one model fool the others?"),
    "spatial": ("weatherglass.cli.spatial", "Accuracy over angle and shift, the worst of them, shifts within a patch."),
    "perturbations": ("weatherglass.cli.perturbations", "Draw and describe what an attack changes, model by model."),
    "shape-bias": ("weatherglass.cli.shape_bias", "Does a model follow shape or texture? Cue-conflict stimuli."),
    "conflict-stimuli": (
        "weatherglass.cli.conflict_stimuli",
        "Make stimuli: one class's shape, another's texture.",
    ),
    "validate": (
        "weatherglass.cli.validate",
        "Is a folder the data set it claims to be? Finds missing or doubled classes.",
    ),
    "train": ("weatherglass.cli.train", "Train a network by a recipe; goes on where it stopped."),
    "analyse": ("weatherglass.cli.analyse", "Disturb the model or look inside it: lesions, attention, similarity ..."),
    "reproduce": (
        "weatherglass.cli.reproduce",
        "Published tables and figures: print them, measure their small form beside them.",
    ),
    "query": ("weatherglass.cli.query", "Ask a store in SQL; one row a sample."),
    "list": ("weatherglass.cli.list", "What exists: models, corruptions, suites, data, verbs."),
}
"""Verb -> module that holds its `command`, and the line that `--help` shows."""


class LazyVerbs(click.Group):
    """A group whose verbs are imported when they are called, so that `--help` answers at once."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(VERBS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in VERBS:
            return None
        return import_module(VERBS[cmd_name][0]).command

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        if args and args[0] not in VERBS and not args[0].startswith("-"):
            from weatherglass.errors import unknown_name_message

            ctx.fail(unknown_name_message("verb", args[0], VERBS))
        return super().resolve_command(ctx, args)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        with formatter.section("Verbs"):
            formatter.write_dl([(name, line) for name, (_, line) in VERBS.items()])


@click.group(cls=LazyVerbs, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 110})
@click.version_option(__version__, prog_name="weatherglass")
def weatherglass() -> None:
    """The robustness laboratory for vision models.

    How does a model hold up when its input, or the model itself, is disturbed, and why?
    """


def main() -> None:
    """Run the command line. A user's mistake prints one line and exits with 2; ours prints a traceback."""
    listen()
    keep_freed_memory()
    # Threads that wait for work sleep instead of spinning: on a machine that does other things too, spinning makes
    # small tensor operations many times slower. OpenMP reads this when torch is imported, which happens later.
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
    try:
        weatherglass(standalone_mode=False)
    except click.exceptions.Exit as request:
        sys.exit(request.exit_code)
    except click.ClickException as error:
        error.show()
        sys.exit(2)
    except UserError as error:
        click.echo(f"weatherglass: {error}", err=True)
        sys.exit(2)
    except (KeyboardInterrupt, click.Abort):
        click.echo("weatherglass: stopped. What is finished is kept; the same command goes on from there.", err=True)
        sys.exit(130)
    except BrokenPipeError:
        # The reader of our output went away (weatherglass list ... | head); there is nobody to tell.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(1)


if __name__ == "__main__":
    main()
