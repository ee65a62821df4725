"""Exports hold the measured numbers, in the columns others expect, byte for byte the same each time."""

import csv
import io
import json
from dataclasses import replace
from pathlib import Path

import pyarrow.parquet as pq
import pytest
from synthetic import full_grid, new_store, put_run

from weatherglass.errors import UserError
from weatherglass.evaluation.record import Provenance
from weatherglass.evaluation.store import Store
from weatherglass.report.exports import TIMM_COLUMNS, export
from weatherglass.report.tables import TextTable, latex, markdown
from weatherglass.report.tidy import TIDY_COLUMNS


@pytest.fixture
def store(tmp_path: Path) -> Store:
    store = new_store(tmp_path / "run")
    put_run(store, "timm/vit", full_grid(80, 0.9, 0.6), preprocessing="resize 256 bicubic, crop 224x224")
    put_run(store, "cnn", full_grid(80, 0.95, 0.5), preprocessing="none")
    return store


def rows_of(text: str | None) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(text or "")))


def test_timm_csv(store: Store) -> None:
    text = export(store, "timm")
    assert text is not None and text.splitlines()[0] == ",".join(TIMM_COLUMNS)
    cnn, vit = rows_of(text)
    assert vit["model"] == "vit" and vit["img_size"] == "224"
    assert (vit["crop_pct"], vit["interpolation"], vit["param_count"]) == ("0.875", "bicubic", "0.00")
    assert float(vit["top1"]) == pytest.approx(100 * full_grid(80, 0.9, 0.6)["clean"].mean(), abs=5e-4)
    assert float(vit["top1"]) + float(vit["top1_err"]) == pytest.approx(100)
    assert (cnn["img_size"], cnn["crop_pct"]) == ("", "")


def test_robustbench_json(store: Store) -> None:
    entries = json.loads(export(store, "robustbench", reference="auto") or "")
    assert [entry["name"] for entry in entries] == ["cnn", "timm/vit"]
    assert float(entries[1]["clean_acc"]) == pytest.approx(100 * full_grid(80, 0.9, 0.6)["clean"].mean(), abs=5e-3)
    assert entries[0]["corruptions_mce"] is None and "No mCE" in entries[0]["footnote"]


def test_tidy_is_byte_identical_for_equal_measurements(store: Store, tmp_path: Path) -> None:
    other = Store(tmp_path / "other", create=True)
    for record in reversed(store.records()):
        slow = replace(record, provenance=Provenance(created="2031-01-01T00:00:00Z", seconds=99.0, batch_size=7))
        other.put(slow, store.observations(record.key))
    for manifest in {record.protocol.data for record in store.records()}:
        other.put_data(store.data(manifest))
    assert export(store, "tidy") == export(other, "tidy")


def test_tidy_holds_every_number(store: Store, tmp_path: Path) -> None:
    rows = rows_of(export(store, "tidy"))
    assert list(rows[0]) == list(TIDY_COLUMNS)
    fog = [r for r in rows if (r["model"], r["disturbance"], r["metric"]) == ("timm/vit", "fog@3", "top1")]
    assert [float(row["value"]) for row in fog] == [full_grid(80, 0.9, 0.6)["fog@3"].mean()]
    assert {row["scope"] for row in rows} == {"run", "suite", "family", "corruption", "condition", "class"}
    path = tmp_path / "out" / "tidy.parquet"
    assert export(store, "tidy", path) is None
    table = pq.read_table(path)
    assert table.column_names == list(TIDY_COLUMNS)
    assert [str(v) for v in table.column("value").to_pylist()] == [row["value"] for row in rows]


def test_tidy_says_under_which_protocol(tmp_path: Path) -> None:
    store = new_store(tmp_path / "two")
    right = {"fog@3": full_grid(20, 0.9, 0.6)["fog@3"]}
    for reencoding in ("none", "jpeg85"):
        part = {"corruption definition": "imagecorruptions", "re-encoding": reencoding}
        put_run(store, "cnn", right, names=["=cmd|'/c calc'!A0", "-1", *"23456789"], disturbance=part)
    rows = [row for row in rows_of(export(store, "tidy")) if row["metric"] == "top1" and row["scope"] == "condition"]
    assert len({row["run"] for row in rows}) == len({row["cell"] for row in rows}) == 2
    assert ["re-encoding=jpeg85" in row["choices"] and "re-encoding=jpeg85" in row["applied"] for row in rows] == [
        True,
        False,
    ]
    assert rows[0]["versions"] == "torch=2.15" and rows[0]["outputs"] == "all 10" and rows[0]["forward_batch"] == "32"
    classes = {row["kind"] for row in rows_of(export(store, "tidy")) if row["scope"] == "class"}
    assert {"'=cmd|'/c calc'!A0", "-1"} <= classes


def test_text_formats_write_files(store: Store, tmp_path: Path) -> None:
    for form in ("markdown", "latex"):
        path = tmp_path / f"table.{form}"
        assert export(store, form, path) is None
        assert "gaussian" in path.read_text(encoding="utf-8")


def test_wrong_requests(store: Store, tmp_path: Path) -> None:
    with pytest.raises(UserError, match="Did you mean tidy"):
        export(store, "tidi")
    with pytest.raises(UserError, match="Only the tidy format"):
        export(store, "timm", tmp_path / "x.parquet")
    with pytest.raises(UserError, match="no measured cells"):
        export(Store(tmp_path / "empty", create=True), "tidy")


def test_text_from_names_is_escaped() -> None:
    table = TextTable("50 % of A_B", ("model", "x"), (("a|b_c & {d}", "1"), ("<script>", "2")))
    assert "a\\|b\\_c" in markdown(table) and "<script>" not in markdown(table)
    assert r"a|b\_c \& \{d\}" in latex(table) and r"50 \% of A\_B" in latex(table)
