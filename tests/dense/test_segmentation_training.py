"""Learning to segment: augmentation that belongs to the sample, the loss, the groups of the optimiser, exact resume."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
import torch.nn.functional as F

from weatherglass.data.images import ArrayImages
from weatherglass.data.load import load_data
from weatherglass.errors import UserError
from weatherglass.models.load import load_predictor
from weatherglass.randomness import Draws
from weatherglass.training.distributed import joined
from weatherglass.training.loop import train
from weatherglass.training.masked import cropped, distorted, mirrored, padded, rescaled
from weatherglass.training.optimisation import make_optimiser, make_schedule
from weatherglass.training.recipe import Masked, Recipe
from weatherglass.training.recipes import RECIPES
from weatherglass.training.samples import Place
from weatherglass.training.segmentation import AugmentedMasks, Segmentation, start_segmenter, weighted_loss
from weatherglass.training.segmentation_recipes import SEGFORMER
from weatherglass.types import IGNORE

TINY = replace(
    RECIPES["segformer-convnext-micro"],
    image_size=32,
    batch=4,
    masked=Masked(size=(48, 48), scale=(0.75, 1.25)),
    schedule=replace(RECIPES["segformer-convnext-micro"].schedule, epochs=2, warmup=0),
)


def draws(sample: str = "a") -> Draws:
    return Draws(0, (sample,), "test")


def test_samples_depend_on_place_and_id_alone() -> None:
    data = load_data("scenes:4@48")
    whole, part = AugmentedMasks(data, TINY), AugmentedMasks(data.select([2], "one"), TINY)  # type: ignore[arg-type]
    image, mask = whole[Place(2, 1, 0)]
    again, _ = part[Place(0, 1, 0)]
    other, _ = whole[Place(2, 2, 0)]
    assert torch.equal(image, again)
    assert not torch.equal(image, other)
    assert image.shape == (3, 32, 32) and mask.shape == (32, 32)


def test_masks_move_with_their_images() -> None:
    """A picture whose red is 40 times its class: still so after every geometric step."""
    mask = torch.arange(6, dtype=torch.uint8).repeat_interleave(8)[None].expand(20, 48).contiguous()
    image = (mask * 40)[None].expand(3, -1, -1).contiguous()
    for sample in ("a", "b", "c", "d"):
        larger = rescaled(image, mask, 40, 96)
        moved, ids = mirrored(
            *cropped(*larger, 32, largest_share=0.9, draws=draws(sample)), chance=0.5, draws=draws(sample)
        )
        assert ((moved[0].int() - 40 * ids.int()).abs() > 20).float().mean() < 0.1
    assert mirrored(image, mask, chance=0.0, draws=draws())[1] is mask


def test_a_crop_in_which_one_class_fills_too_much_is_drawn_again() -> None:
    mask = torch.zeros(64, 64, dtype=torch.uint8)
    mask[:, 48:] = 1
    shares = []
    for sample in range(20):
        _, part = cropped(mask.expand(3, -1, -1), mask, 24, largest_share=0.75, draws=draws(str(sample)))
        shares.append(float(torch.bincount(part.flatten().long()).max()) / part.numel())
    assert np.mean(np.array(shares) < 0.75) > 0.7
    whole = torch.zeros(24, 24, dtype=torch.uint8)  # nothing better is to be found
    assert cropped(whole.expand(3, -1, -1), whole, 24, largest_share=0.5, draws=draws())[1].shape == (24, 24)


def test_small_images_are_padded_with_what_does_not_count() -> None:
    image, mask = padded(torch.ones(3, 4, 6, dtype=torch.uint8), torch.ones(4, 6, dtype=torch.uint8), 8)
    assert image.shape == (3, 8, 8)
    assert (mask[:4, :6] == 1).all() and (mask[4:] == IGNORE).all() and (mask[:, 6:] == IGNORE).all()


def test_distortion_changes_colours_and_nothing_else() -> None:
    image = torch.randint(0, 256, (3, 8, 8), dtype=torch.uint8, generator=torch.Generator().manual_seed(0))
    results = [distorted(image, draws=draws(str(i))) for i in range(12)]
    assert all(one.shape == image.shape and one.dtype == torch.uint8 for one in results)
    assert len({one.numpy().tobytes() for one in results}) > 6
    assert torch.equal(results[0], distorted(image, draws=draws("0")))
    grey = torch.full((3, 4, 4), 128, dtype=torch.uint8)
    for i in range(12):
        moved = distorted(grey, draws=draws(str(i)))
        assert moved.float().std() == 0


def test_loss_counts_only_what_counts() -> None:
    scores = torch.randn(2, 3, 4, 4, generator=torch.Generator().manual_seed(0))
    masks = torch.zeros(2, 4, 4, dtype=torch.uint8)
    masks[0] = IGNORE
    expected = F.cross_entropy(scores[1:], masks[1:].long())
    assert torch.allclose(weighted_loss(scores, masks), expected)
    both = weighted_loss([(scores, 1.0), (scores, 0.4)], masks)
    assert torch.allclose(both, 1.4 * expected)
    nothing = weighted_loss(scores, torch.full_like(masks, IGNORE))
    assert float(nothing) == 0


def test_the_published_recipe() -> None:
    """Card 19: AdamW 6e-5, ten times that for the head, warm-up of 1,500 steps, a straight line down to 0."""
    small = replace(SEGFORMER, network=replace(SEGFORMER.network, name="segformer/convnext_micro_64"))
    optimiser = make_optimiser(start_segmenter(small, classes=3).network, small)
    schedule = make_schedule(optimiser, small, 371)
    rates = []
    for step in (0, 750, 1500, 431 * 371 // 2, 431 * 371 - 1):
        schedule.step_update(step)
        rates.append(sorted({group["lr"] for group in optimiser.param_groups}))
    assert rates[0] == pytest.approx([6e-11, 6e-10], rel=1e-6)
    assert rates[1] == pytest.approx([3e-5, 3e-4], rel=1e-5)
    assert rates[2] == pytest.approx([6e-5 * (1 - 1500 / 159_901), 6e-4 * (1 - 1500 / 159_901)], rel=1e-6)
    assert rates[3] == pytest.approx([3e-5, 3e-4], rel=1e-2)
    assert max(rates[4]) < 1e-8
    decayed = {group["weight_decay"] for group in optimiser.param_groups}
    assert decayed == {0.0, 0.01}


@pytest.mark.parametrize("head_factor", [1.0, 10.0])
@pytest.mark.parametrize("name", ["segformer/fan_hybrid_micro_64", "segformer/vit_micro_64", "segformer/swin_micro_64"])
def test_positions_and_tokens_are_not_decayed(name: str, head_factor: float) -> None:
    """Card 19: no decay of norms and positions."""
    optimiser = replace(SEGFORMER.optimiser, head_factor=head_factor)
    recipe = replace(SEGFORMER, network=replace(SEGFORMER.network, name=name), optimiser=optimiser)
    model = start_segmenter(recipe, classes=3).network
    groups = make_optimiser(model, recipe).param_groups
    decayed = {id(parameter) for group in groups if group["weight_decay"] for parameter in group["params"]}
    exempt = ("cls_token", "pos_embed", "relative_position_bias_table")
    for label, parameter in model.named_parameters():
        assert (id(parameter) in decayed) == (parameter.ndim > 1 and not label.endswith(exempt)), label
    assert any(label.endswith(exempt) for label, _ in model.named_parameters())


def learn(recipe: Recipe, folder: Path):
    objective = Segmentation(recipe, load_data("scenes:train-8@48"), load_data("scenes:2@48"))
    with joined("cpu") as group:
        return train(recipe, objective, folder, group=group)


def test_it_learns_resumes_and_evaluates(tmp_path: Path) -> None:
    whole = learn(TINY, tmp_path / "whole")
    assert {"miou", "pixel_accuracy", "images"} <= whole.history[-1].keys()
    import weatherglass.training.loop as loop

    first = tmp_path / "parts"
    objective = Segmentation(TINY, load_data("scenes:train-8@48"), load_data("scenes:2@48"))

    class Stop(loop.Listener):
        def epoch_ended(self, training, row) -> None:
            raise KeyboardInterrupt

    with joined("cpu") as group, pytest.raises(KeyboardInterrupt):
        train(TINY, objective, first, group=group, listener=Stop())
    resumed = learn(TINY, first)
    for name, tensor in whole.model.state_dict().items():
        assert torch.equal(tensor, resumed.model.state_dict()[name]), name
    predictor = load_predictor(str(tmp_path / "whole" / "model.safetensors"))
    assert (predictor.task, predictor.classes) == ("segmentation", 6)
    assert predictor.class_names is not None and predictor.class_names[0] == "ground"
    assert predictor.preprocessing.geometry == "resize 48x48 bilinear"


def test_data_without_masks_is_refused() -> None:
    labelled = ArrayImages("plain", np.zeros((2, 8, 8, 3), np.uint8), np.array([0, 1]), ("a", "b"), ("1", "2"))
    with pytest.raises(UserError, match="plain has no masks"):
        Segmentation(TINY, labelled, None)


@pytest.mark.slow
def test_full_size_configuration_trains_and_infers() -> None:
    """FAN-S-Hybrid with the SegFormer head at 1024 pixels: a step and an inference."""
    model = start_segmenter(SEGFORMER, classes=19).network
    masks = torch.zeros(1, 1024, 1024, dtype=torch.uint8)
    weighted_loss(model.train()(torch.rand(1, 3, 1024, 1024)), masks).backward()
    assert all(parameter.grad is not None for parameter in model.head.parameters())
    with torch.no_grad():
        assert model.eval()(torch.rand(1, 3, 1024, 1024)).shape == (1, 19, 1024, 1024)
