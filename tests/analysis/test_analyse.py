"""The verb, with each of its analyses, on the embedded digits."""

import csv
import re
from itertools import pairwise
from pathlib import Path

import pytest
from click.testing import CliRunner
from PIL import Image

import weatherglass
from weatherglass.cli.analyse import command
from weatherglass.data.load import load_data
from weatherglass.errors import UserError
from weatherglass.evaluation.store import Store
from weatherglass.evaluation.studies import studies_of

RUNS = {
    "lesions": ["digits_vit", "--repeats", "1", "--items", "blocks", "--equal"],
    "distance": ["digits_vit", "--by-block", "1"],
    "redundancy": ["digits_fan", "--repeats", "1"],
    "similarity": ["digits_vit"],
    "grouping": ["digits_vit", "digits_cnn", "--draws", "1"],
    "clusters": ["digits_vit", "--layers", "0,3,4"],
    "gates": ["digits_fan"],
    "attention": ["digits_vit"],
}
FIGURES = {
    "lesions": ["lesions_single", "lesions_random", "lesions_equal", "lesions_area"],
    "distance": ["distance_within", "distance_beyond", "distance_late", "distance_from", "distance_class_blind"],
    "redundancy": ["redundancy"],
    "similarity": ["similarity_patches", "similarity_patches_adjacent"],
    "grouping": ["grouping", "noise_decay", "grouping_sensitivity"],
    "clusters": ["clusters_stability", "clusters_digits_vit"],
    "gates": ["gates"],
    "attention": ["attention_digits_vit", "attention_agreement"],
}


def rows_of(table: Path) -> list[dict[str, str]]:
    return list(csv.DictReader(table.read_text(encoding="utf-8").splitlines()))


@pytest.mark.parametrize("analysis", RUNS)
def test_an_analysis_writes_its_table_and_its_figures(analysis: str, tmp_path: Path) -> None:
    pytest.importorskip("vl_convert", reason="figures are drawn with an extra")
    arguments = [analysis, *RUNS[analysis], "--data", "digits:test", "--limit", "20", "--output", str(tmp_path)]
    done = CliRunner().invoke(command, arguments, catch_exceptions=False)
    assert done.exit_code == 0, done.output
    tables = [rows_of(table) for table in tmp_path.glob("*.csv")]
    assert tables and all(tables)
    (study,) = studies_of(Store(tmp_path / "store"))
    assert study.card.name == analysis
    assert {one.claim for one in study.findings} <= set(study.card.expected)
    assert all(one.evidence.endswith(".") for one in study.findings)
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


def test_images_without_classes_are_compared_with_what_the_model_says_of_them(tmp_path: Path) -> None:
    pytest.importorskip("vl_convert", reason="figures are drawn with an extra")
    digits = load_data("digits:test", limit=12)
    for index in range(len(digits)):
        pixels = digits.image(index).permute(1, 2, 0).numpy()
        Image.fromarray(pixels).save(tmp_path / f"{index:02d}.png")
    arguments = ["lesions", "digits_vit", "--data", str(tmp_path), "--repeats", "0"]
    done = CliRunner().invoke(command, [*arguments, "--output", str(tmp_path / "out")], catch_exceptions=False)
    assert done.exit_code == 0, done.output
    rows = rows_of(tmp_path / "out" / "lesions.csv")
    assert all(row["baseline"] == "1" for row in rows)
    with pytest.raises(UserError, match="has no classes"):
        weatherglass.evaluate("digits_vit", data=f"images:{tmp_path}", store=tmp_path / "store")


def test_a_report_shows_studies_and_the_cells_of_disturbed_models(tmp_path: Path) -> None:
    pytest.importorskip("vl_convert", reason="figures are drawn with an extra")
    arguments = [
        "--data",
        "digits:test",
        "--limit",
        "20",
        "--output",
        str(tmp_path),
        "--store",
        str(tmp_path / "store"),
    ]
    for analysis in (["distance", "digits_vit"], ["clusters", "digits_vit", "--layers", "0,4"]):
        CliRunner().invoke(command, [*analysis, *arguments], catch_exceptions=False)
    page = weatherglass.report(tmp_path / "store").html
    for text in ('id="studies"', 'id="disturbed"', "Mostly local attention suffices.", 'download="distance.csv"'):
        assert text in page
    assert 'class="sheet" src="data:image/png;base64,' in page
    assert "The worst condition" not in page  # a model in pieces is no condition of the weather
    other = Store(tmp_path / "other", create=True)
    other.merge(Store(tmp_path / "store"))
    assert [one.card.name for one in studies_of(other)] == ["clusters", "distance"]


def test_a_store_of_studies_alone_makes_a_page(tmp_path: Path) -> None:
    pytest.importorskip("vl_convert", reason="figures are drawn with an extra")
    CliRunner().invoke(command, ["bottleneck", "--iterations", "5", "--output", str(tmp_path)], catch_exceptions=False)
    page = weatherglass.report(tmp_path / "store").html
    assert "The information bottleneck beside attention" in page
    assert 'id="models"' not in page
    targets = set(re.findall(r'href="#([^"]+)"', page))
    assert targets == {"studies"}
