"""Each wrong input gets one line that names it and says what to do."""

import json
import os
import pickle
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import pyarrow as arrow
import pyarrow.parquet as parquet
import pytest
import torch
from PIL import Image

from weatherglass.data.classes import check_classes
from weatherglass.data.images import ArrayImages
from weatherglass.data.load import load_data
from weatherglass.data.several_labels import SeveralLabels
from weatherglass.errors import UnreadableImage, UserError
from weatherglass.types import ImageData

from .samples import Outputs, picture, write_cifar10, write_cifar10_c, write_folder, write_imagenet_c


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


@pytest.mark.parametrize("kind", ["imagefolder", "images"])
def test_no_file_vanishes_without_a_word(kind: str, tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """Another ending of JPEG counts; a form that is not decoded counts as unreadable; the rest is counted."""
    write_folder(tmp_path, ("cat",))
    Image.fromarray(picture(9)).save(tmp_path / "cat" / "old.jfif")
    (tmp_path / "cat" / "phone.HEIC").write_bytes(b"\0\0\0\x18ftypheic")
    for name in ("a.xcf", "b.xcf", "notes", ".hidden"):
        (tmp_path / "cat" / name).write_bytes(b"")
    data = load_data(f"{kind}:{tmp_path}", limit=99)
    assert [Path(sample).name for sample in data.ids[-2:]] == ["old.jfif", "phone.HEIC"]
    assert data.image(4).shape == (3, 20, 24)
    with pytest.raises(UnreadableImage, match=r"phone\.HEIC: it begins like HEIC"):
        data.image(5)
    (message,) = (record.message for record in caplog.records)
    listed = "3 of 9 files (.xcf 2, no ending 1), e.g. cat/a.xcf"
    assert message == f"{data.name}: left out for want of an image's ending: {listed}"


def test_a_stored_condition_that_lacks_images_is_named(tmp_path: Path) -> None:
    data = load_data(write_imagenet_c(tmp_path))
    (tmp_path / "fog" / "3" / "cat" / "1.png").unlink()
    with pytest.raises(UserError, match=r"fog@3 lacks 1 of 8 images, e.g. cat/1"):
        data.at("fog", 3)  # pyright: ignore[reportAttributeAccessIssue]
    with pytest.raises(UserError, match="holds no rain@1; it holds fog, snow"):
        data.at("rain", 1)  # pyright: ignore[reportAttributeAccessIssue]


def table(root: Path, labels: list[int], names: tuple[str, ...] = ("cat", "dog"), file: str = "a.parquet") -> str:
    """A Parquet file with `labels`, class `names`, and no images worth decoding."""
    root.mkdir(exist_ok=True)
    note = {"huggingface": json.dumps({"info": {"features": {"label": {"names": names}}}})}
    rows = arrow.table({"image": [b"bytes"] * len(labels), "label": labels}).replace_schema_metadata(note)
    parquet.write_table(rows, root / file)
    return f"parquet:{root}"


def test_hidden_test_labels_are_no_classes(tmp_path: Path) -> None:
    """Taken as indices, -1 would be the last class."""
    for limit in (None, 2):
        with pytest.raises(UserError, match=r"2 of 4 images have another, e.g. a.parquet/000000 has -1. .*hidden"):
            load_data(table(tmp_path, [-1, -1, 0, 1]), limit=limit)
    with pytest.raises(UserError, match=r"2 class names, so labels 0 to 1, but 1 of 2 images .* has 5\.$"):
        load_data(table(tmp_path, [0, 5]))


@pytest.mark.parametrize("labels", [[0, -1], [0, 2], [0.0, 0.5]])
def test_no_reader_may_hand_over_labels_that_are_no_classes(labels: list, tmp_path: Path) -> None:
    """Also one that someone else wrote, and objects that no name was resolved for."""

    class Mine(ImageData):
        name, classes, ids, digest = "mine", ("a", "b"), ("x", "y"), "0"

        def __init__(self) -> None:
            self.labels = np.array(labels)

        def image(self, index: int) -> torch.Tensor:
            return torch.zeros(3, 2, 2, dtype=torch.uint8)

        def select(self, indices: Sequence[int], selection: str) -> "Mine":
            return self

    with pytest.raises(UserError, match="labels"):
        check_classes(Mine(), Outputs(2, ("b", "a")))


@pytest.mark.parametrize("accepted", [((0,), (1, -1)), ((0,), (1, 2)), ((0,), ())])
def test_every_label_that_counts_as_right_is_a_class(accepted: tuple) -> None:
    inner = ArrayImages("made", np.zeros((2, 2, 2, 3), np.uint8), np.zeros(2), ("a", "b"), ("x", "y"))
    with pytest.raises(UserError, match="label"):
        SeveralLabels(inner, accepted, ("a", "b"))


def test_names_that_are_no_text_are_refused(tmp_path: Path) -> None:
    write_folder(tmp_path / "pets", ("cat", "dog"))
    odd = os.fsencode(tmp_path / "pets" / "cat") + b"/\xff.png"
    (tmp_path / "pets" / "cat" / "0.png").rename(os.fsdecode(odd))
    for spec in (f"imagefolder:{tmp_path}/pets", f"images:{tmp_path}/pets"):
        with pytest.raises(UserError, match=r"1 file or class names that are not UTF-8 text, e.g. '.*\\udcff.png'"):
            load_data(spec, limit=2)
    with pytest.raises(UserError, match="is not UTF-8 text"):
        load_data(f"imagefolder:{tmp_path}/\udcff")


def test_a_damaged_or_different_second_table_is_named(tmp_path: Path) -> None:
    spec = table(tmp_path, [0, 1])
    (tmp_path / "b.parquet").write_bytes(b"PAR1 and no more")
    with pytest.raises(UserError, match=r"b\.parquet is not a Parquet file, or a damaged one"):
        load_data(spec)
    table(tmp_path, [0, 1], ("dog", "cat"), "b.parquet")
    with pytest.raises(UserError, match=r"b\.parquet has other columns or class names than .*a\.parquet"):
        load_data(spec)


def test_tables_may_name_files(tmp_path: Path) -> None:
    Image.fromarray(picture(3)).save(tmp_path / "three.png")
    rows = {"image": ["three.png", "absent.png"], "label": [0.0, 1.0]}  # labels as pandas leaves them
    parquet.write_table(arrow.table(rows), tmp_path / "a.parquet")
    data = load_data(f"parquet:{tmp_path}")
    assert data.classes == ("0", "1")
    assert data.digest
    assert torch.equal(data.image(0), torch.from_numpy(picture(3)).permute(2, 0, 1))
    with pytest.raises(UnreadableImage, match=r"a\.parquet/000001: absent\.png: No such file"):
        data.image(1)


def test_tables_of_numbers_are_explained(tmp_path: Path) -> None:
    parquet.write_table(arrow.table({"image": [[[0, 1]], [[2, 3]]], "label": [0, 1]}), tmp_path / "a.parquet")
    with pytest.raises(UserError, match="given as a list; needed are its encoded bytes"):
        load_data(f"parquet:{tmp_path}").digest  # noqa: B018
