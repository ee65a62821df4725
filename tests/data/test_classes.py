"""Labels are brought to the outputs of the model by name, or refused with the reason."""

from pathlib import Path

import numpy as np
import pytest

from weatherglass.data.classes import check_classes, check_same_outputs
from weatherglass.data.folder import load_folder
from weatherglass.data.images import ArrayImages
from weatherglass.data.load import load_data
from weatherglass.data.stored import StoredConditions
from weatherglass.errors import UserError

from .samples import Outputs, write_folder, write_imagenet_c


def data_of(*classes: str) -> ArrayImages:
    count = len(classes)
    pixels = np.zeros((count, 1, 1, 3), dtype=np.uint8)
    return ArrayImages("made", pixels, np.arange(count), classes, tuple(f"{index}" for index in range(count)))


def test_equal_names_change_nothing() -> None:
    data = data_of("cat", "dog")
    assert check_classes(data, Outputs(2, ("cat", "dog"))) is data


def test_another_order_is_matched_by_name() -> None:
    shown = check_classes(data_of("cat", "dog", "sea lion"), Outputs(3, ("Sea_Lion", "dog", "cat")))
    assert shown.labels.tolist() == [2, 1, 0]
    assert shown.classes == ("Sea_Lion", "dog", "cat")


def test_some_of_the_classes_are_matched_by_name() -> None:
    shown = check_classes(data_of("dog", "cat"), Outputs(4, ("bird", "cat", "cow", "dog")))
    assert shown.labels.tolist() == [3, 1]
    assert shown.digest != data_of("dog", "cat").digest


def test_numbers_sorted_as_text_in_training_are_matched(tmp_path: Path) -> None:
    names = tuple(str(number) for number in range(12))
    data = load_folder("numbers", write_folder(tmp_path, names))
    assert data.classes == names  # by value: 10 follows 9
    as_text = tuple(sorted(names))  # what torchvision's ImageFolder made of the same directories
    shown = check_classes(data, Outputs(12, as_text))
    assert [as_text[label] for label in shown.labels] == [data.ids[i].split("/")[0] for i in range(len(data))]


def test_wordnet_ids_mean_imagenet_outputs(tmp_path: Path) -> None:
    data = load_folder("few", write_folder(tmp_path, ("n01443537", "n15075141")))
    shown = check_classes(data, Outputs(1000))
    assert sorted(set(shown.labels.tolist())) == [1, 999]
    assert len(shown.classes) == 1000


def test_numbers_with_gaps_are_output_indices() -> None:
    shown = check_classes(data_of("17", "3", "999"), Outputs(1000))
    assert shown.labels.tolist() == [17, 3, 999]


def test_numbers_from_one() -> None:
    assert check_classes(data_of("1", "2", "3"), Outputs(3)).labels.tolist() == [0, 1, 2]


def test_without_names_the_order_is_taken_where_the_counts_agree() -> None:
    data = data_of("cat", "dog")
    assert check_classes(data, Outputs(2)) is data


def test_stored_conditions_are_renumbered_everywhere(tmp_path: Path) -> None:
    data = load_data(write_imagenet_c(tmp_path))
    shown = check_classes(data, Outputs(3, ("dog", "bird", "cat")))
    assert isinstance(shown, StoredConditions)
    assert set(shown.labels.tolist()) == {0, 2}
    assert np.array_equal(shown.at("fog", 3).labels, shown.labels)
    assert shown.at("fog", 3).classes == ("dog", "bird", "cat")


TWICE = ("cock", "crane", "Cardigan, a corgi", "tench, a fish", "crane", "cardigan", "maillot", "maillot, tank suit")


def test_a_name_that_two_outputs_have_is_not_guessed() -> None:
    """timm calls both the bird and the machine 'crane'."""
    model = Outputs(8, TWICE)
    with pytest.raises(UserError, match=r"'crane' may be any of the outputs 1 and 4 .* by output index instead\.$"):
        check_classes(data_of("cock", "crane"), model)
    with pytest.raises(UserError, match="'Cardigan' may be any of the outputs 2 and 5"):
        check_classes(data_of("Cardigan"), model)
    shown = check_classes(data_of("cardigan", "Cardigan, a corgi", "tench", "maillot"), model)
    assert shown.labels.tolist() == [5, 2, 3, 6]
    same = data_of(*TWICE)
    assert check_classes(same, model) is same  # in the order of the outputs nothing is ambiguous


@pytest.mark.parametrize(
    ("classes", "outputs", "message"),
    [
        (("cat", "dog"), Outputs(1000), "2 classes .* 1000 outputs and no names"),
        (("cat", "dog"), Outputs(2, ("plane", "ship")), "2 of the 2 classes of the data .cat, dog. are not among"),
        (("cat", "emu"), Outputs(3, ("cat", "dog", "cow")), "1 of the 2 classes of the data .emu."),
        (tuple("0123456789"), Outputs(1000), "10 numbered classes"),
        (tuple("0123456789"), Outputs(5), "10 numbered classes"),
        (("n01440764", "n99999999"), Outputs(1000), "n99999999"),
        (("cat", "Cat"), Outputs(3, ("cat", "dog", "cow")), "Two classes of the data have the same name"),
    ],
)
def test_contradictions_are_explained(classes: tuple[str, ...], outputs: Outputs, message: str) -> None:
    with pytest.raises(UserError, match=message) as caught:
        check_classes(data_of(*classes), outputs)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("ours", "theirs"),
    [
        (("tench, Tinca tinca", "cock", "hen"), ("tench", "cock", "Hen")),
        # Two lists of ImageNet: one has a name twice, the other spells both classes in its own way.
        (("crane", "maillot", "maillot, tank suit", "crane"), ("crane bird", "maillot", "tank suit", "crane")),
        (None, ("cat", "dog", "cow")),
        (("cat", "dog", "cow"), None),
    ],
)  # fmt: skip
def test_outputs_that_mean_the_same(ours: tuple[str, ...] | None, theirs: tuple[str, ...] | None) -> None:
    count = len(ours or theirs or ())
    check_same_outputs(Outputs(count, ours), Outputs(count, theirs))


@pytest.mark.parametrize(
    ("ours", "theirs"),
    [
        (("cat", "dog", "cow"), ("cow", "dog", "cat")),
        (tuple("abcdefghij"), tuple("abcdefghji")),  # most agree, yet two have changed places
        (("cat", "dog", "cow"), ("zero", "one", "two")),
        (("cat,", "dog,"), ("zero,", "one,")),
        (("cat", "dog"), ("cat", "dog", "cow")),
        (None, ("cat", "dog")),
    ],
)
def test_outputs_that_mean_something_else(ours: tuple[str, ...] | None, theirs: tuple[str, ...]) -> None:
    with pytest.raises(UserError, match="different classes"):
        check_same_outputs(Outputs(len(ours or "abc"), ours), Outputs(len(theirs), theirs))


def test_the_two_published_lists_of_imagenet_mean_the_same() -> None:
    from timm.data.imagenet_info import ImageNetInfo
    from torchvision.models import ResNet18_Weights

    ours = tuple(ImageNetInfo("imagenet-1k").label_descriptions(detailed=False))
    theirs = tuple(ResNet18_Weights.DEFAULT.meta["categories"])
    assert sum(a != b for a, b in zip(ours, theirs, strict=True)) > 400
    check_same_outputs(Outputs(1000, ours), Outputs(1000, theirs))
    with pytest.raises(UserError, match="another order"):
        check_same_outputs(Outputs(1000, ours), Outputs(1000, (*theirs[2:], *theirs[:2])))
