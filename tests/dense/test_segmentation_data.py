"""Every layout of segmentation data, and what is said of data that cannot be used."""

import json
import zipfile
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from weatherglass.data.load import load_data
from weatherglass.data.scenes import CLASSES, SceneImages
from weatherglass.data.segmentation import Reclassed, class_map, prepared_mask
from weatherglass.data.segmentation_classes import CAMVID, CITYSCAPES, palette, voc_colour
from weatherglass.errors import UserError
from weatherglass.types import IGNORE, Preprocessing, SegmentationData


def save(path: Path, array: np.ndarray) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(array).save(path)


def picture(height: int = 6, width: int = 8) -> np.ndarray:
    return np.arange(height * width * 3, dtype=np.uint8).reshape(height, width, 3)


def mask_of(*ids: int, height: int = 6, width: int = 8) -> np.ndarray:
    return np.resize(np.array(ids, np.uint8), (height, width))


def pair_folder(root: Path, mask: np.ndarray) -> Path:
    save(root / "images" / "a.png", picture())
    save(root / "masks" / "a.png", mask)
    (root / "classes.json").write_text(json.dumps({"classes": ["road", "tree", "void"], "ignore_index": 2}))
    return root


def loaded(spec: str) -> SegmentationData:
    data = load_data(spec)
    assert isinstance(data, SegmentationData)
    return data


def test_pairs_of_folders(tmp_path: Path) -> None:
    data = loaded(f"masks:{pair_folder(tmp_path, mask_of(0, 1, 2, 255))}")
    assert data.classes == ("road", "tree")
    assert data.task == "segmentation"
    assert data.mask(0)[0, :4].tolist() == [0, 1, IGNORE, IGNORE]
    assert data.image(0).shape == (3, 6, 8)


def test_a_zip_file_is_the_same_data_as_its_folder(tmp_path: Path) -> None:
    root = pair_folder(tmp_path / "data", mask_of(0, 1))
    with zipfile.ZipFile(tmp_path / "data.zip", "w") as archive:
        for file in sorted(root.rglob("*")):
            archive.write(file, file.relative_to(root))
    folder, packed = loaded(f"masks:{root}"), loaded(f"masks:{root}.zip")
    assert folder.digest == packed.digest
    assert torch.equal(folder.mask(0), packed.mask(0))


def test_cityscapes_by_label_ids_and_train_ids(tmp_path: Path) -> None:
    image = tmp_path / "leftImg8bit" / "val" / "ulm" / "ulm_000_001_leftImg8bit.png"
    save(image, picture())
    fine = tmp_path / "gtFine" / "val" / "ulm"
    save(fine / "ulm_000_001_gtFine_labelIds.png", mask_of(7, 33, 0, 9))
    data = loaded(f"cityscapes:{tmp_path}/val")
    assert data.classes == CITYSCAPES
    assert data.mask(0)[0, :4].tolist() == [0, 18, IGNORE, IGNORE]
    save(fine / "ulm_000_001_gtFine_labelTrainIds.png", mask_of(0, 18, 255, 3))
    assert loaded(f"cityscapes:{tmp_path}/val").mask(0)[0, :4].tolist() == [0, 18, IGNORE, 3]


def test_ade20k(tmp_path: Path) -> None:
    save(tmp_path / "images" / "validation" / "x.jpg", picture())
    save(tmp_path / "annotations" / "validation" / "x.png", mask_of(0, 1, 150))
    data = loaded(f"ade20k:{tmp_path}/validation")
    assert len(data.classes) == 150
    assert data.mask(0)[0, :3].tolist() == [IGNORE, 0, 149]


def test_voc_reads_palette_indices(tmp_path: Path) -> None:
    save(tmp_path / "JPEGImages" / "x.jpg", picture())
    save(tmp_path / "JPEGImages" / "unused.jpg", picture())
    (tmp_path / "SegmentationClass").mkdir()
    coloured = Image.fromarray(mask_of(0, 20, 255)).convert("P")
    coloured.putpalette([value for index in range(256) for value in voc_colour(index)])
    coloured.save(tmp_path / "SegmentationClass" / "x.png")
    (tmp_path / "ImageSets" / "Segmentation").mkdir(parents=True)
    (tmp_path / "ImageSets" / "Segmentation" / "val.txt").write_text("x\n")
    data = loaded(f"voc-masks:{tmp_path}/val")
    assert len(data) == 1


def test_camvid(shared_data: Path) -> None:
    data = loaded(f"camvid:{shared_data}/data/camvid/val.zip")
    assert (len(data), data.classes) == (101, CAMVID)
    assert set(data.mask(0).unique().tolist()) <= {*range(11), IGNORE}


def test_missing_masks_are_counted(tmp_path: Path) -> None:
    root = pair_folder(tmp_path, mask_of(0))
    save(root / "images" / "b.png", picture())
    with pytest.raises(UserError, match=r"1 of 2 images have no mask, e\.g\. images/b\.png"):
        load_data(f"masks:{root}")


def test_a_mask_of_another_size_is_refused(tmp_path: Path) -> None:
    data = loaded(f"masks:{pair_folder(tmp_path, mask_of(0, height=5))}")
    with pytest.raises(UserError, match=r"has 8x5 pixels, its image images/a\.png 8x6"):
        data.mask(0)


@pytest.mark.parametrize("unknown", [3, 254])
def test_unknown_ids_are_refused(tmp_path: Path, unknown: int) -> None:
    data = loaded(f"masks:{pair_folder(tmp_path, mask_of(0, unknown))}")
    with pytest.raises(UserError, match=rf"label id {unknown} \(24 pixels\); known are 0 to 1 .* 2, 255"):
        data.mask(0)


def test_colour_masks_and_missing_descriptions_are_refused(tmp_path: Path) -> None:
    data = loaded(f"masks:{pair_folder(tmp_path, picture())}")
    with pytest.raises(UserError, match="picture of mode RGB"):
        data.mask(0)
    (tmp_path / "classes.json").unlink()
    with pytest.raises(UserError, match=r"classes\.json"):
        load_data(f"masks:{tmp_path}")
    with pytest.raises(UserError, match="a folder of images"):
        load_data(f"masks:{tmp_path / 'images'}")


def test_masks_follow_resizing_and_padding() -> None:
    mask = torch.tensor([[0, 1], [IGNORE, 2]], dtype=torch.uint8)
    enlarged = prepared_mask(mask, Preprocessing(resize=(4, 4)))
    assert torch.equal(enlarged, mask.repeat_interleave(2, 0).repeat_interleave(2, 1))
    padded = prepared_mask(mask, Preprocessing(size=(4, 4), mean=(0.5, 0.5, 0.5)))
    assert padded[1:3, 1:3].tolist() == mask.tolist()
    assert (padded[0] == IGNORE).all()


def test_classes_are_renumbered() -> None:
    scenes = load_data("scenes:2@48")
    assert isinstance(scenes, SceneImages)
    turned = Reclassed(scenes, (5, 4, 3, 2, 1, 0), CLASSES[::-1])
    assert torch.equal(turned.mask(1), 5 - scenes.mask(1))
    assert turned.select([1], "one").digest != scenes.select([1], "one").digest


def test_no_reader_may_hand_over_a_class_that_is_none() -> None:
    """An index beyond the classes would be counted as a class of the next image."""
    scenes = loaded("scenes:2@48")
    short = Reclassed(scenes, tuple(range(len(CLASSES))), CLASSES[:1])
    with pytest.raises(UserError, match=r"the mask of .* holds the class \d, but there are 1 classes"):
        class_map(short, 0)
    with pytest.raises(UserError, match="holds the class"):
        Reclassed(short, (4,), ("it",)).mask(0)


def test_scenes_are_their_own_and_true() -> None:
    data, again = load_data("scenes:4@48x64"), load_data("scenes:6@48x64")
    assert isinstance(data, SceneImages) and isinstance(again, SceneImages)
    assert torch.equal(data.image(3), again.image(3))
    assert not torch.equal(data.image(3), load_data("scenes:train-4@48x64").image(3))
    scene = data.scene(2)
    for one in scene.objects:
        assert (scene.mask[one.mask] == one.category + 1).all()
        left, top, right, bottom = (int(side) for side in one.box)
        assert one.mask[top:bottom, left:right].sum() == one.mask.sum()
        assert one.mask[:, left].any() and one.mask[:, right - 1].any()


@pytest.mark.parametrize("spec", ["scenes:", "scenes:0", "scenes:4@x", "scenes:4@16"])
def test_scene_names_are_checked(spec: str) -> None:
    with pytest.raises(UserError):
        load_data(spec)


def test_palettes_tell_all_classes_apart() -> None:
    for classes in (CAMVID, CITYSCAPES, CLASSES, [str(index) for index in range(150)]):
        assert len(set(palette(classes))) == len(classes)
