"""Segmenters: every head, any image size, whole and by windows, from names and from files."""

from pathlib import Path

import pytest
import torch

from weatherglass.errors import UnknownName, UserError
from weatherglass.models.checkpoint import save_weights
from weatherglass.models.load import load_predictor
from weatherglass.models.segmentation_predictor import SegmentationPredictor, Windows, slide
from weatherglass.models.segmenter import build_segmenter
from weatherglass.models.segmenter_names import HEADS


@pytest.mark.parametrize(
    ("head", "backbone", "levels"),
    [
        ("segformer", "fan_hybrid_micro_64", 1),
        ("segformer", "convnext_micro_64", 1),
        ("setr-naive", "fan_vit_micro_64", 4),
        ("setr-pup", "vit_micro_64", 4),
        ("setr-mla", "fan_vit_micro_64", 5),
    ],
)
def test_heads_on_our_backbones(head: str, backbone: str, levels: int) -> None:
    segmenter = build_segmenter(head, backbone, 3).eval()
    with torch.no_grad():
        assert segmenter(torch.zeros(1, 3, 50, 70)).shape == (1, 3, 50, 70)
    scores = segmenter.train().training_scores(torch.zeros(2, 3, 32, 32))
    assert len(scores) == levels
    assert [weight for _, weight in scores] == [1.0] + [0.4] * (levels - 1)
    assert all(score.shape == (2, 3, 32, 32) for score, _ in scores)


@pytest.mark.parametrize("spec", ["upernet/timm/convnext_atto", "deeplabv3plus/timm/resnet18"])
def test_heads_of_another_package(spec: str) -> None:
    pytest.importorskip("segmentation_models_pytorch")
    head, _, backbone = spec.partition("/")
    segmenter = build_segmenter(head, backbone, 3).eval()
    with torch.no_grad():
        assert segmenter(torch.zeros(1, 3, 64, 96)).shape == (1, 3, 64, 96)


def test_published_backbone_has_the_published_levels() -> None:
    with torch.device("meta"):
        segmenter = build_segmenter("segformer", "fan_small_12_p4_hybrid", 19)
    assert segmenter.backbone.channels == [128, 256, 384, 384]
    assert segmenter.head.fuse[0].in_channels == 4 * 768  # type: ignore[union-attr]


def test_every_listed_head_is_known() -> None:
    with pytest.raises(UnknownName, match="segformer"):
        build_segmenter("segfromer", "fan_hybrid_micro_64", 3)
    assert set(HEADS) == {"segformer", "setr-naive", "setr-pup", "setr-mla", "upernet", "deeplabv3plus"}


def test_windows_lie_as_published() -> None:
    places = list(Windows.parse("1024/768").places(1024, 2048))
    assert places == [(0, 0), (0, 768), (0, 1024)]
    assert list(Windows(64, 64, 64, 64).places(10, 20)) == [(0, 0)]


@pytest.mark.parametrize("size", [(30, 50), (32, 64), (47, 33)])
def test_windows_cover_every_pixel(size: tuple[int, int]) -> None:
    seen = torch.zeros(size, dtype=torch.int)
    windows = Windows.parse("16x24/11x13")
    for top, left in windows.places(*size):
        assert top + 16 <= size[0] and left + 24 <= size[1]
        seen[top : top + 16, left : left + 24] += 1
    assert (seen >= 1).all()


def test_windows_that_tile_equal_whole_tiles() -> None:
    segmenter = build_segmenter("segformer", "convnext_micro_64", 3).eval()
    images = torch.rand(2, 3, 64, 96, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        slid = slide(segmenter, images, Windows.parse("32/32"))
        tiles = [
            torch.cat([segmenter(images[:, :, y : y + 32, x : x + 32]) for x in (0, 32, 64)], dim=3) for y in (0, 32)
        ]
        assert torch.equal(slid, torch.cat(tiles, dim=2))
        assert torch.equal(slide(segmenter, images, Windows.parse("64x96/64x96")), segmenter(images))


def test_overlapping_windows_are_averaged() -> None:
    def scores(images: torch.Tensor) -> torch.Tensor:
        return images.mean(dim=(2, 3), keepdim=True).expand(-1, -1, *images.shape[2:])

    row = torch.tensor([0.0, 1.0, 2.0]).expand(1, 3, 1, 3)
    assert slide(scores, row, Windows.parse("1x2/1x1"))[0, 0, 0].tolist() == [0.5, 1.0, 1.5]


@pytest.mark.parametrize("text", ["64", "64/", "a/b", "64/128", "0/0"])
def test_windows_are_checked(text: str) -> None:
    with pytest.raises(UserError):
        Windows.parse(text)


def test_a_checkpoint_tells_the_classes(tmp_path: Path) -> None:
    module = build_segmenter("segformer", "convnext_micro_64", 7)
    save_weights(module, tmp_path / "weights.safetensors")
    predictor = load_predictor(
        "segformer/convnext_micro_64", checkpoint=tmp_path / "weights.safetensors", windows="32/16"
    )
    assert isinstance(predictor, SegmentationPredictor)
    assert (predictor.classes, predictor.task) == (7, "segmentation")
    assert predictor.decision == "all 7, windows 32x32, stride 16x16"
    with torch.no_grad():
        assert predictor(torch.rand(1, 3, 40, 56)).shape == (1, 7, 40, 56)


def test_names_are_answered() -> None:
    with pytest.raises(UserError, match="--checkpoint FILE"):
        load_predictor("segformer/convnext_micro_64", classes=3)
    with pytest.raises(UserError, match="number of classes"):
        load_predictor("segformer/convnext_micro_64", pretrained=False)
    with pytest.raises(UserError, match="segformer/fan_hybrid_micro_64"):
        load_predictor("segfomer/fan_hybrid_micro_64")
    with pytest.raises(UserError, match="leave the option out"):
        load_predictor("digits_cnn", windows="32/16")


def test_torchvision_segmenters() -> None:
    predictor = load_predictor("torchvision/lraspp_mobilenet_v3_large", pretrained=False)
    assert predictor.task == "segmentation"
    assert predictor.class_names is not None and predictor.class_names[0] == "background"
    with torch.no_grad():
        assert predictor(torch.rand(1, 3, 64, 80)).shape == (1, 21, 64, 80)


@pytest.mark.slow
def test_hugging_face_segmenters(tmp_path: Path) -> None:
    transformers = pytest.importorskip("transformers")
    small = transformers.SegformerConfig(
        num_labels=4, depths=[1, 1, 1, 1], hidden_sizes=[8, 16, 24, 32], decoder_hidden_size=16
    )
    transformers.SegformerForSemanticSegmentation(small).save_pretrained(tmp_path)
    predictor = load_predictor(f"huggingface/{tmp_path}")
    with torch.no_grad():
        assert predictor(torch.rand(1, 3, 64, 80)).shape == (1, 4, 64, 80)
