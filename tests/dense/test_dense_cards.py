"""Cards of segmentation and detection: published numbers beside measured ones."""

from pathlib import Path

import pytest
from click.testing import CliRunner
from memory_detector import shaky, steady
from test_detection_evaluate import run

from weatherglass.cli.main import weatherglass
from weatherglass.experiments.cards import CARDS
from weatherglass.experiments.findings import findings_of
from weatherglass.experiments.study import Member, Study, study_of
from weatherglass.experiments.tables import beside_table, study_table


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Study:
    store = tmp_path_factory.mktemp("cards") / "store"
    runs = [run(store, shaky(), "shaky").runs[0], run(store, steady(), "steady").runs[0]]
    return study_of([Member("shaky", "Swin-T"), Member("steady", "FAN-S-Hybrid")], runs, {})


def test_scores_that_are_no_shares_of_images_make_a_study(made: Study) -> None:
    for row in made.rows:
        assert row.summary.clean is not None
        assert row.summary.corrupted is not None
        assert row.accuracy["clean"].value == pytest.approx(row.summary.clean.value)
        assert row.accuracy["corrupted"].value == pytest.approx(row.summary.corrupted.value)
        assert row.accuracy["corrupted"].low == pytest.approx(row.summary.corrupted.low)
    assert "Every number is box AP." in study_table(made).notes
    robust = [finding for finding in findings_of(CARDS["fan-table-10"], made) if finding.benchmark == "corrupted"]
    assert robust[0].estimate is not None
    assert robust[0].estimate.value > 0


def test_the_paper_beside_what_was_measured(made: Study) -> None:
    whole = beside_table(CARDS["fan-table-10"], made)
    assert whole is not None
    first = dict(zip(whole.columns, whole.rows[0], strict=True))
    assert (first["coco paper"], first["coco_c paper"]) == ("46.0", "29.3")
    assert first["coco ours"].startswith("100.0")
    assert "Paper: COCO." in whole.notes[0]
    each = beside_table(CARDS["fan-table-14"], made)
    assert each is not None
    second = dict(zip(each.columns, each.rows[1], strict=True))
    assert second["fog ours"] == made.rows[1].summary.kinds["fog"].score.percent()
    assert second["snow ours"] == "-"


@pytest.mark.parametrize(("card", "number"), [("9", "81.5"), ("10", "49.1"), ("13", "66.4"), ("14", "35.5")])
def test_cards_print_their_tables(card: str, number: str) -> None:
    said = CliRunner().invoke(weatherglass, ["reproduce", f"fan-table-{card}"], catch_exceptions=False)
    assert said.exit_code == 0
    assert number in said.output


def test_the_suite_is_the_cards_own() -> None:
    suites = {name: card.suite for name, card in CARDS.items()}
    assert suites["fan-table-9"] == suites["fan-table-13"] == "cityscapes-c"
    assert suites["fan-table-10"] == suites["fan-table-14"] == "coco-c"
    assert suites["fan-table-8"] == "imagenet-c"


@pytest.mark.slow
def test_the_small_form_on_scenes(tmp_path: Path) -> None:
    models = [
        f"{row}={Path(__file__).parent}/memory_detector.py:{name}"
        for row, name in (("Swin-T", "shaky"), ("FAN-S-Hybrid", "steady"))
    ]
    given = [
        "reproduce",
        "fan-table-10",
        *models,
        "--data",
        "scene-objects:2@48x64",
        "--store",
        str(tmp_path / "store"),
    ]
    done = CliRunner().invoke(weatherglass, [*given, "--output", str(tmp_path / "card")], catch_exceptions=False)
    assert done.exit_code == 0, done.output
    assert "coco-c (16 corruptions x 5 severities)" in done.output
    assert (tmp_path / "card" / "tables.md").is_file()
