"""Order, dealing and augmentation of training samples."""

import pickle
from dataclasses import replace

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from recipes_small import SMALL

from weatherglass.data.load import load_data
from weatherglass.errors import UserError
from weatherglass.training.classification import Classification
from weatherglass.training.loading import loaded
from weatherglass.training.recipe import Augmentation
from weatherglass.training.samples import (
    AugmentedImages,
    Place,
    dealt,
    epoch_order,
    seeded_libraries,
    training_transform,
)


def test_an_epoch_holds_every_image_once_in_an_order_of_its_own() -> None:
    first, second = epoch_order(100, 0, seed=0), epoch_order(100, 1, seed=0)
    assert sorted(first[:, 0]) == list(range(100))
    assert not np.array_equal(first, second)
    assert np.array_equal(first, epoch_order(100, 0, seed=0))
    assert not np.array_equal(first, epoch_order(100, 0, seed=1))


def test_repeated_augmentation_repeats_and_keeps_the_length() -> None:
    order = epoch_order(1000, 0, seed=0, repeats=3)
    assert len(order) == 1000 // 256 * 256
    assert np.array_equal(order[0:3, 0], np.repeat(order[0, 0], 3))
    assert order[0:6, 1].tolist() == [0, 1, 2, 0, 1, 2]


@given(st.integers(1, 4), st.integers(1, 8))
def test_parts_share_a_batch_and_keep_its_pairs(parts: int, half_share: int) -> None:
    batch = list(range(2 * half_share * parts))
    shares = [dealt(batch, part, parts) for part in range(parts)]
    assert sorted(one for share in shares for one in share) == batch
    for share in shares:
        assert len(share) == 2 * half_share
        for first, second in zip(share, reversed(share), strict=True):
            assert first + second == len(batch) - 1


def test_copies_of_an_image_are_spread_over_parts() -> None:
    batch = [(image, copy) for image in range(6) for copy in range(2)]
    for part in range(2):
        assert len({image for image, _ in dealt(batch, part, 2)}) == 6


def test_a_batch_of_one_each_is_dealt_too() -> None:
    assert [dealt([7, 8], part, 2) for part in range(2)] == [[7], [8]]


def test_augmentation_depends_on_the_sample_and_the_epoch_alone() -> None:
    recipe = replace(SMALL, augmentation=Augmentation(crop="resized", policy="rand-m9-mstd0.5-inc1", erasing=0.5))
    samples = AugmentedImages(load_data("digits:test"), recipe)
    places = [Place(index, epoch, copy) for index in range(3) for epoch in range(2) for copy in range(2)]
    alone = [samples[place][0] for place in places]
    state = torch.get_rng_state()
    batches = [places[4:8], places[:4], places[8:]]
    for workers in (0, 2):
        found = [batch for batch, _ in loaded(samples, batches, torch.utils.data.default_collate, workers=workers)]
        torch.testing.assert_close(torch.cat([found[1], found[0], found[2]]), torch.stack(alone), rtol=0, atol=0)
    assert torch.equal(torch.get_rng_state(), state)
    assert len({tuple(image.flatten().tolist()) for image in alone}) == len(places)


def test_crops_have_the_recipes_size() -> None:
    from PIL import Image

    photo = Image.fromarray(np.zeros((50, 70, 3), np.uint8))
    for crop in ("resized", "padded", "none"):
        for policy in ("", "3a", "rand-m5-mstd0.5-inc1"):
            recipe = replace(SMALL, augmentation=Augmentation(crop=crop, policy=policy, colour_jitter=0.3))
            image = training_transform(recipe)(photo)
            assert image.shape == (3, 32, 32)
            assert image.dtype == torch.float32


@pytest.mark.parametrize("policy", ["rand-m10-n15-inc1", "3a", "original-mstd0.5"])
def test_the_strongest_magnitudes_work(policy: str) -> None:
    """RandAugment posterises to 0 bits at magnitude 10: a black image."""
    from PIL import Image

    transform = training_transform(replace(SMALL, augmentation=Augmentation(crop="none", policy=policy)))
    photo = Image.fromarray(np.full((32, 32, 3), 200, np.uint8))
    for key in range(30):
        with seeded_libraries(key):
            assert transform(photo).shape == (3, 32, 32)


@pytest.mark.parametrize("policy", ["rand-m9-mstd0.5-inc1", "3a", "original"])
def test_samples_can_be_sent_to_processes_that_load_them(policy: str) -> None:
    """Where processes are not forked (macOS, Python 3.14), all that they need is pickled."""
    recipe = replace(SMALL, augmentation=Augmentation(crop="resized", policy=policy, colour_jitter=0.3, erasing=0.5))
    learned = Classification(recipe, load_data("digits:test"), None)
    learned._teacher = lambda images: images  # type: ignore[assignment]  # what cannot be sent stays behind
    dataset, collate = pickle.loads(pickle.dumps((learned.dataset, learned.collate)))
    places = [Place(index, 3, 0) for index in range(2)]
    sent = collate([dataset[place] for place in places])
    assert torch.equal(sent[0], learned.collate([learned.dataset[place] for place in places])[0])


def test_an_unknown_policy_gets_one_line() -> None:
    with pytest.raises(UserError, match=r"augmentation\.policy 'nonsense' is none that timm knows"):
        training_transform(replace(SMALL, augmentation=Augmentation(policy="nonsense")))
