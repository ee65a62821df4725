"""The layouts in which segmentation sets come: CamVid, Cityscapes, ADE20K, PASCAL VOC, any pair of folders."""

import json
from collections.abc import Callable, Iterable, Mapping
from pathlib import PurePosixPath

from weatherglass.data.decode import IMAGE_ENDINGS
from weatherglass.data.places import Place, open_place
from weatherglass.data.segmentation import MaskedImages
from weatherglass.data.segmentation_classes import CAMVID, CITYSCAPES, CITYSCAPES_IDS, VOC, LabelIds
from weatherglass.errors import UserError
from weatherglass.types import SegmentationData

IMAGE_FOLDERS = ("images", "image", "imgs", "JPEGImages")
MASK_FOLDERS = ("masks", "labels", "annotations", "mask", "label", "SegmentationClass")


def load_camvid(name: str, place: str) -> SegmentationData:
    """SegNet's CamVid: `images/NAME` and `labels/NAME`, ids 0..10 and 11 for void, in a folder or a zip file."""
    found = open_place(name, place)
    pairs = _paired(name, found, _images(found, "images"), _by_stem(found, "labels"))
    return _data(name, found, pairs, CAMVID, LabelIds(tuple(range(11)), frozenset({11, 255})))


def load_cityscapes(name: str, place: str) -> SegmentationData:
    """Cityscapes, `ROOT/val` for one part: `leftImg8bit/PART/CITY/*_leftImg8bit.png`, `gtFine/PART/CITY/*`.

    Masks are `..._gtFine_labelTrainIds.png` where they lie there, else `..._gtFine_labelIds.png`; 19 classes.
    """
    root, _, part = place.rstrip("/").rpartition("/")
    if part not in {"train", "val", "test"}:
        root, part = place, "val"
    found = open_place(name, root)
    images = _images(found, f"leftImg8bit/{part}")
    files = set(found.names(f"gtFine/{part}"))

    def mask_of(image: str, ending: str) -> str:
        stem = image.replace("leftImg8bit/", "gtFine/", 1).rsplit("_leftImg8bit", 1)[0]
        return f"{stem}_gtFine_{ending}.png"

    trained = bool(images) and mask_of(images[0], "labelTrainIds") in files
    pairs = [(image, mask_of(image, "labelTrainIds" if trained else "labelIds")) for image in images]
    _refuse_missing(name, [(image, mask) for image, mask in pairs if mask not in files], len(images))
    ids = tuple(range(19)) if trained else CITYSCAPES_IDS
    ignored = frozenset({255}) if trained else frozenset(range(34)) - set(ids) | {255}
    return _data(name, found, pairs, CITYSCAPES, LabelIds(ids, ignored))


def load_ade20k(name: str, place: str) -> SegmentationData:
    """ADE20K (scene parsing, 150 classes), `ROOT/validation` for one part: `images/PART`, `annotations/PART`.

    Id 0 does not count. Names come from `objectInfo150.txt` where it lies there; else the classes are numbered.
    """
    root, _, part = place.rstrip("/").rpartition("/")
    if part not in {"training", "validation"}:
        root, part = place, "validation"
    found = open_place(name, root)
    masks = _by_stem(found, f"annotations/{part}")
    pairs = _paired(name, found, _images(found, f"images/{part}"), masks)
    classes = tuple(str(index) for index in range(1, 151))
    if "objectInfo150.txt" in found.names(""):
        lines = found.read("objectInfo150.txt").decode().splitlines()[1:151]
        classes = tuple(line.split("\t")[-1].split(",")[0].strip() for line in lines)
    return _data(name, found, pairs, classes, LabelIds(tuple(range(1, 151)), frozenset({0})))


def load_voc_masks(name: str, place: str) -> SegmentationData:
    """PASCAL VOC, `ROOT/val` for one part: `ImageSets/Segmentation/PART.txt`, `JPEGImages`, `SegmentationClass`."""
    root, _, part = place.rstrip("/").rpartition("/")
    if part not in {"train", "val", "trainval"}:
        root, part = place, "val"
    found = open_place(name, root)
    list_file = f"ImageSets/Segmentation/{part}.txt"
    if list_file not in found.names("ImageSets/Segmentation"):
        raise UserError(f"{name}: there is no {found.where(list_file)}; a VOC folder such as VOC2012 is needed.")
    stems = found.read(list_file).decode().split()
    images, masks = _by_stem(found, "JPEGImages"), _by_stem(found, "SegmentationClass")
    if lost := [stem for stem in stems if stem not in images]:
        raise UserError(f"{name}: {len(lost)} images of {part}.txt are not in JPEGImages, e.g. {lost[0]}.jpg.")
    pairs = _paired(name, found, [images[stem] for stem in stems], masks)
    return _data(name, found, pairs, VOC, LabelIds(tuple(range(21)), frozenset({255})))


def load_masks(name: str, place: str) -> SegmentationData:
    """Any pair of folders: images in `images`, masks of the same name in `masks` (or `labels`, `annotations`).

    `classes.json` says what the ids mean: a list of names for ids 0, 1, ..., or {"classes": [...], "ignore_index":
    255}, where a class at the ignored position is left out; 255 never counts.
    """
    found = open_place(name, place)
    folders = {PurePosixPath(file).parts[0] for file in found.names("") if "/" in file}
    image_folder = next((one for one in IMAGE_FOLDERS if one in folders), None)
    mask_folder = next((one for one in MASK_FOLDERS if one in folders), None)
    if image_folder is None or mask_folder is None:
        raise UserError(
            f"{name}: needed are a folder of images ({', '.join(IMAGE_FOLDERS[:2])}) and one of masks "
            f"({', '.join(MASK_FOLDERS[:3])}); {found.root} holds {', '.join(sorted(folders)) or 'no folders'}."
        )
    classes, ids = _described_classes(name, found)
    pairs = _paired(name, found, _images(found, image_folder), _by_stem(found, mask_folder))
    return _data(name, found, pairs, classes, ids)


LAYOUTS: Mapping[str, Callable[[str, str], SegmentationData]] = {
    "camvid": load_camvid,
    "cityscapes": load_cityscapes,
    "ade20k": load_ade20k,
    "voc-masks": load_voc_masks,
    "masks": load_masks,
}
"""Kind of data -> what reads it, from (name, place)."""


def _described_classes(name: str, place: Place) -> tuple[tuple[str, ...], LabelIds]:
    if "classes.json" not in place.names(""):
        raise UserError(
            f"{name}: write {place.where('classes.json')} with the class names in the order of their ids, e.g. "
            '["road", "building"] or {"classes": ["road", "building", "void"], "ignore_index": 2}.'
        )
    try:
        described = json.loads(place.read("classes.json"))
    except ValueError as error:
        raise UserError(f"{place.where('classes.json')} is not valid JSON ({error}).") from error
    names = described.get("classes") if isinstance(described, dict) else described
    if not isinstance(names, list) or not names or not all(isinstance(one, str) for one in names):
        raise UserError(f'{place.where("classes.json")} needs a list of class names, alone or under "classes".')
    ignored = described.get("ignore_index", 255) if isinstance(described, dict) else 255
    kept = [index for index in range(len(names)) if index != ignored]
    return tuple(names[index] for index in kept), LabelIds(tuple(kept), frozenset({ignored, 255}))


def _data(
    name: str, place: Place, pairs: Iterable[tuple[str, str]], classes: tuple[str, ...], ids: LabelIds
) -> SegmentationData:
    images, masks = zip(*pairs, strict=True)
    return MaskedImages(name, place, tuple(images), tuple(masks), classes, ids)


def _images(place: Place, under: str) -> list[str]:
    return [file for file in place.names(under) if PurePosixPath(file).suffix.lower() in IMAGE_ENDINGS]


def _by_stem(place: Place, under: str) -> dict[str, str]:
    return {_stem(file, under): file for file in _images(place, under)}


def _stem(file: str, under: str) -> str:
    return PurePosixPath(file).relative_to(under).with_suffix("").as_posix()


def _paired(name: str, place: Place, images: list[str], masks: Mapping[str, str]) -> list[tuple[str, str]]:
    """Every image with the mask of its name. Raises `UserError` for images without one."""
    pairs = []
    for image in images:
        inner = PurePosixPath(image).with_suffix("").parts
        # Masks lie at the same depth below their own folder, which may be named after the part (images/val).
        stem = next(("/".join(inner[cut:]) for cut in range(1, len(inner)) if "/".join(inner[cut:]) in masks), None)
        pairs.append((image, masks[stem] if stem else ""))
    if not pairs:
        raise UserError(f"{name}: {place.root} holds no images where this layout has them.")
    _refuse_missing(name, [pair for pair in pairs if not pair[1]], len(pairs))
    return pairs


def _refuse_missing(name: str, without: list[tuple[str, str]], images: int) -> None:
    if images == 0:
        raise UserError(f"{name}: there are no images where this layout has them.")
    if without:
        wanted = f" ({without[0][1]})" if without[0][1] else ""
        raise UserError(f"{name}: {len(without)} of {images} images have no mask, e.g. {without[0][0]}{wanted}.")
