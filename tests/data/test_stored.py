"""Stored conditions hold the same images, in the same order, under the same ids."""

from pathlib import Path

import numpy as np
import pytest
import torch

from weatherglass.data.load import load_data
from weatherglass.data.stored import StoredConditions

from .samples import write_cifar10, write_cifar10_c, write_folder, write_imagenet_c


@pytest.fixture
def tree(tmp_path: Path) -> StoredConditions:
    data = load_data(write_imagenet_c(tmp_path))
    assert isinstance(data, StoredConditions)
    return data


def test_conditions_and_ids(tree: StoredConditions) -> None:
    assert tree.conditions == [("fog", 1), ("fog", 3), ("snow", 1), ("snow", 3)]
    assert tree.clean is not None
    for name, severity in tree.conditions:
        stored = tree.at(name, severity)
        assert stored.ids == tree.ids
        assert np.array_equal(stored.labels, tree.labels)
    assert not torch.equal(tree.at("fog", 3).image(0), tree.clean.image(0))


def test_a_selection_holds_for_every_condition(tree: StoredConditions) -> None:
    part = tree.select([5, 1], "two")
    assert part.at("snow", 1).ids == (tree.ids[5], tree.ids[1])
    assert torch.equal(part.at("snow", 1).image(1), tree.at("snow", 1).image(1))
    assert part.at("snow", 1).selection == "two"


def test_clean_images_from_elsewhere_may_have_another_ending(tmp_path: Path) -> None:
    write_folder(tmp_path / "val", ("cat", "dog"), ".jpg")
    for severity in (1, 2):
        write_folder(tmp_path / "stored" / "blur" / "zoom_blur" / str(severity), ("cat", "dog"))
    data = load_data(f"imagenet-c:{tmp_path / 'stored'}::imagefolder:{tmp_path / 'val'}")
    assert isinstance(data, StoredConditions)
    assert data.conditions == [("zoom_blur", 1), ("zoom_blur", 2)]
    assert data.ids[0] == "cat/0.jpg"
    assert data.at("zoom_blur", 2).ids == data.ids


def test_imagenet_c_is_labelled_as_imagenet(tmp_path: Path) -> None:
    write_folder(tmp_path / "fog" / "5", ("n01443537", "n15075141"), ".JPEG")
    data = load_data(f"imagenet-c:{tmp_path}")
    assert len(data.classes) == 1000
    assert set(data.labels.tolist()) == {1, 999}


def test_cifar10_c_has_the_ids_of_cifar10(tmp_path: Path) -> None:
    (tmp_path / "plain").mkdir()
    (tmp_path / "stored").mkdir()
    clean = write_cifar10(tmp_path / "plain")
    stored = write_cifar10_c(tmp_path / "stored")
    data = load_data(f"{stored}::{clean}")
    assert isinstance(data, StoredConditions)
    pixels = np.load(tmp_path / "stored" / "fog.npy")
    assert np.array_equal(data.at("fog", 2).image(3).permute(1, 2, 0).numpy(), pixels[8 + 3])
    assert data.clean is not None
    assert data.clean.ids == data.at("gaussian_noise", 5).ids
