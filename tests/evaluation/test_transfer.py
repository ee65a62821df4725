"""Adversarial images are made once, used again, and hurt the model they were made on most."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from networks import TemplateNetwork

from weatherglass.attacks.disturbance import Attacked
from weatherglass.attacks.parse import parse_attack
from weatherglass.data.images import ArrayImages
from weatherglass.errors import UserError
from weatherglass.evaluation.evaluate import evaluate
from weatherglass.evaluation.transfer import measure_transfer
from weatherglass.types import Predictor

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
    second.class_names = tuple("jihgfedcba")
    with pytest.raises(UserError, match="different classes"):
        measure_transfer([first, second], parse_attack(ATTACK), data=photographs, store=tmp_path / "run")
    assert not (tmp_path / "run").exists()
