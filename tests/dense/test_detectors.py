"""Detectors: every method, backbones of every kind, any image size, and what they rely on of torchvision."""

import math

import pytest
import torch
from detection_scenes import ObjectScenes, target
from torch import Tensor
from torchvision.models.detection.roi_heads import RoIHeads

from weatherglass.errors import UnknownName, UserError
from weatherglass.models.cascade import STAGES, CascadeHeads
from weatherglass.models.detector import Detector, DetectorConfig, build_detector, build_named_detector, classes_in
from weatherglass.models.detector_names import DETECTORS, is_detector
from weatherglass.models.digests import digest_of
from weatherglass.models.initialisation import seeded_initialisation
from weatherglass.models.load import load_predictor
from weatherglass.models.pyramid import pyramid_strides

SMALL = {
    "short_side": 0,
    "pyramid_width": 16,
    "head_width": 16,
    "anchor_scale": 4,
    "candidates": [40, 40],
    "proposals": [20, 20],
    "region_samples": 16,
    "detections": 5,
}
SCENES = ObjectScenes((0, 1))
NOTHING = {
    "boxes": torch.zeros(0, 4),
    "labels": torch.zeros(0, dtype=torch.int64),
    "masks": torch.zeros(0, 40, 56, dtype=torch.uint8),
}


def small(name: str, **changes: object) -> Detector:
    with seeded_initialisation(0):
        return build_named_detector(name, 5, SMALL | changes)


def pictures() -> list[Tensor]:
    """A scene, and an image of another size without objects."""
    return [SCENES.image(0).float() / 255, torch.rand(3, 40, 56, generator=torch.Generator().manual_seed(0))]


@pytest.mark.parametrize(
    ("method", "backbone"),
    [
        ("faster-rcnn", "fan_hybrid_micro_64"),
        ("mask-rcnn", "resnet_micro_64"),
        ("cascade-rcnn", "convnext_micro_64"),
        ("cascade-mask-rcnn", "fan_hybrid_micro_64"),
    ],
)
def test_every_method_learns_and_finds(method: str, backbone: str) -> None:
    detector = small(f"{method}/{backbone}")
    losses = detector(pictures(), [target(SCENES, 0), NOTHING])
    sum(losses.values()).backward()
    assert all(torch.isfinite(loss) for loss in losses.values())
    assert any("mask" in name for name in losses) == DETECTORS[method].masks
    assert all(parameter.grad is not None for parameter in detector.parameters())
    with torch.no_grad():
        found = detector.eval()(pictures())
    for image, row in zip(pictures(), found, strict=True):
        height, width = image.shape[1:]
        count = len(row["boxes"])
        assert row["boxes"].shape == (count, 4) and row["scores"].shape == row["labels"].shape == (count,)
        assert 0 < count <= 5
        assert (row["labels"] >= 1).all() and (row["labels"] <= 5).all()
        assert (row["boxes"] >= 0).all() and row["boxes"][:, 2].max() <= width and row["boxes"][:, 3].max() <= height
        assert ("masks" in row) == DETECTORS[method].masks
        if "masks" in row:
            assert row["masks"].shape == (count, 1, height, width)
            assert row["masks"].min() >= 0 and row["masks"].max() <= 1


@pytest.mark.parametrize(
    ("backbone", "strides"),
    [
        ("fan_vit_micro_64", [4, 8, 16, 32, 64]),
        ("vit_micro_64", [4, 8, 16, 32, 64]),
        ("fan_swin_micro_64", [4, 8, 16, 32]),
        ("swin_micro_64", [4, 8, 16, 32]),
        ("convnext_micro_64", [4, 8, 16, 32, 64]),
        ("timm/resnet10t", [4, 8, 16, 32, 64]),
        pytest.param("timm/vit_tiny_patch16_224", [4, 8, 16, 32, 64], marks=pytest.mark.slow),
        pytest.param("timm/swin_tiny_patch4_window7_224", [4, 8, 16, 32, 64], marks=pytest.mark.slow),
    ],
)
def test_pyramids_on_backbones_of_every_kind(backbone: str, strides: list[int]) -> None:
    detector = small(f"faster-rcnn/{backbone}").eval()
    assert detector.backbone.strides == strides
    side = detector.transform.size_divisible
    with torch.no_grad():
        maps = list(detector.backbone(torch.zeros(1, 3, side, 2 * side)).values())
        detector([torch.rand(3, 50, 70)])
    expected = [(-(-side // stride), -(-2 * side // stride)) for stride in strides]
    assert [tuple(each.shape[2:]) for each in maps] == expected


def test_strides_double() -> None:
    assert pyramid_strides([4, 8, 16, 32]) == [4, 8, 16, 32]
    assert pyramid_strides([4, 8, 8, 8]) == [4, 8, 16, 32]
    assert pyramid_strides([16] * 4) == [4, 8, 16, 32]
    assert pyramid_strides([32] * 4) == [8, 16, 32, 64]
    with pytest.raises(UserError, match="14, 14"):
        pyramid_strides([14] * 4)


def test_published_levels_and_numbers() -> None:
    """Levels of the FAN reference; anchors, samples and thresholds of Swin's configurations."""
    with torch.device("meta"):
        detector = build_detector("cascade-mask-rcnn", "fan_hybrid_small", 80)  # by its readable name
    assert detector.backbone.backbone.channels == [128, 256, 384, 768]
    assert detector.backbone.backbone.strides == [4, 8, 16, 32]
    assert all(not list(level.parameters()) for level in detector.backbone.levels)
    assert detector.rpn.anchor_generator.sizes == ((32.0,), (64.0,), (128.0,), (256.0,), (512.0,))
    heads = detector.roi_heads
    assert isinstance(heads, CascadeHeads)
    assert [stage.proposal_matcher.high_threshold for stage in heads.stages] == [0.5, 0.6, 0.7]
    assert [stage.box_coder.weights for stage in heads.stages] == [stage.coder for stage in STAGES]
    assert [stage.weight for stage in STAGES] == [1, 0.5, 0.25]
    assert (heads.stages[0].fg_bg_sampler.batch_size_per_image, heads.stages[2].nms_thresh) == (512, 0.5)


def test_images_are_resized_and_boxes_come_back_in_their_own_pixels() -> None:
    detector = small("mask-rcnn/convnext_micro_64", short_side=64, long_side=96).eval()
    images, _ = detector.transform([torch.rand(3, 30, 40), torch.rand(3, 20, 80)])
    assert images.image_sizes == [(64, 85), (24, 96)]
    assert images.tensors.shape == (2, 3, 64, 96)
    with torch.no_grad():
        (found,) = detector([torch.rand(3, 30, 40)])
    assert found["boxes"][:, 2].max() <= 40 and found["masks"].shape[2:] == (30, 40)
    detector.train()
    images, _ = detector.transform([torch.rand(3, 30, 40)])
    assert images.image_sizes == [(30, 40)]  # training data come at their size


def test_regions_are_read_at_the_true_stride_of_padded_images() -> None:
    """torchvision would guess stride 2 from an image that is padded from 17 to 32 rows."""
    detector = small("faster-rcnn/convnext_micro_64").eval()
    with torch.no_grad():
        detector([torch.rand(3, 17, 60)])
    assert detector.roi_heads.box_roi_pool.scales == [1 / 4, 1 / 8, 1 / 16, 1 / 32]
    # A region of the canonical size (224 pixels) belongs to stride 16.
    levels = detector.roi_heads.box_roi_pool.map_levels([torch.tensor([[0.0, 0, 224, 224], [0, 0, 8, 8]])])
    assert levels.tolist() == [2, 0]


def test_what_the_cascade_relies_on_of_torchvision() -> None:
    """Shapes and meanings of the parts of `RoIHeads` that no documentation promises."""
    detector = small("cascade-mask-rcnn/convnext_micro_64")
    stage = detector.roi_heads.stages[1]
    assert isinstance(stage, RoIHeads) and stage.has_mask()
    truth = target(SCENES, 0)
    shifted = truth["boxes"] + torch.tensor([1.0, 0, 1.0, 0])
    far = torch.tensor([[0.0, 0, 2, 2]])
    proposals, matched, labels, _ = stage.select_training_samples([torch.cat([shifted, far])], [truth])
    assert len(proposals[0]) == len(matched[0]) == len(labels[0]) <= 16
    own = labels[0] > 0
    assert torch.equal(truth["labels"][matched[0][own]], labels[0][own])
    assert (labels[0][~own] == 0).all() and (~own).any()
    # Decoding what was encoded gives the box back, by the stage's own weights.
    offsets = stage.box_coder.encode_single(truth["boxes"], shifted)
    assert torch.allclose(stage.box_coder.decode_single(offsets, shifted), truth["boxes"], atol=1e-3)
    # The softmax of log probabilities is the probabilities, and one box for all classes is repeated for each.
    probabilities = torch.tensor([[0.1, 0.6, 0.1, 0.1, 0.05, 0.05]])
    boxes, scores, found = stage.postprocess_detections(
        probabilities.log(), torch.zeros(1, 4).repeat(1, 6), [truth["boxes"][:1]], [(64, 64)]
    )
    assert found[0][0] == 1 and math.isclose(float(scores[0][0]), 0.6, rel_tol=1e-5)
    assert torch.allclose(boxes[0][0], truth["boxes"][0])


def test_cascade_averages_its_stages() -> None:
    """Three stages that say the same are one stage; boxes of zero offsets stay where they are."""
    detector = small("cascade-rcnn/convnext_micro_64").eval()
    for stage in detector.roi_heads.stages:
        for parameter in stage.box_predictor.parameters():
            torch.nn.init.zeros_(parameter)
        stage.box_predictor.cls_score.bias.data[2] = 3.0
    features = detector.backbone(torch.zeros(1, 3, 64, 64))
    proposal = torch.tensor([[8.0, 8, 40, 40]])
    (found,), losses = detector.roi_heads(features, [proposal], [(64, 64)])
    assert not losses
    assert torch.equal(found["boxes"][0], proposal[0]) and found["labels"][0] == 2
    expected = math.exp(3) / (math.exp(3) + 5)
    assert math.isclose(float(found["scores"][0].detach()), expected, rel_tol=1e-4)


def test_weights_tell_the_classes_and_settings_belong_to_the_digest() -> None:
    for name in ("faster-rcnn/convnext_micro_64", "cascade-rcnn/convnext_micro_64"):
        assert classes_in(small(name).state_dict()) == 5
    assert classes_in({"head.weight": torch.zeros(3, 2)}) is None
    first, second = small("faster-rcnn/convnext_micro_64"), small("faster-rcnn/convnext_micro_64", least_score=0.5)
    assert digest_of(first) != digest_of(second)
    assert digest_of(first) == digest_of(small("faster-rcnn/convnext_micro_64"))


def test_wrong_names_are_answered() -> None:
    assert is_detector("mask-rcnn/timm/resnet50") and not is_detector("segformer/fan_hybrid_micro_64")
    assert not is_detector("mask-rcnn")
    with pytest.raises(UnknownName, match="mask-rcnn"):
        build_detector("mask-rnn", "fan_hybrid_micro_64", 3)
    with pytest.raises(UserError, match="no feature maps"):
        build_named_detector("mask-rcnn/convnext_micro_64", 3, {"wings": 2})
    assert DetectorConfig().short_side == 800


def test_detectors_are_loaded_by_name() -> None:
    predictor = load_predictor("faster-rcnn/convnext_micro_64", pretrained=False, classes=3)
    assert (predictor.task, predictor.classes) == ("detection", 3)
    with pytest.raises(UserError, match="--checkpoint FILE"):
        load_predictor("faster-rcnn/convnext_micro_64", classes=3)
    with pytest.raises(UserError, match="number of classes"):
        load_predictor("faster-rcnn/convnext_micro_64", pretrained=False)
    with pytest.raises(UserError, match="mask-rcnn/fan_hybrid_micro_64"):
        load_predictor("mask-rnn/fan_hybrid_micro_64")
