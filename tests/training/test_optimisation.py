"""Learning rates, averages and groups of parameters against closed forms."""

from dataclasses import replace
from math import cos, pi

import pytest
import torch
from recipes_small import SMALL
from torch import nn

from weatherglass.errors import UserError
from weatherglass.models.described import build_network
from weatherglass.training.classification import start_network
from weatherglass.training.optimisation import make_average, make_optimiser, make_schedule
from weatherglass.training.recipe import Averaging, Network, Optimiser, Schedule
from weatherglass.training.recipes import RECIPES


def test_the_rate_at_every_step_follows_the_closed_form() -> None:
    recipe = replace(
        SMALL,
        optimiser=Optimiser(rate=1e-3, rate_batch=8),
        schedule=Schedule(epochs=10, warmup=2, warmup_rate=1e-6, minimum_rate=1e-5, cooldown=2),
    )
    steps, peak = 7, 1e-3 * 16 / 8
    optimiser = make_optimiser(nn.Linear(3, 2), recipe)
    schedule = make_schedule(optimiser, recipe, steps)
    for step in range(12 * steps):
        schedule.step_update(step)
        if step < 2 * steps:
            expected = 1e-6 + step * (peak - 1e-6) / (2 * steps)
        elif step < 10 * steps:
            expected = 1e-5 + (peak - 1e-5) * (1 + cos(pi * step / (10 * steps))) / 2
        else:
            expected = 1e-5
        assert optimiser.param_groups[0]["lr"] == pytest.approx(expected, rel=1e-12)


def test_the_average_follows_its_recursion() -> None:
    model = nn.Linear(2, 2, bias=False)
    average = make_average(model, replace(SMALL, averaging=Averaging(0.9)))
    assert average is not None
    expected = model.weight.detach().clone()
    for step in range(5):
        with torch.no_grad():
            model.weight += step
        average.update(model)
        expected = 0.9 * expected + 0.1 * model.weight.detach()
        torch.testing.assert_close(average.module.weight, expected)
    assert make_average(model, replace(SMALL, averaging=Averaging(0.0))) is None


def test_vectors_and_exempt_names_are_not_decayed() -> None:
    """The reference's own count for FAN-T-ViT: 126 decayed, 265 exempt (FAN reference, section 2.9)."""
    model = build_network("fan_tiny_12_p16_224", {}, classes=1000)
    groups = make_optimiser(model, RECIPES["fan-vit-t"]).param_groups
    counts = {bool(group["weight_decay"]): len(group["params"]) for group in groups}
    assert counts == {True: 126, False: 265}
    exempt = {id(parameter) for group in groups if not group["weight_decay"] for parameter in group["params"]}
    for name, parameter in model.named_parameters():
        assert (id(parameter) in exempt) == (parameter.ndim <= 1 or name == "cls_token"), name


def test_layers_further_from_the_classifier_learn_more_slowly() -> None:
    recipe = replace(SMALL, optimiser=Optimiser(rate=1e-3, layer_decay=0.5))
    model = build_network("fan_vit_micro_32", {"depth": 2}, classes=10)
    optimiser = make_optimiser(model, recipe)
    make_schedule(optimiser, recipe, 10).step_update(10)  # the end of the warm-up
    rates = {id(parameter): group["lr"] for group in optimiser.param_groups for parameter in group["params"]}
    by_name = {name: rates[id(parameter)] for name, parameter in model.named_parameters()}
    head, first, second = (by_name[name] for name in ("head.weight", "blocks.0.norm1.weight", "blocks.1.norm1.weight"))
    stem = by_name["patch_embed.proj.0.0.weight"]
    assert by_name["blocks.0.attn.proj.weight"] == first
    assert second == pytest.approx(2 * first)
    assert first == pytest.approx(2 * stem)
    # Two class-attention blocks lie between the last block and the classifier's group.
    assert by_name["cls_attn_blocks.1.norm1.weight"] == pytest.approx(4 * second)
    assert head >= by_name["cls_attn_blocks.1.norm1.weight"]
    assert head == max(rates.values())


def test_a_model_without_layers_has_no_layer_decay() -> None:
    with pytest.raises(UserError, match="names its layers"):
        make_optimiser(nn.Linear(2, 2), replace(SMALL, optimiser=Optimiser(layer_decay=0.7)))
    with pytest.raises(UserError, match=r"optimiser\.name 'adamv' cannot be used"):
        make_optimiser(nn.Linear(2, 2), replace(SMALL, optimiser=Optimiser("adamv")))


def test_fine_tuning_starts_from_a_checkpoint_with_a_fresh_small_classifier(tmp_path) -> None:
    from weatherglass.models.checkpoint import save_weights

    trained = build_network("fan_vit_micro_32", {"depth": 1}, classes=100, image_size=32)
    save_weights(trained, tmp_path / "start.safetensors")
    network = Network("fan_vit_micro_32", {"depth": 1}, start=str(tmp_path / "start.safetensors"), head_scale=0.001)
    plain = start_network(replace(SMALL, network=replace(network, start=None, head_scale=1.0)), classes=10).network
    tuned = start_network(replace(SMALL, network=network), classes=10).network
    torch.testing.assert_close(tuned.head.weight, 0.001 * plain.head.weight)
    torch.testing.assert_close(tuned.blocks[0].attn.proj.weight, trained.blocks[0].attn.proj.weight)
    # Other image sizes: a fully attentional network has no position table to resize.
    larger = start_network(replace(SMALL, image_size=48, network=network), classes=10).network
    assert larger(torch.zeros(2, 3, 48, 48)).shape == (2, 10)
