"""`weatherglass show fog photo.jpg`: a severity sheet of one photograph."""

from pathlib import Path

import click


@click.command(name="show", short_help="Draw one photograph under a corruption at every severity.")
@click.argument("names", metavar="CORRUPTION[,...]")
@click.argument("photograph", type=click.Path(path_type=Path))
@click.option(
    "-o", "--output", type=click.Path(path_type=Path), help="PNG or JPEG; default: CORRUPTION-PHOTOGRAPH.png."
)
@click.option("--severities", default="1,2,3,4,5", show_default=True, help="Comma-separated, also fractional.")
@click.option(
    "--size", type=int, default=224, show_default=True, help="Shorter side of each picture in pixels; 0: as it is."
)
@click.option("--seed", type=int, default=0, show_default=True)
@click.option("--definition", default="imagecorruptions", show_default=True, help="imagecorruptions or imagenet-c.")
@click.option("--frost", default="auto", show_default=True, help="auto, procedural, reference or a folder of textures.")
def command(
    names: str,
    photograph: Path,
    output: Path | None,
    severities: str,
    size: int,
    seed: int,
    definition: str,
    frost: str,
) -> None:
    """Write a sheet with PHOTOGRAPH clean and corrupted at every severity.

    CORRUPTION is a name ('fog'), several ('fog,snow'), a composition ('fog+motion_blur') or a suite
    ('imagenet-c'); `weatherglass list corruptions` names them. With the definition 'imagenet-c' the picture is
    cropped to a square. It is shown as a model sees it: as it is stored, without the rotation of its EXIF data.
    """
    from weatherglass.corruptions.sheet import severity_sheet
    from weatherglass.corruptions.suites import SUITES
    from weatherglass.errors import UserError

    chosen = list(SUITES[names].corruptions) if names in SUITES else [name.strip() for name in names.split(",")]
    try:
        strengths = [float(text) for text in severities.split(",")]
    except ValueError:
        raise UserError(f"--severities must be numbers with commas between, e.g. 1,3,5; got {severities!r}.") from None
    picture = _picture(photograph, size, square=definition == "imagenet-c")
    sheet = severity_sheet(picture, chosen, strengths, seed=seed, definition=definition, frost=frost)
    target = output or Path(f"{names.replace(',', '-').replace('+', '-')}-{photograph.stem}.png")
    if target.suffix.lower() not in (".png", ".jpg", ".jpeg", ".webp"):
        raise UserError(f"Cannot write {target}: the sheet is a picture, name it .png, .jpg or .webp.")
    if not target.parent.is_dir():
        raise UserError(f"Cannot write {target}: the folder {target.parent} does not exist.")
    aside = target.with_name(f".{target.name}.part{target.suffix}")
    sheet.save(aside)
    aside.replace(target)
    click.echo(f"{target}: {len(chosen)} corruption(s) at severities {severities}, {sheet.width}x{sheet.height} pixels")


def _picture(photograph: Path, size: int, *, square: bool):
    """The photograph as a (3, height, width) uint8 tensor, decoded as `weatherglass evaluate` decodes it."""
    import numpy as np
    import torch
    from PIL import Image

    from weatherglass.data.decode import decode_file

    picture = Image.fromarray(decode_file(photograph).permute(1, 2, 0).numpy())
    if size > 0:
        scale = size / min(picture.size)
        shape = (max(1, round(picture.width * scale)), max(1, round(picture.height * scale)))
        picture = picture.resize(shape, Image.Resampling.BICUBIC)
    if square:
        side = min(picture.size)
        left, top = (picture.width - side) // 2, (picture.height - side) // 2
        picture = picture.crop((left, top, left + side, top + side))
    return torch.from_numpy(np.array(picture)).permute(2, 0, 1).contiguous()
