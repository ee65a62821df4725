"""Every full-size recipe builds its network, from a checkpoint where it fine-tunes, and makes one step at its own image
size, on two images."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from weatherglass.data.images import ArrayImages
from weatherglass.models.checkpoint import save_weights
from weatherglass.models.described import build_network
from weatherglass.models.detector_names import is_detector
from weatherglass.models.segmenter_names import is_segmenter
from weatherglass.training.classification import Classification
from weatherglass.training.distributed import Group
from weatherglass.training.files import Folder
from weatherglass.training.recipe import Recipe
from weatherglass.training.recipes import RECIPES
from weatherglass.training.training import Training

FULL_SIZE = [
    recipe
    for recipe in RECIPES.values()
    if recipe.image_size > 32 and not is_segmenter(recipe.network.name) and not is_detector(recipe.network.name)
]

TEACHER = """
from torch import nn


def teacher() -> nn.Module:
    return nn.Sequential(nn.AdaptiveAvgPool2d(4), nn.Flatten(), nn.Linear(48, 1000))
"""


def photographs(classes: int) -> ArrayImages:
    pixels = np.random.default_rng(0).integers(0, 256, (4, 64, 80, 3), dtype=np.uint8)
    names = tuple(f"class {index}" for index in range(classes))
    return ArrayImages("noise", pixels, np.arange(4), names, tuple("abcd"))


def with_start(recipe: Recipe, folder: Path) -> Recipe:
    """A fine-tuning starts from its network at 224 pixels, with the classes of what it was trained on."""
    trained = build_network(
        recipe.network.name,
        recipe.network.arguments,
        classes=21841 if "22k-to-" in recipe.name else 1000,
        image_size=224,
    )
    save_weights(trained, folder / "start.safetensors")
    return replace(recipe, network=replace(recipe.network, start=str(folder / "start.safetensors")))


def step_once(recipe: Recipe, folder: Path) -> Training:
    if "network.start" in recipe.summary or recipe.name.endswith("-384"):
        recipe = with_start(recipe, folder)
    classes = 21841 if recipe.name.endswith("22k") else 1000
    if recipe.distillation.kind != "none":
        (folder / "teacher.py").write_text(TEACHER)
        recipe = replace(recipe, distillation=replace(recipe.distillation, teacher=f"{folder}/teacher.py:teacher"))
    recipe = replace(recipe, batch=2, averaging=replace(recipe.averaging, decay=0.0))
    training = Training(
        recipe, Classification(recipe, photographs(classes), None), Group(0, 1, torch.device("cpu")), Folder(folder)
    )
    assert len(training.objective.remarks) == (recipe.network.start is not None)
    training.model.train()
    before = [parameter.detach().clone() for parameter in training.model.parameters()]
    with torch.random.fork_rng(devices=[]):
        training.schedule.step_update(training.steps_an_epoch)
        objective = training.objective
        batch = objective.collate([objective.dataset[place] for place in training.places(0)[0]])
        training.step = training.steps_an_epoch  # in the middle of the warm-up, where the rate is not nearly 0
        training.update([batch])
    training.checked_losses()
    gradients = [parameter.grad for parameter in training.model.parameters()]
    assert all(gradient is not None and torch.isfinite(gradient).all() for gradient in gradients)
    # Not all change: branches that start at zero have no gradient yet, and a step of 1e-8 leaves a weight of 1.
    assert any(not torch.equal(old, new) for old, new in zip(before, training.model.parameters(), strict=True))
    return training


@pytest.mark.parametrize("name", ["deit-distilled", "fan-vit-t"])
def test_a_small_one_of_each_kind_steps(name: str, tmp_path: Path) -> None:
    step_once(RECIPES[name], tmp_path)


@pytest.mark.slow
@pytest.mark.parametrize("recipe", FULL_SIZE, ids=[recipe.name for recipe in FULL_SIZE])
def test_every_full_size_recipe_steps(recipe: Recipe, tmp_path: Path) -> None:
    step_once(recipe, tmp_path)
