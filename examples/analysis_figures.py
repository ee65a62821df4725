"""Every figure of docs/analysis.md in one command; what is measured is kept, so it can be stopped and goes on.

    SHEETS=path/to/data WEIGHTS=path/to/data/weights python examples/analysis_figures.py \
        --vit cifar10_vit --fan cifar10_fan_vit --resnet cifar10_resnet --output figures

Models are named as everywhere. Beside the pictures the folder gets `findings.md`, every verdict with its numbers, and a
store for `weatherglass report`. `--quick` looks at a few images only, to see that all of it runs.
"""

import argparse
import os
import shutil
import time
from dataclasses import dataclass
from pathlib import Path

from weatherglass.cli.analyse import command as analyse
from weatherglass.evaluation.store import Store
from weatherglass.evaluation.studies import studies_of

HERE = os.path.relpath(Path(__file__).parent)
CIFAR = f"{HERE}/shared_sheets.py:cifar10_test"
PHOTOS = f"{HERE}/shared_photos.py:imagenet_photos"
SHAPES = f"{HERE}/masked_images.py:shapes"
CAMVID = f"{HERE}/masked_images.py:camvid"
RESNET20 = f"{HERE}/cifar_models.py:resnet20"
"""The micro ResNet has one block a stage: each changes the shape, and none can be removed."""

IMAGENET = (f"{HERE}/imagenet_models.py:mobilenet_v2", f"{HERE}/imagenet_models.py:squeezenet1_0")


@dataclass(frozen=True)
class Run:
    """One command and the pictures that the page takes from it."""

    verb: str
    models: tuple[str, ...]
    data: str
    limit: int
    options: tuple[str, ...] = ()
    prefix: str = ""
    """Before the names of its pictures, where the same verb runs on other data."""


def runs(vit: str, fan: str, resnet: str) -> list[Run]:
    """All commands, the quick ones first."""
    three, transformers = (vit, fan, resnet), (vit, fan)
    corrupted = ("--repeats", "1", "--disturb", "clean", "--disturb", "fog@3", "--disturb", "gaussian_noise@3")
    return [
        Run("bottleneck", (), "", 0),
        Run("gates", (fan,), CIFAR, 256),
        Run("similarity", three, CIFAR, 256),
        Run("similarity", (vit,), CIFAR, 256, ("--tokens", "class")),
        Run("grouping", three, CIFAR, 128, ("--draws", "3")),
        Run("clusters", transformers, CIFAR, 48),
        Run("clusters", three, SHAPES, 256, (), "shapes_"),
        Run("attention", transformers, CIFAR, 64),
        Run("distance", transformers, CIFAR, 500, ("--by-block", "1")),
        Run("lesions", (*transformers, RESNET20), CIFAR, 500, ("--equal",)),
        Run("redundancy", transformers, CIFAR, 500),
        Run("lesions", transformers, CIFAR, 200, corrupted, "corrupted_"),
        Run("grouping", IMAGENET, PHOTOS, 16, ("--draws", "1"), "photos_"),
        Run("clusters", IMAGENET[:1], CAMVID, 16, ("--layers", "3,7,11,15,17"), "camvid_"),
        Run("clusters", IMAGENET[:1], PHOTOS, 12, ("--layers", "7,11,15,17"), "photos_"),
    ]


def main() -> None:
    """Run what is asked for, gather the pictures and the findings."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    for name, default in (("vit", "cifar10_vit"), ("fan", "cifar10_fan_vit"), ("resnet", "cifar10_resnet")):
        parser.add_argument(f"--{name}", default=default)
    parser.add_argument("--output", type=Path, default=Path("figures"))
    parser.add_argument("--only", help="verbs, e.g. lesions,distance")
    parser.add_argument("--quick", action="store_true")
    chosen = parser.parse_args()
    for run in runs(chosen.vit, chosen.fan, chosen.resnet):
        if not chosen.only or run.verb in chosen.only.split(","):
            perform(run, chosen.output, quick=chosen.quick)
    write_findings(chosen.output)


def perform(run: Run, output: Path, *, quick: bool) -> None:
    """Run one command and copy its pictures beside those of the others."""
    started, folder = time.process_time(), output / f"{run.prefix}{run.verb}"
    arguments = [run.verb, *run.models, *run.options, "--output", str(folder), "--store", str(output / "store")]
    if run.data:
        arguments += ["--data", run.data, "--limit", str(min(run.limit, 8) if quick else run.limit)]
    print(f"$ weatherglass analyse {' '.join(arguments)}", flush=True)
    analyse.main(arguments, standalone_mode=False)  # in this process: libraries are loaded once
    for picture in folder.glob("*.png"):
        shutil.copy(picture, output / f"{run.prefix}{picture.name}")
    print(f"{run.prefix}{run.verb}: {time.process_time() - started:.0f} s of processor time\n", flush=True)


def write_findings(output: Path) -> None:
    """Every verdict of the store, by study, as Markdown."""
    lines = []
    for study in studies_of(Store(output / "store")):
        if study.findings:
            lines.append(f"\n## {study.card.title}: {', '.join(study.models) or study.data} on {study.data}\n")
        lines += [f"- **{one.verdict}** {one.model}: {one.claim} {one.evidence}" for one in study.findings]
    (output / "findings.md").write_text("\n".join(lines).lstrip() + "\n", encoding="utf-8")
    print(f"{output / 'findings.md'}; the same as a page: weatherglass report {output / 'store'}")


if __name__ == "__main__":
    main()
