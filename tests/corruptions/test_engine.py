"""The border of the engine: what it accepts, refuses and promises, whatever the corruption."""

import pytest
import torch

from weatherglass.corruptions.engine import corrupt
from weatherglass.errors import UnknownName, UserError


@pytest.fixture
def images() -> torch.Tensor:
    return torch.randint(0, 256, (2, 3, 40, 56), dtype=torch.uint8, generator=torch.Generator().manual_seed(0))


def test_a_single_image_is_a_batch_of_one(images: torch.Tensor) -> None:
    alone = corrupt(images[1], "gaussian_noise", 3, ids=["b"])
    assert torch.equal(alone, corrupt(images, "gaussian_noise", 3, ids=["a", "b"])[1])


def test_a_composition_is_one_after_the_other(images: torch.Tensor) -> None:
    one_by_one = corrupt(corrupt(images, "fog", 3, seed=4), "motion_blur", 2, seed=4)
    assert torch.equal(corrupt(images, "fog@3+motion_blur@2", 1, seed=4), one_by_one)


def test_a_repeated_part_draws_anew(images: torch.Tensor) -> None:
    twice_the_same = corrupt(corrupt(images, "impulse_noise", 3), "impulse_noise", 3)
    assert not torch.equal(corrupt(images, "impulse_noise+impulse_noise", 3), twice_the_same)


def test_an_empty_batch_stays_empty(images: torch.Tensor) -> None:
    assert corrupt(images[:0], "fog", 3).shape == (0, 3, 40, 56)


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        (lambda x: x[:, :1], "repeat the grey channel"),
        (lambda x: torch.cat([x, x[:, :1]], 1), "drop the alpha channel"),
        (lambda x: x[:, :, :1], "too small"),
        (lambda x: x.int(), "uint8"),
        (lambda x: x.float(), "divide 0..255 by 255"),
        (lambda x: x.float() / 255 - 0.1, r"must lie in \[0, 1\]"),
        (lambda x: torch.full((1, 3, 40, 40), float("nan")), "NaN"),
        (lambda x: x[0, 0], "Images must be a tensor"),
        (lambda x: x.numpy(), "Images must be a tensor"),
    ],
)
def test_images_that_cannot_be_corrupted_get_a_sentence(images: torch.Tensor, change, sentence: str) -> None:
    with pytest.raises(UserError, match=sentence):
        corrupt(change(images), "fog", 3)


@pytest.mark.parametrize("severity", [0, 6, -1, 0.99, 5.01, float("nan"), True, "3"])
def test_severities_outside_1_to_5_are_refused(images: torch.Tensor, severity) -> None:
    with pytest.raises(UserError, match="from 1"):
        corrupt(images, "fog", severity)


def test_wrong_names_and_choices_are_answered(images: torch.Tensor) -> None:
    with pytest.raises(UnknownName, match="Did you mean frost"):
        corrupt(images, "frgo", 3)
    with pytest.raises(UserError, match="not a number"):
        corrupt(images, "fog@high", 3)
    with pytest.raises(UserError, match="accepted: 'imagecorruptions', 'imagenet-c'"):
        corrupt(images, "fog", 3, definition="imagenet")
    with pytest.raises(UserError, match="224x224, 64x64 and 32x32"):
        corrupt(images, "fog", 3, definition="imagenet-c")
    with pytest.raises(UserError, match="3 ids"):
        corrupt(images, "fog", 3, ids=["a", "b", "c"])
    with pytest.raises(UserError, match="sequence of sample ids"):
        corrupt(images, "fog", 3, ids="ab")
    with pytest.raises(UserError, match="no folder"):
        corrupt(images, "frost", 3, frost="/nowhere/at/all")
