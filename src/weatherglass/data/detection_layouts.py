"""The layouts in which detection sets come: COCO's instances, PASCAL VOC's boxes."""

import json
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path, PurePosixPath
from typing import Any
from xml.etree import ElementTree

from weatherglass.data.decode import IMAGE_ENDINGS
from weatherglass.data.detection import AnnotatedImage, Annotation, BoxedImages
from weatherglass.data.places import FolderPlace, Place, open_place
from weatherglass.data.segmentation_classes import VOC
from weatherglass.errors import UserError
from weatherglass.types import DetectionData


def load_coco(name: str, place: str) -> BoxedImages:
    """COCO's instances: `ANNOTATIONS.json`, `ANNOTATIONS.json::IMAGES`, or a folder that holds one such file.

    IMAGES is a folder or zip file; left out, it is looked for beside the file: `images`, `images.zip`, or the folder
    that the file's name ends in (`annotations/instances_val2017.json` and `val2017`). Classes are the categories in
    the order of their ids; images come in the order of theirs, as the reference evaluator takes them.
    """
    written, separator, images = place.partition("::")
    file = _annotation_file(name, Path(written).expanduser())
    found = open_place(name, images) if separator else _images_beside(name, file)
    return _Coco(name, file, _parsed(file)).data(found)


def load_voc_boxes(name: str, place: str) -> BoxedImages:
    """PASCAL VOC, `ROOT/val` for one part: `ImageSets/Main/PART.txt`, `JPEGImages`, `Annotations`; 20 classes.

    VOC counts pixels from 1 and names the last one of a box. Objects marked as difficult are kept as `crowd`, since
    finding them counts neither way.
    """
    root, _, part = place.rstrip("/").rpartition("/")
    if part not in {"train", "val", "trainval", "test"}:
        root, part = place, "val"
    found = open_place(name, root)
    list_file = f"ImageSets/Main/{part}.txt"
    if list_file not in found.names("ImageSets/Main"):
        raise UserError(f"{name}: there is no {found.where(list_file)}; a VOC folder such as VOC2012 is needed.")
    stems = [line.split()[0] for line in found.read(list_file).decode().splitlines() if line.strip()]
    pictures = {PurePosixPath(file).stem: file for file in found.names("JPEGImages")}
    described = {PurePosixPath(file).stem: file for file in found.names("Annotations")}
    for folder, files in (("JPEGImages", pictures), ("Annotations", described)):
        if lost := [stem for stem in stems if stem not in files]:
            raise UserError(
                f"{name}: {len(lost)} of the {len(stems)} images of {part}.txt are not in {folder}, e.g. {lost[0]}."
            )
    images = tuple(_voc_image(found, pictures[stem], described[stem]) for stem in stems)
    return BoxedImages(name, found, found.where("Annotations"), images, VOC_OBJECTS)


VOC_OBJECTS = tuple(one for one in VOC if one != "background")

DETECTION_LAYOUTS: Mapping[str, Callable[[str, str], DetectionData]] = {"coco": load_coco, "voc-boxes": load_voc_boxes}
"""Kind of data -> what reads it, from (name, place)."""


# ------------------------------------------------------------------ COCO


class _Coco:
    """One file of annotations: everything that can be wrong with it is said with its name."""

    def __init__(self, name: str, file: Path, content: dict[str, Any]) -> None:
        self.name, self.file = name, file
        self.images = self._records(content, "images", ("id", "file_name"))
        self.annotations = self._records(content, "annotations", ("id", "image_id", "category_id", "bbox"))
        categories = self._records(content, "categories", ("id", "name"))
        ordered = [categories[number] for number in sorted(categories)]
        self.classes = tuple(str(one["name"]) for one in ordered)
        if len(set(self.classes)) < len(self.classes):
            raise UserError(f"{name}: {file} has two categories of one name; rename one.")
        self.index = {one["id"]: position for position, one in enumerate(ordered)}

    def data(self, place: Place) -> BoxedImages:
        there = set(place.names(""))
        if lost := [one["file_name"] for one in self.images.values() if one["file_name"] not in there]:
            raise UserError(
                f"{self.name}: {len(lost)} of the {len(self.images)} images of {self.file} are not in {place.root}, "
                f"e.g. {lost[0]}. Complete the images, or name their folder: coco:{self.file}::IMAGES."
            )
        of_image: dict[Any, list[Annotation]] = {number: [] for number in self.images}
        for one in self.annotations.values():
            if one["image_id"] not in of_image:
                raise UserError(self._unlisted(one, f"the image {one['image_id']}", f"{len(of_image)} images"))
            if one["category_id"] not in self.index:
                known = f"the categories {min(self.index)} to {max(self.index)}" if self.index else "no categories"
                raise UserError(self._unlisted(one, f"the category {one['category_id']}", known))
            of_image[one["image_id"]].append(self._annotation(one))
        images = tuple(
            AnnotatedImage(one["file_name"], one["file_name"], _size(one), tuple(of_image[number]))
            for number, one in sorted(self.images.items())
        )
        return BoxedImages(self.name, place, str(self.file), images, self.classes)

    def _annotation(self, one: dict[str, Any]) -> Annotation:
        box = one["bbox"]
        if not isinstance(box, list) or len(box) != 4 or not all(isinstance(side, int | float) for side in box):
            raise UserError(
                f"{self.name}: the annotation {one['id']} in {self.file} has the bbox {box}; "
                "four numbers are needed: x, y, width, height."
            )
        x, y, width, height = (float(side) for side in box)
        area = one.get("area")
        return Annotation(
            name=str(one["id"]),
            category=self.index[one["category_id"]],
            box=(x, y, x + width, y + height),
            crowd=bool(one.get("iscrowd", 0)),
            area=None if area is None else float(area),
            segmentation=one.get("segmentation") or None,
        )

    def _records(self, content: dict[str, Any], part: str, needed: Iterable[str]) -> dict[Any, dict[str, Any]]:
        """The records of one part by their ids."""
        records = content.get(part)
        if not isinstance(records, list):
            raise UserError(
                f"{self.name}: {self.file} has no list '{part}'; COCO's instances have images, annotations "
                "and categories."
            )
        found: dict[Any, dict[str, Any]] = {}
        for position, record in enumerate(records):
            if not isinstance(record, dict) or any(field not in record for field in needed):
                raise UserError(f"{self.name}: entry {position} of '{part}' in {self.file} needs {', '.join(needed)}.")
            if record["id"] in found:
                raise UserError(f"{self.name}: the id {record['id']} occurs twice in '{part}' of {self.file}.")
            found[record["id"]] = record
        return found

    def _unlisted(self, one: dict[str, Any], what: str, known: str) -> str:
        return (
            f"{self.name}: the annotation {one['id']} in {self.file} belongs to {what}, which is not listed; the file "
            f"lists {known}."
        )


def _size(image: dict[str, Any]) -> tuple[int, int] | None:
    return (int(image["height"]), int(image["width"])) if {"height", "width"} <= image.keys() else None


def _parsed(file: Path) -> dict[str, Any]:
    try:
        content = json.loads(file.read_bytes())
    except (OSError, ValueError) as error:
        raise UserError(f"{file} cannot be read as JSON ({' '.join(str(error).split())}).") from error
    if not isinstance(content, dict):
        raise UserError(
            f"{file} holds a {type(content).__name__}; COCO's instances are a record of lists (not results)."
        )
    return content


def _annotation_file(name: str, place: Path) -> Path:
    if place.is_file():
        return place
    if not place.is_dir():
        raise UserError(f"{name}: there is no file or folder {place}.")
    beside = [path for path in (place / "annotations.json", place / "_annotations.coco.json") if path.is_file()]
    found = beside or sorted(place.glob("annotations/*.json")) or sorted(place.glob("*.json"))
    if len(found) != 1:
        several = ", ".join(path.name for path in found[:4])
        raise UserError(
            f"{name}: {place} holds {'no annotations' if not found else f'several files ({several})'}; "
            "name one: coco:FOLDER/annotations/instances_val2017.json."
        )
    return found[0]


def _images_beside(name: str, file: Path) -> Place:
    """Where the images lie by custom; the folder of the file itself where it holds images."""
    part = file.stem.rsplit("_", 1)[-1]
    roots = [file.parent, file.parent.parent] if file.parent.name == "annotations" else [file.parent]
    tried = [root / one for root in roots for one in ("images", "images.zip", part, f"{part}.zip", f"images/{part}")]
    tried.sort(key=lambda path: PurePosixPath(path).stem != part)  # the folder of that very part before all images
    for place in tried:
        if place.exists():
            return open_place(name, str(place))
    if any(path.suffix.lower() in IMAGE_ENDINGS for path in file.parent.iterdir()):
        return FolderPlace(file.parent)
    raise UserError(
        f"{name}: no images are beside {file} ({', '.join(path.name for path in tried[:4])}); "
        f"say where they lie: coco:{file}::IMAGES."
    )


# ------------------------------------------------------------------ VOC


def _voc_image(place: Place, picture: str, described: str) -> AnnotatedImage:
    location = place.where(described)
    try:
        root = ElementTree.fromstring(place.read(described))
        size = (int(root.findtext("size/height", "")), int(root.findtext("size/width", "")))
        objects = tuple(_voc_object(one, position, location) for position, one in enumerate(root.iter("object")))
    except (ElementTree.ParseError, ValueError) as error:
        raise UserError(f"{location} cannot be read as an annotation of VOC ({error}).") from error
    return AnnotatedImage(picture, picture, size, objects)


def _voc_object(described: ElementTree.Element, position: int, location: str) -> Annotation:
    category = described.findtext("name", "").strip()
    if category not in VOC_OBJECTS:
        raise UserError(
            f"{location}: object {position} is of the class '{category}'; the 20 of VOC are "
            f"{', '.join(VOC_OBJECTS[:4])} ..."
        )
    x0, y0, x1, y1 = (float(described.findtext(f"bndbox/{side}", "")) for side in ("xmin", "ymin", "xmax", "ymax"))
    return Annotation(
        name=f"object {position}",
        category=VOC_OBJECTS.index(category),
        box=(x0 - 1, y0 - 1, x1, y1),
        crowd=described.findtext("difficult", "0").strip() == "1",
    )
