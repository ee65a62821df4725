"""A gate passes what meets its rules and nothing else."""

from pathlib import Path
from xml.etree import ElementTree

import numpy as np
import pytest
from synthetic import full_grid, new_store, put_run

from weatherglass.errors import UserError
from weatherglass.evaluation.gate import GateResult, gate
from weatherglass.evaluation.rules import parse_rules
from weatherglass.evaluation.runs import Run
from weatherglass.report.junit import junit_xml


@pytest.fixture
def store(tmp_path: Path):
    return new_store(tmp_path / "run")


@pytest.fixture
def run(store) -> Run:
    return put_run(store, "vit", full_grid(200, 0.9, 0.6))


def judge(run: Run, *rules: dict[str, object], baseline: Run | None = None, **top: object) -> GateResult:
    return gate(run, parse_rules({"rule": list(rules), "resamples": 100, **top}), baseline=baseline)


def test_bounds_on_any_metric(run: Run) -> None:
    found = judge(
        run,
        {"metric": "top1", "minimum": 0.8},
        {"metric": "corrupted", "minimum": "95 %"},
        {"metric": "fog@3", "minimum": 0.1, "maximum": 0.99},
        {"metric": "weather", "maximum": 0.2},
        {"metric": "nll", "maximum": 2},
    )
    assert [result.passed for result in found.results] == [True, False, True, False, True]
    assert not found.passed
    assert "is below 95 %" in found.results[1].reason
    assert found.results[1].name == "corrupted >= 95 %"


def test_by_an_end_of_the_interval(run: Run) -> None:
    value = judge(run, {"metric": "corrupted", "minimum": 0}).results[0].value
    assert value is not None
    middle = (value.low + value.value) / 2
    by = [judge(run, {"metric": "corrupted", "minimum": middle, "by": by}).passed for by in ("estimate", "low", "high")]
    assert by == [True, False, True]


def test_what_was_not_measured_fails(store, run: Run) -> None:
    found = judge(
        run, {"metric": "mce", "maximum": 0.9}, {"metric": "saturate", "minimum": 0}, {"metric": "pgd@4", "minimum": 0}
    )
    assert [result.passed for result in found.results] == [False] * 3
    assert "reference" in found.results[0].reason
    assert "not measured" in found.results[1].reason
    grid = full_grid(60, 0.9, 0.6)
    del grid["fog@3"]
    holes = put_run(store, "holes", grid)
    rules = [
        {"metric": m, "minimum": 0}
        for m in ("corrupted", "retention", "fog", "weather", "conditions", "kinds", "classes")
    ]
    assert [result.passed for result in judge(holes, *rules).results] == [False] * 7
    assert judge(holes, {"metric": "snow", "minimum": 0}, {"metric": "top1", "minimum": 0}).passed


def test_documented_names_that_were_not_measured_fail_and_are_no_mistakes(store) -> None:
    few = put_run(store, "few", {"clean": np.ones(20, bool), "fog@3": np.ones(20, bool)})
    names = "noise blur mfr flips flips.tilt corrupted.imagenet-c retention.fan17 ce.fog lesion:blocks.3 drop.rotation"
    found = judge(few, *({"metric": name, "minimum": 0} for name in names.split()))
    assert [result.passed for result in found.results] == [False] * 10
    for name in ("nose", "flips.tlt", "corrupted.imagenet-d", "ce.fgo", "top5.fgo"):
        with pytest.raises(UserError, match="Did you mean"):
            judge(few, {"metric": name, "minimum": 0})


def test_groups_hold_every_member_to_account(run: Run) -> None:
    found = judge(
        run,
        {"metric": "classes", "minimum": 0.01},
        {"metric": "classes", "minimum": 0.99},
        {"metric": "classes.3", "minimum": 0.01},
        {"metric": "classes_drop", "maximum": "90 %"},
        {"metric": "conditions", "minimum": 0.5},
        {"metric": "kinds", "minimum": 0.01},
    )
    assert [result.passed for result in found.results] == [True, False, True, True, False, True]
    assert "10 of 10 fail" in found.results[1].reason
    with pytest.raises(UserError, match="member of 'classes'"):
        judge(run, {"metric": "classes.cat", "minimum": 0.01})


def test_regression_against_a_baseline(store, run: Run) -> None:
    better = put_run(store, "better", full_grid(200, 0.9, 0.75))
    rules = [{"metric": m, "maximum_regression": 0.01} for m in ("corrupted", "top1", "fog", "drop.fog@5", "retention")]
    found = judge(run, *rules, baseline=better)
    assert [result.passed for result in found.results] == [False, True, False, False, False]
    assert "regression" in found.results[0].reason
    assert judge(better, *rules, baseline=run).passed
    assert judge(run, {"metric": "corrupted", "maximum_regression": 0.3}, baseline=better).passed
    with pytest.raises(UserError, match="--baseline"):
        judge(run, {"metric": "corrupted", "maximum_regression": 0.01})
    with pytest.raises(UserError, match="cannot be judged"):
        judge(run, {"metric": "classes", "maximum_regression": 0.01}, baseline=better)


def test_a_small_regression_fails_only_when_it_is_significant_or_asked_for(store) -> None:
    right = np.arange(100) < 70
    slightly = right.copy()
    slightly[[0, 1, 90]] = ~slightly[[0, 1, 90]]
    old, new = put_run(store, "old", {"clean": right}), put_run(store, "new", {"clean": slightly})
    rule = {"metric": "top1", "maximum_regression": 0}
    assert judge(new, rule, baseline=old).passed
    assert not judge(new, {**rule, "by": "estimate"}, baseline=old).passed
    assert not judge(old, {**rule, "by": "high"}, baseline=new).passed


def test_a_baseline_with_other_corruptions_is_no_baseline(store, run: Run) -> None:
    grid = full_grid(200, 0.9, 0.6)
    few = put_run(store, "few", {text: row for text, row in grid.items() if text == "clean" or text.startswith("fog")})
    found = judge(
        run,
        {"metric": "corrupted", "maximum_regression": 0.5},
        {"metric": "fog", "maximum_regression": 0.5},
        baseline=few,
    )
    assert [result.passed for result in found.results] == [False, True]
    assert "other corruptions" in found.results[0].reason


def test_mce_with_a_named_reference(store, run: Run) -> None:
    found = judge(run, {"metric": "mce", "maximum": "100 %"}, {"metric": "ce.fog", "maximum": 1}, reference=run.name)
    assert found.passed


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ({}, "no rule"),
        ({"rules": [{"metric": "top1"}]}, "Did you mean rule"),
        ({"rule": [{"metric": "top1", "minimun": 0.5}]}, "Did you mean minimum"),
        ({"rule": [{"metric": "top1"}]}, "no bound"),
        ({"rule": [{"minimum": 0.5}]}, "names no metric"),
        ({"rule": [{"metric": "top1", "minimum": 55}]}, "'55 %'"),
        ({"rule": [{"metric": "top1", "minimum": "much"}]}, "fraction"),
        ({"rule": [{"metric": "top1", "minimum": True}]}, "fraction"),
        ({"rule": [{"metric": "top1", "minimum": "nan %"}]}, "fraction"),
        ({"rule": [{"metric": "top1", "maximum": "1e999 %"}]}, "fraction"),
        ({"rule": [{"metric": "nll", "maximum": 10**400}]}, "fraction"),
        ({"rule": [{"metric": "nll", "maximum": float("nan")}]}, "fraction"),
        ({"rule": [{"metric": "top1", "minimum": 0.5, "by": "lower"}]}, "Did you mean low"),
        ({"rule": [{"metric": "top1", "minimum": 0.5, "maximum_regression": 0.1}]}, "two rules"),
        ({"rule": [{"metric": "top1", "minimum": 0.5}], "level": 95}, "level"),
    ],
)
def test_wrong_rules_are_refused(content: dict[str, object], message: str) -> None:
    with pytest.raises(UserError, match=message):
        parse_rules(content)


def test_unknown_metrics_are_refused_with_the_nearest(run: Run) -> None:
    with pytest.raises(UserError, match="Did you mean retention"):
        judge(run, {"metric": "retenton", "minimum": 0.5})


def test_files_that_are_no_rules(run: Run, tmp_path: Path) -> None:
    with pytest.raises(UserError, match="cannot be read"):
        gate(run, tmp_path / "absent.toml")
    (tmp_path / "bad.toml").write_text("rule = [")
    with pytest.raises(UserError, match="not valid TOML"):
        gate(run, tmp_path / "bad.toml")


def test_junit(run: Run) -> None:
    result = judge(
        run, {"metric": "top1", "minimum": 0.99, "name": "sharp & <clear>"}, {"metric": "top1", "minimum": 0}
    )
    suite = ElementTree.fromstring(junit_xml(result).split("\n", 1)[1])
    assert (suite.get("tests"), suite.get("failures")) == ("2", "1")
    assert [case.get("name") for case in suite.iter("testcase")] == ["sharp & <clear>", "top1 >= 0 %"]
    assert len(list(suite.iter("failure"))) == 1
