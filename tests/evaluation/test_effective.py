"""Effective robustness: known lines are found, models beside them measured, and what does not fit together refused."""

import re
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner
from synthetic import new_store, put_run

from weatherglass.cli.main import weatherglass
from weatherglass.errors import UserError
from weatherglass.evaluation.effective import Measurement, effective_robustness
from weatherglass.evaluation.runs import Run, runs_of
from weatherglass.evaluation.store import Store

CLEAN, SHIFT = Measurement("original"), Measurement("moved")
IMAGES = 2000


def on_the_line(clean: float) -> float:
    """logit(shifted) = 0.8 logit(clean) - 1."""
    return 1 / (1 + np.exp(-(0.8 * np.log(clean / (1 - clean)) - 1)))


def share(rate: float) -> np.ndarray:
    return np.arange(IMAGES) < rate * IMAGES


def store_of(path: Path, rates: dict[str, tuple[float, float]]) -> Store:
    store = new_store(path)
    for model, (clean, shifted) in rates.items():
        put_run(store, model, {"clean": share(clean)}, data="original")
        put_run(store, model, {"clean": share(shifted)}, data="moved", selection="another")
    return store


def runs(path: Path, rates: dict[str, tuple[float, float]]) -> list[Run]:
    return runs_of(store_of(path, rates))


BASELINES = {f"base{clean}": (clean, on_the_line(clean)) for clean in (0.5, 0.7, 0.9)}


def test_a_model_above_the_line_of_the_baselines_is_measured_by_it(tmp_path: Path) -> None:
    found = effective_robustness(
        runs(tmp_path, BASELINES | {"better": (0.7, on_the_line(0.7) + 0.1)}), CLEAN, SHIFT, baselines=["base"]
    )
    assert (found.line.slope, found.line.intercept) == pytest.approx((0.8, -1), abs=0.01)
    best, *others = found.models
    assert best.model == "better"
    assert not best.baseline
    assert best.effective.value == pytest.approx(0.1, abs=0.001)
    assert 0 < best.effective.low < 0.1 < best.effective.high
    assert all(one.effective.value == pytest.approx(0, abs=0.002) for one in others)
    assert all(one.baseline and one.effective.low < 0 < one.effective.high for one in others)


def test_conditions_of_one_data_set_share_their_images(tmp_path: Path) -> None:
    """Shifted = clean but for a tenth of the images: paired resamples make the interval of that difference alone."""
    store = new_store(tmp_path)
    for model, clean in (("a", 0.5), ("b", 0.7), ("c", 0.9)):
        put_run(store, model, {"clean": share(clean), "fog@3": share(clean - 0.1)}, data="photos")
    found = effective_robustness(runs_of(store), Measurement("photos"), Measurement.parse("photos::fog@3"))
    assert found.shift == "photos::fog@3"
    wide = effective_robustness(
        runs(
            tmp_path / "apart", {model: (clean, clean - 0.1) for model, clean in (("a", 0.5), ("b", 0.7), ("c", 0.9))}
        ),
        CLEAN,
        SHIFT,
    )
    for one, other in zip(found.models, wide.models, strict=True):
        assert one.effective.high - one.effective.low < other.effective.high - other.effective.low


def test_models_that_lack_a_measurement_are_named(tmp_path: Path) -> None:
    store = store_of(tmp_path, BASELINES)
    put_run(store, "lonely", {"clean": share(0.5)}, data="original")
    assert effective_robustness(runs_of(store), CLEAN, SHIFT).left_out == ("lonely",)


def test_what_does_not_fit_is_said(tmp_path: Path) -> None:
    store = store_of(tmp_path, BASELINES)
    there = runs_of(store)
    for clean, shift, baselines, message in (
        ("original", "sketch", (), "No stored run holds 'sketch'. Data there: moved, original"),
        ("original", "moved::fog@3", (), "No stored run holds 'moved::fog@3'"),
        ("o", "moved", (), "means several data sets: moved, original"),
        ("original", "moved", ("base0.5",), "at least 3 models .* there are 1"),
        ("original", "moved", ("other",), "No model matches the baseline 'other'"),
    ):
        with pytest.raises(UserError, match=message):
            effective_robustness(there, Measurement.parse(clean), Measurement.parse(shift), baselines=baselines)
    put_run(store, "base0.5", {"clean": share(0.4)}, data="moved", selection="a third")
    with pytest.raises(UserError, match=r"base0\.5 has several runs on moved"):
        effective_robustness(runs_of(store), CLEAN, SHIFT)


def test_other_outputs_are_never_mixed(tmp_path: Path) -> None:
    store = store_of(tmp_path, BASELINES)
    put_run(store, "masked", {"clean": share(0.5)}, data="original", classes=200)
    put_run(store, "masked", {"clean": share(0.5)}, data="moved", classes=1000)
    with pytest.raises(UserError, match="among 'all 200' on original and among 'all 1000' on moved"):
        effective_robustness(runs_of(store), CLEAN, SHIFT)


@pytest.mark.parametrize("ending", [".svg", ".png"])
def test_the_verb_prints_and_draws(tmp_path: Path, ending: str) -> None:
    store_of(tmp_path / "run", BASELINES | {"better": (0.7, on_the_line(0.7) + 0.1)})
    plot = tmp_path / f"plot{ending}"
    arguments = ["effective-robustness", str(tmp_path / "run"), "--clean", "original", "--shift", "moved"]
    done = CliRunner().invoke(
        weatherglass, [*arguments, "--baseline", "base", "--output", str(plot)], catch_exceptions=False
    )
    assert re.search(r"better +beside it", done.output)
    assert "through 3 models" in done.output
    assert plot.stat().st_size > 1000
