"""Trainings that would not do what their recipe says are refused before they begin."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from recipes_small import small

from weatherglass.data.load import load_data
from weatherglass.errors import UserError
from weatherglass.training.classification import Classification
from weatherglass.training.detection import Detection
from weatherglass.training.distributed import Group
from weatherglass.training.files import Folder
from weatherglass.training.recipe import Mixing, Recipe
from weatherglass.training.recipe_text import with_settings
from weatherglass.training.recipes import RECIPES
from weatherglass.training.segmentation import Segmentation
from weatherglass.training.training import Training

DIGITS = load_data("digits:train", limit=40)


def begun(recipe: Recipe, folder: Path, processes: int = 1) -> Training:
    class Several(Group):
        def parallel(self, model: Any) -> Any:
            return model

    group = Several(0, processes, torch.device("cpu"))
    return Training(recipe, Classification(recipe, DIGITS, None), group, Folder(folder))


def test_pairs_need_an_even_share(tmp_path: Path) -> None:
    """Mixup and CutMix took no part in a training whose processes had an odd number of images each."""
    for recipe, processes in ((small(batch=15), 1), (small(batch=12), 4), (small(batch=6, accumulate=2), 1)):
        with pytest.raises(UserError, match=r"Mixup and CutMix mix pairs, and a batch of .* take an even number"):
            begun(recipe, tmp_path, processes)
        begun(replace(recipe, mixing=Mixing(smoothing=0.1)), tmp_path, processes)
    begun(small(batch=12), tmp_path, 3)


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("network.head_scale", "0.1"),
        ("mixing.cutmix", "1.0"),
        ("mixing.smoothing", "0.2"),
        ("augmentation.erasing", "0.25"),
        ("augmentation.policy", "3a"),
    ],
)
def test_dense_tasks_refuse_what_they_do_not_read(key: str, value: str) -> None:
    tasks = (
        ("segformer-vit-micro", Segmentation, "scenes:2@48"),
        ("faster-rcnn-fan-vit-micro", Detection, "scene-objects:2@48"),
    )
    for name, task, data in tasks:
        task(RECIPES[name], load_data(data), None)
        with pytest.raises(UserError, match=f"{key} = .* is for classifiers; .* does not read it"):
            task(with_settings(RECIPES[name], {key: value}), load_data(data), None)


def test_a_state_with_other_groups_of_weights_gets_one_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What a network exempts from decay decides the groups, in whose order the optimiser's state is kept."""
    from timm.models.vision_transformer import VisionTransformer

    with monkeypatch.context() as before:
        before.setattr(VisionTransformer, "no_weight_decay", lambda self: set())
        begun(small(), tmp_path).save()
    with pytest.raises(UserError, match=r"last\.pt is of a version that decayed other weights"):
        begun(small(), tmp_path).resume()
