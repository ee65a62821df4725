"""From a name to labelled images: `kind:path`, with the kind guessed where it is plain."""

from pathlib import Path

from weatherglass.data.subset import subset
from weatherglass.errors import UserError, unknown_name_message
from weatherglass.types import ImageData
from weatherglass.user_code import call_user_factory, names_user_code

KINDS = {
    "digits": "handwritten digits, 32x32, embedded: digits, digits:train, digits:test",
    "imagefolder": "a folder with one directory a class: imagefolder:photos/val",
    "cifar10": "CIFAR-10, python batches or PNG tree: cifar10:FOLDER, cifar10:FOLDER/train",
    "cifar100": "CIFAR-100, python batches or PNG tree: cifar100:FOLDER",
    "cifar10.1": "CIFAR-10.1, arrays: cifar10.1:FOLDER",
}
"""Every kind with a line of help; anything else is `file.py:factory`."""


def load_data(
    spec: str,
    *,
    classes: tuple[str, ...] | None = None,
    limit: int | None = None,
    fraction: float | None = None,
    seed: int = 0,
) -> ImageData:
    """The labelled images that `spec` names; `KINDS` lists its forms.

    `spec` may also be a plain path, whose kind is guessed, or `path/to/file.py:factory`, a function without
    arguments that returns an `ImageData`. `classes` gives the class order of a folder instead of the sorted one.
    `limit` or `fraction` keeps a stratified part that `seed` decides (`subset`).
    """
    data = _load(spec, classes)
    return subset(data, limit=limit, fraction=fraction, seed=seed)


def _load(spec: str, classes: tuple[str, ...] | None) -> ImageData:
    kind, place = split_spec(spec)
    if classes is not None and kind != "imagefolder":
        raise UserError(f"The class order can be given for image folders only, not for {kind}.")
    if kind == "user":
        return _from_user(spec)
    if kind == "digits":
        from weatherglass.data.digits import load_digits

        return load_digits(place or "all")
    if not place:
        raise UserError(f"'{spec}' has no path: {KINDS[kind]}.")
    if kind == "imagefolder":
        from weatherglass.data.folder import load_folder

        return load_folder(spec, Path(place).expanduser(), classes)
    if kind in ("cifar10", "cifar100"):
        from weatherglass.data.cifar import load_cifar

        return load_cifar(spec, kind, place)
    from weatherglass.data.cifar import load_cifar10_1

    return load_cifar10_1(spec, place)


def split_spec(spec: str) -> tuple[str, str]:
    """`spec` as (kind, place); the kind of user code is 'user'. Raises `UserError` for an unknown kind."""
    kind, colon, place = spec.partition(":")
    if kind in KINDS and (colon or kind == "digits"):
        return kind, place
    if names_user_code(spec):
        return "user", spec
    if Path(spec).expanduser().exists():
        return guess_kind(Path(spec).expanduser()), spec
    if colon and "/" not in kind:
        raise UserError(unknown_name_message("kind of data", kind, KINDS))
    raise UserError(f"There is no file or folder {spec}. Data is given as kind:path; kinds: {', '.join(KINDS)}.")


def guess_kind(place: Path) -> str:
    """The kind of data a path holds, from the names of its files alone."""
    if place.is_dir():
        names = {entry.name for entry in place.iterdir()}
        if "batches.meta" in names or "cifar-10-batches-py" in names:
            return "cifar10"
        if "cifar-100-python" in names or ({"meta", "train", "test"} <= names and (place / "meta").is_file()):
            return "cifar100"
        if any(name.startswith("cifar10.1_") for name in names):
            return "cifar10.1"
        return "imagefolder"
    raise UserError(f"{place} is a file of no known kind; data is given as kind:path; kinds: {', '.join(KINDS)}.")


def _from_user(spec: str) -> ImageData:
    data = call_user_factory(spec, "a weatherglass.ImageData")
    if not isinstance(data, ImageData):
        raise UserError(f"{spec} returned a {type(data).__name__}; it must return a weatherglass.ImageData.")
    return data
