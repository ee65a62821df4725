"""The recipe's optimiser, learning-rate schedule and moving average, made of timm's."""

from typing import Any

import torch
from timm.optim import create_optimizer_v2  # pyright: ignore[reportPrivateImportUsage]
from timm.scheduler.cosine_lr import CosineLRScheduler
from timm.scheduler.multistep_lr import MultiStepLRScheduler
from timm.scheduler.poly_lr import PolyLRScheduler
from timm.scheduler.scheduler import Scheduler
from timm.utils.model_ema import ModelEmaV3
from torch import nn

from weatherglass.errors import UserError
from weatherglass.training.recipe import Recipe


def make_optimiser(model: nn.Module, recipe: Recipe) -> torch.optim.Optimizer:
    """Groups with and without weight decay, with layer-wise learning rates where the recipe asks for them.

    Vectors, biases and the names in the model's `no_weight_decay()` are not decayed.
    """
    chosen = recipe.optimiser
    options: dict[str, Any] = {}
    if "adam" in chosen.name:
        options = {"betas": chosen.betas, "eps": chosen.epsilon}
    if chosen.layer_decay != 1 and not hasattr(model, "group_matcher"):
        raise UserError(f"optimiser.layer_decay needs a model that names its layers; {recipe.network.name} does not.")
    try:
        return create_optimizer_v2(
            model if chosen.head_factor == 1 else _with_a_faster_head(model, recipe),
            opt=chosen.name,
            lr=recipe.peak_rate,
            weight_decay=chosen.weight_decay,
            layer_decay=chosen.layer_decay if chosen.layer_decay != 1 else None,
            **options,
        )
    except (ValueError, AssertionError, KeyError) as error:
        raise UserError(f"optimiser.name '{chosen.name}' cannot be used: {error}.") from None


def _with_a_faster_head(model: nn.Module, recipe: Recipe) -> list[dict[str, Any]]:
    """Four groups: backbone and head, with and without decay. The schedule multiplies by a group's `lr_scale`."""
    head: dict[bool, list[nn.Parameter]] = {True: [], False: []}
    rest: dict[bool, list[nn.Parameter]] = {True: [], False: []}
    exempt: set[str] = getattr(model, "no_weight_decay", set)()
    for name, parameter in model.named_parameters():
        decayed = parameter.ndim > 1 and name not in exempt
        (head if name.startswith("head.") else rest)[decayed].append(parameter)
    decay, factor = recipe.optimiser.weight_decay, recipe.optimiser.head_factor
    if not (head[True] or head[False]):
        raise UserError(f"optimiser.head_factor is for segmenters; {recipe.network.name} has no part named 'head'.")
    return [
        {"params": part[decayed], "weight_decay": decay if decayed else 0.0, "lr_scale": scale}
        for part, scale in ((rest, 1.0), (head, factor))
        for decayed in (True, False)
        if part[decayed]
    ]


def make_schedule(optimiser: torch.optim.Optimizer, recipe: Recipe, steps_an_epoch: int) -> Scheduler:
    """A function of the step alone: `step_update(step)` sets the rates, whatever came before.

    Warm-up lies inside the cosine's length, as in DeiT: with w warm-up steps of T in all, peak p, minimum m and start
    s, the rate at step t is s + t (p - s) / w below w, then m + (p - m) (1 + cos(pi t / T)) / 2, and m from T on. The
    'linear' shape has m + (p - m) (1 - t / T) in place of the cosine, and 'steps' p times the drop once for every
    milestone that is past.
    """
    chosen = recipe.schedule
    warmup = {"warmup_t": chosen.warmup * steps_an_epoch + chosen.warmup_steps, "warmup_lr_init": chosen.warmup_rate}
    if chosen.shape == "steps":
        # timm drops the rate a step before the milestone it is given.
        drops = [milestone * steps_an_epoch + 1 for milestone in chosen.milestones]
        return MultiStepLRScheduler(optimiser, drops, chosen.drop, warmup_prefix=False, t_in_epochs=False, **warmup)
    common: dict[str, Any] = {
        "t_initial": chosen.epochs * steps_an_epoch,
        "lr_min": chosen.minimum_rate,
        "t_in_epochs": False,
        **warmup,
    }
    if chosen.shape == "linear":
        return PolyLRScheduler(optimiser, power=1.0, **common)
    return CosineLRScheduler(optimiser, **common)


def make_average(model: nn.Module, recipe: Recipe) -> ModelEmaV3 | None:
    """The moving average of weights and statistics: average = decay * average + (1 - decay) * weights."""
    return ModelEmaV3(model, decay=recipe.averaging.decay) if recipe.averaging.decay else None
