"""`weatherglass convert`: a published or self-trained checkpoint as safetensors, with the configuration beside it."""

import click


@click.command("convert")
@click.argument("checkpoint", type=click.Path(dir_okay=False))
@click.argument("output", type=click.Path(dir_okay=False))
@click.option("--model", required=True, help="Name of the architecture, see `weatherglass list models`.")
@click.option("--classes", type=click.IntRange(min=1), default=None, help="Number of classes; default: from the file.")
@click.option("--ema/--no-ema", default=None, help="Take the moving average of the weights, or the weights.")
@click.option("--partial", is_flag=True, help="Write even if tensors are missing or left over; they are listed.")
def command(checkpoint: str, output: str, model: str, classes: int | None, ema: bool | None, partial: bool) -> None:
    """Write the weights in CHECKPOINT (.pth.tar, .pth, .safetensors, ...) to OUTPUT, a .safetensors file.

    Reads without running code from the file, builds the model and requires every name and shape to fit. OUTPUT.json
    records the architecture and the normalisation, so that the pair can be loaded elsewhere.
    """
    from weatherglass.models.conversion import convert_checkpoint

    report, written = convert_checkpoint(checkpoint, output, model=model, classes=classes, ema=ema, partial=partial)
    click.echo(f"{written[0]}: {report}")
    for title, names in (
        ("missing", report.missing),
        ("left over", report.unexpected),
        ("other shape", report.mismatched),
    ):
        for name in names:
            click.echo(f"  {title}: {name}")
    click.echo(str(written[1]))
