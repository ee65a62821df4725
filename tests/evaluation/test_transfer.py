"""Adversarial images are made once, used again, and hurt the model they were made on most."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from networks import TemplateNetwork

from weatherglass.attacks.disturbance import Attacked
from weatherglass.attacks.parse import parse_attack
from weatherglass.attacks.transfer import Transferred
from weatherglass.data.imagenet import imagenet_wnids
from weatherglass.data.images import ArrayImages
from weatherglass.data.masks import MASKS
from weatherglass.errors import UserError
from weatherglass.evaluation.evaluate import evaluate
from weatherglass.evaluation.transfer import measure_transfer
from weatherglass.models.predictor import TorchPredictor
from weatherglass.types import Batch, Predictor, Preprocessing

ATTACK = "pgd-5:exit=never@1/255"


@pytest.fixture
def models(make_predictor: Callable[..., Predictor]) -> list[Predictor]:
    same, other = TemplateNetwork(), TemplateNetwork()
    other.templates.data += 0.25 * TemplateNetwork(seed=1).templates.data
    return [make_predictor(same, "first"), make_predictor(other, "second")]


def test_the_diagonal_is_the_white_box_attack(
    tmp_path: Path, models: list[Predictor], photographs: ArrayImages, monkeypatch: pytest.MonkeyPatch
) -> None:
    matrix, done = measure_transfer(models, parse_attack(ATTACK), data=photographs, store=tmp_path / "run")
    white = evaluate(models[0], data=photographs, store=tmp_path / "white", disturbances=[ATTACK])
    run = done.runs[0]
    seen, expected = run.observations(f"{ATTACK} from first"), white.runs[0].observations(ATTACK)
    assert np.array_equal(seen.columns["nll"], expected.columns["nll"])
    for rows in (matrix.common, matrix.whole):
        for source, row in enumerate(rows):
            assert all(row[source].value <= entry.value for entry in row)
    assert 0 < matrix.common_images <= matrix.images == 70
    assert len(list((tmp_path / "run" / "adversarial").glob("*.npy"))) == 2

    def forbidden(*arguments: object, **options: object) -> None:
        raise AssertionError("the images were made a second time")

    monkeypatch.setattr(Attacked, "of_input", forbidden)
    for cell in (tmp_path / "run" / "cells").glob("*.parquet"):
        cell.unlink()
    again, _ = measure_transfer(models, parse_attack(ATTACK), data=photographs, store=tmp_path / "run")
    assert again == matrix


def test_models_that_do_not_compare(
    tmp_path: Path, make_predictor: Callable[..., Predictor], photographs: ArrayImages
) -> None:
    first, second = make_predictor(name="first"), make_predictor(name="second")
    with pytest.raises(UserError, match="at least two"):
        measure_transfer([first], parse_attack(ATTACK), data=photographs, store=tmp_path / "run")
    first.class_names, second.class_names = tuple("abcdefghij"), tuple("jbcdefghia")
    with pytest.raises(UserError, match="different classes"):
        measure_transfer([first, second], parse_attack(ATTACK), data=photographs, store=tmp_path / "run")
    assert not (tmp_path / "run").exists()


def test_images_are_made_again_where_anything_of_their_source_differs(
    tmp_path: Path, make_predictor: Callable[..., Predictor], photographs: ArrayImages
) -> None:
    batch = Batch(
        torch.stack([photographs.image(row) for row in range(4)]), torch.zeros(4, dtype=torch.int64), tuple("abcd")
    )
    target, made = make_predictor(), []
    for change in ({}, {"mean": (0.9,) * 3, "std": (0.1, 2.0, 9.0)}, {"resize": 40}):
        source = make_predictor()
        source.preprocessing = replace(source.preprocessing, **change)
        made.append(Transferred(parse_attack(ATTACK), source, tmp_path / "kept"))
        made[-1].of_input(batch, target, seed=0)
    half = make_predictor()
    half.precision = "bfloat16"
    made.append(Transferred(parse_attack(ATTACK), half, tmp_path / "kept"))
    made[-1].of_input(batch, target, seed=0)
    assert len(list((tmp_path / "kept").glob("*.npy"))) == 4
    assert len({str(one.protocol(32, 32)) for one in made}) == 4


def test_a_mask_of_outputs_holds_for_source_and_target(tmp_path: Path) -> None:
    """Where the target decides among 200 outputs, the labels count among those, for the source too."""

    class Thousand(TemplateNetwork):
        def forward(self, images: torch.Tensor) -> torch.Tensor:
            return super().forward(images).repeat_interleave(100, dim=1) + torch.linspace(0, 1, 1000)

    mask, attack = np.array(MASKS["imagenet-a"]), parse_attack("fgsm@1/255")
    pixels = np.random.default_rng(0).integers(0, 256, (6, 32, 32, 3), dtype=np.uint8)
    with torch.no_grad():
        outputs = Thousand()(torch.from_numpy(pixels).permute(0, 3, 1, 2).float() / 255)
    labels = mask[outputs.numpy()[:, mask].argmax(axis=1)]
    data = ArrayImages("imagenet-a:made", pixels, labels, imagenet_wnids(), tuple("abcdef"))
    first, second = (
        TorchPredictor(Thousand(), name=name, preprocessing=Preprocessing(source="test"), device="cpu")
        for name in ("first", "second")
    )
    matrix, _ = measure_transfer([first, second], attack, data=data, store=tmp_path / "run")
    white = evaluate(first, data=data, store=tmp_path / "white", disturbances=[attack]).runs[0]
    assert matrix.common_images == 6
    assert [entry.value for row in matrix.whole for entry in row] == [white.records[str(attack)].scores["top1"]] * 4
    assert matrix.whole[0][0].value < 0.5
