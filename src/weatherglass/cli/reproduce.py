"""`weatherglass reproduce`: a published table or figure, its small form, and both side by side."""

from pathlib import Path
from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from weatherglass.experiments.card import Card
    from weatherglass.experiments.findings import Finding
    from weatherglass.experiments.study import Member, Study
    from weatherglass.report.tables import TextTable


@click.command("reproduce")
@click.argument("card", required=False)
@click.argument("models", nargs=-1)
@click.option("--trained", help="Folder of trainings by the card's recipes, instead of MODELS: FOLDER/RECIPE[-seedN].")
@click.option("--data", help="KIND:PATH of the clean images. See: weatherglass list data")
@click.option("--shift", "shifts", multiple=True, help="KIND:PATH of shifted images; may be given several times.")
@click.option("--suite", help="Corruptions, or 'none' [default: the card's; see: weatherglass list suites].")
@click.option("--reference", default="auto", metavar="RUN", help="Whose errors divide mCE: 'STORE::MODEL', 'alexnet'.")
@click.option("--store", default="runs/reproduce", show_default=True, help="Folder that keeps the results.")
@click.option("--limit", type=click.IntRange(1), help="Measure so many images; each class keeps its share.")
@click.option("--seed", default=0, show_default=True, help="Seed of the disturbances and of the subset.")
@click.option("--output", type=click.Path(path_type=Path), help="Folder for tables.md, numbers.json and the figure.")
@click.option("--device", default="auto", show_default=True, help="cpu, cuda, cuda:1 ...")
def command(
    card: str | None,
    models: tuple[str, ...],
    trained: str | None,
    data: str | None,
    shifts: tuple[str, ...],
    suite: str | None,
    reference: str,
    store: str,
    limit: int | None,
    seed: int,
    output: Path | None,
    device: str,
) -> None:
    """Print the cards, one CARD with its published numbers, or measure its small form on MODELS.

    A model is SPEC, FAMILY=SPEC or FAMILY,SHARE=SPEC, where SHARE is how much data it was trained on.

    \b
    weatherglass reproduce
    weatherglass reproduce fan-table-8
    weatherglass reproduce model-size ViT=tiny.py:vit ViT=small.py:vit ResNet=a.py:resnet --data cifar10:data
    weatherglass reproduce fan-table-6 --trained runs/training --data cifar10:data
    """
    from weatherglass.errors import UserError
    from weatherglass.experiments.cards import CARDS

    if card is None:
        for name, each in CARDS.items():
            click.echo(f"{name:16}  {each.question}")
        return
    chosen = CARDS[card]
    _describe(card, chosen)
    if not models and trained is None:
        for name in chosen.tables:
            from weatherglass.experiments.tables import printed_table

            _print(printed_table(name))
        return
    if data is None:
        raise UserError(f"The small form of {card} measures models on images: give --data KIND:PATH.")
    members = _members(chosen, models, trained)
    study = _measure(members, data, shifts, suite or chosen.suite, reference, store, limit, seed, device)
    if "memory" in chosen.columns.values():
        study = _with_memory(study)
    _show(chosen, study, output)


def _members(card: "Card", models: tuple[str, ...], trained: str | None) -> "list[Member]":
    from weatherglass.errors import UserError
    from weatherglass.experiments.study import Member
    from weatherglass.experiments.trained import trained_members

    if models and trained is not None:
        raise UserError("Give models or --trained FOLDER, not both.")
    return [Member.parse(text) for text in models] if trained is None else trained_members(card, trained)


def _with_memory(study: "Study") -> "Study":
    """The same with the peak memory of a training step in every row."""
    from dataclasses import replace

    from weatherglass.experiments.memory import training_memory

    rows = tuple(replace(row, memory=training_memory(row.member.spec)) for row in study.rows)
    return replace(study, rows=rows)


def _describe(name: str, card: "Card") -> None:
    from weatherglass.cli.results import console, print_lines

    lines = [
        f"{name}: {card.question}",
        f"Source: {card.source}.",
        f"Small form: {card.small_form}",
        f"Cost: {card.cost}.",
    ]
    if card.recipes:
        trainings = ", ".join(f"{row}: {recipe}" for row, recipe in card.recipes.items())
        lines.append(f"Recipes of its rows, for --trained: {trainings}.")
    print_lines(console(), [*lines, *(f"Claim: {claim.text}" for claim in card.claims)])


def _measure(
    members: "list[Member]",
    data: str,
    shifts: tuple[str, ...],
    suite: str,
    reference: str,
    store: str,
    limit: int | None,
    seed: int,
    device: str,
) -> "Study":
    from weatherglass.cli.progress import Terminal
    from weatherglass.data.load import load_data
    from weatherglass.evaluation.evaluate import EvaluationSettings
    from weatherglass.evaluation.reference import reference_named
    from weatherglass.experiments.study import measure_study
    from weatherglass.models.load import load_predictor

    divisor = reference_named(reference)
    images = load_data(data, limit=limit, seed=seed)
    shifted = [load_data(spec, limit=limit, seed=seed) for spec in shifts]
    predictors = [load_predictor(member.spec, device=device) for member in members]
    with Terminal() as terminal:
        return measure_study(
            members,
            data=images,
            store=store,
            predictors=predictors,
            shifts=shifted,
            suite=None if suite == "none" else suite,
            settings=EvaluationSettings(seed=seed),
            reference=divisor,
            listener=terminal,
        )


def _show(card: "Card", study: "Study", output: Path | None) -> None:
    from weatherglass.experiments.findings import findings_of, slopes_of
    from weatherglass.experiments.tables import beside_table, findings_table, grid_table, slopes_table, study_table

    slopes, findings = slopes_of(study), findings_of(card, study)
    tables = [study_table(study)]
    if len(study.shares) > 1:
        tables += [grid_table(study, benchmark) for benchmark in study.benchmarks]
    if slopes:
        tables.append(slopes_table(slopes))
    if (beside := beside_table(card, study)) is not None:
        tables.append(beside)
    for table in tables:
        _print(table)
    _print_findings(findings)
    if output is not None:
        if findings:
            tables.append(findings_table(findings))
        _write(card, study, tables, output)
        click.echo(f"wrote {output}")


def _write(card: "Card", study: "Study", tables: "list[TextTable]", output: Path) -> None:
    import msgspec

    from weatherglass.evaluation.files import write_text
    from weatherglass.experiments.figures import FIGURES
    from weatherglass.experiments.findings import findings_of, slopes_of
    from weatherglass.report.charts import write_chart
    from weatherglass.report.tables import markdown

    write_text(output / "tables.md", "\n".join(markdown(table) for table in tables))
    numbers = {
        "rows": [
            {"model": row.member, "parameters": row.parameters, "accuracy": row.accuracy}
            | {"effective": row.effective, "memory": row.memory}
            for row in study.rows
        ],
        "samples": study.samples,
        "slopes": slopes_of(study),
        "findings": findings_of(card, study),
    }
    write_text(output / "numbers.json", msgspec.json.format(msgspec.json.encode(numbers), indent=2).decode())
    spec = FIGURES[card.figure](study)
    for ending in ("svg", "png"):
        write_chart(spec, output / f"figure.{ending}")


def _print(table: "TextTable") -> None:
    """A text table as wide as it is: its rows are compared line by line."""
    from weatherglass.cli.results import WIDTH, console, print_lines, print_table

    widest = sum(max(len(row[k]) for row in (table.columns, *table.rows)) + 3 for k in range(len(table.columns)))
    out = console()
    print_lines(out, ["", table.title])
    out.width = max(WIDTH, widest)
    print_table(out, table.columns, table.rows)
    out.width = WIDTH
    print_lines(out, list(table.notes))


def _print_findings(findings: "list[Finding]") -> None:
    """Each claim, and below it what was measured on each benchmark."""
    from weatherglass.cli.results import console, print_lines
    from weatherglass.experiments.tables import in_points

    out = console()
    for claim in dict.fromkeys(finding.claim for finding in findings):
        print_lines(out, ["", f"Claim: {claim}"])
        for one in findings:
            if one.claim == claim:
                number = "" if one.estimate is None else f": {in_points(one.estimate)} points"
                print_lines(out, [f"  {one.benchmark}: {one.verdict}; {one.measured}{number}"])
