"""From a name to labelled images: `kind:path`, with the kind guessed where it is plain."""

import logging
import re
from collections import Counter
from collections.abc import Callable
from pathlib import Path

from weatherglass.data.images import FileImages, checked_labels, is_text
from weatherglass.data.kinds import KINDS
from weatherglass.data.subset import subset
from weatherglass.errors import UnknownName, UserError
from weatherglass.types import ImageData
from weatherglass.user_code import call_user_factory, names_user_code


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
    arguments that returns an `ImageData`. Stored conditions come as `StoredConditions`; `imagenet-c:TREE::CLEAN` names
    the undisturbed images beside them (`CLEAN` is again such a name). `classes` gives the class order of a folder
    instead of the sorted one. `limit` or `fraction` keeps a stratified part that `seed` decides (`subset`). Files among
    the images that are none by their ending are counted in a logged warning.
    """
    if not is_text(spec):
        raise UserError(f"The path {spec!a} is not UTF-8 text, so no result could name it; rename the folder.")
    data = _load(spec, classes)
    if isinstance(data, FileImages) and data.others:
        logging.getLogger(__name__).warning(_others_message(data))
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
        raise UserError(f"'{spec}' has no path: {KINDS[kind].example}. {KINDS[kind].description}.")
    if kind == "imagefolder":
        from weatherglass.data.folder import load_folder

        return load_folder(spec, Path(place).expanduser(), classes)
    return _reader(kind)(spec, place)


def _reader(kind: str) -> Callable[[str, str], ImageData]:
    """What reads `kind`, from (name, place); modules are imported when their kind is asked for."""
    from weatherglass.data import (
        cifar,
        encoded,
        imagenet,
        objectnet,
        reassessed,
        scenes,
        stimuli,
        stored,
        unlabelled,
    )
    from weatherglass.data.detection_layouts import DETECTION_LAYOUTS
    from weatherglass.data.scene_objects import load_scene_objects
    from weatherglass.data.segmentation_layouts import LAYOUTS

    readers: dict[str, Callable[[str, str], ImageData]] = {
        "images": unlabelled.load_images,
        "imagenet": imagenet.load_imagenet,
        "imagenet-a": imagenet.load_imagenet,
        "imagenet-r": imagenet.load_imagenet,
        "imagenet-v2": imagenet.load_imagenet_v2,
        "imagenet-sketch": imagenet.load_imagenet,
        "imagenet-real": reassessed.load_reassessed,
        "objectnet": objectnet.load_objectnet,
        "cue-conflict": stimuli.load_cue_conflict,
        "imagenet-c": lambda name, place: _stored(stored.load_stored_tree, name, place),
        "cifar10": lambda name, place: cifar.load_cifar(name, "cifar10", place),
        "cifar100": lambda name, place: cifar.load_cifar(name, "cifar100", place),
        "cifar10.1": cifar.load_cifar10_1,
        "cifar10-c": lambda name, place: _stored(stored.load_stored_arrays, name, place),
        "cifar100-c": lambda name, place: _stored(stored.load_stored_arrays, name, place),
        "huggingface": encoded.load_hugging_face,
        "parquet": encoded.load_parquet,
        "scenes": scenes.load_scenes,
        "scene-objects": load_scene_objects,
        **LAYOUTS,
        **DETECTION_LAYOUTS,
    }
    return readers[kind]


def _stored(read: Callable[[str, str, ImageData | None], ImageData], name: str, place: str) -> ImageData:
    """`PLACE::CLEAN` names the undisturbed images beside the stored conditions."""
    folder, separator, clean = place.partition("::")
    return read(name, folder, _load(clean, None) if separator else None)


def split_spec(spec: str) -> tuple[str, str]:
    """`spec` as (kind, place); the kind of user code is 'user'. Raises `UserError` for an unknown kind."""
    kind, colon, place = spec.partition(":")
    if kind in KINDS and (colon or kind == "digits"):
        return kind, place
    if spec in KINDS:
        raise UserError(f"'{spec}' needs a path: {KINDS[spec].example}. {KINDS[spec].description}.")
    if names_user_code(spec):
        return "user", spec
    if Path(spec).expanduser().exists():
        return guess_kind(Path(spec).expanduser()), spec
    if colon and "/" not in kind:
        raise UnknownName("kind of data", kind, KINDS)
    raise UserError(f"There is no file or folder {spec}. Data is given as kind:path; kinds: {', '.join(KINDS)}.")


def guess_kind(place: Path) -> str:
    """The kind of data a path holds, from the names of its files alone."""
    if place.suffix == ".parquet":
        return "parquet"
    if place.suffix == ".json":
        return "coco"
    if not place.is_dir():
        raise UserError(f"{place} is a file of no known kind; data is given as kind:path; kinds: {', '.join(KINDS)}.")
    names = {entry.name for entry in place.iterdir()}
    directories = [entry for entry in place.iterdir() if entry.is_dir() and not entry.name.startswith(".")]
    if "batches.meta" in names or "cifar-10-batches-py" in names:
        return "cifar10"
    if "cifar-100-python" in names or ({"meta", "train", "test"} <= names and (place / "meta").is_file()):
        return "cifar100"
    if any(name.startswith("cifar10.1_") for name in names):
        return "cifar10.1"
    if {"state.json", "dataset_info.json"} <= names or "dataset_dict.json" in names:
        return "huggingface"
    if any(name.endswith(".parquet") for name in names):
        return "parquet"
    if {"labels.npy", "fog.npy"} <= names:
        return "cifar10-c"
    if any(_holds_severities(one) for one in directories[:3]):
        return "imagenet-c"
    from weatherglass.data.decode import IMAGE_ENDINGS

    if not directories and any(Path(name).suffix.lower() in IMAGE_ENDINGS for name in names):
        return "images"
    if directories and all(re.fullmatch(r"n\d{8}", one.name) for one in directories):
        return "imagenet"
    return "imagefolder"


def _holds_severities(condition: Path) -> bool:
    """Whether class directories lie below a directory named by a severity."""
    levels = [condition / str(level) for level in range(1, 6)]
    return any(entry.is_dir() for level in levels if level.is_dir() for entry in level.iterdir())


def _from_user(spec: str) -> ImageData:
    data = call_user_factory(spec, "a weatherglass.ImageData")
    if not isinstance(data, ImageData):
        raise UserError(f"{spec} returned a {type(data).__name__}; it must return a weatherglass.ImageData.")
    checked_labels(data)
    return data


def _others_message(data: FileImages) -> str:
    endings = Counter(Path(name).suffix.lower() or "no ending" for name in data.others)
    listed = ", ".join(f"{ending} {count}" for ending, count in endings.most_common(4))
    more = ", ..." if len(endings) > 4 else ""
    files = len(data) + len(data.others)
    return (
        f"{data.name}: left out for want of an image's ending: {len(data.others)} of {files} files ({listed}{more}), "
        f"e.g. {data.others[0]}"
    )
