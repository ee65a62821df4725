"""ObjectNet: objects in unusual places, turned and seen from anywhere; the classes that it shares with ImageNet.

Barbu et al., "ObjectNet: A large-scale bias-controlled dataset" (NeurIPS 2019). The mapping between its folders and
ImageNet's outputs is read from the four files of its release; none of it ships here.
"""

import json
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from jaxtyping import UInt8
from torch import Tensor

from weatherglass.data.folder import check_directory, class_directories, image_files
from weatherglass.data.imagenet import imagenet_wnids
from weatherglass.data.images import FileImages
from weatherglass.data.several_labels import SeveralLabels
from weatherglass.errors import UserError

BORDER = 2
"""Pixels of the red border on each side, which marks the images as test data and is cut off before anything else."""

MAPPINGS = (
    "folder_to_objectnet_label.json",
    "objectnet_to_imagenet_1k.json",
    "pytorch_to_imagenet_2012_id.json",
    "imagenet_to_label_2012_v2",
)
"""Folder -> ObjectNet's name; that name -> names of ImageNet classes, joined by '; '; output index -> number of the
class in ILSVRC 2012's own order; and that order, one name a line."""


@dataclass(frozen=True, eq=False)
class BorderedImages(FileImages):
    """Files whose border does not belong to the picture."""

    def image(self, index: int) -> UInt8[Tensor, "3 height width"]:
        """Decode one file and cut its border off."""
        whole = super().image(index)
        if min(whole.shape[1:]) <= 2 * BORDER:
            raise UserError(f"{self.root / self.files[index]} is too small to have ObjectNet's border.")
        return whole[:, BORDER:-BORDER, BORDER:-BORDER]


def load_objectnet(name: str, place: str) -> SeveralLabels:
    """The images of the classes that map to ImageNet outputs (113 of 313), each with all the outputs it maps to.

    `place` is the released folder, with `images/` and `mappings/` in it. Raises `UserError` where a mapping is missing
    or names an unknown class, and for folders that no mapping knows.
    """
    root = Path(place).expanduser()
    check_directory(root, name)
    pictures, mappings = root / "images", root / "mappings"
    for folder in (pictures, mappings):
        if not folder.is_dir():
            raise UserError(f"{name}: there is no folder {folder}; needed are images/ and mappings/ of the release.")
    outputs, known = _outputs_by_folder(name, mappings)
    directories = class_directories(pictures)
    if strangers := [one for one in directories if one not in known]:
        raise UserError(f"{name}: the folder '{strangers[0]}' ({len(strangers)} in all) is not in {MAPPINGS[0]}.")
    files, accepted = [], []
    for directory in directories:
        if directory in outputs:
            found = [f"{directory}/{file}" for file in sorted(image_files(pictures / directory))]
            files += found
            accepted += [outputs[directory]] * len(found)
    if not files:
        raise UserError(f"{name}: {pictures} holds no image of a class that ImageNet has.")
    images = BorderedImages(name, pictures, tuple(files), np.zeros(len(files), dtype=np.int64), imagenet_wnids())
    competing = tuple(sorted({output for found in outputs.values() for output in found}))
    return SeveralLabels(images, tuple(accepted), imagenet_wnids(), competing)


def _outputs_by_folder(name: str, mappings: Path) -> tuple[dict[str, tuple[int, ...]], set[str]]:
    """Outputs of each folder that has some, and all folders that are known."""
    texts = []
    for file in MAPPINGS:
        path = mappings / file
        if not path.is_file():
            raise UserError(f"{name}: {path} is missing; it comes with the release, beside {', '.join(MAPPINGS)}.")
        texts.append(path.read_text(encoding="utf-8"))
    try:
        label_of, imagenet_of, number_of = (json.loads(text) for text in texts[:3])
        index_of_number = {int(number): int(index) for index, number in number_of.items()}
        index = {line.strip(): index_of_number[row] for row, line in enumerate(texts[3].splitlines()) if line.strip()}
        found = {
            folder: tuple(index[one] for one in imagenet_of[label].split("; "))
            for folder, label in label_of.items()
            if label in imagenet_of
        }
    except KeyError as error:
        raise UserError(
            f"{name}: the files in {mappings} do not fit together: {error} is in one and not another."
        ) from error
    except (ValueError, AttributeError) as error:
        raise UserError(f"{name}: the mappings in {mappings} cannot be read: {error}.") from error
    return found, set(label_of)
