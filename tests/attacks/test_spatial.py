"""Rotations and shifts against exact ones; the worst of a grid; early exit finds what a full search finds."""

from collections.abc import Callable
from itertools import product

import pytest
import torch
import torch.nn.functional as F
from attack_models import Convolutional, batch_of

from weatherglass.attacks.parse import parse_spatial
from weatherglass.attacks.spatial import Moved, Spatial, grid_positions
from weatherglass.attacks.warp import rotate_and_shift
from weatherglass.errors import UserError
from weatherglass.randomness import Draws
from weatherglass.types import Batch, Predictor

PredictorOf = Callable[..., Predictor]


def images_of(height: int, width: int) -> torch.Tensor:
    return torch.rand(3, 3, height, width, generator=torch.Generator().manual_seed(0))


def move(angle: float, down: float, right: float, rows: int = 3) -> torch.Tensor:
    return torch.tensor([[angle, down, right]], dtype=torch.float64).expand(rows, 3)


@pytest.mark.parametrize("quarters", [-1, 1, 2, 3])
def test_right_angles_equal_rot90(quarters: int) -> None:
    images = images_of(9, 9)
    turned = rotate_and_shift(images, move(90.0 * quarters, 0, 0))
    assert torch.allclose(turned, torch.rot90(images, quarters, (2, 3)), atol=1e-5)


@pytest.mark.parametrize(("down", "right"), list(product((-3, 0, 2), (-1, 0, 4))))
def test_whole_shifts_equal_padded_shifts(down: int, right: int) -> None:
    images = images_of(8, 11)
    padded = F.pad(images, (11, 11, 8, 8))
    expected = padded[:, :, 8 - down : 16 - down, 11 - right : 22 - right]
    assert torch.allclose(rotate_and_shift(images, move(0, down, right)), expected, atol=1e-5)


def test_no_change_changes_no_bit_and_full_turns_almost_none() -> None:
    images = images_of(7, 8)
    assert torch.equal(rotate_and_shift(images, move(0, 0, 0)), images)
    assert torch.allclose(rotate_and_shift(images, move(360, 0, 0)), images, atol=1e-5)


def test_the_grid_has_775_points_no_change_first_then_the_far_corners() -> None:
    points = grid_positions(31, 5)
    assert len(points) == len(points.unique(dim=0)) == 775
    assert points[0].tolist() == [0, 0, 0]
    assert points[1:9].abs().min() == 1
    spatial = Spatial()
    moves = spatial.moves(Draws(0, ("a",), "x"), 224, 224)[0]
    assert moves.abs().amax(dim=0).tolist() == pytest.approx([30, 24, 24])
    assert Spatial("rotation").moves(Draws(0, ("a",), "x"), 8, 8).shape == (1, 31, 3)
    assert Spatial("translation").moves(Draws(0, ("a",), "x"), 8, 8).shape == (1, 25, 3)


def test_the_search_finds_exactly_the_images_that_some_move_fools(predictor_of: PredictorOf) -> None:
    predictor = predictor_of(Convolutional())
    batch = batch_of(predictor, 140)
    spatial = parse_spatial("rotation_translation:angle=4,angles=5,shift=1/64,shifts=3")
    found = spatial.of_input(batch, predictor, seed=0)
    with torch.no_grad():
        robust = predictor(found).argmax(dim=1) == batch.labels
        everywhere = torch.ones(140, dtype=torch.bool)
        for angle, down, right in product((-4, -2, 0, 2, 4), (-0.125, 0, 0.125), (-0.125, 0, 0.125)):
            moved = Moved(angle, down, right).of_input(batch, predictor, seed=0)
            everywhere &= predictor(moved).argmax(dim=1) == batch.labels
    assert torch.equal(robust, everywhere)
    assert 0 < int(robust.sum()) < 140


def test_more_draws_are_worse_and_the_seed_decides_them(predictor_of: PredictorOf) -> None:
    predictor = predictor_of(Convolutional())
    batch = batch_of(predictor, 140)

    def kept(text: str, seed: int = 0) -> float:
        with torch.no_grad():
            output = predictor(parse_spatial(text).of_input(batch, predictor, seed=seed))
        return float((output.argmax(dim=1) == batch.labels).float().mean())

    assert kept("rotation_translation:draws=10") < kept("rotation_translation:draws=1")
    first = parse_spatial("rotation:draws=3").of_input(batch, predictor, seed=0)
    assert torch.equal(first, parse_spatial("rotation:draws=3").of_input(batch, predictor, seed=0))
    assert not torch.equal(first, parse_spatial("rotation:draws=3").of_input(batch, predictor, seed=1))


def test_a_chunk_gives_what_the_whole_gives(predictor_of: PredictorOf) -> None:
    predictor = predictor_of(Convolutional())
    batch = batch_of(predictor, 200)
    spatial = parse_spatial("rotation_translation:draws=4")
    whole = spatial.of_input(batch, predictor, seed=0)
    part = Batch(batch.images[128:], batch.labels[128:], batch.ids[128:])
    assert torch.equal(whole[128:], spatial.of_input(part, predictor, seed=0))


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("rotation@30", "has no radius"),
        ("rotation:angles=4", "must be odd"),
        ("rotation:angle=400", "0..180"),
        ("translation:shift=2", "share of the side"),
        ("rotation:draws=0", "at least 1"),
        ("rotation:speed=1", "no option 'speed'"),
    ],
)
def test_mistakes_are_answered(text: str, message: str) -> None:
    with pytest.raises(UserError, match=message):
        parse_spatial(text)


def test_text_forms_come_back() -> None:
    for text in ("rotation_translation", "rotation:angle=15,angles=7", "translation:shift=1/8,draws=10"):
        assert str(parse_spatial(text)) == text
