"""The store keeps what it is given, survives a killed writer, and refuses what it cannot read."""

from pathlib import Path

import msgspec
import numpy as np
import pytest
from synthetic import make_protocol

from weatherglass.errors import UserError
from weatherglass.evaluation.protocol import Cell, differences
from weatherglass.evaluation.record import CellRecord, DataManifest, FailedCell, Observations, Picture
from weatherglass.evaluation.runs import find_run, runs_of
from weatherglass.evaluation.store import Store


def make_record(condition: str = "clean", model: str = "timm/vit", **changes: object) -> CellRecord:
    cell, protocol = Cell(model, "digits", condition), make_protocol(**changes)
    return CellRecord(
        key=cell.key(protocol),
        cell=cell,
        protocol=protocol,
        family="clean",
        kind=condition.split("@")[0],
        severity=None,
        scores={"top1": 2 / 3},
    )


def make_observations() -> Observations:
    columns = {
        "prediction": np.array([1, 2, 4], np.int32),
        "rank": np.array([0, 0, 2], np.int32),
        "confidence": np.array([0.9, 0.8, 0.5], np.float32),
        "nll": np.array([0.1, 0.2, 2.0], np.float32),
        "brier": np.array([0.01, 0.02, 1.1], np.float32),
    }
    return Observations(("a.png", "b.png", "c.png"), np.array([1, 2, 3]), columns)


def test_a_cell_comes_back_as_it_was_put(tmp_path: Path) -> None:
    store = Store(tmp_path / "run", create=True)
    record, observations = make_record("fog@3"), make_observations()
    picture = Picture("c.png", 3, 3, 4, 0.5, b"clean", b"foggy")
    store.put(record, observations, [picture])
    assert record.key in store
    assert store.records() == [record]
    kept = store.observations(record.key)
    assert kept.ids == observations.ids
    assert kept.labels.tolist() == [1, 2, 3]
    assert all(np.array_equal(kept.columns[name], values) for name, values in observations.columns.items())
    assert kept.correct.tolist() == [True, True, False]
    assert store.pictures(record.key) == [picture]


def test_a_failure_is_forgotten_once_the_cell_is_measured(tmp_path: Path) -> None:
    store = Store(tmp_path / "run", create=True)
    record = make_record()
    store.put_failure(FailedCell(key=record.key, cell=record.cell, protocol=record.protocol, reason="NaN"))
    assert [failed.reason for failed in store.failures()] == ["NaN"]
    assert record.key not in store
    store.put(record, make_observations())
    assert store.failures() == []


def test_any_protocol_field_changes_the_key() -> None:
    cell, protocol = Cell("m", "d", "fog@3"), make_protocol()
    key = cell.key(protocol)
    assert cell.key(make_protocol(versions={"torch": "2.16"})) != key
    assert cell.key(make_protocol(disturbance={"backend": "numba"})) != key
    assert Cell("m", "d", "fog@3", seed=1).key(protocol) != key
    assert Cell("m", "d", "fog@3").key(make_protocol()) == key


def test_differences_name_the_fields() -> None:
    a, b = make_protocol(), make_protocol(versions={"torch": "2.16"}, seed=1, disturbance={"backend": "torch"})
    assert differences(a, b) == {
        "seed": ("0", "1"),
        "versions.torch": ("2.15", "2.16"),
        "disturbance.backend": ("(absent)", "torch"),
    }


def test_runs_never_mix_protocols(tmp_path: Path) -> None:
    store = Store(tmp_path / "run", create=True)
    for record in (make_record(), make_record("fog@3", disturbance={"backend": "torch"}), make_record(weights="other")):
        store.put(record, make_observations())
    runs = runs_of(store)
    assert sorted(sorted(run.records) for run in runs) == [["clean"], ["clean", "fog@3"]]
    with pytest.raises(UserError, match="different protocols"):
        find_run(str(store.path))


def test_find_run_takes_a_unique_part_of_the_name(tmp_path: Path) -> None:
    store = Store(tmp_path / "run", create=True)
    for model in ("timm/vit", "timm/resnet", "timm/vit_small"):
        store.put(make_record(model=model), make_observations())
    assert find_run(f"{store.path}::resnet").model == "timm/resnet"
    assert find_run(f"{store.path}::timm/vit").model == "timm/vit"
    with pytest.raises(UserError, match="matches 3 runs"):
        find_run(str(store.path))
    with pytest.raises(UserError, match="No model"):
        find_run(f"{store.path}::swin")


def test_stray_and_damaged_files(tmp_path: Path) -> None:
    store = Store(tmp_path / "run", create=True)
    store.put(make_record(), make_observations())
    cells = store.path / "cells"
    (cells / ".half.parquet.1.part").write_bytes(b"PAR1")
    assert len(store.records()) == 1
    (cells / ("0" * 32 + ".parquet")).write_bytes(b"PAR1 not really")
    with pytest.raises(UserError, match="is damaged"):
        store.records()


def test_stores_that_cannot_be_used(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="no Weatherglass store"):
        Store(tmp_path / "absent")
    (tmp_path / "photos").mkdir()
    (tmp_path / "photos" / "cat.jpg").touch()
    with pytest.raises(UserError, match="is not a Weatherglass store"):
        Store(tmp_path / "photos", create=True)
    other = tmp_path / "other"
    other.mkdir()
    (other / "store.json").write_bytes(msgspec.json.encode({"format": 99, "weatherglass": "9.0"}))
    with pytest.raises(UserError, match="has format 99"):
        Store(other)


def test_merge_copies_what_is_missing(tmp_path: Path) -> None:
    a, b = Store(tmp_path / "a", create=True), Store(tmp_path / "b", create=True)
    a.put(make_record(), make_observations())
    b.put(make_record(), make_observations())
    b.put(make_record("fog@3"), make_observations())
    b.put_data(DataManifest(digest="d", name="digits", selection="all", classes=("0", "1"), samples=3))
    a.put_data(DataManifest(digest="e", name="ours", selection="all", classes=(), samples=3))
    b.put_data(DataManifest(digest="e", name="theirs", selection="all", classes=(), samples=3))
    assert a.merge(b) == 1
    assert a.data("e").name == "ours"
    assert a.merge(b) == 0
    assert len(a.records()) == 2
    assert a.data("d").classes == ("0", "1")


def test_query_sees_every_sample(tmp_path: Path) -> None:
    store = Store(tmp_path / "run[1]*", create=True)
    store.put(make_record(), make_observations())
    store.put(make_record("fog@3"), make_observations())
    rows = store.query("select disturbance, avg((rank = 0)::int) as accuracy from samples group by 1 order by 1")
    assert rows.to_pylist() == [
        {"disturbance": "clean", "accuracy": pytest.approx(2 / 3)},
        {"disturbance": "fog@3", "accuracy": pytest.approx(2 / 3)},
    ]
    with pytest.raises(UserError, match="DuckDB refuses"):
        store.query("selec")
