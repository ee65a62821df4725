"""`weatherglass list`: what exists, from tables that need no torch."""

import click


@click.group("list", context_settings={"max_content_width": 110})
def command() -> None:
    """What exists under which name."""


@command.command("corruptions")
def corruptions() -> None:
    """Every corruption, with its family and what it does."""
    from weatherglass.corruptions.severity import CORRUPTIONS

    _print_rows([(name, item.family, item.description) for name, item in CORRUPTIONS.items()])


@command.command("attacks")
def attacks() -> None:
    """Every attack, with its norm, and the worst-case rotations and shifts."""
    from weatherglass.attacks.names import ATTACKS, SPATIAL

    _print_rows([(name, item.norm, item.description) for name, item in ATTACKS.items()])
    _print_rows([(name, "", item.description) for name, item in SPATIAL.items()])


@command.command("suites")
def suites() -> None:
    """Every suite, with its number of conditions."""
    from weatherglass.corruptions.perturbations import PERTURBATION_SUITES
    from weatherglass.corruptions.suites import SUITES

    _print_rows([(name, str(len(item.conditions)), item.description) for name, item in SUITES.items()])
    _print_rows([(name, str(len(item.names)), item.description) for name, item in PERTURBATION_SUITES.items()])


@command.command("sequences")
def sequences() -> None:
    """Every sequence of slightly different versions of an image, as 'sequence:NAME'."""
    from weatherglass.corruptions.perturbations import PERTURBATIONS

    _print_rows([(name, "noise" if item.noise else "", item.description) for name, item in PERTURBATIONS.items()])


@command.command("data")
def data() -> None:
    """Every kind of data set, and how to name it."""
    from weatherglass.data.kinds import KINDS

    _print_rows([(name, item.example, item.description) for name, item in KINDS.items()])


@command.command("models")
@click.option("--table1", is_flag=True, help="Parameters and FLOPs of the FAN family beside the paper's Table 1.")
def models(table1: bool) -> None:
    """Our models, and how to name those of others."""
    if table1:
        from weatherglass.models.table1 import print_table1

        print_table1()
        return
    from weatherglass.models.names import MODELS
    from weatherglass.models.trained import TRAINED_MODELS

    rows = [(name, f"{item.parameters / 1e6:.1f} M", item.summary) for name, item in MODELS.items()]
    rows += [(name, f"{item.parameters / 1e6:.1f} M", item.summary) for name, item in TRAINED_MODELS.items()]
    _print_rows(rows)
    click.echo(
        "\nSegmenters: weatherglass list segmenters   Detectors: weatherglass list detectors"
        "\nAlso: timm/NAME  torchvision/NAME  package.module:factory  path/to/file.py:factory  file.onnx  file.pt2"
    )


@command.command("recipes")
def recipes() -> None:
    """Every training recipe."""
    from weatherglass.training.recipes import RECIPES

    _print_rows([(name, f"{item.epochs} epochs", item.summary) for name, item in RECIPES.items()])


@command.command("segmenters")
def segmenters() -> None:
    """Every segmentation head, and how segmenters are named."""
    from weatherglass.models.segmenter_names import HEADS, OTHERS

    _print_rows([(f"{name}/BACKBONE", item.summary, f"e.g. {item.example}") for name, item in HEADS.items()])
    click.echo("\nBackbones: fan_*, *_micro_*, and timm/NAME of everything with features_only. Also:")
    _print_rows(list(OTHERS.items()))


@command.command("detectors")
def detectors() -> None:
    """Every detection method, and how detectors are named."""
    from weatherglass.models.detector_names import DETECTORS, OTHERS

    _print_rows([(f"{name}/BACKBONE", item.summary, f"e.g. {item.example}") for name, item in DETECTORS.items()])
    click.echo("\nBackbones: fan_*, *_micro_*, and timm/NAME of everything with features_only. Also:")
    _print_rows(list(OTHERS.items()))


@command.command("verbs")
def verbs() -> None:
    """Every verb of the command line."""
    from weatherglass.cli.main import VERBS

    _print_rows([(name, line) for name, (_, line) in VERBS.items()])


def _print_rows(rows: list[tuple[str, ...]]) -> None:
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]) - 1)]
    for row in rows:
        cells = [text.ljust(width) for text, width in zip(row, widths, strict=False)]
        click.echo("  ".join([*cells, row[-1]]).rstrip())
