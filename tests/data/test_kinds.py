"""One contract for every kind of data."""

import pickle
from pathlib import Path

import numpy as np
import torch

from weatherglass.data.kinds import KINDS
from weatherglass.data.load import guess_kind, load_data, split_spec
from weatherglass.types import ImageData

from .samples import WRITERS


def test_every_kind_is_covered() -> None:
    assert set(KINDS) <= set(WRITERS)


def test_contract(spec: str) -> None:
    data = load_data(spec)
    assert isinstance(data, ImageData)
    assert data.selection == "all"
    assert len(data) == len(data.ids) == len(data.labels) == len(set(data.ids)) > 1
    assert data.labels.dtype == np.int64
    assert 0 <= data.labels.min() <= data.labels.max() < len(data.classes)
    assert not any("\\" in sample or sample.startswith("/") for sample in data.ids)
    image = data.image(1)
    assert image.dtype == torch.uint8
    assert image.shape[0] == 3
    assert torch.equal(image, data.image(1))
    assert not torch.equal(data.image(0), image)


def test_reading_again_gives_the_same_data(spec: str) -> None:
    first, second = load_data(spec), load_data(spec)
    assert (first.ids, first.classes, first.digest) == (second.ids, second.classes, second.digest)
    assert np.array_equal(first.labels, second.labels)


def test_select(spec: str) -> None:
    data = load_data(spec)
    part = data.select([2, 0], "two of them")
    assert part.ids == (data.ids[2], data.ids[0])
    assert part.labels.tolist() == [data.labels[2], data.labels[0]]
    assert part.selection == "two of them"
    assert torch.equal(part.image(0), data.image(2))
    assert part.digest != data.digest
    assert part.select([1], "one").ids == (data.ids[0],)


def test_limit(spec: str) -> None:
    data = load_data(spec)
    part = load_data(spec, limit=3, seed=1)
    assert len(part) == 3
    assert set(part.ids) <= set(data.ids)
    assert part.selection == f"stratified 3 of {len(data)}, seed 1"


def test_data_survives_the_way_to_another_process(spec: str) -> None:
    data = load_data(spec)
    data.digest  # noqa: B018  (computed before, and carried along)
    again = pickle.loads(pickle.dumps(data))
    assert torch.equal(again.image(1), data.image(1))
    assert again.digest == data.digest


def test_the_kind_of_a_plain_path_is_guessed(tmp_path: Path) -> None:
    for kind in ("imagefolder", "imagenet", "imagenet-c", "cifar10", "cifar100", "cifar10.1", "cifar10-c", "parquet"):
        folder = tmp_path / kind
        folder.mkdir()
        spec = WRITERS[kind](folder)
        place = Path(spec.partition(":")[2])
        assert guess_kind(place) == kind
        assert split_spec(str(place)) == (kind, str(place))
