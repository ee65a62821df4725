"""`weatherglass validate`: is a folder the data set it claims to be?"""

import sys

import click


@click.command("validate")
@click.argument("data")
def command(data: str) -> None:
    """Look for classes of DATA (imagenet-a:FOLDER ...) that are missing, renamed, doubled or empty, and for boxes and
    masks that cannot be used.

    Exit code 0 when nothing would make numbers wrong, else 1. Kinds: imagenet, imagenet-a, imagenet-r, imagenet-v2,
    imagenet-sketch, coco, voc-boxes.
    """
    from weatherglass.data.validate import validate_folder

    kind, _, place = data.partition(":")
    findings = validate_folder(kind, place)
    for finding in findings:
        click.echo(f"{'error' if finding.fatal else 'note'}: {finding.kind}: {finding.text}")
    if any(finding.fatal for finding in findings):
        sys.exit(1)
    said = "every annotation can be used" if kind in ("coco", "voc-boxes") else "every class is there, once"
    click.echo(f"{data}: {said}.")
