"""The page says what was measured, loads nothing, runs nothing that came from a file, and stays small."""

import re
import shutil
import subprocess
from base64 import b64encode
from collections import Counter
from dataclasses import replace
from hashlib import sha256
from html.parser import HTMLParser
from pathlib import Path

import msgspec
import pytest
from click.testing import CliRunner
from synthetic_store import Recipe, make_store

import weatherglass
from weatherglass.cli.report import command
from weatherglass.errors import UserError
from weatherglass.evaluation.record import FailedCell
from weatherglass.evaluation.runs import runs_of
from weatherglass.evaluation.store import Store
from weatherglass.evaluation.summary import summarise
from weatherglass.report.document import Report, report
from weatherglass.report.words import percent

VOID = {"meta", "col", "img", "br", "input", "link", "hr"}
HOSTILE = "<script>alert(1)</script>\"'&</script><img src=x onerror=alert(2)>"
RIGHT_TO_LEFT = "نموذج\u202e gnp.exe"
LONG = "a" * 400


class Outline(HTMLParser):
    """Elements, attributes and text of a page; complains about tags that do not nest."""

    def __init__(self, html: str) -> None:
        super().__init__(convert_charrefs=True)
        self.open: list[str] = []
        self.tags: Counter[str] = Counter()
        self.attributes: list[tuple[str, str, str]] = []
        self.ids: list[str] = []
        self.text: list[str] = []
        self.content: dict[str, list[str]] = {"style": [], "script": []}
        self.feed(html)
        self.close()
        assert self.open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags[tag] += 1
        self.attributes += [(tag, name, value or "") for name, value in attrs]
        self.ids += [value or "" for name, value in attrs if name == "id"]
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags[tag] += 1
        self.attributes += [(tag, name, value or "") for name, value in attrs]

    def handle_endtag(self, tag: str) -> None:
        assert self.open and self.open.pop() == tag, f"</{tag}> closes {self.open[-3:]}"

    def handle_data(self, data: str) -> None:
        if self.open and self.open[-1] in self.content:
            self.content[self.open[-1]].append(data)
        else:
            self.text.append(data)

    @property
    def words(self) -> str:
        return " ".join(" ".join(self.text).split())


def page_of(folder: Path, recipe: Recipe) -> tuple[Report, Outline]:
    made = report(make_store(folder / "store", recipe))
    return made, Outline(made.html)


@pytest.fixture(scope="module")
def full(tmp_path_factory: pytest.TempPathFactory) -> tuple[Report, Outline]:
    recipe = Recipe(failed=("fog@5",), unreadable=("train/3/bad.png: truncated file",))
    return page_of(tmp_path_factory.mktemp("full"), recipe)


def test_every_part_is_there(full: tuple[Report, Outline]) -> None:
    _, page = full
    sections = {"short", "models", "heat", "curves", "worst", "failing", "classes", "gallery", "calibration"}
    assert sections | {"gaps", "protocol", "methods"} <= set(page.ids)
    targets = {value[1:] for tag, name, value in page.attributes if (tag, name) == ("a", "href")}
    assert targets <= set(page.ids)
    assert page.tags["img"] >= 12
    # 15 curves, 3 pictures of failing severities, 3 of reliability, and the bars.
    assert page.tags["svg"] > 60


def test_the_numbers_are_those_of_the_summary(full: tuple[Report, Outline]) -> None:
    made, page = full
    for run in runs_of(made.content.stores[0]):
        summary = summarise(run)
        assert summary.top1 and summary.corrupted and summary.retention
        for estimate in (summary.top1, summary.corrupted, summary.retention):
            assert percent(estimate.value) in page.words
            assert f"{100 * estimate.low:.1f}–{100 * estimate.high:.1f}" in page.words
    [embedded] = [text for text in page.content["script"] if text.startswith("{")]
    numbers = msgspec.json.decode(embedded)
    assert len(numbers["runs"]) == 3
    assert set(numbers["runs"][0]["metrics"]) >= {"top1", "corrupted", "retention", "fog", "fog@3", "weather"}


def test_gaps_are_shown(full: tuple[Report, Outline]) -> None:
    _, page = full
    assert "small_vit: fog@5: the model returned NaN" in page.words
    assert "train/3/bad.png: truncated file" in page.words
    assert "the means are provisional" in page.words


def test_the_page_loads_nothing(full: tuple[Report, Outline]) -> None:
    made, page = full
    assert not page.tags.keys() & {
        "link",
        "iframe",
        "object",
        "embed",
        "base",
        "form",
        "video",
        "audio",
        "use",
        "image",
    }
    loading = {"src", "srcset", "href", "xlink:href", "action", "data", "poster", "background"}
    for tag, name, value in page.attributes:
        if name in loading:
            assert value.startswith(("#", "data:image/")), f"<{tag} {name}={value[:60]!r}> points outside"
        assert name != "style", "style attributes are refused by the page's own policy"
        assert not name.startswith("on")
    style = "".join(page.content["style"])
    assert "url(" not in style
    assert "@import" not in style
    script = page.content["script"][-1]
    assert not re.search(r"https?:|fetch|XMLHttpRequest|import\(|eval|innerHTML", script)
    assert len(made.html) < 5_000_000


def test_the_policy_allows_this_style_and_script_alone(full: tuple[Report, Outline]) -> None:
    _, page = full
    [policy] = [value for tag, name, value in page.attributes if name == "content" and "default-src" in value]
    assert "default-src 'none'" in policy
    assert "unsafe" not in policy
    for element in ("style", "script"):
        digest = b64encode(sha256(page.content[element][-1].encode()).digest()).decode()
        assert f"{element}-src 'sha256-{digest}'" in policy


def test_names_from_files_are_text(tmp_path: Path) -> None:
    recipe = Recipe(
        models=(HOSTILE, RIGHT_TO_LEFT, LONG),
        classes=(HOSTILE, RIGHT_TO_LEFT, LONG, "plain"),
        kinds=("fog", "snow"),
        samples=60,
        ids=HOSTILE + "{:05d}",
        data=HOSTILE,
        failed=("fog@1",),
        reason=HOSTILE,
        unreadable=(HOSTILE,),
    )
    made, page = page_of(tmp_path, recipe)
    assert page.tags["script"] == 2
    assert "onerror" not in {name for _, name, _ in page.attributes}
    assert "<script>alert" not in made.html
    assert "<script>alert(1)</script>" in page.words
    assert all(len(label.label) <= 44 for label in made.content.models)
    assert RIGHT_TO_LEFT in page.words
    # A direction override inside a sentence would turn the rest of the sentence around.
    sentences = " ".join(made.content.models[i].label for i in range(3))
    assert "\u202e" not in sentences
    assert made.save_figures(tmp_path / "figures")


@pytest.mark.parametrize(
    ("recipe", "said"),
    [
        (Recipe(models=("vit",), samples=120), "keeps"),
        (Recipe(models=("vit",), kinds=("fog",), severities=(3,), samples=120), "fog, severity 3"),
        (Recipe(models=("vit", "cnn"), kinds=(), samples=120), "Nothing was disturbed"),
        (Recipe(models=("vit",), clean=False, kinds=("fog", "snow"), samples=120), "without a clean measurement"),
        (
            Recipe(models=("vit",), kinds=("fog",), failed=("clean", "fog@1", "fog@2"), samples=30),
            "could not be measured",
        ),
        (Recipe(models=("vit",), kinds=("fog",), samples=3), "fewer than 100 images"),
        (Recipe(models=("vit",), kinds=("attack",), severities=(2, 7), samples=50), "attack"),
        (
            Recipe(models=("vit", "cnn"), kinds=("fog",), samples=120, protocols=({}, {"precision": "float16"})),
            "differ",
        ),
        (
            Recipe(models=("vit", "vit"), kinds=("fog",), samples=120, protocols=({}, {"precision": "float16"})),
            "precision float16",
        ),
        (
            Recipe(models=("vit", "cnn"), kinds=("fog",), samples=120, protocols=({}, {"data": "e" * 32})),
            "they are not compared",
        ),
    ],
    ids=["one model", "one cell", "clean only", "no clean", "failures", "tiny", "other", "protocols", "twice", "data"],
)
def test_unusual_stores_give_sensible_pages(tmp_path: Path, recipe: Recipe, said: str) -> None:
    made, page = page_of(tmp_path, recipe)
    assert said in page.words
    assert "nan" not in re.findall(r"\w+", page.words.lower()) or "NaN" in recipe.reason
    assert "None" not in page.words
    assert {value[1:] for tag, name, value in page.attributes if (tag, name) == ("a", "href")} <= set(page.ids)
    assert made.save_figures(tmp_path / "figures")


def test_best_is_only_said_of_a_lead_beyond_chance(tmp_path: Path) -> None:
    _, equal = page_of(tmp_path / "equal", Recipe(models=("vit", "cnn"), kinds=("fog",), samples=60))
    assert "Whether it is really the best is open" in equal.words
    assert "holds best" not in equal.words
    _, apart = page_of(tmp_path / "apart", Recipe(models=("vit", "cnn"), kinds=("fog",), samples=100, gap=3))
    assert "holds best" in apart.words
    assert "significant" in apart.words


def test_data_of_one_name_are_told_apart(tmp_path: Path) -> None:
    recipe = Recipe(models=("vit", "vit"), kinds=("fog",), samples=60, protocols=({}, {"data": "e" * 32}))
    made, page = page_of(tmp_path, recipe)
    assert {group.name for group in made.content.groups} == {"digits (d1d1d1d1)", "digits (eeeeeeee)"}
    assert {view.label for view in made.content.models} == {"vit · data digest d1d1d1d1", "vit · data digest eeeeeeee"}
    assert "Is the difference real?" not in page.words


def test_models_that_failed_throughout_are_named(tmp_path: Path) -> None:
    store = make_store(tmp_path / "store", Recipe(models=("vit",), kinds=("fog",), samples=30))
    record = store.records()[0]
    cell = replace(record.cell, model="dead/model")
    store.put_failure(
        FailedCell(key="f" * 32, cell=cell, protocol=record.protocol, reason="checkpoint of another size")
    )
    assert "dead/model: clean: checkpoint of another size" in Outline(report(store).html).words


def test_two_stores_make_one_page(tmp_path: Path) -> None:
    a = make_store(tmp_path / "a", Recipe(models=("vit",), kinds=("fog",), samples=60))
    make_store(tmp_path / "b", Recipe(models=("vit", "cnn"), kinds=("fog",), samples=60))
    made = weatherglass.report(a, tmp_path / "b")
    assert sorted(view.label for view in made.content.models) == ["cnn", "vit"]


def test_the_package_is_the_function(tmp_path: Path) -> None:
    store = make_store(tmp_path / "store", Recipe(models=("vit",), kinds=("fog",), samples=30))
    from weatherglass.report import Report, report

    assert isinstance(weatherglass.report(store.path), Report)
    assert isinstance(report(store.path), Report)
    with pytest.raises(AttributeError, match="no attribute 'repot'"):
        weatherglass.report.repot  # noqa: B018


def test_stores_that_cannot_be_reported(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="There is no Weatherglass store"):
        report(tmp_path / "absent")
    with pytest.raises(UserError, match="no measured cells yet"):
        report(Store(tmp_path / "empty", create=True))


def test_a_large_store_stays_bounded(tmp_path: Path) -> None:
    recipe = Recipe(
        models=tuple(f"timm/model_{i:02d}" for i in range(20)),
        kinds=("fog",),
        severities=(1, 5),
        classes=tuple(f"class {i}" for i in range(1000)),
        samples=1000,
        pictures=1,
        unreadable=tuple(f"broken/{i}.jpg" for i in range(500)),
    )
    made, page = page_of(tmp_path, recipe)
    assert len(made.html) < 3_000_000
    assert "and 488 more" in page.words
    assert "and 988 more" in page.words
    assert page.tags["img"] <= 60


def test_figures_and_tables_as_files(full: tuple[Report, Outline], tmp_path: Path) -> None:
    made, _ = full
    written = {path.name for path in made.save_figures(tmp_path / "figures")}
    assert written == {path.name for path in (tmp_path / "figures").iterdir()}
    assert {
        "severity-curves.svg",
        "severity-curves.png",
        "severity-curves.vl.json",
        "tables.md",
        "tables.tex",
    } <= written
    for path in (tmp_path / "figures").glob("*.png"):
        assert path.read_bytes().startswith(b"\x89PNG")
    assert "small_fan" in (tmp_path / "figures" / "tables.md").read_text().replace("\\_", "_")


def test_the_verb_writes_the_page(tmp_path: Path) -> None:
    make_store(tmp_path / "store", Recipe(models=("vit",), kinds=("fog",), samples=60))
    page, figures = tmp_path / "page.html", tmp_path / "figures"
    arguments = [str(tmp_path / "store"), "--output", str(page), "--figures", str(figures)]
    result = CliRunner().invoke(command, arguments)
    assert result.exit_code == 0, result.output
    assert f"Wrote {page}" in result.output
    assert (figures / "heat-map-01-vit.svg").is_file()
    refused = CliRunner().invoke(command, [str(tmp_path / "absent"), "-o", str(page)])
    assert isinstance(refused.exception, UserError)


def test_a_reference_run_gives_mce(tmp_path: Path) -> None:
    store = make_store(tmp_path / "store", Recipe(models=("vit", "cnn"), samples=60))
    page = Outline(report(store, reference=f"{store.path}::cnn").html)
    assert "reference: cnn; less is better" in page.words
    assert "CE(c) =" in page.words


@pytest.mark.skipif(shutil.which("chromium") is None, reason="needs the browser 'chromium'")
def test_a_browser_shows_it_without_complaint(full: tuple[Report, Outline], tmp_path: Path) -> None:
    made, _ = full
    path = made.save(tmp_path / "report.html")
    command = ["chromium", "--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run"]
    command += ["--disable-background-networking", "--disable-component-update", "--disable-sync"]
    command += [
        f"--user-data-dir={tmp_path / 'profile'}",
        "--host-resolver-rules=MAP * ~NOTFOUND",
        "--enable-logging=stderr",
    ]
    command += ["--window-size=360,800", f"--screenshot={tmp_path / 'page.png'}", path.as_uri()]
    result = subprocess.run(command, capture_output=True, text=True, timeout=120, check=True)
    assert "Refused to" not in result.stderr
    assert "violates" not in result.stderr
    assert "Uncaught" not in result.stderr
    assert (tmp_path / "page.png").stat().st_size > 10_000
