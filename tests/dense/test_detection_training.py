"""Learning to detect: augmentation that belongs to the sample, targets, the published recipes, exact resume."""

import json
import os
import signal
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from detection_scenes import ObjectScenes

from weatherglass.data.images import ArrayImages
from weatherglass.errors import UserError
from weatherglass.models.checkpoint import save_weights
from weatherglass.models.described import build_described, build_network, describe
from weatherglass.models.detector import Detector, fitting_size
from weatherglass.models.load import load_predictor
from weatherglass.randomness import Draws
from weatherglass.training.boxed import as_target, augmented, cropped, mirrored, rescaled
from weatherglass.training.detection import AugmentedObjects, Detection, start_detector
from weatherglass.training.detection_recipes import DETECTORS, MASK_RCNN
from weatherglass.training.distributed import Group
from weatherglass.training.interruption import Interrupted
from weatherglass.training.loop import train
from weatherglass.training.optimisation import make_optimiser, make_schedule
from weatherglass.training.progress import Listener
from weatherglass.training.recipe import Boxed, Recipe
from weatherglass.training.recipe_text import with_settings
from weatherglass.training.recipes import RECIPES
from weatherglass.training.samples import Place
from weatherglass.training.training import Training
from weatherglass.types import Objects

ALONE = Group(0, 1, torch.device("cpu"))
SCENES = ObjectScenes((0, 1, 2, 3, 4, 5))
MICRO = RECIPES["mask-rcnn-convnext-micro"]
TINY = replace(
    MICRO,
    network=replace(
        MICRO.network,
        arguments={**MICRO.network.arguments, "depths": [1, 1, 1, 1], "widths": [8, 8, 16, 16], "pyramid_width": 8},
        drop_path=0.2,
    ),
    batch=2,
    boxed=Boxed(short_sides=(48, 56), long_side=0, crop_chance=0.5, crop_short_sides=(64,), crop_range=(32, 48)),
    schedule=replace(MICRO.schedule, epochs=2, warmup=0),
    precision="float32",
    channels_last=False,
)
FULL = [recipe for recipe in DETECTORS if recipe.image_size >= 800]


def draws(sample: str = "a") -> Draws:
    return Draws(0, (sample,), "test")


def two(masks: bool = True) -> tuple[torch.Tensor, Objects]:
    """A picture of two rectangles, with their boxes."""
    boxes = np.array([[2.0, 3, 10, 8], [12, 4, 20, 16]])
    drawn = np.zeros((2, 20, 24), dtype=bool)
    drawn[0, 3:8, 2:10] = drawn[1, 4:16, 12:20] = True
    image = torch.from_numpy(drawn.any(axis=0).astype(np.uint8) * 200).expand(3, -1, -1).contiguous()
    return image, Objects(boxes, np.array([0, 3]), masks=drawn if masks else None, crowd=np.array([False, True]))


def assert_boxes_surround_masks(objects: Objects, within: float) -> None:
    assert objects.masks is not None
    for box, mask in zip(objects.boxes, objects.masks, strict=True):
        rows, columns = np.flatnonzero(mask.any(axis=1)), np.flatnonzero(mask.any(axis=0))
        seen = [columns[0], rows[0], columns[-1] + 1, rows[-1] + 1]
        assert np.abs(box - seen).max() <= within


def test_boxes_and_masks_move_with_their_image() -> None:
    image, objects = two()
    assert_boxes_surround_masks(objects, 0)
    turned, flipped = mirrored(image, objects)
    assert_boxes_surround_masks(flipped, 0)
    assert torch.equal(turned[0] > 0, torch.from_numpy(flipped.masks.any(axis=0).copy()))  # type: ignore[union-attr]
    larger, scaled = rescaled(image, objects, 40, 60)
    assert larger.shape == (3, 40, 60)
    assert scaled.boxes[0].tolist() == [5, 6, 25, 16]
    assert_boxes_surround_masks(scaled, 1)


def test_objects_that_a_crop_cuts_away_are_dropped() -> None:
    image, objects = two()
    part, left = cropped(image, objects, 4, 0, 10, 14)
    assert part.shape == (3, 10, 14)
    assert left.boxes.tolist() == [[2, 0, 10, 4], [12, 0, 14, 10]] and left.classes.tolist() == [0, 3]
    assert_boxes_surround_masks(left, 0)
    _, one = cropped(image, objects, 10, 0, 10, 24)
    assert one.classes.tolist() == [3] and one.crowd.tolist() == [True]  # type: ignore[union-attr]
    _, none = cropped(image, objects, 17, 0, 3, 24)
    assert len(none) == 0 and none.masks.shape == (0, 3, 24)  # type: ignore[union-attr]
    hollow = replace(objects, masks=np.zeros_like(objects.masks))  # a box without a pixel is nothing to be found
    assert len(cropped(image, hollow, 0, 0, 20, 24)[1]) == 0


def test_targets_have_no_crowds_and_nothing_beside_the_image() -> None:
    image, objects = two()
    target = as_target(image, objects)
    assert target["labels"].tolist() == [1] and target["boxes"].tolist() == [[2, 3, 10, 8]]
    assert target["masks"].shape == (1, 20, 24) and target["masks"].dtype == torch.uint8
    beyond = Objects(np.array([[-5.0, -1, 6, 7], [23.5, 0, 30, 9]]), np.array([1, 1]))
    target = as_target(image, beyond)
    assert target["boxes"].tolist() == [[0, 0, 6, 7]] and "masks" not in target
    nothing = as_target(image, Objects(np.zeros((0, 4)), np.zeros(0, dtype=np.int64)))
    assert nothing["boxes"].shape == (0, 4) and nothing["labels"].shape == (0,)


def test_sizes_are_those_of_the_recipe() -> None:
    assert fitting_size(480, 640, 800, 1333) == (800, 1067)
    assert fitting_size(200, 640, 800, 1333) == (417, 1333)
    image, objects = two()

    def sizes(chosen: Boxed) -> set[tuple[int, ...]]:
        each = (augmented(image, objects, chosen, flip=0.5, draws=draws(str(i))) for i in range(30))
        return {tuple(picture.shape[1:]) for picture, _ in each}

    assert all(max(size) in (48, 56) for size in sizes(TINY.boxed)) and len(sizes(TINY.boxed)) > 4
    assert sizes(replace(TINY.boxed, crop_chance=0.0)) == {(40, 48), (47, 56)}


def test_samples_depend_on_place_and_id_alone() -> None:
    whole, part = AugmentedObjects(SCENES, TINY), AugmentedObjects(SCENES.select([2], "one"), TINY)
    image, target = whole[Place(2, 1, 0)]
    again, same = part[Place(0, 1, 0)]
    other, _ = whole[Place(2, 2, 0)]
    assert torch.equal(image, again) and torch.equal(target["boxes"], same["boxes"])
    assert image.shape != other.shape or not torch.equal(image, other)
    assert float(image.min()) >= 0 and float(image.max()) <= 1


def test_the_published_recipe() -> None:
    """Card 21: AdamW 1e-4, 500 steps of warm-up from a thousandth, a tenth behind epochs 27 and 33 of 36."""
    optimiser = torch.optim.AdamW([torch.zeros(1)], lr=MASK_RCNN.peak_rate)
    schedule = make_schedule(optimiser, MASK_RCNN, 1000)
    rates = []
    for step in (0, 250, 500, 26_999, 27_000, 32_999, 33_000, 35_999):
        schedule.step_update(step)
        rates.append(optimiser.param_groups[0]["lr"])
    assert rates == pytest.approx([1e-7, 5.005e-5, 1e-4, 1e-4, 1e-5, 1e-5, 1e-6, 1e-6], rel=1e-6)
    assert (MASK_RCNN.batch, MASK_RCNN.optimiser.weight_decay, MASK_RCNN.optimiser.betas) == (16, 0.05, (0.9, 0.999))
    assert MASK_RCNN.boxed.short_sides == tuple(range(480, 801, 32)) and MASK_RCNN.boxed.long_side == 1333
    assert {recipe.name for recipe in FULL} >= {
        *(f"mask-rcnn-fan-hybrid-{size}" for size in "ts"),
        *(f"cascade-mask-rcnn-fan-hybrid-{size}" for size in "tsbl"),
        "faster-rcnn-fan-vit-s",
    }
    with pytest.raises(UserError, match="milestones"):
        with_settings(MASK_RCNN, {"schedule.milestones": "[33, 27]"})
    with pytest.raises(UserError, match="crop_range"):
        with_settings(MASK_RCNN, {"boxed.crop_range": "[600, 384]"})


def test_what_is_not_decayed() -> None:
    swin = replace(TINY.network, name="mask-rcnn/swin_micro_64", arguments={})
    model = start_detector(replace(TINY, network=swin), classes=2).network
    groups = [group["params"] for group in make_optimiser(model, TINY).param_groups if not group["weight_decay"]]
    plain = {id(parameter) for group in groups for parameter in group}
    named = dict(model.named_parameters())
    exempt = {name for name, parameter in named.items() if id(parameter) in plain}
    assert any(name.endswith("relative_position_bias_table") for name in exempt)
    assert exempt == {name for name, each in named.items() if each.ndim < 2} | model.no_weight_decay()


def learn(folder: Path, listener: Listener | None = None) -> Training:
    return train(TINY, Detection(TINY, SCENES, ObjectScenes((8, 9))), folder, group=ALONE, listener=listener)


class Stops(Listener):
    """Asks the process to stop in the middle of the second epoch."""

    def stepped(self, training: Training, pace: object) -> None:
        if training.step == 4:
            os.kill(os.getpid(), signal.SIGTERM)


def test_an_interrupted_run_equals_one_that_was_not_and_its_file_says_what_it_is(tmp_path: Path) -> None:
    whole = learn(tmp_path / "whole")
    with pytest.raises(Interrupted):
        learn(tmp_path / "parts", Stops())
    resumed = learn(tmp_path / "parts")
    assert whole.step == resumed.step == 6
    for name, tensor in whole.model.state_dict().items():
        assert torch.equal(tensor, resumed.model.state_dict()[name]), name
    for key in ("loss", "box_ap", "box_ap50", "mask_ap", "images"):
        assert whole.history[-1][key] == resumed.history[-1][key]
    path = tmp_path / "whole" / "model.safetensors"
    description = describe(path)
    assert description is not None and description.name == "mask-rcnn/convnext_micro_64"
    assert description.class_names == SCENES.classes
    built = build_described(path, description)
    assert isinstance(built, Detector) and built.config.canonical_size == 56
    image = SCENES.image(0).float() / 255
    with torch.no_grad():
        (first,), (second,) = built.eval()([image]), whole.model.eval()([image])
    assert torch.equal(first["boxes"], second["boxes"]) and torch.equal(first["scores"], second["scores"])
    predictor = load_predictor(str(path))
    assert (predictor.task, predictor.class_names) == ("detection", SCENES.classes)


def test_a_classifier_fills_the_backbone(tmp_path: Path) -> None:
    classifier = build_network("convnext_micro_64", {}, classes=7)
    save_weights(classifier, tmp_path / "classifier.safetensors")
    arguments = {**MICRO.network.arguments, "depths": [1, 1, 2, 1], "pyramid_width": 8}
    network = replace(MICRO.network, arguments=arguments, start=str(tmp_path / "classifier.safetensors"))
    recipe = replace(MICRO, network=network)
    model = start_detector(recipe, classes=5).network
    ours = dict(model.network.named_parameters())
    theirs = dict(classifier.named_parameters())
    assert len(ours.keys() & theirs.keys()) > 20
    assert all(torch.equal(ours[name], theirs[name]) for name in ours.keys() & theirs.keys())


def test_data_that_cannot_teach_are_refused() -> None:
    labelled = ArrayImages("plain", np.zeros((2, 8, 8, 3), np.uint8), np.array([0, 1]), ("a", "b"), ("1", "2"))
    with pytest.raises(UserError, match="plain has no boxes"):
        Detection(TINY, labelled, None)

    class Boxes(ObjectScenes):
        has_masks = False

    with pytest.raises(UserError, match="faster-rcnn"):
        Detection(TINY, Boxes((0,)), None)


def test_detectors_of_the_small_comparison_have_equal_backbones() -> None:
    sizes = []
    for name in ("mask-rcnn-fan-hybrid-micro", "mask-rcnn-convnext-micro"):
        backbone = start_detector(RECIPES[name], classes=5).network.backbone.backbone
        sizes.append(sum(parameter.numel() for parameter in backbone.parameters()))
    assert sizes[1] == pytest.approx(sizes[0], rel=0.01)


@pytest.mark.slow
@pytest.mark.parametrize("recipe", FULL, ids=[recipe.name for recipe in FULL])
def test_every_full_size_recipe_steps(recipe: Recipe, tmp_path: Path) -> None:
    """Built as published, for 80 classes; one step on a small picture, since the size decides no weight."""
    recipe = replace(recipe, batch=1, boxed=replace(recipe.boxed, short_sides=(128,), long_side=192, crop_chance=0.0))
    arguments = {key: 128 if key == "divisor" else value for key, value in recipe.network.arguments.items()}
    recipe = replace(recipe, network=replace(recipe.network, arguments=arguments))
    data = replace(SCENES, numbers=(0,))
    training = Training(recipe, Detection(recipe, data, None), ALONE, None)  # type: ignore[arg-type]
    training.step = 1
    training.update([training.objective.collate([training.objective.dataset[Place(0, 0, 0)]])])
    assert all(
        parameter.grad is not None and torch.isfinite(parameter.grad).all() for parameter in training.model.parameters()
    )
    described = json.loads(json.dumps(training.objective.description({})))
    assert described["name"] == recipe.network.name
