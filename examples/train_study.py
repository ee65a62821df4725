"""Train the networks of a comparison on CIFAR-10, one after the other; the same command goes on where it stopped.

    SHEETS=path/to/data python examples/train_study.py --output trained --seeds 0 1 2 fan-vit-micro vit-micro-deep

Every network is one `weatherglass train RECIPE --set seed=N` in a folder of its own, `trained/RECIPE-seedN`. Start it
twice with different recipes, or with different seeds, to use two processors.
"""

import argparse
import subprocess
import sys
from pathlib import Path

from weatherglass.training.ablation_recipes import HEADS
from weatherglass.training.files import finished

HERE = Path(__file__).parent
STUDY = (
    "fan-vit-micro",
    "vit-micro-deep",
    "resnet-micro",
    "fan-hybrid-micro",
    "vit-micro",
    "fan-vit-micro-constant",
    "fan-vit-micro-se",
    "fan-vit-micro-sa",
    "convnext-micro",
    "fan-convnext-micro",
    "swin-micro",
    "fan-swin-micro",
    "resnet-micro-se",
)
"""Families with and without FAN, and forms of channel attention."""

PARTS = ("policy", "erasing", "mixing", "averaging")
"""Of the recipe, each alone."""

RECIPES = (
    *STUDY,
    *(f"fan-vit-micro-{kind}-{heads}" for kind in ("heads", "token-heads") for heads in HEADS),
    *("vit-micro-plain", "vit-micro-distilled"),
    *(f"vit-micro-only-{part}" for part in PARTS),
    *("resnet-micro-plain", "resnet-micro-strided"),
)
"""And the ablations: heads at a fixed width, tricks of training, tricks of ResNet."""


def main() -> None:
    parser = argparse.ArgumentParser(description=str(__doc__).splitlines()[0])
    parser.add_argument(
        "recipes",
        nargs="*",
        default=STUDY,
        metavar="RECIPE",
        help=f"default: {' '.join(STUDY)}; also: {' '.join(RECIPES[len(STUDY) :])}",
    )
    parser.add_argument("--output", type=Path, default=Path("trained"))
    parser.add_argument("--seeds", type=int, nargs="+", default=[0])
    parser.add_argument("--set", action="append", default=[], metavar="KEY=VALUE", help="as of weatherglass train")
    arguments = parser.parse_args()
    for seed in arguments.seeds:
        for recipe in arguments.recipes:
            folder = arguments.output / f"{recipe}-seed{seed}"
            if finished(folder / "model.safetensors"):
                continue
            command = [sys.executable, "-m", "weatherglass", "train", recipe, "--output", str(folder)]
            command += ["--data", f"{HERE}/shared_sheets.py:cifar10_train"]
            command += ["--validation", f"{HERE}/shared_sheets.py:cifar10_test"]
            command += ["--threads", "1", "--workers", "1", "--score-every", "4"]
            for setting in (f"seed={seed}", *arguments.set):
                command += ["--set", setting]
            done = subprocess.run(command, check=False)
            if done.returncode:
                sys.exit(done.returncode)


if __name__ == "__main__":
    main()
