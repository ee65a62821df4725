"""ImageNet validation images: by wnid directory, or flat beside a ground-truth file."""

import csv
from dataclasses import replace
from functools import cache
from pathlib import Path

import numpy as np

from weatherglass.data.decode import IMAGE_ENDINGS
from weatherglass.data.folder import check_directory, class_directories, load_folder
from weatherglass.data.images import FileImages
from weatherglass.errors import UserError

GROUND_TRUTH = (
    "val.txt (file and index in wnid order, 0..999)",
    "LOC_val_solution.csv (Kaggle)",
    "imagenet_2012_validation_synset_labels.txt (one wnid a line)",
    "ILSVRC2012_validation_ground_truth.txt with meta.mat (the development kit)",
)


@cache
def imagenet_wnids() -> tuple[str, ...]:
    """The 1,000 WordNet ids in output order, which is their sorted order."""
    from timm.data.imagenet_info import ImageNetInfo

    return tuple(ImageNetInfo("imagenet-1k").label_names())


def load_imagenet(name: str, place: str) -> FileImages:
    """Labels are indices into the 1,000 classes, also where the folder holds only some of them (ImageNet-A, -R)."""
    root = Path(place).expanduser()
    check_directory(root, name)
    wnids = imagenet_wnids()
    directories = class_directories(root)
    if directories and set(directories) <= set(wnids):
        return load_folder(name, root, wnids)
    files = sorted(path.name for path in root.iterdir() if path.suffix.lower() in IMAGE_ENDINGS)
    if not files:
        found = f"directories such as '{directories[0]}'" if directories else "nothing of either kind"
        raise UserError(
            f"{name}: {root} holds {found}; needed are directories named by WordNet ids (n01440764 ...), or images "
            f"beside a ground-truth file."
        )
    truth = _ground_truth(root, files)
    if truth is None:
        raise UserError(
            f"{name}: {root} holds {len(files)} images without directories and no ground-truth file, there or one "
            f"folder up. Known are {'; '.join(GROUND_TRUTH)}."
        )
    missing = [file for file in files if Path(file).stem not in truth]
    if missing:
        raise UserError(f"{name}: the ground-truth file has no label for {len(missing)} images, e.g. {missing[0]}.")
    labels = np.array([truth[Path(file).stem] for file in files], dtype=np.int64)
    return FileImages(name, root, tuple(files), labels, wnids)


def load_imagenet_v2(name: str, place: str) -> FileImages:
    """ImageNetV2 (Recht et al. 2019): directories 0 ... 999 are output indices, also where only some of them exist.

    torchvision's ImageFolder sorts them as text (0, 1, 10, 100 ...) and gives an accuracy near chance.
    """
    root = Path(place).expanduser()
    check_directory(root, name)
    directories = class_directories(root)
    wnids = imagenet_wnids()
    if directories and set(directories) <= set(wnids):
        return load_folder(name, root, wnids)
    numbered = [one for one in directories if one.isascii() and one.isdigit() and int(one) < len(wnids)]
    strangers = sorted(set(directories) - set(numbered))
    if strangers or not directories:
        found = f"the directory '{strangers[0]}'" if strangers else "no directories"
        raise UserError(f"{name}: {root} holds {found}; needed are directories 0 ... 999, which are output indices.")
    if len({int(one) for one in numbered}) < len(numbered):
        raise UserError(f"{name}: two directories of {root} are the same number, such as '7' and '007'. Remove one.")
    data = load_folder(name, root, tuple(sorted(directories, key=int)))
    outputs = np.array([int(one) for one in data.classes])
    return replace(data, labels=outputs[data.labels], classes=wnids)


def _ground_truth(root: Path, files: list[str]) -> dict[str, int] | None:
    """Label by file name without its ending, from the first ground-truth file found."""
    stems = [Path(file).stem for file in files]
    index = {wnid: position for position, wnid in enumerate(imagenet_wnids())}
    for folder in (root, root.parent):
        if (listing := folder / "val.txt").is_file():
            rows = [line.split() for line in listing.read_text().splitlines() if line.strip()]
            return {Path(file).stem: int(label) for file, label in rows}
        if (listing := folder / "LOC_val_solution.csv").is_file():
            with listing.open(newline="") as stream:
                rows = list(csv.DictReader(stream))
            return {row["ImageId"]: index[row["PredictionString"].split()[0]] for row in rows}
        if (listing := folder / "imagenet_2012_validation_synset_labels.txt").is_file():
            return _by_number(stems, [index[wnid] for wnid in listing.read_text().split()], listing)
        if (listing := _development_kit(folder)) is not None:
            numbers = [int(number) for number in listing.read_text().split()]
            wnid_of = _wnid_by_number(listing)
            return _by_number(stems, [index[wnid_of[number]] for number in numbers], listing)
    return None


def _by_number(stems: list[str], labels: list[int], listing: Path) -> dict[str, int]:
    """Line n of the listing is for the file whose name ends in _0000000n."""
    try:
        numbers = {stem: int(stem.rpartition("_")[2]) for stem in stems}
        return {stem: labels[number - 1] for stem, number in numbers.items()}
    except (ValueError, IndexError):
        raise UserError(
            f"{listing} has a line for each of {len(labels)} numbered images, but not all files are named like "
            f"ILSVRC2012_val_00000001.JPEG, e.g. {stems[0]}."
        ) from None


def _development_kit(folder: Path) -> Path | None:
    found = sorted(folder.glob("**/ILSVRC2012_validation_ground_truth.txt"))[:1] if folder.is_dir() else []
    return found[0] if found else None


def _wnid_by_number(listing: Path) -> dict[int, str]:
    """The development kit numbers its classes in an order of its own, which meta.mat explains."""
    from scipy.io import loadmat

    candidates = [folder / "meta.mat" for folder in (listing.parent, listing.parent.parent)]
    meta = next((path for path in candidates if path.is_file()), None)
    if meta is None:
        raise UserError(
            f"{listing} numbers the classes in the development kit's own order; meta.mat, which explains it, is not "
            "beside it. Put it there (it comes in the same archive)."
        )
    synsets = loadmat(str(meta), squeeze_me=True)["synsets"]
    return {int(row["ILSVRC2012_ID"]): str(row["WNID"]) for row in synsets}
