"""ReaL labels and ObjectNet: any accepted label is right, and files that do not fit are refused in one line."""

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from weatherglass.data.imagenet import imagenet_wnids
from weatherglass.data.images import ArrayImages
from weatherglass.data.load import load_data
from weatherglass.data.several_labels import SeveralLabels, nearest_accepted
from weatherglass.errors import UserError


def write_validation(root: Path, labels: object, names: tuple[str, ...] = ("00000001", "00000002", "00000003")) -> str:
    for number in names:
        Image.new("RGB", (6, 6), (int(number[-1]), 0, 0)).save(root / f"ILSVRC2012_val_{number}.png")
    (root / "real.json").write_text(json.dumps(labels))
    return f"imagenet-real:{root}"


def test_images_without_a_reassessed_label_are_left_out(tmp_path: Path) -> None:
    data = load_data(write_validation(tmp_path, [[5, 7], [], [999]]))
    assert isinstance(data, SeveralLabels)
    assert data.ids == ("ILSVRC2012_val_00000001.png", "ILSVRC2012_val_00000003.png")
    assert data.accepted == ((5, 7), (999,))
    assert data.labels.tolist() == [5, 999]
    assert data.classes == imagenet_wnids()
    other = load_data(write_validation(tmp_path, [[5, 8], [], [999]]))
    assert other.digest != data.digest


def test_the_labels_may_lie_elsewhere_and_the_images_in_class_directories(tmp_path: Path) -> None:
    images = tmp_path / "val" / "n01440764"
    images.mkdir(parents=True)
    Image.new("RGB", (6, 6)).save(images / "ILSVRC2012_val_00000002.JPEG")
    (tmp_path / "labels.json").write_text("[[], [3, 4]]")
    data = load_data(f"imagenet-real:{tmp_path / 'val'}::{tmp_path / 'labels.json'}")
    assert data.accepted == ((3, 4),)


@pytest.mark.parametrize(
    ("labels", "message"),
    [
        ({"1": [2]}, "one list of labels 0..999"),
        ([[5], [1000], []], "one list of labels 0..999"),
        ([[5], ["a"], []], "one list of labels 0..999"),
        ([[5], [6]], "image 3, but the labels are for images 1 to 2"),
        ([[], [], []], "none of the 3 images"),
    ],
)
def test_labels_that_do_not_fit(tmp_path: Path, labels: object, message: str) -> None:
    with pytest.raises(UserError, match=message):
        load_data(write_validation(tmp_path, labels))


def test_images_without_numbers_or_without_labels(tmp_path: Path) -> None:
    Image.new("RGB", (6, 6)).save(tmp_path / "cat.png")
    with pytest.raises(UserError, match=r"there is no .*real\.json"):
        load_data(f"imagenet-real:{tmp_path}")
    (tmp_path / "real.json").write_text("[[1]]")
    with pytest.raises(UserError, match=r"cat\.png has none"):
        load_data(f"imagenet-real:{tmp_path}")
    (tmp_path / "real.json").write_text("[[1]")
    with pytest.raises(UserError, match="no JSON"):
        load_data(f"imagenet-real:{tmp_path}")


def test_the_likeliest_accepted_label_is_held_against_the_output() -> None:
    output = torch.tensor([[0.0, 3.0, 2.0, 1.0], [9.0, 0.0, 1.0, 2.0]])
    assert nearest_accepted(output, [(3, 2), (1,)]).tolist() == [2, 1]


def write_objectnet(root: Path) -> str:
    """Three folders: one that maps to two outputs, one to one, one to none."""
    pictures, mappings = root / "images", root / "mappings"
    mappings.mkdir(parents=True)
    for number, folder in enumerate(("alarm_clock", "banana", "tweezers")):
        (pictures / folder).mkdir(parents=True)
        framed = np.full((10, 12, 3), (255, 0, 0), np.uint8)
        framed[2:-2, 2:-2] = number
        Image.fromarray(framed).save(pictures / folder / "a.png")
    # In its own order ILSVRC 2012 counts these three classes 2, 0, 1.
    (mappings / "imagenet_to_label_2012_v2").write_text("digital clock\nbanana\nanalog clock\n")
    (mappings / "pytorch_to_imagenet_2012_id.json").write_text(json.dumps({"409": 2, "530": 0, "954": 1}))
    (mappings / "objectnet_to_imagenet_1k.json").write_text(
        json.dumps({"Alarm clock": "analog clock; digital clock", "Banana": "banana"})
    )
    (mappings / "folder_to_objectnet_label.json").write_text(
        json.dumps({"alarm_clock": "Alarm clock", "banana": "Banana", "tweezers": "Tweezers"})
    )
    return f"objectnet:{root}"


def test_objectnet_keeps_the_classes_that_imagenet_has_and_cuts_the_border(tmp_path: Path) -> None:
    data = load_data(write_objectnet(tmp_path))
    assert isinstance(data, SeveralLabels)
    assert data.ids == ("alarm_clock/a.png", "banana/a.png")
    assert data.accepted == ((409, 530), (954,))
    assert data.competing == (409, 530, 954)
    assert data.image(1).shape == (3, 6, 8)
    assert data.image(1).unique().tolist() == [1]


def unlink(name: str) -> Callable[[Path], None]:
    return lambda root: (root / "mappings" / name).unlink()


def write(name: str, text: str) -> Callable[[Path], object]:
    return lambda root: (root / "mappings" / name).write_text(text)


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (unlink("pytorch_to_imagenet_2012_id.json"), "is missing; it comes with the release"),
        (write("imagenet_to_label_2012_v2", "digital clock\nbanana\nclock\n"), "'analog clock' is in one"),
        (write("folder_to_objectnet_label.json", "{}"), "'alarm_clock' .3 in all. is not in"),
        (write("folder_to_objectnet_label.json", "{"), "cannot be read"),
        (write("objectnet_to_imagenet_1k.json", "{}"), "no image of a class that ImageNet has"),
    ],
)
def test_mappings_that_do_not_fit(tmp_path: Path, spoil: Callable[[Path], object], message: str) -> None:
    spec = write_objectnet(tmp_path)
    spoil(tmp_path)
    with pytest.raises(UserError, match=message):
        load_data(spec)


def test_a_folder_without_mappings_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="needed are images/ and mappings/"):
        load_data(f"objectnet:{tmp_path}")


def test_selections_and_new_numbers_keep_the_labels_together() -> None:
    pixels = np.arange(3 * 4 * 4 * 3, dtype=np.uint8).reshape(3, 4, 4, 3)
    inner = ArrayImages("made", pixels, np.zeros(3), ("a", "b", "c"), ("x", "y", "z"))
    data = SeveralLabels(inner, ((0, 1), (2,), (1,)), ("a", "b", "c"), (0, 1, 2))
    assert data.select([2, 0], "two").accepted == ((1,), (0, 1))
    swapped = data.renumbered([2, 1, 0], ("c", "b", "a"))
    assert swapped.accepted == ((2, 1), (0,), (1,))
    assert swapped.labels.tolist() == [2, 0, 1]
    assert swapped.digest != data.digest
    with pytest.raises(UserError, match="at least one label"):
        SeveralLabels(inner, ((), (1,), (2,)), ("a", "b", "c"))
