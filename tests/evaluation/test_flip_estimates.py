"""Flip rates from stored conditions."""

from collections.abc import Callable
from pathlib import Path

import pytest

from weatherglass.data.images import ArrayImages
from weatherglass.errors import UserError
from weatherglass.evaluation.evaluate import evaluate
from weatherglass.evaluation.flips import flip_estimate
from weatherglass.types import Predictor


def test_flips_along_a_sequence_of_shifts(
    tmp_path: Path, make_predictor: Callable[..., Predictor], photographs: ArrayImages
) -> None:
    sequence = [f"moved:angle=0,down=0,right={shift}" for shift in range(-2, 3)]
    done = evaluate(make_predictor(), data=photographs, store=tmp_path / "run", disturbances=sequence)
    run = done.runs[0]
    found = flip_estimate(run, sequence)
    assert 0 < found.low <= found.value <= found.high < 1
    assert flip_estimate(run, [sequence[0], sequence[0]]).value == 0
    assert run.records[sequence[2]].scores == run.records["clean"].scores
    with pytest.raises(UserError, match="does not hold fog@1"):
        flip_estimate(run, ["clean", "fog@1"])
    with pytest.raises(UserError, match="at least 2"):
        flip_estimate(run, ["clean"])
