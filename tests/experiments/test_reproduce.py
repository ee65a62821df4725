"""Cards: published numbers as printed, studies whose findings are known, and the verb around them."""

from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner
from synthetic import full_grid, new_store, put_run

from weatherglass.cli.main import weatherglass
from weatherglass.errors import UnknownName, UserError
from weatherglass.experiments.cards import CARDS
from weatherglass.experiments.figures import FIGURES
from weatherglass.experiments.findings import CHECKS, findings_of, slopes_of
from weatherglass.experiments.published import published_table
from weatherglass.experiments.study import Member, Study, short_name, study_of
from weatherglass.experiments.tables import beside_table, grid_table, printed_table, study_table
from weatherglass.metrics.scaling import fit_size

IMAGES = 600


def test_published_numbers_are_as_printed() -> None:
    table = published_table("table8")
    assert len(table.rows) == 24
    row = next(row for row in table.rows if row.model == "ResNet18")
    assert row.values == {"params": 11, "flops": 1.8, "in1k": 69.9, "inc": 32.7, "retention": 46.8}
    assert any("82.9" in doubt for doubt in table.doubts)
    assert [len(published_table(f"table{k}").rows) for k in range(1, 15)] == [
        *(4, 5, 4, 2, 4, 3, 6, 24, 20, 10, 21, 25, 19, 10),
    ]
    with pytest.raises(UnknownName, match="published table"):
        published_table("table15")
    assert "ResNet-50∗" in [row[0] for row in printed_table("table4").rows]


def test_cards_name_what_exists() -> None:
    for card in CARDS.values():
        keys = {column.key for name in card.tables for column in published_table(name).columns}
        assert card.columns.keys() <= keys
        assert card.figure in FIGURES
        assert all(claim.check in {"", *CHECKS} for claim in card.claims)


def test_a_line_in_the_logarithm_of_the_size_is_found() -> None:
    sizes = np.array([1e5, 1e6, 1e7])
    fit = fit_size(0.9 - 0.1 * np.log10(sizes), sizes)
    assert (float(fit.intercept), float(fit.slope)) == pytest.approx((0.9, -0.1))
    assert float(fit.at(1e8)) == pytest.approx(0.1)
    alone = fit_size(np.array([[0.3, 0.5], [0.2, 0.4]]), np.array([1e6, 1e6]))
    assert alone.slope.tolist() == [0, 0]
    assert alone.intercept.tolist() == pytest.approx([0.4, 0.3])
    with pytest.raises(ValueError, match="positive"):
        fit_size(np.array([0.1]), np.array([0.0]))


def study(path: Path, rates: dict[str, tuple[float, float]]) -> Study:
    """Models by 'FAMILY,SHARE=name', each with its clean and shifted accuracy."""
    store = new_store(path)
    members = [Member.parse(text) for text in rates]
    runs, shifted = [], []
    for seed, (member, (clean, shift)) in enumerate(zip(members, rates.values(), strict=True)):
        luck = np.random.default_rng(seed).permutation(IMAGES)
        runs.append(put_run(store, member.spec, {"clean": luck < clean * IMAGES}, data="photos"))
        shifted.append(
            put_run(store, member.spec, {"clean": luck < shift * IMAGES}, data="imagenet-r:there", selection="r")
        )
    return study_of(members, runs, {"imagenet-r:there": tuple(shifted)})


def with_sizes(made: Study, sizes: list[float]) -> Study:
    """The same with other numbers of parameters; the made-up store knows one alone."""
    from dataclasses import replace

    rows = [replace(row, parameters=int(size)) for row, size in zip(made.rows, sizes, strict=True)]
    return replace(made, rows=tuple(rows))


GRID = {
    "ViT,5%=v1": (0.3, 0.2),
    "ResNet,5%=r1": (0.5, 0.4),
    "ViT,100%=v2": (0.8, 0.6),
    "ViT,100%=v3": (0.9, 0.8),
    "ResNet,100%=r2": (0.7, 0.5),
    "ResNet,100%=r3": (0.72, 0.5),
}


def test_two_shifted_sets_of_one_kind_keep_their_names(tmp_path: Path) -> None:
    store = new_store(tmp_path)
    right = np.arange(IMAGES) < 0.5 * IMAGES
    run = put_run(store, "a", {"clean": right}, data="photos")
    shifted = {
        name: (put_run(store, "a", {"clean": right}, data=name, selection=name),)
        for name in ("imagenet-r:here", "imagenet-r:there", "imagenet-a:there")
    }
    made = study_of([Member("a", "ViT")], [run], shifted)
    assert made.benchmarks == ("clean", "imagenet-r:here", "imagenet-r:there", "imagenet-a")


def test_claims_are_seen_where_they_hold(tmp_path: Path) -> None:
    made = with_sizes(study(tmp_path, GRID), [1e6, 1e6, 1e6, 1e7, 1e6, 1e7])
    assert made.benchmarks == ("clean", "imagenet-r")
    verdicts = {
        (name, finding.benchmark): finding.verdict
        for name in ("model-data-grid", "input-shifts", "model-size")
        for finding in findings_of(CARDS[name], made)
    }
    assert set(verdicts.values()) == {"seen"}
    slopes = {(one.family, one.share, one.benchmark): one.slope.value for one in slopes_of(made)}
    assert slopes["ViT", "100%", "clean"] == pytest.approx(-0.1)
    assert ("ViT", "5%", "clean") not in slopes
    opposite = {text.replace("ViT", "x").replace("ResNet", "ViT").replace("x", "ResNet"): r for text, r in GRID.items()}
    turned = with_sizes(study(tmp_path / "turned", opposite), [1e6, 1e6, 1e6, 1e7, 1e6, 1e7])
    assert {finding.verdict for finding in findings_of(CARDS["input-shifts"], turned)} == {"the opposite was seen"}


def test_a_study_without_the_models_says_what_it_needs(tmp_path: Path) -> None:
    made = study(tmp_path, {"ViT=v1": (0.5, 0.4), "ViT=v2": (0.6, 0.4)})
    for name in ("model-data-grid", "input-shifts", "model-size"):
        for finding in findings_of(CARDS[name], made):
            assert finding.verdict == "not measured"
            assert finding.measured.startswith("needs")
    assert made.rows[0].effective == {}


def test_tables_put_the_grid_in_order_and_the_paper_beside(tmp_path: Path) -> None:
    made = with_sizes(study(tmp_path, GRID), [1e6, 1e6, 1e6, 1e7, 1e6, 1e7])
    grid = grid_table(made, "clean")
    assert grid.columns == ("family", "parameters, M", "5%", "100%")
    assert [row[:2] for row in grid.rows] == [
        ("ResNet", "1.00"),
        ("ResNet", "10.00"),
        ("ViT", "1.00"),
        ("ViT", "10.00"),
    ]
    assert grid.rows[1][2] == "-"
    assert "imagenet-r, effective" in study_table(made).columns
    assert beside_table(CARDS["model-size"], made) is None
    named = study(tmp_path / "named", {"FAN-S-ViT=a": (0.825, 0.5), "mine=b": (0.5, 0.4)})
    beside = beside_table(CARDS["fan-table-11"], named)
    assert beside is not None
    first = dict(zip(beside.columns, beside.rows[0], strict=True))
    assert (first["in_r paper"], first["in_r difference"]) == ("50.4", "-0.4")
    assert first["in_a ours"] == "-"
    assert any("Not in the table: mine" in note for note in beside.notes)
    for draw in FIGURES.values():
        assert len(draw(made)["hconcat"]) == 2


def test_the_corrupted_accuracy_is_that_of_the_summary(tmp_path: Path) -> None:
    store = new_store(tmp_path)
    runs = [put_run(store, name, full_grid(200, 0.9, 0.6, seed)) for seed, name in enumerate("abc")]
    made = study_of([Member(run.model, "models") for run in runs], runs, {})
    for row in made.rows:
        assert row.summary.corrupted is not None
        assert row.accuracy["corrupted"].value == pytest.approx(row.summary.corrupted.value)
        assert row.accuracy["corrupted"].low == pytest.approx(row.summary.corrupted.low)


def test_names_of_members_and_benchmarks() -> None:
    assert Member.parse("ViT,20%=a.py:vit") == Member("a.py:vit", "ViT", "20%")
    assert Member.parse("a.py:vit") == Member("a.py:vit", "models")
    assert Member.parse("FAN-S-ViT=fan").group == "FAN-S-ViT"
    with pytest.raises(UserError, match="FAMILY,SHARE=SPEC"):
        Member.parse("=a")
    assert [short_name(n) for n in ("imagenet-r:x", "a.py:shift", "imagefolder:x", "made")] == [
        *("imagenet-r", "shift", "x", "made"),
    ]


def call(*arguments: str) -> str:
    done = CliRunner().invoke(weatherglass, ["reproduce", *arguments], catch_exceptions=False)
    assert done.exit_code == 0, done.output
    return done.output


def test_the_verb_lists_prints_and_measures(tmp_path: Path) -> None:
    assert "model-size" in call()
    assert "87.1" in call("fan-table-11")
    said = call(
        *(
            "model-size",
            "CNN=digits_cnn",
            "ViT=digits_vit",
            "--data",
            "digits:test",
            "--limit",
            "20",
            "--suite",
            "none",
        ),
        *("--store", str(tmp_path / "run"), "--output", str(tmp_path / "out")),
    )
    assert "not measured; needs two sizes of transformers and two of ResNets" in " ".join(said.split())
    assert {path.name for path in (tmp_path / "out").iterdir()} == {
        *("tables.md", "numbers.json", "figure.svg", "figure.png"),
    }
    with pytest.raises(UserError, match="give --data"):
        call("model-size", "digits_cnn")
    with pytest.raises(UserError, match="digits_cnn is given twice"):
        call("model-size", "digits_cnn", "digits_cnn", "--data", "digits:test", "--store", str(tmp_path / "other"))
