"""What belongs to one run, and so may stand in one mean."""

from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from synthetic import make_protocol, new_store, observations_of

from weatherglass.corruptions.disturbance import Corrupted
from weatherglass.data.images import ArrayImages
from weatherglass.errors import UserError
from weatherglass.evaluation.conditions import CorruptionChoices
from weatherglass.evaluation.evaluate import EvaluationSettings, evaluate
from weatherglass.evaluation.gate import gate
from weatherglass.evaluation.protocol import Cell
from weatherglass.evaluation.record import CellRecord, DataManifest, FailedCell, Provenance
from weatherglass.evaluation.rules import parse_rules
from weatherglass.evaluation.runs import Run, find_run, runs_matching, runs_of
from weatherglass.evaluation.store import Store
from weatherglass.evaluation.summary import summarise
from weatherglass.report.content import read_stores
from weatherglass.tasks.classification import Classification
from weatherglass.types import Predictor

PLAIN = {"corruption definition": "imagecorruptions", "corruption calibration": "32 px", "re-encoding": "none"}
JPEG = PLAIN | {"re-encoding": "jpeg85"}
RIGHT = np.arange(40) < 30


def put(store: Store, text: str, part: Mapping[str, str] = {}, *, right: np.ndarray = RIGHT, when: str = "") -> None:
    """One made-up cell of the model 'vit'."""
    kind, _, severity = text.partition("@")
    protocol = make_protocol(samples=len(right), disturbance=dict(part))
    cell = Cell("vit", "digits", text)
    observed = observations_of(right)
    record = CellRecord(
        key=cell.key(protocol),
        cell=cell,
        protocol=protocol,
        family="clean" if text == "clean" else "weather",
        kind=kind,
        severity=float(severity) if severity.isdigit() else None,
        scores=Classification().summarise(observed.columns),
        provenance=Provenance(created=when),
    )
    store.put(record, observed)
    classes = tuple(map(str, range(10)))
    store.put_data(DataManifest(digest="d", name="digits", selection="all", classes=classes, samples=len(right)))


@pytest.fixture
def mixed(tmp_path: Path) -> Store:
    """A clean cell, one attack, and corruptions with and without re-encoding."""
    store = new_store(tmp_path / "mixed")
    put(store, "clean")
    put(store, "pgd@8/255", {"attack": "PGD"})
    put(store, "fog@5", PLAIN)
    put(store, "contrast@5", JPEG, right=~RIGHT)
    return store


def test_one_mean_never_holds_two_re_encodings(mixed: Store) -> None:
    jpeg, plain = runs_of(mixed)
    assert list(plain.records) == ["clean", "fog@5", "pgd@8/255"]
    assert list(jpeg.records) == ["clean", "contrast@5", "pgd@8/255"]
    for run, mean in ((plain, 0.75), (jpeg, 0.25)):
        corrupted = summarise(run, resamples=50).corrupted
        assert corrupted is not None and corrupted.value == mean


def test_runs_of_one_model_are_named_apart(mixed: Store) -> None:
    names = [run.name for run in runs_of(mixed)]
    assert names == [f"{mixed.path}::vit::re-encoding={value}" for value in ("jpeg85", "none")]
    assert [find_run(name).choices["re-encoding"] for name in names] == ["jpeg85", "none"]
    assert len(runs_matching(f"{mixed.path}::vi")) == 2
    with pytest.raises(UserError, match=r"2 runs of one model.*::vit::re-encoding=jpeg85'"):
        find_run(str(mixed.path))
    with pytest.raises(UserError, match="No model"):
        find_run(f"{mixed.path}::vit::re-encoding=png")


def test_what_one_corruption_alone_chooses_splits_no_other(tmp_path: Path) -> None:
    store = new_store(tmp_path / "frost")
    put(store, "snow@1", PLAIN)
    put(store, "frost@1", PLAIN | {"frost textures": "procedural"})
    put(store, "frost@1", PLAIN | {"frost textures": "reference"})
    assert [list(run.records) for run in runs_of(store)] == [["frost@1", "snow@1"]] * 2
    assert [run.choices["frost textures"] for run in runs_of(store)] == ["procedural", "reference"]
    put(store, "fog@1", {"stored": "digest of fog 1"})
    assert sorted(map(list, (run.records for run in runs_of(store)))) == [["fog@1"]] + [["frost@1", "snow@1"]] * 2


def test_the_newest_of_two_backends_has_the_plain_name(tmp_path: Path) -> None:
    store = new_store(tmp_path / "backends")
    put(store, "fog@1", PLAIN | {"corruption backend": "torch"}, when="2026-01-01")
    put(store, "fog@1", PLAIN | {"corruption backend": "numba"}, when="2026-01-02")
    (run,) = runs_of(store)
    assert run.records["fog@1"].protocol.disturbance["corruption backend"] == "numba"
    assert len(run.records) == 2


def test_a_failed_cell_belongs_to_the_runs_of_its_choices(mixed: Store) -> None:
    protocol = make_protocol(samples=40, disturbance=JPEG)
    cell = Cell("vit", "digits", "snow@5")
    mixed.put_failure(FailedCell(key=cell.key(protocol), cell=cell, protocol=protocol, reason="NaN"))
    assert [len(run.failures) for run in runs_of(mixed)] == [1, 0]


def test_a_suite_in_two_stores_is_one_run(tmp_path: Path) -> None:
    first, second = new_store(tmp_path / "a"), new_store(tmp_path / "b")
    put(first, "clean")
    put(first, "fog@3", PLAIN)
    put(second, "clean")
    put(second, "snow@3", PLAIN, right=~RIGHT)
    (view,) = read_stores([first, second], reference=find_run(str(first.path))).models
    assert list(view.run.records) == ["clean", "fog@3", "snow@3"]
    assert view.summary.corrupted is not None and view.summary.corrupted.value == 0.5
    put(second, "snow@3", JPEG)
    labels = [view.label for view in read_stores([first, second]).models]
    assert sorted(labels) == ["vit · re-encoding jpeg85", "vit · re-encoding none"]


def test_a_reference_of_another_protocol_is_not_the_run_itself(tmp_path: Path) -> None:
    store, other = new_store(tmp_path / "a"), new_store(tmp_path / "b")
    for severity in range(1, 6):
        put(store, f"fog@{severity}", PLAIN)
        put(other, f"fog@{severity}", PLAIN | {"corruption calibration": "224 px"}, right=~RIGHT)
    run, reference = find_run(str(store.path)), find_run(str(other.path))
    found = summarise(run, reference=reference, resamples=50)
    error = found.kinds["fog"].corruption_error
    assert error is not None and error.value == pytest.approx(0.25 / 0.75)
    assert any("another protocol (corruption calibration 224 px, not 32 px)" in note for note in found.notes)
    itself = summarise(run, reference=find_run(str(store.path)), resamples=50)
    error = itself.kinds["fog"].corruption_error
    assert error is not None and (error.value, error.method) == (1.0, "exact")
    assert not any("another protocol" in note for note in itself.notes)


def test_a_regression_is_not_judged_across_re_encodings(mixed: Store) -> None:
    put(mixed, "contrast@5", PLAIN)
    jpeg, plain = runs_of(mixed)
    metrics = ("corrupted", "contrast@5", "drop.contrast@5", "top1", "pgd@8/255")
    rules = parse_rules({"rule": [{"metric": m, "maximum_regression": 0.9} for m in metrics]})
    found = gate(plain, rules, baseline=jpeg).results
    assert [result.passed for result in found] == [False, False, False, True, True]
    assert "another re-encoding (jpeg85, not none)" in found[0].reason


@pytest.fixture
def measure(
    tmp_path: Path, make_predictor: Callable[..., Predictor], photographs: ArrayImages
) -> Callable[[str | None], Run]:
    def of(reencode: str | None) -> Run:
        settings = EvaluationSettings(workers=1, choices=CorruptionChoices(reencode=reencode))
        few = photographs.select(range(20), "20")
        done = evaluate(
            make_predictor(), data=few, store=tmp_path / "run", disturbances=["gaussian_noise@3"], settings=settings
        )
        return done.runs[0]

    return of


def test_the_same_call_has_the_same_numbers_whatever_was_measured_since(
    measure: Callable[[str | None], Run], tmp_path: Path
) -> None:
    first = measure("jpeg85")
    assert measure(None).records.keys() == first.records.keys() == {"clean", "gaussian_noise@3"}
    again = measure("jpeg85")
    assert again.records == first.records
    assert replace(summarise(again, resamples=50), run="") == replace(summarise(first, resamples=50), run="")
    assert len(runs_of(Store(tmp_path / "run"))) == 2


def test_one_call_has_one_protocol(
    tmp_path: Path, make_predictor: Callable[..., Predictor], photographs: ArrayImages
) -> None:
    two = [Corrupted("fog", 3, reencode="jpeg85"), "snow@3"]
    with pytest.raises(UserError, match=r"are of two protocols \(re-encoding"):
        evaluate(make_predictor(), data=photographs, store=tmp_path / "run", disturbances=two)
    assert not (tmp_path / "run").exists()
