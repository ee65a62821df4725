"""Where a training starts: what a checkpoint must bring, what is interpolated, what is made anew."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from recipes_small import small
from torch import Tensor, nn

from weatherglass.errors import UserError
from weatherglass.models.checkpoint import save_weights
from weatherglass.models.described import build_network
from weatherglass.training.classification import start_network
from weatherglass.training.detection import start_detector
from weatherglass.training.recipe import Network, Recipe
from weatherglass.training.recipes import RECIPES
from weatherglass.training.segmentation import start_segmenter
from weatherglass.training.start import Started, classifiers

NARROW = {"depth": 1, "embed_dim": 24, "num_heads": 2}


def saved(model: nn.Module, folder: Path) -> str:
    save_weights(model, folder / "start.safetensors")
    return str(folder / "start.safetensors")


def started(recipe: Recipe, start: str | None, arguments: dict[str, Any], classes: int = 10) -> Started[Any]:
    network = replace(recipe.network, arguments=arguments, start=start)
    return start_network(replace(recipe, network=network), classes=classes)


def linear_positions(side: int, width: int) -> Tensor:
    """A table that grows along both axes, behind one vector of 7 for the class token."""
    places = (torch.arange(side) + 0.5) / side
    grid = torch.stack([places.expand(side, side), places[:, None].expand(side, side)], 2).flatten(0, 1)
    return torch.cat([torch.full((1, width), 7.0), grid.repeat(1, width // 2)])[None]


def test_positions_of_another_image_size_are_interpolated(tmp_path: Path) -> None:
    trained = build_network("timm/deit_base_patch16_224", NARROW, classes=10, image_size=224)
    with torch.no_grad():
        trained.pos_embed.copy_(linear_positions(14, 24))  # pyright: ignore[reportCallIssue]
    tuned = started(RECIPES["deit-384"], saved(trained, tmp_path), NARROW)
    table = tuned.network.pos_embed
    torch.testing.assert_close(table[:, 0], torch.full((1, 24), 7.0))
    inner = F.pad(linear_positions(24, 24)[0, 1:].T.unflatten(1, (24, 24)), (-4, -4, -4, -4))
    torch.testing.assert_close(
        table[0, 1:].T.unflatten(1, (24, 24))[:, 4:-4, 4:-4], inner, rtol=0, atol=1e-3
    )  # a straight line stays one, away from the border
    torch.testing.assert_close(tuned.network.head.weight, trained.head.weight)
    assert tuned.remarks[0].endswith("is the start: 20 tensors fit, 1 interpolated (pos_embed).")


def test_windows_of_another_size_and_networks_without_tables(tmp_path: Path) -> None:
    for name, size in (("vit_micro_32", 48), ("fan_swin_micro_32", 64), ("swin_micro_32", 64)):
        trained = build_network(name, {}, classes=10, image_size=32)
        recipe = small(image_size=size, network=Network(name))
        model = started(recipe, saved(trained, tmp_path), {}).network
        assert model.eval()(torch.zeros(1, 3, size, size)).shape == (1, 10)
    trained = build_network("swin_micro_32", {}, classes=10, image_size=32)
    wider = started(small(network=Network("swin_micro_32")), saved(trained, tmp_path), {"window": 8}).network
    old, new = (dict(each.named_parameters()) for each in (trained, wider))
    table = "layers.0.blocks.0.attn.relative_position_bias_table"
    assert old[table].shape != new[table].shape
    middle = [float(each[table].detach()[len(each[table]) // 2, 0]) for each in (old, new)]
    assert middle[1] == pytest.approx(middle[0], abs=1e-4)


def test_only_the_classifier_may_be_made_anew(tmp_path: Path) -> None:
    other = saved(build_network("vit_micro_32", {}, classes=10, image_size=32), tmp_path)
    for arguments in ({}, {"depth": 1}):
        with pytest.raises(UserError, match=r"is no start for this network: .* missing .*Only the last layer"):
            started(small(network=Network("fan_vit_micro_32")), other, arguments)
    with pytest.raises(UserError, match="of other shape"):
        started(small(network=Network("vit_micro_32")), other, {"widths": [40], "heads": [2]})
    tuned = started(small(network=Network("vit_micro_32")), other, {}, classes=7)
    assert "2 of other shape (head.weight: (10, 80) in the checkpoint, (7, 80) in the model" in tuned.remarks[0]


def test_a_trained_classifier_keeps_its_scale(tmp_path: Path) -> None:
    trained = build_network("fan_vit_micro_32", {"depth": 1}, classes=10, image_size=32)
    recipe = small(network=Network("fan_vit_micro_32", head_scale=0.001))
    tuned = started(recipe, saved(trained, tmp_path), {"depth": 1})
    torch.testing.assert_close(tuned.network.head.weight, trained.head.weight)


def test_both_classifiers_of_a_distilled_network_are_scaled(tmp_path: Path) -> None:
    recipe = small(image_size=224, network=Network("timm/deit_tiny_distilled_patch16_224"))
    plain = started(recipe, None, NARROW).network
    scaled = started(replace(recipe, network=replace(recipe.network, head_scale=0.1)), None, NARROW).network
    assert len(classifiers(plain)) == 2
    for one, other in zip(classifiers(plain), classifiers(scaled), strict=True):
        torch.testing.assert_close(other.weight, 0.1 * one.weight)
    tuned = started(recipe, saved(plain, tmp_path), NARROW, classes=7)
    assert "4 of other shape" in tuned.remarks[0]


@pytest.mark.parametrize("name", [name for name in RECIPES if name.endswith(("22k-to-1k", "22k-to-1k-384"))])
def test_fine_tuning_begins_with_a_small_classifier(name: str) -> None:
    """Card 8: scaled by 0.001 from a deviation of 0.02, once; Swin's protocol does not scale."""
    recipe = replace(RECIPES[name], image_size=224)
    fan_swin = "swin" in name
    arguments = {"depths": (1, 1, 1, 1)} if fan_swin else {"depth": 1}
    head = started(recipe, None, arguments).network.head.weight
    assert float(head.detach().std()) == pytest.approx(0.02 if fan_swin else 2e-5, rel=0.1)


@pytest.mark.parametrize("start", [start_segmenter, start_detector], ids=["segmenter", "detector"])
@pytest.mark.parametrize("backbone", ["fan_tiny_8_p4_hybrid", "timm/convnext_atto", "vit_micro_32"])
def test_a_classifier_fills_every_kind_of_backbone(start: Any, backbone: str, tmp_path: Path) -> None:
    classifier = build_network(backbone, {}, classes=3)
    head, template = ("segformer", "segformer-fan-hybrid-micro") if start is start_segmenter else ("faster-rcnn", None)
    recipe = RECIPES[template or "faster-rcnn-fan-vit-micro"]
    network = Network(f"{head}/{backbone}", start=saved(classifier, tmp_path), gradient_checkpointing=True)
    begun = start(replace(recipe, network=network), classes=4)
    assert "is the start" in begun.remarks[0]
    dense = begun.network.backbone if start is start_segmenter else begun.network.backbone.backbone
    theirs = dict(classifier.named_parameters())
    ours = dense.classifier_weights(theirs)
    found = dict(dense.whole.named_parameters())
    assert len(ours.keys() & found.keys()) > 0.9 * len(found)
    assert all(torch.equal(ours[name], found[name]) for name in ours.keys() & found.keys())
    assert any(getattr(module, "grad_checkpointing", False) for module in dense.modules())


def test_whole_dense_networks_start_others(tmp_path: Path) -> None:
    recipe = RECIPES["segformer-fan-hybrid-micro"]
    trained = start_segmenter(recipe, classes=5).network
    begun = start_segmenter(replace(recipe, network=replace(recipe.network, start=saved(trained, tmp_path))), classes=7)
    assert "2 of other shape (head.classifier" in begun.remarks[0]
    other = replace(recipe, network=Network("segformer/vit_micro_64", start=saved(trained, tmp_path)))
    with pytest.raises(UserError, match=r"is no start for this network: .* Only the head may be made anew"):
        start_segmenter(other, classes=5)
