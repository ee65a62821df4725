"""A folder of class directories: `root/class/.../file`."""

import os
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from weatherglass.data.decode import DECODED_ENDINGS, IMAGE_ENDINGS
from weatherglass.data.images import FileImages
from weatherglass.errors import UserError

_SPLITS = frozenset({"train", "training", "val", "valid", "validation", "test", "testing"})


def load_folder(name: str, root: Path, classes: tuple[str, ...] | None = None) -> FileImages:
    """All images below the class directories of `root`; nested folders belong to their class, hidden files to none.

    The labels are the directories in sorted order, numerically where all names are numbers (so that 10 follows 9 and
    not 1). With `classes` the order is that one, and a directory that is not among them is a `UserError`.
    """
    check_directory(root, name)
    directories = class_directories(root)
    if not directories:
        raise UserError(_no_directories(name, root))
    names = classes if classes is not None else sorted_classes(directories)
    if unknown := [one for one in directories if one not in names]:
        raise UserError(
            f"{name}: the directory '{unknown[0]}' is not one of the {len(names)} classes ({names[0]}, ...)."
        )
    files, labels, others = [], [], []
    for directory in directories:
        there = sorted(visible_files(root / directory))
        found = [path for path in there if is_image_name(path)]
        if not found:
            raise UserError(_no_images(root / directory))
        others += [f"{directory}/{path}" for path in there if not is_image_name(path)]
        files += [f"{directory}/{path}" for path in found]
        labels += [names.index(directory)] * len(found)
    order = sorted(range(len(files)), key=lambda i: (labels[i], files[i]))
    return FileImages(
        name,
        root,
        tuple(files[i] for i in order),
        np.array([labels[i] for i in order], dtype=np.int64),
        tuple(names),
        others=tuple(others),
    )


def check_directory(root: Path, name: str) -> None:
    """Raise `UserError` where `root` is missing or is not a directory."""
    if not root.exists():
        parent = next((folder for folder in root.parents if folder.is_dir()), Path())
        raise UserError(f"{name}: there is no folder {root} ({parent} exists).")
    if not root.is_dir():
        raise UserError(f"{name}: {root} is a file; a folder is needed.")


def class_directories(root: Path) -> list[str]:
    """Names of the directories in `root` that are not hidden."""
    return sorted(entry.name for entry in os.scandir(root) if entry.is_dir() and not _hidden(entry.name))


def sorted_classes(names: list[str]) -> tuple[str, ...]:
    """Class names in label order: numbers by value, everything else by code point."""
    if all(name.isascii() and name.isdigit() for name in names):
        return tuple(sorted(names, key=lambda name: (int(name), name)))
    return tuple(sorted(names))


def image_files(folder: Path) -> Iterator[str]:
    """Paths relative to `folder`, with forward slashes, of files with an image's ending; links are followed once."""
    return filter(is_image_name, visible_files(folder))


def is_image_name(name: str) -> bool:
    """Whether a file's ending is one of `IMAGE_ENDINGS`."""
    return Path(name).suffix.lower() in IMAGE_ENDINGS


def visible_files(folder: Path) -> Iterator[str]:
    """Paths relative to `folder`, with forward slashes, of all files that are not hidden; links are followed once."""
    seen = set()
    for place, directories, files in os.walk(folder, followlinks=True):
        real = os.path.realpath(place)
        directories[:] = [] if real in seen else sorted(one for one in directories if not _hidden(one))
        if real in seen:
            continue
        seen.add(real)
        relative = Path(place).relative_to(folder)
        for file in files:
            if not _hidden(file):
                yield (relative / file).as_posix()


def _hidden(name: str) -> bool:
    return name.startswith(".") or name == "__MACOSX"


def _no_directories(name: str, root: Path) -> str:
    loose = sum(1 for entry in os.scandir(root) if is_image_name(entry.name))
    if loose:
        return (
            f"{name}: {root} holds {loose} images but no class directories. Put the images of each class into a "
            f"directory of its own, e.g. {root.name}/cat/1.jpg; for analyses without classes write images:{root}."
        )
    return f"{name}: the folder {root} is empty; class directories with images are needed, e.g. {root.name}/cat/1.jpg."


def _no_images(directory: Path) -> str:
    others = sorted({Path(file).suffix or "no ending" for _, _, files in os.walk(directory) for file in files})
    found = f"its files end in {', '.join(others[:5])}" if others else "it is empty"
    hint = (
        f" If {directory.name} is a part of the data set, give its path: imagefolder:{directory}."
        if directory.name in _SPLITS
        else ""
    )
    return (
        f"The class directory {directory} holds no images ({found}; read are {', '.join(sorted(DECODED_ENDINGS))}). "
        f"Remove it or fill it.{hint}"
    )
