"""The tables of docs/findings: what `train_study.py` trained, side by side on CIFAR-10.

    SHEETS=path/to/data python examples/findings_cifar.py --trained trained --store runs/study

Measures every finished network that the store does not hold yet (clean on all test images; clean and 19 corruptions
at five severities on a class-balanced part of them; clean on the natural shift), then prints Markdown. Trainings of one
recipe are averaged; intervals count images and, by the recipes that were trained more than once, the luck of training.
"""

import argparse
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from train_study import RECIPES

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
PAIRS = (
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
    ("vit-micro-plain", "vit-micro"),
    ("vit-micro", "vit-micro-deep"),
    ("vit-micro-deep", "vit-micro-distilled"),
    *(("fan-vit-micro", f"fan-vit-micro-heads-{heads}") for heads in HEADS),
)
"""What is compared with what, on the same images: does the second do better?"""


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


def table(findings: Findings) -> None:
    """One row a recipe."""
    fifteen, seventeen = findings.fifteen, findings.seventeen
    columns = ("parameters", "seeds", "clean, 10,000", "corrupted, 15", "corrupted, 17", "retention, 15", "mCE", SHIFT)
    print(f"| recipe | {' | '.join(columns)} |\n|---|---:|---:|{'---|' * (len(columns) - 2)}")
    for rows, wider in zip(fifteen.trainings, seventeen.trainings, strict=True):
        cells = [
            averaged(fifteen, rows, ALL),
            averaged(fifteen, rows, "corrupted"),
            averaged(seventeen, wider, "corrupted"),
            averaged(fifteen, rows, "retention"),
            averaged(fifteen, rows, "mce"),
            averaged(fifteen, rows, SHIFT),
        ]
        texts = ["-" if cell is None else cell.percent() for cell in cells]
        print(f"| `{rows[0].member.family}` | {rows[0].parameters / 1000:.0f} k | {len(rows)} | {' | '.join(texts)} |")


def families(study: Study) -> None:
    """One row a recipe: accuracy by family of corruptions."""
    names = list(study.rows[0].summary.families)
    print(f"\n| recipe | {' | '.join(names)} |\n|---|{'---|' * len(names)}")
    for rows in study.trainings:
        means = [f"{100 * np.mean([row.summary.families[name].value for row in rows]):.1f}" for name in names]
        print(f"| `{rows[0].member.family}` | {' | '.join(means)} |")


def comparisons(study: Study) -> None:
    """One row a pair of recipes: differences in points."""
    measures = (ALL, "corrupted", "retention", SHIFT)
    print(f"\n| second against first | seeds | {' | '.join(measures)} |\n|---|---|{'---|' * len(measures)}")
    for pair in PAIRS:
        first, second = ([k for k, row in enumerate(study.rows) if row.member.family == recipe] for recipe in pair)
        if first and second:
            found = [study.difference(measure, first, second) for measure in measures]
            cells = [f"{in_points(one)} {_verdict(one)}" for one in found]
            print(f"| {pair[1]} against {pair[0]} | {len(second)}, {len(first)} | {' | '.join(cells)} |")
    noises = [(measure, study.noise(measure)) for measure in measures]
    for measure, noise in noises:
        if noise is not None:
            print(f"\n{measure}: trainings of a recipe deviate by {100 * noise.deviation:.2f} points ({noise.degrees})")


def _verdict(found: Estimate) -> str:
    if found.low <= 0 <= found.high:
        return "cannot be told apart"
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
    parser.add_argument("--limit", type=int, default=1000, help="test images under corruption, balanced over classes")
    parser.add_argument("--figure", type=Path, help="also draw the networks side by side: .png, .svg, .pdf, .html")
    arguments = parser.parse_args()
    members = trained(arguments.trained)
    if not members:
        parser.error(f"{arguments.trained} holds no finished training; see train_study.py")
    findings = measured(members, arguments.store, arguments.limit)
    table(findings)
    families(findings.fifteen)
    comparisons(findings.fifteen)
    if arguments.figure:
        figure(findings.fifteen, arguments.figure)


if __name__ == "__main__":
    main()
