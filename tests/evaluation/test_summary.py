"""The summary of a run: what it gives, what it refuses to give, and that it repeats to the last bit."""

from pathlib import Path

import msgspec
import numpy as np
import pytest
from synthetic import MAIN_GRID, full_grid, make_protocol, new_store, put_run

from weatherglass.errors import UserError
from weatherglass.evaluation.estimates import Summary
from weatherglass.evaluation.protocol import Cell
from weatherglass.evaluation.record import FailedCell
from weatherglass.evaluation.summary import summarise
from weatherglass.metrics import alexnet


@pytest.fixture
def store(tmp_path: Path):
    return new_store(tmp_path / "run")


def test_numbers_agree_with_the_observations(store) -> None:
    grid = full_grid(300, 0.9, 0.6)
    summary = summarise(put_run(store, "vit", grid), resamples=200)
    corrupted = np.mean([grid[text].mean() for text in MAIN_GRID])
    assert summary.top1 is not None and summary.corrupted is not None and summary.retention is not None
    assert summary.top1.value == grid["clean"].mean()
    assert summary.corrupted.value == pytest.approx(corrupted)
    assert summary.retention.value == pytest.approx(corrupted / grid["clean"].mean())
    assert summary.kinds["fog"].score.value == pytest.approx(np.mean([grid[f"fog@{s}"].mean() for s in range(1, 6)]))
    assert summary.conditions["fog@3"].drop is not None
    assert summary.conditions["fog@3"].drop.value == pytest.approx(grid["clean"].mean() - grid["fog@3"].mean())
    assert summary.grid.description == "imagenet-c (15 corruptions x 5 severities)"
    assert summary.suites["imagenet-c"].corrupted == summary.corrupted
    for found in summary.metrics.values():
        assert found.low <= found.high
    assert sum(summary.first_failure or ()) == pytest.approx(1)
    assert len(summary.classes) == 10
    assert summary.classes[3].clean is not None
    assert summary.classes[3].clean.value == grid["clean"][3::10].mean()
    assert summary.worst[0] == min(MAIN_GRID, key=lambda text: (grid[text].mean(), 0))


def test_it_repeats_to_the_last_bit_and_travels_as_json(store) -> None:
    run = put_run(store, "vit", full_grid(120, 0.9, 0.6))
    first, second = (msgspec.json.encode(summarise(run, reference=run, resamples=100)) for _ in range(2))
    assert first == second
    assert msgspec.json.encode(msgspec.json.decode(first, type=Summary)) == first


def test_a_reference_run_has_mce_exactly_100(store) -> None:
    run = put_run(store, "cnn", full_grid(150, 0.8, 0.5))
    summary = summarise(run, reference=run, resamples=50)
    for found in (summary.mce, summary.relative_mce, summary.kinds["fog"].corruption_error):
        assert found is not None
        assert (100 * found.value, found.low, found.high, found.method) == (100.0, 1.0, 1.0, "exact")


def test_mce_against_a_reference_run(store) -> None:
    model, other = full_grid(300, 0.9, 0.6), full_grid(300, 0.8, 0.5, seed=1)
    reference = put_run(store, "cnn", other)
    summary = summarise(put_run(store, "vit", model), reference=reference, resamples=100)
    errors = {name: [1 - grid[t].mean() for t in MAIN_GRID] for name, grid in (("m", model), ("r", other))}
    by_kind = {name: np.reshape(rows, (15, 5)).sum(axis=1) for name, rows in errors.items()}
    assert summary.mce is not None
    assert summary.mce.value == pytest.approx(np.mean(by_kind["m"] / by_kind["r"]))
    assert summary.mce.low < summary.mce.value < summary.mce.high
    assert summary.reference == "cnn"


def test_a_reference_without_errors_cannot_divide(store) -> None:
    grid = full_grid(60, 0.9, 0.6)
    perfect = grid | {f"fog@{severity}": np.ones(60, bool) for severity in range(1, 6)}
    summary = summarise(put_run(store, "vit", grid), reference=put_run(store, "cnn", perfect), resamples=50)
    assert summary.mce is None and "no errors under fog" in summary.absent["mce"]
    assert summary.kinds["fog"].corruption_error is None
    assert summary.kinds["snow"].corruption_error is not None


def test_alexnet_divides_on_imagenet_at_224_only(store) -> None:
    names = ["n01440764", *(f"n{i:08d}" for i in range(1, 1000))]
    crop = "resize 256 bicubic, crop 224x224"
    grid = full_grid(80, 0.9, 0.6)
    run = put_run(store, "vit", grid, classes=1000, names=names, data="imagenet:val", preprocessing=crop)
    summary = summarise(run, resamples=50)
    assert summary.reference == alexnet.REFERENCE_NAME
    errors = {k: np.sum([1 - grid[f"{k}@{s}"].mean() for s in range(1, 6)]) for k in alexnet.MAIN_CORRUPTIONS}
    expected = np.mean([errors[k] / sum(alexnet.ERROR[k]) for k in alexnet.MAIN_CORRUPTIONS])
    assert summary.mce is not None and summary.mce.value == pytest.approx(expected)
    assert any("released JPEG" in note for note in summary.notes)
    small = crop.replace("224", "160")
    other = summarise(put_run(store, "small", grid, classes=1000, names=names, preprocessing=small), resamples=50)
    assert other.mce is None
    assert "224" in other.absent["mce"]
    asked = summarise(
        put_run(store, "small", grid, classes=1000, names=names, preprocessing=small), reference="alexnet"
    )
    assert asked.mce is not None and "although" in asked.reference_reason


@pytest.mark.parametrize("data", ["imagenet-sketch:x", "imagenet-v2:x", "imagenet-real:x", "imagenet-a:x"])
def test_alexnets_errors_are_of_the_validation_images_alone(store, data: str) -> None:
    names = ["n01440764", *(f"n{i:08d}" for i in range(1, 1000))]
    crop = "resize 256 bicubic, crop 224x224"
    grid = {"clean": np.ones(20, bool)} | {f"fog@{severity}": np.arange(20) < 9 for severity in range(1, 6)}
    run = put_run(store, "vit", grid, classes=1000, names=names, data=data, preprocessing=crop)
    summary = summarise(run, resamples=50)
    assert summary.reference is None and summary.kinds["fog"].corruption_error is None
    assert "validation set" in summary.absent["mce"]


def test_elsewhere_mce_needs_a_reference(store) -> None:
    run = put_run(store, "vit", full_grid(60, 0.9, 0.6))
    summary = summarise(run, resamples=50)
    assert summary.mce is None and summary.relative_mce is None
    assert "1000 classes" in summary.absent["mce"]
    with pytest.raises(UserError, match="AlexNet"):
        summarise(run, reference="alexnet", resamples=50)


def test_holes_are_named_and_never_averaged_away(store) -> None:
    grid = full_grid(60, 0.9, 0.6)
    del grid["fog@3"], grid["snow@5"]
    run = put_run(store, "vit", grid)
    cell = Cell("vit", "digits", "fog@3")
    protocol = run.protocol
    store.put_failure(FailedCell(key=cell.key(protocol), cell=cell, protocol=protocol, reason="NaN"))
    summary = summarise(run, reference=run, resamples=50)
    assert summary.partial
    assert summary.grid.missing == ("snow@5", "fog@3 (failed: NaN)")
    assert summary.grid.suite is None
    assert summary.mce is None and "fog@3" in summary.absent["mce"]
    assert summary.kinds["fog"].missing == ("fog@3 (failed: NaN)",)
    assert summary.kinds["fog"].corruption_error is None
    assert summary.kinds["fog"].first_failure is None
    assert any("holes" in note for note in summary.notes)


def test_without_a_clean_cell(store) -> None:
    grid = full_grid(60, 0.9, 0.6)
    del grid["clean"]
    summary = summarise(put_run(store, "vit", grid), resamples=50)
    assert summary.top1 is None and summary.retention is None
    assert "clean" in summary.absent["retention"]
    assert summary.corrupted is not None


def test_clean_alone(store) -> None:
    summary = summarise(put_run(store, "vit", {"clean": np.arange(50) % 4 > 0}), resamples=50)
    assert summary.corrupted is None and summary.classes == ()
    assert summary.absent["corrupted"] == "no corruption was measured"
    assert summary.grid.description == "no corruptions"


@pytest.mark.parametrize(("samples", "clean", "corrupted"), [(1, 1, 1), (1, 1, 0), (1, 0, 0), (40, 1, 1), (40, 1, 0)])
def test_degenerate_runs_have_finite_honest_intervals(store, samples: int, clean: int, corrupted: int) -> None:
    grid = {"clean": np.full(samples, bool(clean))}
    grid |= dict.fromkeys(MAIN_GRID, np.full(samples, bool(corrupted)))
    summary = summarise(put_run(store, "vit", grid), resamples=50)
    assert summary.corrupted is not None
    assert summary.corrupted.method == "wilson"
    assert summary.corrupted.low < summary.corrupted.high
    assert (summary.retention is None) == (clean == 0)
    assert all(np.isfinite([e.value, e.low, e.high]).all() for e in summary.metrics.values())


def test_a_reference_on_other_data_is_refused(store) -> None:
    run = put_run(store, "vit", full_grid(60, 0.9, 0.6))
    other = put_run(store, "cnn", full_grid(60, 0.9, 0.6), data="cifar", **{})
    assert summarise(run, reference=other, resamples=20).mce is not None
    foreign = put_run(store, "far", full_grid(60, 0.9, 0.6), weights="x", normalisation="none")
    object.__setattr__(foreign.protocol, "data", "elsewhere")
    with pytest.raises(UserError, match="other data"):
        summarise(run, reference=foreign, resamples=20)


def test_effective_robustness_needs_three_baselines(store) -> None:
    runs = [put_run(store, f"m{i}", full_grid(200, 0.7 + 0.08 * i, 0.4 + 0.1 * i, i)) for i in range(3)]
    summary = summarise(runs[0], baselines=runs, resamples=50)
    assert summary.effective_robustness is not None
    assert abs(summary.effective_robustness.value) < 0.05
    assert summary.baselines == ("m0", "m1", "m2")
    assert "at least 3" in summarise(runs[0], baselines=runs[:2], resamples=20).absent["effective_robustness"]


def test_wrong_arguments(store) -> None:
    run = put_run(store, "vit", {"clean": np.ones(5, bool)})
    with pytest.raises(UserError, match="level"):
        summarise(run, level=95)
    with pytest.raises(UserError, match="auto"):
        summarise(run, reference="resnet")  # type: ignore[arg-type]


def test_another_task_is_refused(store) -> None:
    run = put_run(store, "vit", {"clean": np.ones(5, bool)}, task="captioning")
    assert make_protocol().task == "classification"
    with pytest.raises(UserError, match="captioning"):
        summarise(run)
