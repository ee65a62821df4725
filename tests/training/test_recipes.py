"""Recipes: text forms, the numbers of the papers, and what a wrong one is told."""

import tomllib
from pathlib import Path

import pytest

from weatherglass.errors import UserError
from weatherglass.training.recipe import Recipe
from weatherglass.training.recipe_text import (
    as_json,
    as_mapping,
    as_toml,
    differences,
    read_recipe,
    recipe_from_mapping,
    with_settings,
)
from weatherglass.training.recipes import RECIPES, find_recipe


@pytest.mark.parametrize("recipe", RECIPES.values(), ids=list(RECIPES))
def test_every_recipe_survives_its_text_form(recipe: Recipe) -> None:
    assert differences(recipe_from_mapping(tomllib.loads(as_toml(recipe))), recipe) == []
    assert as_json(recipe_from_mapping(as_mapping(recipe))) == as_json(recipe)


def test_deit_has_the_numbers_of_its_program() -> None:
    recipe = RECIPES["deit-300"]
    assert recipe.epochs == 300
    assert recipe.peak_rate == pytest.approx(5e-4 * 1024 / 512)
    assert recipe.schedule.warmup_rate == 1e-6
    assert recipe.schedule.minimum_rate == 1e-5
    assert recipe.augmentation.policy == "rand-m9-mstd0.5-inc1"
    assert (recipe.augmentation.erasing, recipe.augmentation.repeats) == (0.25, 3)
    assert (recipe.mixing.mixup, recipe.mixing.cutmix, recipe.mixing.smoothing) == (0.8, 1.0, 0.1)
    assert recipe.averaging.decay == 0.99996
    assert recipe.crop_ratio == 0.875


def test_the_paper_and_the_release_state_different_recipes() -> None:
    paper, release = RECIPES["fan-300"], RECIPES["fan-hybrid-s"]
    assert (paper.peak_rate, paper.batch, paper.epochs) == (2e-3, 2048, 310)
    assert (release.peak_rate, release.network.drop_path, release.augmentation.erasing) == (4e-3, 0.25, 0.3)
    assert (release.averaging.decay, release.crop_ratio, release.augmentation.repeats) == (0.99992, 1.0, 1)


@pytest.mark.parametrize(
    ("name", "drop_path", "layer_decay", "size"),
    [
        ("fan-hybrid-b-22k-to-1k", 0.2, 0.8, 224),
        ("fan-hybrid-b-22k-to-1k-384", 0.2, 0.8, 384),
        ("fan-hybrid-l-22k-to-1k", 0.3, 0.8, 224),
        ("fan-hybrid-l-22k-to-1k-384", 0.3, 0.8, 384),
        ("fan-hybrid-b-1k-384", 0.2, 0.7, 384),
    ],
)
def test_fine_tuning_has_the_numbers_of_convnext(name: str, drop_path: float, layer_decay: float, size: int) -> None:
    recipe = RECIPES[name]
    assert (recipe.epochs, recipe.batch, recipe.peak_rate, recipe.schedule.warmup) == (30, 512, 5e-5, 0)
    assert (recipe.optimiser.weight_decay, recipe.optimiser.layer_decay) == (1e-8, layer_decay)
    assert (recipe.network.drop_path, recipe.image_size, recipe.crop_ratio) == (drop_path, size, 1.0)
    assert (recipe.mixing.mixup, recipe.mixing.cutmix, recipe.mixing.smoothing) == (0, 0, 0.1)
    assert (recipe.augmentation.policy, recipe.augmentation.erasing) == ("rand-m9-mstd0.5-inc1", 0.25)


def test_other_protocols_of_pre_training_and_fine_tuning() -> None:
    for name in ("fan-hybrid-b-22k", "fan-hybrid-l-22k"):
        recipe = RECIPES[name]
        assert (recipe.epochs, recipe.batch, recipe.peak_rate, recipe.schedule.warmup) == (90, 4096, 4e-3, 5)
        assert (recipe.optimiser.weight_decay, recipe.network.drop_path) == (0.05, 0.1)
    swin = RECIPES["fan-swin-b-22k-to-1k"]
    assert (swin.epochs, swin.schedule.warmup, swin.schedule.minimum_rate) == (30, 5, 2e-7)
    assert (swin.peak_rate, swin.optimiser.weight_decay, swin.network.drop_path) == (2e-5, 1e-8, 0.2)
    deit = RECIPES["deit-384"]
    assert (deit.epochs, deit.batch, deit.image_size) == (30, 512, 384)
    assert (deit.peak_rate, deit.schedule.minimum_rate, deit.optimiser.weight_decay) == (5e-6, 5e-6, 1e-8)
    # What the fine-tuning does not name stays DeiT's.
    assert (deit.crop_ratio, deit.averaging.decay, deit.mixing) == (0.875, 0.99996, RECIPES["deit-300"].mixing)


def test_networks_of_the_small_comparison_differ_by_no_more_than_five_percent() -> None:
    from weatherglass.models.described import build_network

    small = [name for name, recipe in RECIPES.items() if recipe.image_size == 32 and not name.startswith("digits-")]
    shallow = ("vit-micro", "vit-micro-plain")  # and its parts one by one
    compared = [name for name in small if name not in shallow and not name.startswith("vit-micro-only-")]
    assert len(compared) > 10
    sizes = {}
    for name in compared:
        chosen = RECIPES[name].network
        model = build_network(chosen.name, chosen.arguments, classes=10, image_size=32)
        sizes[name] = sum(parameter.numel() for parameter in model.parameters())
    for name, size in sizes.items():
        assert size == pytest.approx(sizes["fan-vit-micro"], rel=0.05), name


def test_settings_change_what_they_name() -> None:
    changed = with_settings(
        RECIPES["fan-vit-micro"],
        {"optimiser.rate": "1e-4", "network.arguments.depth": "3", "augmentation.policy": "3a", "seed": "7"},
    )
    assert changed.optimiser.rate == 1e-4
    assert changed.network.arguments == {"depth": 3}
    assert changed.augmentation.policy == "3a"
    assert differences(RECIPES["fan-vit-micro"], changed)[0] == "network.arguments: {} and None"


@pytest.mark.parametrize(
    ("key", "value", "told"),
    [
        ("optimiser.rat", "1", "Did you mean optimiser.rate"),
        ("batch", "many", "Expected `int`, got `str`, at batch"),
        ("batch", "0", "batch must be at least 1"),
        ("optimiser", "3", "is a table of settings"),
        ("augmentation.crop", "square", "Invalid enum value 'square'"),
        ("schedule.warmup", "400", "must be shorter than schedule.epochs"),
        ("mixing.smoothing", "1.5", "must lie in 0..1"),
        ("optimiser.rate", "0", "must be above 0"),
        ("averaging.decay", "1", "must lie in 0..1 (without 1)"),
        ("distillation.kind", "hard", "needs distillation.teacher"),
        ("optimiser.rate", "nan", "optimiser.rate must be finite, got nan"),
        ("mixing.mixup", "inf", "mixing.mixup must be finite"),
        ("network.head_scale", "nan", "network.head_scale must be finite"),
        ("network.arguments.layer_scale", "[1.0, nan]", "network.arguments.layer_scale must be finite"),
        ("mean", "[0.0, nan, 0.0]", "mean must be finite"),
        ("std", "[0.2, 0, 0.2]", "std must be above 0"),
        ("augmentation.scale", "[2.0, 3.0]", "two numbers above 0, the lesser first, none above 1, got [2.0, 3.0]"),
        ("augmentation.scale", "[0.5, 0.1]", "the lesser first"),
        ("masked.scale", "[0, 2]", "masked.scale must be two numbers above 0, the lesser first, got"),
        ("masked.size", "[0, 0]", "masked.size must be height and width"),
        ("optimiser.epsilon", "-1", "optimiser.epsilon must be at least 0"),
        ("optimiser.betas", "[0.9, 1.0]", "optimiser.betas must lie in 0..1"),
        ("augmentation.colour_jitter", "-0.1", "must be at least 0"),
        ("seed", "1180591620717411303424", "seed must be less than 2^63"),
    ],
)
def test_a_wrong_setting_gets_one_line(key: str, value: str, told: str) -> None:
    with pytest.raises(UserError, match=r"^[^\n]*$") as caught:
        with_settings(RECIPES["deit-300"], {key: value})
    assert told in str(caught.value)


def test_a_file_may_change_a_named_recipe(tmp_path: Path) -> None:
    path = tmp_path / "mine.toml"
    path.write_text('base = "fan-vit-s"\nbatch = 256\n[optimiser]\nrate = 1e-3\n')
    recipe = find_recipe(str(path))
    assert (recipe.name, recipe.batch, recipe.optimiser.rate) == ("mine", 256, 1e-3)
    assert recipe.network == RECIPES["fan-vit-s"].network


def test_files_that_are_no_recipes(tmp_path: Path) -> None:
    broken, unknown = tmp_path / "broken.toml", tmp_path / "unknown.toml"
    broken.write_text("batch = ")
    unknown.write_text('base = "fan-vit-s"\n[optimizer]\nrate = 1e-3\n')
    with pytest.raises(UserError, match="is not a TOML file"):
        read_recipe(broken)
    with pytest.raises(UserError, match="Did you mean optimiser"):
        read_recipe(unknown)
    for base in ("3", '["a"]'):
        broken.write_text(f"base = {base}\n")
        with pytest.raises(UserError, match="base is the name of a recipe"):
            read_recipe(broken)
    with pytest.raises(UserError, match=r"There is no recipe at .*absent\.toml"):
        find_recipe(str(tmp_path / "absent.toml"))
    with pytest.raises(UserError, match=r"Did you mean fan-vit-"):
        find_recipe("fan-vitt-s")
