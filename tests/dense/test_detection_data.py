"""Every layout of detection data, and what is said of annotations that cannot be used."""

import json
import zipfile
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from weatherglass.data.classes import output_of_class
from weatherglass.data.detection import ReclassedObjects, true_objects
from weatherglass.data.load import load_data
from weatherglass.data.validate import validate_folder
from weatherglass.errors import UnusableAnnotation, UserError
from weatherglass.training.detection import Detection
from weatherglass.training.recipes import RECIPES
from weatherglass.types import DetectionData, Predictor


def loaded(spec: object) -> DetectionData:
    data = load_data(str(spec))
    assert isinstance(data, DetectionData)
    return data


def annotation(number: int = 1, image: int = 7, **changes: Any) -> dict[str, Any]:
    return {
        "id": number,
        "image_id": image,
        "category_id": 3,
        "bbox": [1, 1, 3, 2],
        "area": 6.0,
        "iscrowd": 0,
    } | changes


def coco_file(root: Path, *annotations: dict[str, Any], **changes: Any) -> Path:
    """Two images of 10x8 pixels; the second has no objects."""
    (root / "images").mkdir(parents=True, exist_ok=True)
    for name in ("a.png", "b.png"):
        Image.fromarray(np.arange(240, dtype=np.uint8).reshape(8, 10, 3)).save(root / "images" / name)
    content = {
        "images": [{"id": 9, "file_name": "b.png"}, {"id": 7, "file_name": "a.png", "height": 8, "width": 10}],
        "annotations": annotations or (annotation(),),
        "categories": [{"id": 3, "name": "cat"}, {"id": 1, "name": "dog"}],
    }
    (root / "annotations.json").write_text(json.dumps(content | changes))
    return root / "annotations.json"


def test_boxes_and_classes_of_coco(tmp_path: Path) -> None:
    data = loaded(f"coco:{coco_file(tmp_path, annotation(), annotation(2, bbox=[0, 0, 10.5, 8], iscrowd=1))}")
    assert data.classes == ("dog", "cat"), "in the order of the category ids"
    assert data.ids == ("a.png", "b.png"), "in the order of the image ids"
    found = data.objects(0)
    assert found.boxes.tolist() == [[1, 1, 4, 3], [0, 0, 10.5, 8]]
    assert found.classes.tolist() == [1, 1]
    assert found.crowd is not None
    assert found.areas is not None
    assert (found.crowd.tolist(), found.areas.tolist()) == ([False, True], [6, 6])
    assert (found.masks, data.has_masks, len(data.objects(1))) == (None, False, 0)
    assert data.select([1], "second").ids == ("b.png",)


def test_polygons_and_run_lengths_become_masks(tmp_path: Path) -> None:
    drawn = annotation(segmentation=[[1, 1, 4, 1, 4, 3, 1, 3]])
    runs = annotation(2, segmentation={"size": [8, 10], "counts": [0, 4, 76]}, iscrowd=1)
    packed = annotation(3, segmentation={"size": [8, 10], "counts": "926000_1"}, area=None)
    del packed["area"]
    data = loaded(f"coco:{coco_file(tmp_path, drawn, runs, packed)}")
    masks = data.objects(0).masks
    assert data.has_masks
    assert masks is not None
    assert masks.shape == (3, 8, 10)
    assert masks[0].sum() == 6
    assert masks[0, 1:3, 1:4].all()
    assert masks[1, :4, 0].all()
    assert masks[1].sum() == 4
    assert data.boxes(0).masks is None
    areas, stated = data.objects(0).areas, data.boxes(0).areas
    assert areas is not None
    assert stated is not None
    assert areas.tolist() == stated.tolist() == [6, 6, 6]


@pytest.mark.parametrize(
    ("box", "words"),
    [
        ([1, 1, 0, 2], "annotation 1 of a.png in .*annotations.json cannot be used: .* no area"),
        ([1, 1, 3, -2], "no area"),
        ([10, 1, 3, 2], "outside the image of 10x8"),
        ([-4, 1, 3, 2], "outside the image"),
        ([float("nan"), 1, 3, 2], "no numbers"),
    ],
)
def test_boxes_that_cannot_be_used(tmp_path: Path, box: list[float], words: str) -> None:
    data = loaded(f"coco:{coco_file(tmp_path, annotation(bbox=box))}")
    with pytest.raises(UnusableAnnotation, match=words):
        data.objects(0)
    assert validate_folder("coco", str(tmp_path))[0].kind == "unusable"


def test_training_leaves_out_boxes_without_area_and_says_so(tmp_path: Path) -> None:
    file = coco_file(tmp_path, annotation(1), annotation(2, bbox=[1, 1, 0, 2]))
    data = loaded(f"coco:{file}")
    micro = RECIPES["mask-rcnn-convnext-micro"]
    backbone = micro.network.name.partition("/")[2]
    learned = Detection(replace(micro, network=replace(micro.network, name=f"faster-rcnn/{backbone}")), data, None)
    assert [len(learned.training.boxes(index)) for index in range(2)] == [1, 0]
    assert learned.remarks == (
        "1 of 2 objects cannot be learned from and are left out, e.g. annotation 2 of a.png in "
        f"{file}: its box has x 1 to 1 and y 1 to 3: it has no area.",
    )


@pytest.mark.parametrize(
    ("segmentation", "words"),
    [
        ([[1, 1, 4, 1]], "annotation 1 of a.png .* three points"),
        ({"size": [8, 9], "counts": [72]}, "9x8 pixels, the image 10x8"),
        ({"size": [8, 10], "counts": [3]}, "add up to 3"),
        ({"size": [8, 10], "counts": "049]2"}, "does not decode"),
        ("circle", "neither"),
    ],
)
def test_masks_that_cannot_be_used(tmp_path: Path, segmentation: object, words: str) -> None:
    data = loaded(f"coco:{coco_file(tmp_path, annotation(segmentation=segmentation))}")
    with pytest.raises(UnusableAnnotation, match=words):
        data.objects(0)


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"annotations": [annotation(category_id=5)]}, "annotation 1 in .*json belongs to the category 5"),
        ({"annotations": [annotation(image=4)]}, "annotation 1 .* the image 4, which is not listed"),
        ({"annotations": [annotation(), annotation()]}, "id 1 occurs twice in 'annotations'"),
        ({"annotations": [annotation(bbox=[1, 2])]}, "bbox .* four numbers"),
        ({"annotations": [{"id": 1}]}, "entry 0 of 'annotations' .* needs id, image_id"),
        ({"images": [{"id": 7, "file_name": "lost.png"}]}, "1 of the 1 images .* e.g. lost.png"),
        ({"images": [{"id": 7, "file_name": "a.png"}, {"id": 8, "file_name": "a.png"}]}, "a.png is listed twice"),
        ({"categories": [{"id": 3, "name": "cat"}, {"id": 4, "name": "cat"}]}, "two categories of one name"),
        ({"categories": None}, "no list 'categories'"),
    ],
)
def test_files_that_cannot_be_used(tmp_path: Path, changes: dict[str, Any], words: str) -> None:
    file = coco_file(tmp_path, **changes)
    with pytest.raises(UserError, match=words):
        load_data(f"coco:{file}")


def test_an_image_of_another_size_than_the_annotations_say(tmp_path: Path) -> None:
    images = [{"id": 7, "file_name": "a.png", "height": 10, "width": 8}]
    data = loaded(f"coco:{coco_file(tmp_path, images=images)}")
    with pytest.raises(UnusableAnnotation, match=r"a.png .* has 10x8 pixels, the annotation says 8x10"):
        data.image(0)


def test_where_images_are_looked_for(tmp_path: Path) -> None:
    file = coco_file(tmp_path)
    (tmp_path / "set" / "annotations").mkdir(parents=True)
    official = file.rename(tmp_path / "set" / "annotations" / "instances_val2017.json")
    (tmp_path / "images").rename(tmp_path / "set" / "val2017")
    digest = loaded(f"coco:{official}").digest
    assert loaded(f"coco:{tmp_path}/set").digest == digest
    with zipfile.ZipFile(tmp_path / "packed.zip", "w") as archive:
        for image in sorted((tmp_path / "set" / "val2017").iterdir()):
            archive.write(image, image.name)
    assert loaded(f"coco:{official}::{tmp_path}/packed.zip").digest == digest
    (tmp_path / "set" / "val2017").rename(tmp_path / "elsewhere")
    with pytest.raises(UserError, match="no images are beside"):
        load_data(f"coco:{official}")


def test_the_digest_knows_boxes(tmp_path: Path) -> None:
    first = loaded(f"coco:{coco_file(tmp_path / 'one')}")
    second = loaded(f"coco:{coco_file(tmp_path / 'two', annotation(bbox=[1, 1, 3, 3]))}")
    assert first.digest != second.digest


def voc_folder(root: Path, name: str = "cat") -> Path:
    for folder in ("JPEGImages", "Annotations", "ImageSets/Main"):
        (root / folder).mkdir(parents=True)
    Image.fromarray(np.zeros((20, 30, 3), np.uint8)).save(root / "JPEGImages" / "x.jpg")
    box = "<bndbox><xmin>1</xmin><ymin>3</ymin><xmax>10</xmax><ymax>20</ymax></bndbox>"
    (root / "Annotations" / "x.xml").write_text(
        "<annotation><size><width>30</width><height>20</height></size>"
        f"<object><name>{name}</name><difficult>0</difficult>{box}</object>"
        f"<object><name>dog</name><difficult>1</difficult>{box}</object></annotation>"
    )
    (root / "ImageSets" / "Main" / "val.txt").write_text("x\n")
    return root


def test_voc_counts_pixels_from_one(tmp_path: Path) -> None:
    found = loaded(f"voc-boxes:{voc_folder(tmp_path)}/val").objects(0)
    assert found.boxes.tolist() == [[0, 2, 10, 20]] * 2
    assert found.classes.tolist() == [7, 11]
    assert found.crowd is not None
    assert found.crowd.tolist() == [False, True]


def test_voc_with_a_class_of_another_set(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"x\.xml: object 0 is of the class 'giraffe'"):
        load_data(f"voc-boxes:{voc_folder(tmp_path, 'giraffe')}/val")


def test_scene_objects_are_what_is_seen_in_the_scenes() -> None:
    data = loaded("scene-objects:3@64x96")
    scenes = load_data("scenes:3@64x96")
    assert data.ids == scenes.ids
    assert torch.equal(data.image(1), scenes.image(1))
    found = data.objects(1)
    assert found.masks is not None
    for box, mask in zip(found.boxes, found.masks, strict=True):
        inside = mask[int(box[1]) : int(box[3]), int(box[0]) : int(box[2])]
        assert inside.sum() == mask.sum()
        assert inside.any(axis=0).all(), "the box is tight"
    assert data.digest != loaded("scene-objects:train-3@64x96").digest


class _Names(Predictor):
    name, classes, class_names = "detector", 3, ("person", "airplane", "tv")

    def __call__(self, images):  # pyright: ignore[reportIncompatibleMethodOverride]
        raise AssertionError("names alone are asked for")


def test_classes_of_voc_are_found_under_the_names_of_coco() -> None:
    outputs = output_of_class(("tvmonitor", "aeroplane"), _Names())
    assert outputs is not None
    assert outputs.tolist() == [2, 1]


def test_objects_with_other_class_numbers() -> None:
    data = loaded("scene-objects:2@64")
    moved = ReclassedObjects(data, (4, 3, 2, 1, 0), data.classes[::-1])
    assert (moved.objects(0).classes == 4 - data.objects(0).classes).all()
    assert moved.boxes(1).masks is None
    assert moved.select([1], "second").ids == data.ids[1:]
    assert moved.digest != data.digest


@pytest.mark.parametrize("wrong", [-1, 3])
def test_no_reader_may_hand_over_a_class_that_is_none(wrong: int) -> None:
    """-1 would be renumbered like the last class."""
    inner = loaded("scene-objects:2@32")
    data = ReclassedObjects(inner, (wrong,) * len(inner.classes), ("a", "b"))
    for masks in (False, True):
        with pytest.raises(UserError, match=rf"has the class {wrong}, but there are 2 classes, 0 to 1"):
            true_objects(data, 0, masks=masks)
    with pytest.raises(UserError, match="has the class"):
        ReclassedObjects(data, (0, 1), ("a", "b")).boxes(0)


def test_the_shared_photographs(shared_data: Path) -> None:
    data = loaded(f"coco:{shared_data}/data/coco_val128")
    assert (len(data), len(data.classes), data.has_masks) == (128, 80, False)
    assert sum(len(data.objects(index)) for index in range(len(data))) == 898
    assert data.image(0).shape == (3, 341, 512)
    assert not [finding for finding in validate_folder("coco", f"{shared_data}/data/coco_val128") if finding.fatal]
