"""ReaL: ImageNet's validation images under the labels of Beyer et al., "Are we done with ImageNet?" (2020)."""

import json
import re
from pathlib import Path

import numpy as np

from weatherglass.data.decode import DECODED_ENDINGS
from weatherglass.data.folder import check_directory, image_files
from weatherglass.data.imagenet import imagenet_wnids
from weatherglass.data.images import FileImages
from weatherglass.data.several_labels import SeveralLabels
from weatherglass.errors import UserError

FILE = "real.json"
_NUMBER = re.compile(r".*_val_(\d{8})$")


def load_reassessed(name: str, place: str) -> SeveralLabels:
    """The validation images, in class directories or flat, whose reassessed labels are not empty.

    `place` is the folder of the images, with `real.json` in it or one folder up; `FOLDER::FILE` names another place.
    The file is the released one: a list with the labels (0..999) of every image, in the order of the numbers in the
    file names. Images that the annotators gave no label (3,163 of 50,000) are left out, as published.
    """
    folder, _, given = place.partition("::")
    root = Path(folder).expanduser()
    check_directory(root, name)
    table = _table(name, root, given)
    files = sorted(image_files(root))
    if not files:
        raise UserError(f"{name}: {root} holds no images ({', '.join(sorted(DECODED_ENDINGS))}).")
    labels = {file: found for file in files if (found := _labels_of(name, file, table))}
    if not labels:
        raise UserError(f"{name}: none of the {len(files)} images has a reassessed label.")
    images = FileImages(name, root, tuple(labels), np.zeros(len(labels), dtype=np.int64), imagenet_wnids())
    return SeveralLabels(images, tuple(labels.values()), imagenet_wnids())


def _table(name: str, root: Path, given: str) -> list[list[int]]:
    places = [Path(given).expanduser()] if given else [root / FILE, root.parent / FILE]
    path = next((one for one in places if one.is_file()), None)
    if path is None:
        raise UserError(
            f"{name}: there is no {' and no '.join(map(str, places))}. Put {FILE} of the reassessed labels beside the "
            f"images, or name it: imagenet-real:FOLDER::{FILE}."
        )
    try:
        table = json.loads(path.read_text())
    except ValueError as error:
        raise UserError(f"{path} is no JSON file: {error}.") from error
    whole = isinstance(table, list) and all(isinstance(row, list) for row in table)
    if not whole or not all(type(label) is int and 0 <= label < 1000 for row in table for label in row):
        raise UserError(f"{path} must be a list with one list of labels 0..999 for every validation image.")
    return table


def _labels_of(name: str, file: str, table: list[list[int]]) -> tuple[int, ...]:
    match = _NUMBER.fullmatch(Path(file).stem)
    if match is None:
        raise UserError(
            f"{name}: the labels go by the number in the file name, as in ILSVRC2012_val_00000001.JPEG; "
            f"{file} has none."
        )
    number = int(match[1])
    if not 1 <= number <= len(table):
        raise UserError(f"{name}: {file} is image {number}, but the labels are for images 1 to {len(table)}.")
    return tuple(table[number - 1])
