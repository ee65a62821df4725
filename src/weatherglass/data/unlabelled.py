"""A folder of images without classes: enough to look inside a model, not to count what it gets right."""

from pathlib import Path

import numpy as np

from weatherglass.data.folder import check_directory, is_image_name, visible_files
from weatherglass.data.images import FileImages
from weatherglass.errors import UserError
from weatherglass.types import ImageData

UNLABELLED = ("unlabelled",)
"""The class names of images without labels."""


def load_images(name: str, place: str) -> FileImages:
    """Every image in or below the folder `place`, in the order of its path. Raises `UserError` where there is none."""
    root = Path(place).expanduser()
    check_directory(root, name)
    there = sorted(visible_files(root))
    files = tuple(filter(is_image_name, there))
    if not files:
        raise UserError(f"{name}: the folder {root} holds no images.")
    others = tuple(path for path in there if not is_image_name(path))
    return FileImages(name, root, files, np.zeros(len(files), dtype=np.int64), UNLABELLED, others=others)


def is_unlabelled(data: ImageData) -> bool:
    """Whether the labels of `data` mean nothing."""
    return data.classes == UNLABELLED
