"""Lesions: what they silence, that they leave no trace, and that they are measured like any disturbance."""

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from weatherglass.analysis.lesions import (
    Lesioned,
    RandomItems,
    equal_count_lesions,
    head_on_embedding,
    lesion,
    parse_lesion,
    random_lesions,
    single_lesions,
)
from weatherglass.analysis.structure import find_structure
from weatherglass.data.images import ArrayImages
from weatherglass.errors import UserError
from weatherglass.evaluation.conditions import conditions_of, parse_disturbance
from weatherglass.evaluation.evaluate import EvaluationSettings, evaluate
from weatherglass.models.predictor import TorchPredictor
from weatherglass.types import Preprocessing


def test_no_lesion_is_the_baseline(vit: nn.Module, images: Tensor) -> None:
    with torch.no_grad():
        baseline = vit(images)
        with lesion(vit, []):
            assert torch.equal(vit(images), baseline)


def test_all_blocks_lesioned_is_the_head_on_the_embedding(vit: nn.Module, images: Tensor) -> None:
    structure = find_structure(vit)
    with torch.no_grad():
        tokens = vit._pos_embed(vit.patch_embed(images))  # pyright: ignore
        expected = vit.forward_head(vit.norm(vit.norm_pre(tokens)))  # pyright: ignore
        assert torch.equal(head_on_embedding(vit, images, structure), expected)


@pytest.mark.parametrize("fails", [False, True])
def test_the_model_is_bit_identical_afterwards(vit: nn.Module, images: Tensor, fails: bool) -> None:
    state = {name: tensor.clone() for name, tensor in vit.state_dict().items()}
    with torch.no_grad():
        baseline = vit(images)
        try:
            with lesion(vit, ["blocks.1", "blocks.2.mlp"]):
                assert not torch.equal(vit(images), baseline)
                if fails:
                    raise KeyboardInterrupt
        except KeyboardInterrupt:
            pass
        assert torch.equal(vit(images), baseline)
    assert all(torch.equal(tensor, state[name]) for name, tensor in vit.state_dict().items())
    assert all(not module._forward_hooks for module in vit.modules())


def test_one_branch_is_what_its_name_says(vit: nn.Module, images: Tensor) -> None:
    """Silencing the MLP equals a network whose MLP ends in zero weights."""
    with torch.no_grad(), lesion(vit, ["blocks.2.channel_mixing"]):
        silenced = vit(images)
    with torch.no_grad():
        vit.blocks[2].mlp.fc2.weight.zero_()  # pyright: ignore
        vit.blocks[2].mlp.fc2.bias.zero_()  # pyright: ignore
        assert torch.equal(vit(images), silenced)


@pytest.mark.parametrize("items", ["blocks", "attentions", "mlps", "branches"])
def test_random_items_are_drawn_without_replacement(vit: nn.Module, items: str) -> None:
    structure = find_structure(vit)
    for repeat in range(3):
        chosen = RandomItems(3, items, repeat=repeat).draw(structure)
        assert len(set(chosen)) == (6 if items == "blocks" else 3)
    assert RandomItems(3, items).draw(structure) == RandomItems(3, items).draw(structure)
    draws = {RandomItems(2, items, repeat=repeat).draw(structure) for repeat in range(20)}
    assert len(draws) > 3


def test_each_item_is_drawn_equally_often(vit: nn.Module) -> None:
    structure = find_structure(vit)
    drawn = [RandomItems(1, "blocks", repeat=repeat).draw(structure)[0].block for repeat in range(400)]
    counts = np.unique(drawn, return_counts=True)[1]
    assert len(counts) == 4
    assert counts.min() > 70  # 100 expected, standard deviation 8.7


def test_first_blocks_are_spared_and_pairs_come_from_different_blocks(vit: nn.Module) -> None:
    structure = find_structure(vit)
    for repeat in range(10):
        assert all(b.block != "blocks.0" for b in RandomItems(2, "branches", 1, repeat).draw(structure))
        chosen = RandomItems(2, "pairs", 0, repeat).draw(structure)
        assert sorted(b.kind for b in chosen) == ["channel_mixing"] * 2 + ["token_mixing"] * 2
        assert len({b.block for b in chosen}) == 4
    with pytest.raises(UserError, match="the model has 4"):
        RandomItems(5, "blocks").draw(structure)


def test_text_forms_are_stable() -> None:
    for text in ("lesion:blocks.3.mlp", "lesion:blocks.1,blocks.2.attn", "lesion:random-4-blocks-after-1#2"):
        assert str(parse_lesion(text)) == text
    assert str(parse_lesion("lesion:random-4-blocks")) == "lesion:random-4-blocks#0"
    for wrong in ("lesion:", "lesion:random-4-heads", "lesion:random-x-blocks"):
        with pytest.raises(UserError):
            parse_lesion(wrong)


def test_studies_cover_what_the_card_lists(vit: nn.Module) -> None:
    structure = find_structure(vit)
    assert len(single_lesions(structure)) == 4 + 8
    assert len(random_lesions(structure, items=("blocks", "mlps"), repeats=2)) == 2 * (4 + 4)
    assert len(equal_count_lesions(structure, repeats=2)) == 2 * 3 * 2


def test_another_seed_draws_other_lesions(vit: nn.Module) -> None:
    structure = find_structure(vit)
    drawn = [
        [one.random.repeat for one in lesions(structure, repeats=2, seed=seed) if one.random]
        for lesions in (random_lesions, equal_count_lesions)
        for seed in (0, 1, -1)
    ]
    assert [set(repeats) for repeats in drawn] == 2 * [{0, 1}, {2, 3}, {-2, -1}]
    first, second = ([str(one.branches(structure)) for one in random_lesions(structure, seed=s)] for s in (0, 1))
    assert first != second
    assert str(parse_lesion("lesion:random-4-blocks#-3")) == "lesion:random-4-blocks#-3"


@pytest.fixture
def noise_images() -> ArrayImages:
    rng = np.random.default_rng(0)
    pixels = rng.integers(0, 256, (24, 32, 32, 3), dtype=np.uint8)
    return ArrayImages("noise", pixels, np.arange(24) % 10, tuple("0123456789"), tuple(str(i) for i in range(24)))


def test_lesions_are_measured_as_cells(vit: nn.Module, noise_images: ArrayImages, tmp_path) -> None:
    predictor = TorchPredictor(vit, name="vit", preprocessing=Preprocessing(size=(32, 32)), classes=10, device="cpu")
    texts = ["lesion:blocks.1", "lesion:random-2-mlps#1", "lesion:blocks.1+gaussian_noise@3"]
    evaluation = evaluate(
        predictor,
        data=noise_images,
        store=tmp_path,
        disturbances=texts,
        settings=EvaluationSettings(batch_size=8, forward_batch=8),
    )
    assert evaluation.measured == 4
    records = evaluation.runs[0].records
    assert {records[text].family for text in texts} == {"lesion"}
    seen = evaluation.store.observations(records["lesion:blocks.1"].key, ["prediction"]).columns["prediction"]
    images = torch.from_numpy(noise_images.pixels).permute(0, 3, 1, 2).float() / 255
    with torch.no_grad(), lesion(vit, ["blocks.1"]):
        assert (predictor(images).argmax(1).numpy() == seen).mean() > 0.95
    wrong = Lesioned(("blocks.99",))
    with pytest.raises(UserError, match="no residual branch"), wrong.of_model(predictor) as lesioned:
        lesioned(images)


def test_lesions_are_parsed_among_corruptions(noise_images: ArrayImages) -> None:
    found = conditions_of(noise_images, suite=None, disturbances=["lesion:blocks.1", "fog@3", "lesion:blocks.1+fog@2"])
    assert [str(one) for one in found] == ["clean", "lesion:blocks.1", "fog@3", "lesion:blocks.1+fog@2"]
    with pytest.raises(UserError, match="behind the \\+ stands what is done to the images"):
        parse_disturbance("lesion:blocks.1+lesion:blocks.2")
    assert [one.family for one in found] == ["clean", "lesion", "weather", "lesion"]
