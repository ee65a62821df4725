"""`weatherglass transfer`: do adversarial images made on one model fool the others?"""

import click


@click.command("transfer")
@click.argument("models", nargs=-1, required=True)
@click.option("--data", required=True, help="KIND:PATH, e.g. imagefolder:photos/val. See: weatherglass list data")
@click.option("--attack", "attack_text", default="pgd:exit=never@4/255", show_default=True, help="What is transferred.")
@click.option("--store", default="runs/transfer", show_default=True, help="Keeps the results and the images.")
@click.option("--limit", type=click.IntRange(1), help="Measure so many images; each class keeps its share.")
@click.option("--preprocessing", help="Overrides the models' own, so that all see the same pixels: 'geometry none' ...")
@click.option("--seed", default=0, show_default=True, help="Seed of the attack and of the subset.")
@click.option("--device", default="auto", show_default=True, help="cpu, cuda, cuda:1 ...")
def command(
    models: tuple[str, ...],
    data: str,
    attack_text: str,
    store: str,
    limit: int | None,
    preprocessing: str | None,
    seed: int,
    device: str,
) -> None:
    """Attack each of MODELS and show the adversarial images to all of them.

    Rows are the models that were attacked, columns the models that look. The images are made once and kept.
    """
    from weatherglass.attacks.parse import parse_attack
    from weatherglass.cli.progress import Terminal
    from weatherglass.data.load import load_data
    from weatherglass.evaluation.evaluate import EvaluationSettings
    from weatherglass.evaluation.transfer import measure_transfer
    from weatherglass.models.load import load_predictor
    from weatherglass.models.preprocessing import PreprocessingOverride

    attack = parse_attack(attack_text)
    images = load_data(data, limit=limit, seed=seed)
    override = PreprocessingOverride.parse(preprocessing) if preprocessing else None
    predictors = [load_predictor(model, device=device, preprocessing=override) for model in models]
    with Terminal() as terminal:
        matrix, _ = measure_transfer(
            predictors, attack, data=images, store=store, settings=EvaluationSettings(seed=seed), listener=terminal
        )
    for title, rows in (
        (f"{matrix.common_images} images that all models get right", matrix.common),
        (f"all {matrix.images} images", matrix.whole),
    ):
        click.echo(f"\nAccuracy % under {matrix.attack}, {title} (rows: attacked, columns: looking)")
        _print(matrix.models, [[estimate.percent() for estimate in row] for row in rows])


def _print(names: tuple[str, ...], rows: list[list[str]]) -> None:
    from rich.console import Console
    from rich.table import Table

    table = Table(box=None, pad_edge=False)
    table.add_column("", overflow="fold")
    for name in names:
        table.add_column(name, justify="right", overflow="fold")
    for name, row in zip(names, rows, strict=True):
        table.add_row(name, *row)
    Console(highlight=False, markup=False).print(table)
