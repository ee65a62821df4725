"""Oracles of shape and of texture have shape bias 1 and 0."""

import numpy as np
import pytest

from weatherglass.data.masks import CATEGORIES16, MASKS
from weatherglass.metrics.shape_bias import shape_bias

SHAPES = np.arange(320) % 16
TEXTURES = (np.arange(320) // 16 + SHAPES) % 16


def test_oracles_are_at_the_ends() -> None:
    conflicts = int((SHAPES != TEXTURES).sum())
    shape, texture = shape_bias(SHAPES, SHAPES, TEXTURES), shape_bias(TEXTURES, SHAPES, TEXTURES)
    assert shape.bias is not None
    assert texture.bias is not None
    assert (shape.bias.value, texture.bias.value) == (1, 0)
    assert (shape.shape_accuracy.value, shape.texture_accuracy.value) == (1, 0)
    assert shape.stimuli == conflicts < 320
    assert 0.9 < shape.bias.low < 1


def test_bias_is_of_the_decisions_for_either_cue() -> None:
    conflict = np.flatnonzero(SHAPES != TEXTURES)
    decisions = np.full(320, -1)
    decisions[conflict[:30]] = SHAPES[conflict[:30]]
    decisions[conflict[30:100]] = TEXTURES[conflict[30:100]]
    found = shape_bias(decisions, SHAPES, TEXTURES)
    assert found.bias is not None
    assert found.bias.value == pytest.approx(0.3)
    assert found.shape_accuracy.value == pytest.approx(30 / len(conflict))
    assert found.bias.low < 0.3 < found.bias.high


def test_neither_cue_and_no_conflict() -> None:
    assert shape_bias(np.full(320, -1), SHAPES, TEXTURES).bias is None
    with pytest.raises(ValueError, match="no stimulus"):
        shape_bias(SHAPES, SHAPES, SHAPES)


def test_the_tables_are_those_published() -> None:
    outputs = [output for group in CATEGORIES16.values() for output in group]
    assert len(CATEGORIES16) == 16
    assert len(outputs) == len(set(outputs))
    assert list(CATEGORIES16) == sorted(CATEGORIES16)
    for mask in MASKS.values():
        assert len(mask) == len(set(mask)) == 200
        assert list(mask) == sorted(mask)
    assert MASKS["imagenet-a"][:3] == (6, 11, 13)
    assert MASKS["imagenet-r"][-3:] == (981, 983, 988)
    assert CATEGORIES16["elephant"] == (385, 386)
