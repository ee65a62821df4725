"""The verb, with each of its analyses, on the embedded digits."""

import csv
from itertools import pairwise
from pathlib import Path

import pytest
from click.testing import CliRunner

from weatherglass.cli.analyse import command

RUNS = {
    "lesions": ["digits_vit", "--repeats", "1", "--items", "blocks"],
    "distance": ["digits_vit"],
    "similarity": ["digits_vit"],
    "grouping": ["digits_vit", "digits_cnn", "--draws", "1"],
    "clusters": ["digits_vit", "--layers", "0,3,4"],
    "gates": ["digits_fan"],
    "attention": ["digits_vit"],
}
FIGURES = {
    "lesions": ["lesions_single", "lesions_random"],
    "distance": ["distance_within", "distance_beyond", "distance_late"],
    "similarity": ["similarity_patches", "similarity_patches_adjacent"],
    "grouping": ["grouping", "noise_decay"],
    "clusters": ["clusters_stability", "clusters_digits_vit"],
    "gates": ["gates"],
    "attention": ["attention_digits_vit"],
}


def rows_of(table: Path) -> list[dict[str, str]]:
    return list(csv.DictReader(table.read_text(encoding="utf-8").splitlines()))


@pytest.mark.parametrize("analysis", RUNS)
def test_an_analysis_writes_its_table_and_its_figures(analysis: str, tmp_path: Path) -> None:
    pytest.importorskip("vl_convert", reason="figures are drawn with an extra")
    arguments = [analysis, *RUNS[analysis], "--data", "digits:test", "--limit", "20", "--output", str(tmp_path)]
    done = CliRunner().invoke(command, arguments, catch_exceptions=False)
    assert done.exit_code == 0, done.output
    (table,) = tmp_path.glob("*.csv")
    rows = rows_of(table)
    assert rows
    for name in FIGURES[analysis]:
        assert (tmp_path / f"{name}.png").stat().st_size > 1000


def test_lesions_are_measured_once(tmp_path: Path) -> None:
    pytest.importorskip("vl_convert", reason="figures are drawn with an extra")
    arguments = ["lesions", "digits_vit", "--data", "digits:test", "--limit", "20", "--repeats", "0"]
    tables = []
    for _ in range(2):
        CliRunner().invoke(command, [*arguments, "--output", str(tmp_path)], catch_exceptions=False)
        tables.append((tmp_path / "lesions.csv").read_text())
    assert tables[0] == tables[1]
    rows = rows_of(tmp_path / "lesions.csv")
    assert len(rows) == 4 * 3
    assert all(0 <= float(row["top1"]) <= 1 for row in rows)


def test_the_bottleneck_needs_no_model(tmp_path: Path) -> None:
    pytest.importorskip("vl_convert", reason="figures are drawn with an extra")
    arguments = ["bottleneck", "--iterations", "10", "--output", str(tmp_path)]
    assert CliRunner().invoke(command, arguments, catch_exceptions=False).exit_code == 0
    rows = [row for row in rows_of(tmp_path / "bottleneck.csv") if row["step"] == "bottleneck"]
    values = [float(row["objective"]) for row in rows]
    assert all(later <= earlier + 1e-6 for earlier, later in pairwise(values))
