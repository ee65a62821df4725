"""Comparisons of two runs: paired, corrected, and refused where they would mislead."""

from dataclasses import replace
from pathlib import Path

import msgspec
import numpy as np
import pytest
from scipy.stats import binomtest
from synthetic import MAIN_GRID, full_grid, new_store, put_run

from weatherglass.errors import UserError
from weatherglass.evaluation.comparison import Comparison, compare
from weatherglass.evaluation.explain import explain_diff
from weatherglass.metrics.comparison import holm


@pytest.fixture
def store(tmp_path: Path):
    return new_store(tmp_path / "run")


def test_a_better_model_is_found_better(store) -> None:
    grid, other = full_grid(400, 0.9, 0.6), full_grid(400, 0.8, 0.45)
    found = compare(put_run(store, "cnn", other), put_run(store, "vit", grid), resamples=200)
    assert found.verdict == "better"
    assert found.aggregates["corrupted"].difference.value == pytest.approx(
        np.mean([grid[t].mean() - other[t].mean() for t in MAIN_GRID])
    )
    b, c = int((other["fog@3"] & ~grid["fog@3"]).sum()), int((grid["fog@3"] & ~other["fog@3"]).sum())
    assert (found.conditions["fog@3"].only_first, found.conditions["fog@3"].only_second) == (b, c)
    assert found.conditions["fog@3"].p_value == pytest.approx(binomtest(b, b + c).pvalue)
    p_values = np.array([compared.p_value for compared in found.conditions.values()])
    assert [compared.adjusted_p for compared in found.conditions.values()] == pytest.approx(holm(p_values))
    assert "B is better" in found.sentences[0]
    assert msgspec.json.decode(msgspec.json.encode(found), type=Comparison) == found


def test_swapping_the_runs_swaps_the_verdicts(store) -> None:
    runs = [put_run(store, name, full_grid(150, 0.9, c)) for name, c in (("a", 0.6), ("b", 0.5))]
    there, back = compare(*runs, resamples=100), compare(*reversed(runs), resamples=100)
    opposite = {"better": "worse", "worse": "better", "cannot be told apart": "cannot be told apart"}
    for text, compared in there.conditions.items():
        assert back.conditions[text].verdict == opposite[compared.verdict]
        assert back.conditions[text].difference.value == -compared.difference.value


def test_a_model_and_itself_cannot_be_told_apart(store) -> None:
    run = put_run(store, "vit", full_grid(100, 0.9, 0.6))
    found = compare(run, run, reference=run, resamples=50)
    assert found.verdict == "cannot be told apart"
    assert {compared.verdict for compared in found.conditions.values()} == {"cannot be told apart"}
    assert set(found.aggregates) == {"corrupted", "top1", "retention", "mce", "relative_mce"}
    difference = found.aggregates["top1"].difference
    assert difference.low < 0 < difference.high < 0.05
    assert "with itself" in found.warnings[0]


def test_lower_mce_is_better(store) -> None:
    worse, better = put_run(store, "a", full_grid(200, 0.9, 0.4)), put_run(store, "b", full_grid(200, 0.9, 0.7))
    found = compare(worse, better, reference=worse, resamples=100)
    assert found.aggregates["mce"].difference.high < 0
    assert found.aggregates["mce"].verdict == "better"


def test_equally_good_models_are_rarely_told_apart(store) -> None:
    alarms = 0
    for seed in range(12):
        generator = np.random.default_rng(seed)
        rows = [{f"fog@{s}": generator.random(80) < 0.6 for s in range(1, 6)} for _ in "ab"]
        runs = [put_run(store, f"{name}{seed}", row) for name, row in zip("ab", rows, strict=True)]
        verdicts = {c.verdict for c in compare(*runs, resamples=50).conditions.values()}
        alarms += verdicts != {"cannot be told apart"}
    assert alarms <= 3


def test_other_data_is_refused_or_restricted_on_request(store) -> None:
    a = put_run(store, "a", full_grid(60, 0.9, 0.6))
    b = put_run(store, "b", {t: r[:40] for t, r in full_grid(60, 0.9, 0.6).items()}, data="subset")
    foreign = replace(b, records={t: replace(r, protocol=replace(r.protocol, data="x")) for t, r in b.records.items()})
    with pytest.raises(UserError, match="--common-images"):
        compare(a, foreign)
    found = compare(a, foreign, common_images=True, resamples=50)
    assert found.samples == 40
    assert any("20 of the 60 images of A" in warning for warning in found.warnings)
    assert "by name and label alone" in found.warnings[0]
    assert not any("cannot be paired" in warning for warning in found.warnings)


def test_protocol_differences_are_warned_about(store) -> None:
    a = put_run(store, "a", full_grid(60, 0.9, 0.6))
    b = put_run(store, "b", full_grid(60, 0.9, 0.6), seed=1, preprocessing="crop 8x8")
    warnings = compare(a, b, resamples=50).warnings
    assert "seed (0 / 1)" in warnings[0]
    assert any("preprocessing" in warning for warning in warnings)


def test_conditions_of_one_run_only_are_named(store) -> None:
    grid = full_grid(60, 0.9, 0.6)
    a = put_run(store, "a", grid)
    b = put_run(store, "b", {"clean": grid["clean"], "fog@1": grid["fog@1"]})
    found = compare(a, b, resamples=50)
    assert set(found.conditions) == {"clean", "fog@1"}
    assert any("Only A was measured under" in warning for warning in found.warnings)
    with pytest.raises(UserError, match="no condition in common"):
        compare(a, put_run(store, "c", {"snow@9": grid["clean"]}))
    with pytest.raises(UserError, match="holm"):
        compare(a, b, correction="bonferoni")


def test_explain_names_the_fields_and_their_weight(store) -> None:
    grid = full_grid(60, 0.9, 0.6)
    a = put_run(store, "a", grid)
    b = put_run(store, "b", grid, weights="a", precision="bfloat16", seed=3)
    found = explain_diff(a, b)
    assert [f.field for f in found.fields] == ["seed", "precision"]
    assert not found.same_protocol and found.same_weights
    assert "must not stand in one table: seed" in " ".join(found.sentences)


def test_explain_the_part_of_the_disturbance(store) -> None:
    grid = {"fog@3": np.arange(40) % 3 > 0}
    a = put_run(store, "a", grid, weights="w", disturbance={"corruption backend": "torch"})
    b = put_run(store, "b", grid, weights="w", disturbance={"corruption backend": "numba"})
    found = explain_diff(a, b)
    assert found.fields == ()
    assert [f.weight for f in found.conditions["fog@3"].fields] == ["rounding"]
    assert found.conditions["fog@3"].changed == 0


def test_explain_equal_protocols(store) -> None:
    grid = full_grid(40, 0.9, 0.6)
    a, b = put_run(store, "a", grid), put_run(store, "b", full_grid(40, 0.8, 0.5))
    assert "the model itself" in " ".join(explain_diff(a, b).sentences)
    assert "the same measurement" in " ".join(explain_diff(a, a).sentences)
    twin = put_run(store, "twin", full_grid(40, 0.8, 0.5, 9), weights="a")
    assert "not deterministic" in " ".join(explain_diff(a, twin).sentences)
