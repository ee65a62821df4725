"""Maps over angle and shift, and models whose patch grid shows."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from click.testing import CliRunner
from torch import Tensor, nn

from weatherglass.attacks.spatial import Moved
from weatherglass.cli.main import weatherglass
from weatherglass.data.images import ArrayImages
from weatherglass.errors import UserError
from weatherglass.evaluation.evaluate import evaluate
from weatherglass.evaluation.runs import Run
from weatherglass.evaluation.space import (
    MovedAccuracy,
    SpatialGrid,
    measure_space,
    moved_accuracies,
    plane,
    sub_patch_shift,
)
from weatherglass.metrics.intervals import Estimate
from weatherglass.models.predictor import TorchPredictor
from weatherglass.report.space import space_charts, space_figure, sub_patch_figure
from weatherglass.types import Predictor, Preprocessing

PATCH = 4


class Patched(nn.Module):
    """Sees the mean brightness of its patches, bent: a shift by a whole patch permutes them, any other changes them."""

    def forward(self, images: Tensor) -> Tensor:
        tiles = images.mean(dim=1).unfold(1, PATCH, PATCH).unfold(2, PATCH, PATCH).mean(dim=(3, 4))
        spread = tiles[:, 1:-1, 1:-1].flatten(1).var(dim=1)
        return torch.stack([torch.full_like(spread, 0.02), spread], dim=1)


def striped() -> ArrayImages:
    """Stripes two patches wide and eight high, each at its own offset: bright and dark tiles, or grey ones."""
    rows = []
    for offset in range(8):
        columns = ((np.arange(32) + offset) % (2 * PATCH) < PATCH) * 255
        rows.append(np.broadcast_to(columns[None, :, None], (32, 32, 3)).astype(np.uint8))
    labels = np.array([1 if offset % PATCH in (0, 1, 3) else 0 for offset in range(8)])
    return ArrayImages("stripes", np.stack(rows), labels, ("grey", "striped"), tuple(f"{k}" for k in range(8)))


@pytest.fixture
def patched() -> Predictor:
    return TorchPredictor(
        Patched(), name="patched", classes=2, device="cpu", preprocessing=Preprocessing(source="test")
    )


def measured(predictor: Predictor, store: Path, grid: SpatialGrid) -> Run:
    return measure_space([predictor], grid, data=striped(), store=store, worst=False).runs[0]


def test_a_shift_of_a_whole_patch_changes_less_than_one_of_half(tmp_path: Path, patched: Predictor) -> None:
    run = measured(patched, tmp_path, SpatialGrid(angles=3, shifts=3, patch=PATCH))
    found = sub_patch_shift(run, PATCH)
    assert found is not None
    same = [one.value for one in found.agreement]
    assert same[PATCH - 1] == 1
    assert max(same[: PATCH - 1] + same[PATCH:]) < 1
    others = [value for shift, value in enumerate(same, 1) if shift != PATCH]
    assert found.sensitivity.value == pytest.approx(1 - np.mean(others))
    assert found.sensitivity.low > 0
    assert sub_patch_shift(run, 2 * PATCH) is None
    figure = sub_patch_figure([("patched", found)])
    assert [row["shift"] for row in figure["data"]["values"]] == list(range(1, 2 * PATCH))


def test_the_map_holds_every_point_once_and_the_clean_cell_in_its_middle(tmp_path: Path, patched: Predictor) -> None:
    run = measured(patched, tmp_path, SpatialGrid(angle=10, angles=3, shift=1 / 8, shifts=5, patch=PATCH))
    points = moved_accuracies(run)
    where = [(point.angle, point.down, point.right) for point in points]
    assert len(set(where)) == len(where)
    turned = plane(points, "angle", "right")
    assert {(point.angle, point.right) for point in turned} == {(a, r) for a in (-10, 0, 10) for r in (-4, -2, 0, 2, 4)}
    assert len(plane(points, "down", "right")) == 25
    middle = next(point for point in points if (point.angle, point.down, point.right) == (0, 0, 0))
    assert middle.accuracy.value == run.records["clean"].scores["top1"]
    one = next(point for point in points if (point.angle, point.down, point.right) == (10, 0, 2))
    assert one.accuracy.value == run.records[str(Moved(10, 0, 2))].scores["top1"]
    angle_map, shift_map = space_charts(run)
    assert (len(angle_map["data"]["values"]), len(shift_map["data"]["values"])) == (15, 25)
    assert space_figure([("patched", run)]) is not None


def test_too_few_points_make_no_map(tmp_path: Path, patched: Predictor) -> None:
    point = MovedAccuracy(0, 0, 1, Estimate(1, 1, 1))
    assert plane([point], "angle", "right") == []
    texts = ["moved:angle=5", "moved:right=1"]
    run = evaluate(patched, data=striped(), store=tmp_path, disturbances=texts).runs[0]
    assert len(moved_accuracies(run)) == 3
    assert space_charts(run) == []
    assert space_figure([("patched", run)]) is None
    # Moves stand in their map, not among the worst conditions.
    run = evaluate(patched, data=striped(), store=tmp_path, disturbances=[*texts, "fog@5"]).runs[0]
    from weatherglass.evaluation.summary import summarise

    assert summarise(run).worst == ("fog@5",)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: SpatialGrid(angles=4), "odd number of angles"),
        (lambda: SpatialGrid(shifts=1), "odd number of shifts"),
        (lambda: SpatialGrid(angle=0), "angle"),
        (lambda: SpatialGrid(shift=1.5), "share of the side"),
        (lambda: SpatialGrid(patch=16).moves(32, 32), "does not fit four times"),
    ],
)
def test_mistakes_are_answered(make: Callable[[], object], message: str) -> None:
    with pytest.raises(UserError, match=message):
        make()


@pytest.mark.slow
def test_the_verb_prints_draws_and_reports(tmp_path: Path) -> None:
    store, page = str(tmp_path / "run"), tmp_path / "page.html"

    def call(*arguments: str) -> str:
        done = CliRunner().invoke(weatherglass, list(arguments), catch_exceptions=False)
        assert done.exit_code == 0, done.output
        return done.output

    few = ("--data", "digits:test", "--limit", "10", "--store", store)
    said = call(
        "spatial", "digits_cnn", *few, "--angles", "3", "--shifts", "3", "--patch", "4", "--output", str(tmp_path)
    )
    assert "Shift of a whole patch (4 px)" in " ".join(said.split())
    assert "every move of rotation_translation, rotation, translation" in " ".join(said.split())
    assert (tmp_path / "spatial-maps.png").stat().st_size > 1000
    assert (tmp_path / "sub-patch-shifts.svg").stat().st_size > 1000
    call("transfer", "digits_cnn", "digits_vit", *few, "--attack", "fgsm@8/255")
    call("evaluate", "digits_cnn", *few, "--disturb", "fgsm@4/255", "--disturb", "fgsm@16/255")
    call("report", store, "--output", str(page), "--figures", str(tmp_path / "figures"))
    text = page.read_text()
    assert 'id="space"' in text
    assert 'id="attacks"' in text
    assert "Transfer of <bdi>fgsm@8/255</bdi>" in text
    assert "radius in 1/255" in text
    assert (tmp_path / "figures" / "accuracy-radius.svg").is_file()
