"""The tables of docs/findings: what `train_study.py` trained, side by side on CIFAR-10.

    SHEETS=path/to/data python examples/findings_cifar.py --trained trained --store runs/study

Measures every finished network that the store does not hold yet (clean and 19 corruptions at five severities on a
class-balanced part of the test images; clean on the natural shift), then prints Markdown. Every rate comes with its
interval over images; where there are several seeds, their mean and range stand in the table.
"""

import argparse
import json
from pathlib import Path
from typing import Any

import numpy as np
from safetensors import safe_open
from train_study import STUDY

from weatherglass.data.load import load_data
from weatherglass.evaluation.comparison import Comparison, compare
from weatherglass.evaluation.estimates import Summary
from weatherglass.evaluation.evaluate import EvaluationSettings, evaluate
from weatherglass.evaluation.runs import Run
from weatherglass.evaluation.summary import summarise
from weatherglass.metrics.intervals import Estimate, wilson_interval
from weatherglass.models.load import load_predictor
from weatherglass.report.charts import MODEL_COLOURS, MUTED, write_chart
from weatherglass.training.files import finished

SHEETS = f"{Path(__file__).parent}/shared_sheets.py"
REFERENCE = "resnet-micro"
PAIRS = (
    ("vit-micro-deep", "fan-vit-micro"),
    ("vit-micro-deep", "fan-hybrid-micro"),
    ("fan-vit-micro-constant", "fan-vit-micro"),
    ("fan-vit-micro-se", "fan-vit-micro"),
    ("fan-vit-micro-sa", "fan-vit-micro"),
    ("swin-micro", "fan-swin-micro"),
    ("convnext-micro", "fan-convnext-micro"),
    ("resnet-micro", "resnet-micro-se"),
    ("resnet-micro", "fan-vit-micro"),
    ("resnet-micro", "fan-hybrid-micro"),
)
"""What is compared with what, on the same images: does the second do better?"""

Networks = dict[tuple[str, int], Path]


def trained(folder: Path) -> Networks:
    """(recipe, seed) -> weights, in the order of the study."""
    found = {}
    for recipe in (*STUDY, "vit-micro-plain", "vit-micro-distilled"):
        for place in sorted(folder.glob(f"{recipe}-seed*")):
            if finished(place / "model.safetensors"):
                found[recipe, int(place.name.rpartition("seed")[2])] = place / "model.safetensors"
    return found


def measured(
    networks: Networks, store: Path, limit: int
) -> tuple[dict[tuple[str, int], Run], dict[tuple[str, int], Run]]:
    """The runs on the test images and on the natural shift; what the stores hold already is not measured again."""
    settings = EvaluationSettings(batch_size=128)
    test = load_data(f"{SHEETS}:cifar10_test", limit=limit)
    shift = load_data(f"{SHEETS}:natural_shift")
    runs, shifted = {}, {}
    for key, path in networks.items():
        predictor = load_predictor(str(path))
        predictor.name = f"{key[0]} seed {key[1]}"
        runs[key] = evaluate(predictor, data=test, store=store / "test", suite="all", settings=settings).runs[0]
        found = evaluate(predictor, data=shift, store=store / "shift", disturbances=["clean"], settings=settings)
        shifted[key] = found.runs[0]
    return runs, shifted


def facts(path: Path) -> tuple[int, float, int]:
    """Parameters; accuracy on all test images after training, and their number."""
    with safe_open(path, framework="pt") as file:
        every = file.keys()
        names = [name for name in every if "running_" not in name and "num_batches" not in name]
        size = sum(int(np.prod(file.get_slice(name).get_shape())) for name in names)
        scores = json.loads(file.metadata()["weatherglass.model"])["scores"]
    return size, scores["accuracy"], int(scores["images"])


def percent(found: Estimate | None, factor: float = 100) -> str:
    if found is None:
        return "-"
    return f"{factor * found.value:.1f} [{factor * found.low:.1f}, {factor * found.high:.1f}]"


def over_seeds(cells: list[str], values: list[float]) -> str:
    """One seed: the value with its interval over images. Several: their mean and range."""
    if len(values) == 1:
        return cells[0]
    return f"{np.mean(values):.1f} ({min(values):.1f} to {max(values):.1f})"


def table(
    networks: Networks, summaries: dict[tuple[str, int], Summary], shifted: dict[tuple[str, int], Summary]
) -> None:
    print("| recipe | parameters | seeds | clean, 10,000 | corrupted, 15 | corrupted, 17 | retention | mCE | shift |")
    print("|---|---:|---:|---|---|---|---|---|---|")
    for recipe in dict.fromkeys(name for name, _ in networks):
        seeds = [seed for name, seed in networks if name == recipe]
        columns: list[list[tuple[str, float]]] = [[] for _ in range(6)]
        for seed in seeds:
            size, accuracy, images = facts(networks[recipe, seed])
            low, high = wilson_interval(accuracy, images)
            summary, shift = summaries[recipe, seed], shifted[recipe, seed]
            suite15, suite17 = summary.suites["imagenet-c"], summary.suites["fan17"]
            shown = [
                (f"{100 * accuracy:.1f} [{100 * low:.1f}, {100 * high:.1f}]", 100 * accuracy),
                (percent(suite15.corrupted), 100 * suite15.corrupted.value),
                (percent(suite17.corrupted), 100 * suite17.corrupted.value),
                (percent(suite15.retention), 100 * suite15.retention.value if suite15.retention else float("nan")),
                (percent(summary.mce), 100 * summary.mce.value if summary.mce else float("nan")),
                (percent(shift.top1), 100 * shift.top1.value if shift.top1 else float("nan")),
            ]
            for column, one in zip(columns, shown, strict=True):
                column.append(one)
        cells = [over_seeds([text for text, _ in column], [value for _, value in column]) for column in columns]
        print(f"| {recipe} | {size / 1000:.0f} k | {len(seeds)} | {' | '.join(cells)} |")


def families(summaries: dict[tuple[str, int], Summary]) -> None:
    names = list(next(iter(summaries.values())).families)
    print(f"\n| recipe, seed | {' | '.join(names)} |\n|---|{'---|' * len(names)}")
    for (recipe, seed), summary in summaries.items():
        print(f"| {recipe}, {seed} | {' | '.join(percent(summary.families[name]) for name in names)} |")


def difference(found: Comparison, metric: str) -> str:
    one = found.aggregates[metric]
    span = one.difference
    return f"{100 * span.value:+.1f} [{100 * span.low:+.1f}, {100 * span.high:+.1f}] {one.verdict}"


def comparisons(runs: dict[tuple[str, int], Run]) -> None:
    print("\n| second against first | seed | clean | corrupted | retention |\n|---|---:|---|---|---|")
    for first, second in PAIRS:
        seeds = [{seed for name, seed in runs if name == one} for one in (first, second)]
        for seed in sorted(seeds[0] & seeds[1]):
            found = compare(runs[first, seed], runs[second, seed], reference=None)
            cells = [difference(found, metric) for metric in ("top1", "corrupted", "retention")]
            print(f"| {second} against {first} | {seed} | {' | '.join(cells)} |")


def figure(networks: Networks, summaries: dict[tuple[str, int], Summary], output: Path) -> None:
    """Clean and corrupted accuracy and what is kept, of every network and seed, with intervals over images."""
    rows = []
    for (recipe, seed), path in networks.items():
        _, accuracy, images = facts(path)
        low, high = wilson_interval(accuracy, images)
        suite = summaries[recipe, seed].suites["imagenet-c"]
        measures = {"clean": Estimate(accuracy, low, high), "corrupted": suite.corrupted, "retention": suite.retention}
        rows += [
            {"recipe": recipe, "measure": measure, "value": 100 * found.value}
            | {"low": 100 * found.low, "high": 100 * found.high}
            for measure, found in measures.items()
            if found is not None
        ]
    order = sorted({recipe for recipe, _ in networks}, key=lambda name: -_mean(rows, name, "corrupted"))
    panels = [_panel(rows, order, *panel) for panel in PANELS]
    write_chart({"hconcat": panels, "data": {"values": rows}, "resolve": {"scale": {"color": "independent"}}}, output)


PANELS = ((("clean", "corrupted"), "accuracy, %"), (("retention",), "retention, %"))


def _mean(rows: list[dict[str, Any]], recipe: str, measure: str) -> float:
    return float(np.mean([row["value"] for row in rows if (row["recipe"], row["measure"]) == (recipe, measure)]))


def _panel(rows: list[dict[str, Any]], order: list[str], measures: tuple[str, ...], title: str) -> dict[str, Any]:
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
    parser.add_argument("--limit", type=int, default=1000, help="test images, balanced over classes")
    parser.add_argument("--figure", type=Path, help="also draw the networks side by side: .png, .svg, .pdf, .html")
    arguments = parser.parse_args()
    networks = trained(arguments.trained)
    runs, shifted = measured(networks, arguments.store, arguments.limit)
    summaries = {
        (recipe, seed): summarise(run, reference=runs.get((REFERENCE, 0))) for (recipe, seed), run in runs.items()
    }
    table(networks, summaries, {key: summarise(run) for key, run in shifted.items()})
    families(summaries)
    comparisons(runs)
    if arguments.figure:
        figure(networks, summaries, arguments.figure)


if __name__ == "__main__":
    main()
