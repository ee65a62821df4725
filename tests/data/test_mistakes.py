"""Each wrong input gets one line that names it and says what to do."""

import pickle
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from weatherglass.data.load import load_data
from weatherglass.errors import UserError

from .samples import picture, write_cifar10, write_cifar10_c, write_folder, write_imagenet_c


def empty(root: Path) -> str:
    return f"imagefolder:{root}"


def loose(root: Path) -> str:
    Image.fromarray(picture(0)).save(root / "a.png")
    return f"imagefolder:{root}"


def empty_class(root: Path) -> str:
    write_folder(root, ("cat",))
    (root / "dog").mkdir()
    (root / "dog" / "notes.txt").write_text("nothing")
    return f"imagefolder:{root}"


def parts(root: Path) -> str:
    (root / "train").mkdir()
    write_folder(root / "val", ("cat",))
    return f"imagefolder:{root}"


def malicious_batch(root: Path) -> str:
    write_cifar10(root)

    class Evil:
        def __reduce__(self) -> tuple:
            return (print, ("ran",))

    (root / "test_batch").write_bytes(pickle.dumps({b"data": Evil()}, protocol=2))
    return f"cifar10:{root}"


def truncated_batch(root: Path) -> str:
    write_cifar10(root)
    (root / "test_batch").write_bytes((root / "test_batch").read_bytes()[:1000])
    return f"cifar10:{root}"


def batch_missing(root: Path) -> str:
    write_cifar10(root)
    (root / "data_batch_3").unlink()
    return f"cifar10:{root}/train"


def pickled_array(root: Path) -> str:
    np.save(root / "cifar10.1_v6_data.npy", np.array([{}], dtype=object), allow_pickle=True)
    return f"cifar10.1:{root}"


def flat_without_truth(root: Path) -> str:
    Image.fromarray(picture(0)).save(root / "ILSVRC2012_val_00000001.JPEG")
    return f"imagenet:{root}"


def not_wnids(root: Path) -> str:
    write_folder(root, ("cat",))
    return f"imagenet:{root}"


def no_severities(root: Path) -> str:
    write_folder(root, ("cat",))
    return f"imagenet-c:{root}"


def no_labels(root: Path) -> str:
    write_cifar10_c(root)
    (root / "labels.npy").unlink()
    return f"cifar10-c:{root}"


def text_as_parquet(root: Path) -> str:
    (root / "a.parquet").write_text("no table")
    return f"parquet:{root}"


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (empty, "is empty; class directories with images are needed"),
        (loose, "holds 1 images but no class directories"),
        (empty_class, r"dog holds no images \(its files end in .txt"),
        (parts, "give its path: imagefolder:"),
        (malicious_batch, "wants to run .*print"),
        (truncated_batch, "is not a readable batch"),
        (batch_missing, "There is no file .*data_batch_3"),
        (pickled_array, "is not a readable .npy array"),
        (flat_without_truth, "no ground-truth file"),
        (not_wnids, "directories such as 'cat'"),
        (no_severities, "needed is corruption/severity/class/file"),
        (no_labels, "holds no labels.npy"),
        (text_as_parquet, "is not a Parquet file"),
        (lambda root: f"huggingface:{root}", "was not written by save_to_disk"),
        (lambda root: f"imagefolder:{root}/absent", "there is no folder"),
        (lambda root: f"{root}/absent", "There is no file or folder"),
        (lambda root: f"imagefoldr:{root}", "Did you mean imagefolder"),
        (lambda root: "imagefolder", "needs a path"),
        (lambda root: "digits:tset", "Known: digits, digits:train, digits:test"),
    ],
)
def test_mistakes(make: Callable[[Path], str], message: str, tmp_path: Path, capsys: pytest.CaptureFixture) -> None:
    with pytest.raises(UserError, match=message) as caught:
        load_data(make(tmp_path))
    assert "\n" not in str(caught.value)
    assert capsys.readouterr().out == ""


def test_hidden_files_are_no_images_and_nested_ones_are(tmp_path: Path) -> None:
    write_folder(tmp_path, ("cat",))
    (tmp_path / "cat" / ".DS_Store.png").write_bytes(b"")
    (tmp_path / ".cache").mkdir()
    (tmp_path / "cat" / "more").mkdir()
    Image.fromarray(picture(9)).save(tmp_path / "cat" / "more" / "deep.webp")
    data = load_data(f"imagefolder:{tmp_path}")
    assert data.classes == ("cat",)
    assert data.ids == ("cat/0.png", "cat/1.png", "cat/2.png", "cat/3.png", "cat/more/deep.webp")


def test_a_stored_condition_that_lacks_images_is_named(tmp_path: Path) -> None:
    data = load_data(write_imagenet_c(tmp_path))
    (tmp_path / "fog" / "3" / "cat" / "1.png").unlink()
    with pytest.raises(UserError, match=r"fog@3 lacks 1 of 8 images, e.g. cat/1"):
        data.at("fog", 3)  # pyright: ignore[reportAttributeAccessIssue]
    with pytest.raises(UserError, match="holds no rain@1; it holds fog, snow"):
        data.at("rain", 1)  # pyright: ignore[reportAttributeAccessIssue]
