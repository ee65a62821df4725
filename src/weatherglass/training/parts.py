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
    `val` (or `validation` or `test`) inside likewise. Else nothing is scored. `limit` keeps a stratified part of
    the training data that `seed` decides.

    Raises `UserError` where images are in both.
    """
    names = (data, validation) if validation is not None else _parts(data)
    training = load_data(names[0], limit=limit, seed=seed)
    if names[1] is None:
        return training, None
    held_out = load_data(names[1])
    if shared := in_both(training, held_out):
        raise UserError(
            f"{shared:,} of the {len(training):,} images of {names[0]} to train on are among those of {names[1]}: a "
            "score on them says nothing. Hold some out."
        )
    return training, held_out


def in_both(first: ImageData, second: ImageData) -> int:
    """How many images two data sets share: those with the same ids, where they are the same images too.

    Folders often number their images alike, so equal ids alone say nothing.
    """
    rows = [{sample: row for row, sample in enumerate(data.ids)} for data in (first, second)]
    shared = sorted(rows[0].keys() & rows[1].keys())
    for ids in (shared[:16], shared):  # a few tell most pairs apart; digests of all would read them all
        chosen = [[at[sample] for sample in ids] for at in rows]
        if not ids or first.select(chosen[0], "in both").digest != second.select(chosen[1], "in both").digest:
            return 0
    return len(shared)


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
