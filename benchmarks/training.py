"""A training step of ours against a plain loop on the same timm network, and what precision and layout change.

The plain loop is what a script would write with the same parts: mixing, forward, soft cross-entropy, backward, AdamW,
schedule, moving average. Both train copies of one network on the same batch, in turns, in one process; CPU time of one
thread, best of the rounds. Variants of our step are compared with our float32 step in the same rounds. Last, how many
samples a second one process decodes and augments, which says how many loading processes a network needs.

Run: python -m benchmarks training [--rounds N] [--compile]
"""

import argparse
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from timm.data.mixup import Mixup
from timm.loss import SoftTargetCrossEntropy
from timm.optim import create_optimizer_v2
from timm.scheduler.cosine_lr import CosineLRScheduler
from timm.utils.model_ema import ModelEmaV3

from weatherglass.data.images import ArrayImages
from weatherglass.training.classification import Classification
from weatherglass.training.distributed import Group
from weatherglass.training.files import Folder
from weatherglass.training.recipe import Recipe
from weatherglass.training.recipes import RECIPES
from weatherglass.training.samples import Place
from weatherglass.training.training import Training

NETWORKS = ("vit-micro-deep", "resnet-micro", "fan-vit-micro", "fan-hybrid-micro")
BATCH = 128


def images(size: int) -> ArrayImages:
    pixels = np.random.default_rng(0).integers(0, 256, (2 * BATCH, size, size, 3), dtype=np.uint8)
    names = tuple(f"class {index}" for index in range(10))
    return ArrayImages("noise", pixels, np.arange(len(pixels)) % 10, names, tuple(map(str, range(len(pixels)))))


def first_batch(objective: Classification) -> Any:
    return objective.collate([objective.dataset[Place(index, 0, 0)] for index in range(BATCH)])


def plain_step(recipe: Recipe, objective: Classification, batch: Any) -> Callable[[], object]:
    """The script's step, ready to be repeated."""
    model = objective.build().train()
    optimiser = create_optimizer_v2(model, opt="adamw", lr=recipe.peak_rate, weight_decay=0.05)
    schedule = CosineLRScheduler(optimiser, t_initial=1000, lr_min=1e-5, warmup_t=100, t_in_epochs=False)
    average = ModelEmaV3(model, decay=recipe.averaging.decay)
    mixing = Mixup(0.8, 1.0, prob=0.5, label_smoothing=0.1, num_classes=10)
    criterion = SoftTargetCrossEntropy()
    steps = 0

    def step() -> None:
        nonlocal steps
        schedule.step_update(steps)
        inputs, targets = mixing(batch[0].clone(), batch[1])
        optimiser.zero_grad()
        criterion(model(inputs), targets).backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), recipe.optimiser.clip)
        optimiser.step()
        average.update(model)
        steps += 1

    return step


def our_step(recipe: Recipe, objective: Classification, batch: Any, *, fused: bool = False) -> Callable[[], object]:
    """One update of the loop. `fused` undoes its choice of attention kernel."""
    objective = Classification(recipe, objective.training, None)
    training = Training(recipe, objective, Group(0, 1, torch.device("cpu")), Folder(Path("unused")))
    training.model.train()
    if fused:
        training._autocast = lambda: torch.autocast("cpu", torch.bfloat16)  # pyright: ignore[reportPrivateUsage]

    def step() -> None:
        training.update([(batch[0].clone(), batch[1])])

    return step


def seconds(steps: dict[str, Callable[[], object]], rounds: int) -> dict[str, float]:
    """CPU seconds of a step of each, in turns, best of the rounds; the first round is not counted."""
    best = dict.fromkeys(steps, float("inf"))
    for turn in range(rounds + 1):
        for name, step in steps.items():
            started = time.process_time()
            step()
            if turn:
                best[name] = min(best[name], time.process_time() - started)
    return best


def main(arguments: Sequence[str]) -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks training")
    parser.add_argument("--rounds", type=int, default=8)
    parser.add_argument("--compile", action="store_true", help="compile too: a minute a network")
    options = parser.parse_args(arguments)
    torch.set_num_threads(1)
    print(f"{'network':18}{'variant':26}{'ms a step':>10}{'ratio':>8}")
    for name in NETWORKS:
        plain = replace(RECIPES[name], batch=BATCH, precision="float32", channels_last=False)
        objective = Classification(plain, images(32), None)
        batch = first_batch(objective)
        half = replace(plain, precision="bfloat16")
        variants = {
            "plain loop, float32": plain_step(plain, objective, batch),
            "ours, float32": our_step(plain, objective, batch),
            "channels last": our_step(replace(plain, channels_last=True), objective, batch),
            "bfloat16": our_step(half, objective, batch),
            "bfloat16, fused attention": our_step(half, objective, batch, fused=True),
            "bfloat16, channels last": our_step(replace(half, channels_last=True), objective, batch),
        }
        if options.compile:
            variants["bfloat16, compiled"] = our_step(replace(half, compile=True), objective, batch)
        times = seconds(variants, options.rounds)
        for variant, one in times.items():
            other = times["plain loop, float32" if variant == "ours, float32" else "ours, float32"]
            print(f"{name:18}{variant:26}{1000 * one:10.1f}{one / other:8.2f}", flush=True)
    for name in ("fan-vit-micro", "fan-vit-s"):
        recipe = RECIPES[name]
        dataset = Classification(recipe, images(256 if recipe.image_size == 224 else 32), None).dataset
        started = time.process_time()
        for index in range(2 * BATCH):
            dataset[Place(index, 0, 0)]
        rate = 2 * BATCH / (time.process_time() - started)
        print(f"{name:18}{'augmentation, a process':26}{rate:10.0f} samples/s at {recipe.image_size} px")
