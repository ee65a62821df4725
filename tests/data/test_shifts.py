"""Relatives of ImageNet: numbers are read as numbers, and a folder's faults are found by name."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from weatherglass.data.imagenet import imagenet_wnids
from weatherglass.data.load import load_data
from weatherglass.data.masks import MASKS
from weatherglass.data.validate import string_sorted, validate_folder
from weatherglass.errors import UserError


def folder(root: Path, names: list[str]) -> Path:
    for name in names:
        (root / name).mkdir(parents=True)
        Image.new("RGB", (2, 2)).save(root / name / "a.png")
    return root


def test_v2_directories_are_output_indices(tmp_path: Path) -> None:
    data = load_data(f"imagenet-v2:{folder(tmp_path, ['0', '1', '10', '100', '2', '999'])}")
    assert {sample.split("/")[0]: int(label) for sample, label in zip(data.ids, data.labels, strict=True)} == {
        name: int(name) for name in ("0", "1", "10", "100", "2", "999")
    }
    assert data.classes == imagenet_wnids()


@pytest.mark.parametrize(("names", "message"), [(["7", "007"], "same number"), (["7", "cat"], "directory 'cat'")])
def test_v2_folders_that_are_none(tmp_path: Path, names: list[str], message: str) -> None:
    with pytest.raises(UserError, match=message):
        load_data(f"imagenet-v2:{folder(tmp_path, names)}")


def test_labels_sorted_as_text_are_detected() -> None:
    as_text = sorted(range(1000), key=str)
    generator = np.random.default_rng(0)
    labels = generator.integers(0, 1000, 300)
    decisions = np.where(generator.random(300) < 0.6, np.array(as_text)[labels], 5)
    assert string_sorted(decisions, labels, 1000)
    assert not string_sorted(labels, labels, 1000)
    assert not string_sorted(generator.integers(0, 1000, 300), labels, 1000)


def test_a_complete_folder_has_only_a_wrong_count(tmp_path: Path) -> None:
    wnids = [imagenet_wnids()[output] for output in MASKS["imagenet-a"]]
    (finding,) = validate_folder("imagenet-a", str(folder(tmp_path, wnids)))
    assert (finding.kind, finding.fatal) == ("count", False)
    assert "200 images; imagenet-a was published with 7,500" in finding.text


def test_missing_renamed_doubled_unexpected_and_empty(tmp_path: Path) -> None:
    wnids = [imagenet_wnids()[output] for output in MASKS["imagenet-a"]]
    names = [*wnids[2:], wnids[1].upper(), f"{wnids[5]} copy", "sketches"]
    root = folder(tmp_path, names)
    (root / wnids[7] / "a.png").unlink()
    found = {finding.kind: finding.text for finding in validate_folder("imagenet-a", str(root))}
    assert wnids[0] in found["missing"]
    assert found["missing"].startswith("1 of 200")
    assert found["renamed"] == f"'{wnids[1].upper()}' is probably '{wnids[1]}'. Rename it."
    assert wnids[5] in found["doubled"]
    assert "sketches" in found["unexpected"]
    assert wnids[7] in found["empty"]


def test_numbered_folders_carry_a_note(tmp_path: Path) -> None:
    found = {f.kind: f for f in validate_folder("imagenet-v2", str(folder(tmp_path, [str(n) for n in range(1, 1000)])))}
    assert found["missing"].text == "1 of 1000 classes: 0."
    assert not found["order"].fatal


def test_other_kinds_are_refused() -> None:
    with pytest.raises(UserError, match="not 'cifar10'"):
        validate_folder("cifar10", "here")
