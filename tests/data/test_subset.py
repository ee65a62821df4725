"""A subset is stratified, nested, and the same whatever the order of the files."""

from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as some

import weatherglass.cli
from weatherglass.data.images import ArrayImages
from weatherglass.data.subset import subset
from weatherglass.errors import UserError


def images(labels: list[int]) -> ArrayImages:
    classes = tuple(f"class {index}" for index in range(max(labels) + 1))
    pixels = np.zeros((len(labels), 1, 1, 3), dtype=np.uint8)
    ids = tuple(f"sample {index}" for index in range(len(labels)))
    return ArrayImages("made", pixels, np.array(labels), classes, ids)


@settings(max_examples=40, deadline=None)
@given(some.lists(some.integers(0, 4), min_size=2, max_size=80), some.integers(1, 79), some.integers(0, 3))
def test_every_class_keeps_its_share(labels: list[int], limit: int, seed: int) -> None:
    data = images(labels)
    part = subset(data, limit=limit, seed=seed)
    assert len(part) == min(limit, len(data))
    share = len(part) / len(data)
    for label in set(labels):
        assert abs((part.labels == label).sum() - share * (data.labels == label).sum()) < 1 + 1e-9


def test_shares_are_kept_not_made_equal() -> None:
    data = images([0] * 18 + [1] * 2)
    assert np.bincount(subset(data, limit=10).labels).tolist() == [9, 1]
    assert subset(data, limit=2).labels.tolist() == [0, 0]


def test_no_option_promises_balance() -> None:
    for path in Path(weatherglass.cli.__path__[0]).glob("*.py"):
        assert "balanced" not in path.read_text(encoding="utf-8"), path.name


@settings(max_examples=20, deadline=None)
@given(some.permutations(range(40)))
def test_file_order_does_not_matter(order: list[int]) -> None:
    data = images([index % 3 for index in range(40)])
    shuffled = data.select(order, "all")
    assert set(subset(shuffled, limit=11).ids) == set(subset(data, limit=11).ids)


def test_a_smaller_subset_is_part_of_a_larger_one_and_keeps_the_order() -> None:
    data = images([index % 7 for index in range(200)])
    parts = [subset(data, limit=limit).ids for limit in (5, 20, 61, 150)]
    for smaller, larger in pairwise(parts):
        assert set(smaller) < set(larger)
        assert list(larger) == sorted(larger, key=data.ids.index)


def test_seeds_differ_and_the_text_says_so() -> None:
    data = images([0, 1] * 50)
    first, second = (subset(data, fraction=0.1, seed=seed) for seed in (0, 1))
    assert first.ids != second.ids
    assert second.selection == "stratified 10 of 100, seed 1"
    assert subset(first, limit=4).selection == "stratified 4 of 10 (stratified 10 of 100, seed 0), seed 0"


def test_all_of_it_is_all() -> None:
    data = images([0, 1, 2])
    assert subset(data, limit=3) is subset(data, fraction=1.0) is subset(data, limit=99) is data


@pytest.mark.parametrize("wrong", [{"limit": 0}, {"fraction": 0.0}, {"fraction": 1.5}, {"limit": 1, "fraction": 0.5}])
def test_wrong_sizes(wrong: dict) -> None:
    with pytest.raises(UserError):
        subset(images([0, 1]), **wrong)
