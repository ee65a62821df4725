"""A recipe that takes a second: one block of width 16 on digits."""

from dataclasses import replace

from weatherglass.training.recipe import Network, Recipe, Schedule
from weatherglass.training.recipes import RECIPES

SMALL = replace(
    RECIPES["vit-micro"],
    name="small",
    network=Network("vit_micro_32", {"depths": [1], "widths": [16], "heads": [2]}, drop_path=0.2),
    batch=16,
    schedule=Schedule(epochs=2, warmup=1, warmup_rate=1e-5, minimum_rate=1e-4),
    precision="float32",
    channels_last=False,
)


def small(**changes: object) -> Recipe:
    return replace(SMALL, **changes)
