"""The cards of FAN's ablations: rows by recipe, claims on pairs of rows, memory, a folder of trainings."""

import json
import shutil
from dataclasses import replace
from pathlib import Path

import pytest
from click.testing import CliRunner
from synthetic import full_grid, new_store, put_run

from weatherglass.cli.main import weatherglass
from weatherglass.errors import UserError
from weatherglass.experiments.ablations import ABLATIONS
from weatherglass.experiments.card import Card, Claim
from weatherglass.experiments.cards import CARDS
from weatherglass.experiments.figures import by_row
from weatherglass.experiments.findings import findings_of
from weatherglass.experiments.memory import training_memory
from weatherglass.experiments.published import published_table
from weatherglass.experiments.study import Member, Study, study_of
from weatherglass.experiments.tables import averaged, beside_table, row_names
from weatherglass.experiments.trained import trained_members
from weatherglass.training.recipes import RECIPES


@pytest.mark.parametrize("card", ABLATIONS.values(), ids=list(ABLATIONS))
def test_rows_and_recipes_of_a_card_exist(card: Card) -> None:
    assert set(card.recipes.values()) <= set(RECIPES)
    assert len(set(card.recipes.values())) == len(card.recipes)
    printed = {name for table in card.tables for name in row_names(published_table(table))}
    assert not printed or set(card.recipes) - {"constant gate"} <= printed
    for claim in card.claims:
        assert claim.pair is None or set(claim.pair) <= set(card.recipes)


def test_a_row_printed_three_times_has_three_names() -> None:
    names = row_names(published_table("table7"))
    assert names == ["ViT-S", "ViT-S + FAN", "Swin-T", "Swin-T + FAN", "ConvNeXt-T", "ConvNeXt-T + FAN"]
    assert row_names(published_table("table2"))[1] == "+ DeiT Recipe"


def ladder(path: Path, rates: dict[str, tuple[float, float]]) -> Study:
    """Runs whose clean and corrupted accuracies are known, one a row; a row may be given twice ('ECA#2')."""
    store = new_store(path)
    runs = [put_run(store, name, full_grid(200, *rate, seed)) for seed, (name, rate) in enumerate(rates.items())]
    return study_of([Member(run.model, run.model.partition("#")[0]) for run in runs], runs, {})


CARD = Card("Which?", "here", "small", "none", (Claim("B is ahead of A.", pair=("A", "B")),))


def test_the_second_of_a_pair_is_ahead_where_it_is(tmp_path: Path) -> None:
    made = ladder(tmp_path / "one", {"A": (0.9, 0.4), "B": (0.9, 0.7)})
    found = {finding.benchmark: finding for finding in findings_of(CARD, made)}
    assert found["corrupted"].verdict == found["retention"].verdict == "seen"
    assert found["clean"].verdict == "cannot be told"
    assert found["retention"].measured == "B minus A"
    a, b = made.rows
    assert a.summary.retention is not None
    assert b.summary.retention is not None
    assert found["retention"].estimate is not None
    expected = b.summary.retention.value - a.summary.retention.value
    assert found["retention"].estimate.value == pytest.approx(expected)
    turned = replace(CARD, claims=(replace(CARD.claims[0], pair=("B", "A"), on=("corrupted",)),))
    assert [finding.verdict for finding in findings_of(turned, made)] == ["the opposite was seen"]
    missing = replace(CARD, claims=(replace(CARD.claims[0], pair=("A", "C")),))
    assert {finding.verdict for finding in findings_of(missing, made)} == {"not measured"}


def test_trainings_of_a_row_are_averaged(tmp_path: Path) -> None:
    made = ladder(tmp_path, {"A": (0.9, 0.4), "B": (0.8, 0.5), "B#2": (0.6, 0.5)})
    clean = next(finding for finding in findings_of(CARD, made) if finding.benchmark == "clean")
    assert clean.measured == "B minus A, 2 and 1 trainings"
    assert clean.estimate is not None
    first, *others = (row.accuracy["clean"].value for row in made.rows)
    assert clean.estimate.value == pytest.approx(sum(others) / 2 - first)
    panels = by_row(made)["hconcat"]
    assert [len(panel["data"]["values"]) for panel in panels] == [3, 3, 3]


def test_claims_and_tables_count_the_luck_of_training(tmp_path: Path) -> None:
    one, other = "FAN-ViT-S-SE", "FAN-ViT-S-ECA"
    made = ladder(tmp_path, {one: (0.7, 0.4), other: (0.8, 0.5), f"{other}#2": (0.6, 0.5)})
    noise = made.noise("clean")
    assert noise is not None
    apart = abs(made.points["clean"][1] - made.points["clean"][2]) / 2**0.5
    assert 0.9 * apart < noise.deviation < apart  # less the luck of 200 images
    difference = made.difference("clean", [0], [1, 2])
    assert difference.high - difference.low > 2 * noise.margin([1, 2])  # one degree of freedom: nothing can be told
    beside = beside_table(CARDS["fan-table-6"], made)
    assert beside is not None
    assert [row[:2] for row in beside.rows] == [(one, "1"), (other, "2")]
    ours = [row[beside.columns.index("in1k ours")] for row in beside.rows]
    means = [made.points["clean"][0], made.points["clean"][1:].mean()]
    assert [text.split(" ")[0] for text in ours] == [f"{100 * mean:.1f}" for mean in means]
    assert any("count images and trainings" in note for note in beside.notes)


def test_a_model_that_is_never_right_leaves_the_others_their_claims(tmp_path: Path) -> None:
    made = ladder(tmp_path, {"A": (0.0, 0.0), "B": (0.8, 0.5), "B#2": (0.6, 0.5)})
    found = {finding.benchmark: finding for finding in findings_of(CARD, made)}
    assert found["clean"].verdict in ("seen", "cannot be told")
    assert (found["retention"].verdict, found["retention"].estimate) == ("cannot be told", None)
    assert "a clean score is 0" in found["retention"].measured
    noise = made.noise("retention")
    assert noise is not None
    assert noise.degrees == 1


def test_mce_of_trainings_by_a_run_that_is_one_of_them(tmp_path: Path) -> None:
    store = new_store(tmp_path)
    rates = {"B": 0.5, "B#2": 0.6}
    runs = [put_run(store, name, full_grid(100, 0.8, rate, k)) for k, (name, rate) in enumerate(rates.items())]
    made = study_of([Member(run.model, "B") for run in runs], runs, {}, reference=runs[0])
    each = [row.summary.mce for row in made.rows]
    assert each[0] is not None
    assert each[1] is not None
    assert (each[0].value, each[0].method) == (1.0, "exact")
    mean = averaged(made, made.rows, "mce")
    assert mean is not None
    assert mean.value == pytest.approx((1 + each[1].value) / 2)
    assert mean.low < each[1].low < mean.value < mean.high
    assert "[" in mean.percent()


def test_memory_stands_beside_the_papers(tmp_path: Path) -> None:
    made = ladder(tmp_path, {"FAN-ViT-S-SE": (0.9, 0.4), "FAN-ViT-S-ECA": (0.9, 0.7)})
    rows = tuple(replace(row, memory=memory) for row, memory in zip(made.rows, (210.4, None), strict=True))
    beside = beside_table(CARDS["fan-table-6"], replace(made, rows=rows))
    assert beside is not None
    place = beside.columns.index("mem paper")
    assert [row[place : place + 2] for row in beside.rows] == [("126", "210 MiB"), ("127", "-")]


@pytest.mark.slow
def test_a_step_on_more_images_needs_more_memory() -> None:
    few, many = (training_memory("digits_vit", images=images) for images in (32, 256))
    if few is None or many is None:
        pytest.skip("no /proc")
    assert many - few > 20


def call(*arguments: str) -> str:
    done = CliRunner().invoke(weatherglass, ["reproduce", *arguments], catch_exceptions=False)
    assert done.exit_code == 0, done.output
    return " ".join(done.output.split())


def test_the_verb_finds_the_trainings_of_a_card(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from importlib.resources import files

    weights = Path(str(files("weatherglass.models"))) / "weights"
    for recipe, name in {"resnet-micro-strided": "digits_cnn", "vit-micro-deep-seed3": "digits_vit"}.items():
        (tmp_path / "trained" / recipe).mkdir(parents=True)
        (tmp_path / "trained" / recipe / "model.safetensors").symlink_to(weights / f"{name}.safetensors")
        (tmp_path / "trained" / recipe / "recipe.toml").write_text("seed = 3\n")
    # Trained once more with the same seed: no second draw of the luck.
    shutil.copytree(tmp_path / "trained" / "vit-micro-deep-seed3", tmp_path / "trained" / "vit-micro-deep")
    members = trained_members(CARDS["fan-table-4"], tmp_path / "trained")
    assert [member.family for member in members] == ["ResNet-50", "ViT-S"]
    monkeypatch.chdir(tmp_path)
    said = call(
        *("fan-table-4", "--trained", "trained", "--data", "digits:test", "--limit", "20", "--suite", "none"),
        *("--output", "out"),
    )
    assert "table4 beside what was measured" in said
    assert "retention: not measured; needs corrupted images (--suite)" in said
    numbers = json.loads((tmp_path / "out" / "numbers.json").read_text())
    assert [row["model"]["family"] for row in numbers["rows"]] == ["ResNet-50", "ViT-S"]
    assert (tmp_path / "out" / "figure.png").is_file()


def test_mistakes_about_trainings_are_named(tmp_path: Path) -> None:
    assert "vit-micro-plain" in call("fan-table-2")
    with pytest.raises(UserError, match="not both"):
        call("fan-table-2", "digits_vit", "--trained", str(tmp_path), "--data", "digits")
    with pytest.raises(UserError, match="holds no finished training of vit-micro-plain"):
        call("fan-table-2", "--trained", str(tmp_path), "--data", "digits")
    with pytest.raises(UserError, match="no folder"):
        call("fan-table-2", "--trained", str(tmp_path / "none"), "--data", "digits")
    with pytest.raises(UserError, match="no recipes of its own"):
        call("model-size", "--trained", str(tmp_path), "--data", "digits")
