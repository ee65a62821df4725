"""Which part of the data is trained on and which is scored on."""

from pathlib import Path

from weatherglass.data.load import load_data, split_spec
from weatherglass.errors import UserError
from weatherglass.types import ImageData


def training_and_validation(
    data: str, validation: str | None = None, *, limit: int | None = None, seed: int = 0
) -> tuple[ImageData, ImageData | None]:
    """The data sets that two names stand for.

    Where `validation` is None and the data has parts of its own, they are used: `digits`, `cifar10:FOLDER` and
    `cifar100:FOLDER` are trained on their training part and scored on their test part, a folder with `train` and
    `val` (or `validation` or `test`) inside likewise. Else nothing is scored. `limit` keeps a class-balanced part of
    the training data that `seed` decides.

    Raises `UserError` where the two are the same data.
    """
    names = (data, validation) if validation is not None else _parts(data)
    training = load_data(names[0], limit=limit, seed=seed)
    if names[1] is None:
        return training, None
    held_out = load_data(names[1])
    if held_out.digest == training.digest:
        raise UserError(f"{names[0]} and {names[1]} are the same images: a score on them says nothing. Hold some out.")
    return training, held_out


def _parts(data: str) -> tuple[str, str | None]:
    kind, place = split_spec(data)
    if kind == "digits" and not place:
        return "digits:train", "digits:test"
    path = Path(place).expanduser()
    if kind in ("cifar10", "cifar100"):
        folder = path.parent if path.name == "train" else path
        return f"{kind}:{folder}/train", f"{kind}:{folder}/test"
    if kind in ("imagefolder", "imagenet"):
        root = path.parent if path.name == "train" else path
        for name in ("val", "validation", "test"):
            if (root / "train").is_dir() and (root / name).is_dir():
                return f"{kind}:{root / 'train'}", f"{kind}:{root / name}"
    return data, None
