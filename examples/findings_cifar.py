"""The tables of docs/findings: what `train_study.py` trained, side by side on CIFAR-10.

    SHEETS=path/to/data python examples/findings_cifar.py --trained trained --store runs/study

Measures every finished network that the store does not hold yet (clean on all test images; clean and 19 corruptions
at five severities on a stratified part of them; clean on the natural shift), then prints Markdown. Trainings of one
recipe are averaged; intervals count images and, by the recipes that were trained more than once, the luck of training.
"""

import argparse
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from train_study import PARTS, RECIPES

from weatherglass.corruptions.suites import SUITES
from weatherglass.data.load import load_data
from weatherglass.evaluation.evaluate import EvaluationSettings, evaluate
from weatherglass.evaluation.runs import Run
from weatherglass.experiments.study import Member, Study, StudyRow, study_of
from weatherglass.experiments.tables import averaged, in_points
from weatherglass.metrics.intervals import Estimate
from weatherglass.models.load import load_predictor
from weatherglass.report.charts import MODEL_COLOURS, MUTED, write_chart
from weatherglass.training.ablation_recipes import HEADS
from weatherglass.training.files import finished

SHEETS = f"{Path(__file__).parent}/shared_sheets.py"
REFERENCE = "resnet-micro seed 0"
ALL, SHIFT = "all test images", "shift"
MEASURES = (ALL, "corrupted", "retention", SHIFT)


@dataclass(frozen=True)
class Section:
    """Recipes that answer one question together."""

    title: str
    recipes: tuple[str, ...]
    pairs: tuple[tuple[str, str], ...]
    """What is compared with what, on the same images: does the second do better?"""
    families: bool = False
    """Also by family of corruptions?"""


def _against_fan(kind: str) -> Section:
    recipes = [f"fan-vit-micro-{kind}-{heads}" for heads in HEADS]
    # Five heads, in the middle of the sweep, are fan-vit-micro itself.
    order = sorted([("fan-vit-micro", 5), *zip(recipes, HEADS, strict=True)], key=lambda named: named[1])
    title = "Heads at a fixed width" if kind == "heads" else "Heads of the tokens alone"
    return Section(title, tuple(name for name, _ in order), tuple(("fan-vit-micro", recipe) for recipe in recipes))


SECTIONS = (
    Section(
        "Families, and forms of channel attention",
        (
            *("fan-vit-micro-se", "fan-vit-micro-constant", "fan-vit-micro", "fan-vit-micro-sa", "fan-hybrid-micro"),
            *("vit-micro-deep", "vit-micro", "fan-swin-micro", "swin-micro", "fan-convnext-micro", "convnext-micro"),
            *("resnet-micro", "resnet-micro-se"),
        ),
        (
            ("vit-micro-deep", "fan-vit-micro"),
            ("vit-micro-deep", "fan-hybrid-micro"),
            ("vit-micro-deep", "fan-vit-micro-constant"),
            ("fan-vit-micro-constant", "fan-vit-micro"),
            ("fan-vit-micro-se", "fan-vit-micro"),
            ("fan-vit-micro-sa", "fan-vit-micro"),
            ("swin-micro", "fan-swin-micro"),
            ("convnext-micro", "fan-convnext-micro"),
            ("resnet-micro", "resnet-micro-se"),
            ("resnet-micro", "fan-vit-micro"),
            ("resnet-micro", "fan-hybrid-micro"),
            ("resnet-micro", "vit-micro-deep"),
        ),
        families=True,
    ),
    _against_fan("heads"),
    _against_fan("token-heads"),
    Section(
        "The ladder of training tricks",
        ("vit-micro-plain", "vit-micro", "vit-micro-deep", "vit-micro-distilled"),
        (("vit-micro-plain", "vit-micro"), ("vit-micro", "vit-micro-deep"), ("vit-micro-deep", "vit-micro-distilled")),
    ),
    Section(
        "The parts of the recipe alone",
        ("vit-micro-plain", *(f"vit-micro-only-{part}" for part in PARTS), "vit-micro"),
        tuple(("vit-micro-plain", f"vit-micro-only-{part}") for part in PARTS),
    ),
    Section(
        "The ladder of the ResNet",
        ("resnet-micro-plain", "resnet-micro", "resnet-micro-strided"),
        (("resnet-micro-plain", "resnet-micro"), ("resnet-micro", "resnet-micro-strided")),
    ),
)


@dataclass(frozen=True)
class Findings:
    """The same networks in the same order, under the 15 corruptions of ImageNet-C and under FAN's 17."""

    fifteen: Study
    seventeen: Study


def trained(folder: Path) -> list[Member]:
    """Every finished training, recipe by recipe."""
    return [
        Member(str(place / "model.safetensors"), recipe)
        for recipe in RECIPES
        for place in sorted(folder.glob(f"{recipe}-seed[0-9]*"))
        if finished(place / "model.safetensors")
    ]


def measured(members: Sequence[Member], store: Path, limit: int) -> Findings:
    """The studies of the networks; what the stores hold already is not measured again."""
    names = [Path(member.spec).parent.name.replace("-seed", " seed ") for member in members]
    predictors = [load_predictor(member.spec) for member in members]
    for name, predictor in zip(names, predictors, strict=True):
        predictor.name = name
    settings = EvaluationSettings(batch_size=128)
    test, every, shift = (
        load_data(f"{SHEETS}:cifar10_test", limit=limit),
        load_data(f"{SHEETS}:cifar10_test"),
        load_data(f"{SHEETS}:natural_shift"),
    )
    runs = evaluate(predictors, data=test, store=store / "test", suite="all", settings=settings).runs
    clean = {
        name: evaluate(predictors, data=data, store=store / folder, disturbances=["clean"], settings=settings).runs
        for name, folder, data in ((ALL, "clean", every), (SHIFT, "shift", shift))
    }
    whole = runs[names.index(REFERENCE)] if REFERENCE in names else None
    fifteen = [_under(run, "imagenet-c") for run in runs]
    return Findings(
        study_of(members, fifteen, clean, reference=whole and _under(whole, "imagenet-c")),
        study_of(members, [_under(run, "fan17") for run in runs], {}),
    )


def _under(run: Run, suite: str) -> Run:
    """The run's cells, clean and of this suite."""
    wanted = {"clean", *(f"{kind}@{severity:g}" for kind, severity in SUITES[suite].conditions)}
    return replace(run, records={text: record for text, record in run.records.items() if text in wanted})


def worth_showing(measured: set[str]) -> list[Section]:
    """The sections that compare something; where none does, those that hold anything."""
    comparing = [section for section in SECTIONS if any(measured.issuperset(pair) for pair in section.pairs)]
    return comparing or [section for section in SECTIONS if measured.intersection(section.recipes)]


def table(findings: Findings, section: Section) -> None:
    """One row a recipe."""
    fifteen, seventeen = findings.fifteen, findings.seventeen
    columns = ("parameters", "seeds", "clean, 10,000", "corrupted, 15", "corrupted, 17", "retention, 15", "mCE", SHIFT)
    print(f"\n| recipe | {' | '.join(columns)} |\n|---|---:|---:|{'---|' * (len(columns) - 2)}")
    for recipe in section.recipes:
        places = fifteen.positions(recipe)
        if not places:
            continue
        rows, wider = ([study.rows[k] for k in places] for study in (fifteen, seventeen))
        cells = [
            averaged(fifteen, rows, ALL),
            averaged(fifteen, rows, "corrupted"),
            averaged(seventeen, wider, "corrupted"),
            averaged(fifteen, rows, "retention"),
            averaged(fifteen, rows, "mce"),
            averaged(fifteen, rows, SHIFT),
        ]
        texts = ["-" if cell is None else cell.percent() for cell in cells]
        print(f"| `{recipe}` | {rows[0].parameters / 1000:.0f} k | {len(rows)} | {' | '.join(texts)} |")


def families(study: Study, section: Section) -> None:
    """One row a recipe: accuracy by family of corruptions."""
    names = list(study.rows[0].summary.families)
    print(f"\n| recipe | {' | '.join(names)} |\n|---|{'---|' * len(names)}")
    for recipe in section.recipes:
        if rows := study.positions(recipe):
            found = [np.mean([study.rows[k].summary.families[name].value for k in rows]) for name in names]
            print(f"| `{recipe}` | {' | '.join(f'{100 * mean:.1f}' for mean in found)} |")


def comparisons(study: Study, section: Section) -> None:
    """One row a pair of recipes: differences in points."""
    print(f"\n| second against first | seeds | {' | '.join(MEASURES)} |\n|---|---|{'---|' * len(MEASURES)}")
    for one, other in section.pairs:
        first, second = study.positions(one), study.positions(other)
        if first and second:
            found = [study.difference(measure, first, second) for measure in MEASURES]
            cells = ["-" if each is None else f"{in_points(each)} {_verdict(each)}" for each in found]
            print(f"| `{other}` against `{one}` | {len(second)}, {len(first)} | {' | '.join(cells)} |")


def luck(study: Study) -> None:
    """How far trainings of one recipe lie apart, where any was trained more than once."""
    found = [(measure, noise) for measure in MEASURES if (noise := study.noise(measure))]
    if found:
        print("\n## Standard deviation of a training about its recipe\n")
    for measure, noise in found:
        print(f"- {measure}: {100 * noise.deviation:.2f} points, {noise.degrees} degrees of freedom")


def _verdict(found: Estimate) -> str:
    if found.low <= 0 <= found.high:
        return "="
    return "better" if found.value > 0 else "worse"


SHOWN: dict[str, Callable[[StudyRow], Estimate | None]] = {
    "clean": lambda row: row.accuracy[ALL],
    "corrupted": lambda row: row.accuracy["corrupted"],
    "retention": lambda row: row.summary.retention,
}
PANELS = ((("clean", "corrupted"), "accuracy, %"), (("retention",), "retention, %"))


def figure(study: Study, output: Path) -> None:
    """Clean and corrupted accuracy and what is kept, of every training, with intervals over images."""
    rows: list[dict[str, Any]] = [
        {"recipe": row.member.family, "measure": measure, "value": 100 * found.value}
        | {"low": 100 * found.low, "high": 100 * found.high}
        for row in study.rows
        for measure, read in SHOWN.items()
        if (found := read(row)) is not None
    ]
    corrupted = {
        rows[0].member.family: np.mean([row.accuracy["corrupted"].value for row in rows]) for rows in study.trainings
    }
    order = sorted(corrupted, key=lambda name: -corrupted[name])
    panels = [_panel(order, *panel) for panel in PANELS]
    write_chart({"hconcat": panels, "data": {"values": rows}, "resolve": {"scale": {"color": "independent"}}}, output)


def _panel(order: list[str], measures: tuple[str, ...], title: str) -> dict[str, Any]:
    axis = {"title": None} if len(measures) > 1 else None
    legend = {"title": None, "orient": "top"} if len(measures) > 1 else None
    colour = {"domain": list(measures), "range": [MUTED, MODEL_COLOURS[1]] if legend else [MODEL_COLOURS[0]]}
    shared = {
        "y": {"field": "recipe", "type": "nominal", "sort": order, "axis": axis},
        "color": {"field": "measure", "type": "nominal", "scale": colour, "legend": legend},
    }
    place = {"type": "quantitative", "title": title, "scale": {"zero": False}}
    return {
        "width": 300,
        "height": {"step": 20},
        "transform": [{"filter": {"field": "measure", "oneOf": list(measures)}}],
        "layer": [
            {"mark": "rule", "encoding": shared | {"x": {"field": "low"} | place, "x2": {"field": "high"}}},
            {
                "mark": {"type": "point", "filled": True, "size": 40, "opacity": 1},
                "encoding": shared | {"x": {"field": "value"} | place},
            },
        ],
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=str(__doc__).splitlines()[0])
    parser.add_argument("--trained", type=Path, default=Path("trained"))
    parser.add_argument("--store", type=Path, default=Path("runs/study"))
    parser.add_argument("--limit", type=int, default=1000, help="test images under corruption, as many of each class")
    parser.add_argument("--figure", type=Path, help="also draw the networks side by side: .png, .svg, .pdf, .html")
    arguments = parser.parse_args()
    members = trained(arguments.trained)
    if not members:
        parser.error(f"{arguments.trained} holds no finished training; see train_study.py")
    findings = measured(members, arguments.store, arguments.limit)
    study = findings.fifteen
    for section in worth_showing(set(study.families)):
        print(f"\n## {section.title}")
        table(findings, section)
        comparisons(study, section)
        if section.families:
            families(study, section)
    luck(study)
    if arguments.figure:
        figure(study, arguments.figure)


if __name__ == "__main__":
    main()
