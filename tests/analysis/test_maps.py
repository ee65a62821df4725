"""Clusters on images, rollout, class activation, and what silencing saves."""

from pathlib import Path

import numpy as np
import pytest
import timm
import torch
from torch import Tensor, nn

from weatherglass.analysis.attention_distance import AttentionDistance
from weatherglass.analysis.attention_maps import attention_rollout, class_activation
from weatherglass.analysis.clusters import cluster_maps, contact_sheet
from weatherglass.analysis.lesions import Lesioned
from weatherglass.analysis.look import looks
from weatherglass.analysis.masks import HasMasks
from weatherglass.analysis.recording import image_batches
from weatherglass.analysis.redundancy import cost_of
from weatherglass.attacks.parse import parse_attack
from weatherglass.corruptions.disturbance import parse_corruption
from weatherglass.data.images import ArrayImages
from weatherglass.data.load import load_data
from weatherglass.data.masked import MaskedImages
from weatherglass.data.several_labels import SeveralLabels
from weatherglass.data.unlabelled import UNLABELLED
from weatherglass.errors import UserError
from weatherglass.evaluation.conditions import parse_disturbance
from weatherglass.models.predictor import TorchPredictor
from weatherglass.types import Batch, Preprocessing


@pytest.fixture
def predictor(vit: nn.Module) -> TorchPredictor:
    return TorchPredictor(vit, name="vit", preprocessing=Preprocessing(size=(32, 32)), classes=10, device="cpu")


def test_clusters_of_real_layers(predictor: TorchPredictor) -> None:
    pixels = np.random.default_rng(0).integers(0, 256, (3, 32, 32, 3), dtype=np.uint8)
    data = ArrayImages("noise", pixels, np.arange(3), tuple("0123456789"), ("a", "b", "c"))
    found = cluster_maps(predictor, data, clusters=3, disturbances=[parse_corruption("gaussian_noise@3")])
    assert len(found.labels) == len(found.layers) == 5
    assert found.labels[0].shape == (3, 16)
    stability = found.stability["gaussian_noise@3"]
    assert stability.shape == (3, 5)
    assert ((stability >= -0.5) & (stability <= 1)).all()
    assert found.overlap is None
    assert contact_sheet(found, side=32).shape == (3 * 36, 6 * 36, 3)
    with pytest.raises(UserError, match="No layer"):
        cluster_maps(predictor, data, clusters=20)


def test_a_disturbance_of_the_model_is_not_taken_for_one_of_the_images(predictor: TorchPredictor) -> None:
    pixels = np.zeros((1, 32, 32, 3), dtype=np.uint8)
    data = ArrayImages("black", pixels, np.arange(1), tuple("0123456789"), ("a",))
    for text in ("lesion:blocks.1", "attention_distance@3", "lesion:blocks.1+fog@3"):
        with pytest.raises(UserError, match="disturbs the model"):
            cluster_maps(predictor, data, disturbances=[parse_disturbance(text)])
        with pytest.raises(UserError, match="disturbs the model"):
            looks(predictor, data, parse_disturbance(text))


def test_rollout_of_uniform_attention_is_uniform(predictor: TorchPredictor, images: Tensor) -> None:
    with torch.no_grad():
        for block in predictor.module.blocks:  # pyright: ignore
            block.attn.qkv.weight.zero_()
    maps = attention_rollout(predictor, images)
    assert torch.allclose(maps, torch.full((3, 4, 4), 1 / 16))


def test_rollout_sums_to_one_and_windows_are_refused(predictor: TorchPredictor, images: Tensor) -> None:
    assert torch.allclose(attention_rollout(predictor, images).sum((1, 2)), torch.ones(3))
    options = {"depths": (2, 2), "embed_dim": 24, "num_heads": (2, 4), "img_size": 64, "window_size": 4}
    swin = TorchPredictor(timm.create_model("swin_tiny_patch4_window7_224", **options), name="swin", classes=1000)
    with pytest.raises(UserError, match="not over all"):
        attention_rollout(swin, torch.rand(1, 3, 64, 64, device=swin.device))


@pytest.mark.parametrize("name", ["vit", "resnet10t"])
def test_class_activation_is_a_map(name: str, vit: nn.Module, images: Tensor) -> None:
    module = vit if name == "vit" else timm.create_model(name, num_classes=10)
    found = class_activation(TorchPredictor(module, name=name, classes=10, device="cpu"), images)
    assert len(found) == 3
    assert found.min() >= 0 and found.amax() <= 1
    assert all(parameter.grad is None for parameter in module.parameters())


def test_class_activation_by_hand(vit: nn.Module, images: Tensor) -> None:
    """With a linear read-out of the mean the map is the relu of the tokens' projection."""
    from timm.models.vision_transformer import VisionTransformer

    torch.manual_seed(0)
    pooled = VisionTransformer(
        img_size=32, patch_size=8, embed_dim=32, depth=2, num_heads=4, num_classes=10, class_token=False,
        global_pool="avg", fc_norm=False, final_norm=False,
    ).eval()  # fmt: skip
    predictor = TorchPredictor(pooled, name="pooled", classes=10, device="cpu")
    classes = torch.tensor([1, 2, 3])
    found = class_activation(predictor, images, classes)
    with torch.no_grad():
        tokens = pooled.forward_features(images)
        expected = (tokens * pooled.head.weight[classes][:, None]).sum(2).relu().unflatten(1, (4, 4))  # pyright: ignore
    assert torch.allclose(found, expected / expected.amax((1, 2), keepdim=True).clamp_min(1e-12), atol=1e-4)


def test_cost_adds_up(predictor: TorchPredictor) -> None:
    cost = cost_of(predictor, (32, 32))
    width, tokens = 32, 17
    mlp = 2 * tokens * width * 4 * width
    assert cost.branches["blocks.0.mlp"] == mlp
    assert cost.kept(Lesioned(("blocks.0.mlp",))) == pytest.approx(1 - mlp / cost.whole)
    assert cost.kept(AttentionDistance(3)) == 1
    shares = [cost.kept(AttentionDistance(distance)) for distance in (0, 1, 2, 3)]
    assert shares == sorted(shares)  # pyright: ignore
    everything = cost.kept(Lesioned(tuple(f"blocks.{i}" for i in range(4))))
    assert everything is not None and 0 < everything < 0.3


def test_clusters_are_compared_with_masks_and_keep_them_in_a_subset(predictor: TorchPredictor) -> None:
    data = load_data(str(Path(__file__).parents[2] / "examples" / "masked_images.py") + ":shapes", limit=6)
    assert isinstance(data, HasMasks)
    assert (data.mask(0) == 1).any()
    found = cluster_maps(predictor, data, clusters=2, layers=[0, 4], pictures=2)
    assert found.overlap is not None and found.rand is not None
    assert found.overlap.shape == found.rand.shape == (6, 2)
    assert ((found.overlap > 0) & (found.overlap <= 1)).all()
    assert len(found.images) == 2
    wrong = MaskedImages(data, lambda sample: torch.zeros(3, 3, dtype=torch.uint8))
    with pytest.raises(UserError, match="32x32"):
        wrong.mask(0)


def numbers_of(predictor: TorchPredictor, images: Tensor) -> ArrayImages:
    """Images under the names of what the predictor says of them, in the opposite order of its outputs."""
    pixels = (images * 255).byte()
    with torch.no_grad():
        said = predictor(pixels.float() / 255).argmax(dim=1).numpy()
    assert predictor.class_names is not None
    classes = tuple(reversed(predictor.class_names))
    return ArrayImages("numbers", pixels.permute(0, 2, 3, 1).numpy(), len(classes) - 1 - said, classes, ("a", "b", "c"))


def test_an_attack_goes_by_the_outputs_of_the_model(predictor: TorchPredictor, images: Tensor) -> None:
    """With labels as they stand in the data every image would be a fooled one already, and come back as it is."""
    predictor.class_names = tuple("abcdefghij")
    data, attack = numbers_of(predictor, images), parse_attack("pgd-2:exit=never@8/255")
    batch = next(image_batches(data, predictor, 3))
    with torch.no_grad():
        said = predictor(batch.images).argmax(dim=1)
    expected = attack.of_input(Batch(batch.images, said, batch.ids), predictor, seed=0)
    shown = (expected * 255).round().byte().permute(0, 2, 3, 1).numpy()
    unlabelled = ArrayImages("images:made", data.pixels, np.zeros(3, dtype=np.int64), UNLABELLED, data.ids)
    for given in (data, unlabelled):
        found = looks(predictor, given, attack)
        assert (found.disturbed != found.clean).any(axis=(1, 2, 3)).all()
        assert np.array_equal(found.disturbed, shown)
    stability = cluster_maps(predictor, data, clusters=3, disturbances=[attack]).stability[str(attack)]
    assert np.array_equal(
        stability, cluster_maps(predictor, unlabelled, clusters=3, disturbances=[attack]).stability[str(attack)]
    )
    assert stability.min() < 1


def test_an_attack_that_cannot_be_is_refused_here_too(predictor: TorchPredictor, images: Tensor) -> None:
    predictor.class_names = tuple("abcdefghij")
    data, attack = numbers_of(predictor, images), parse_attack("fgsm@1/255")
    several = SeveralLabels(data, ((1, 2), (3,), (4,)), data.classes)
    for study in (
        lambda given: looks(predictor, given, attack),
        lambda given: cluster_maps(predictor, given, disturbances=[attack]),
    ):
        with pytest.raises(UserError, match="one label an image"):
            study(several)
        with pytest.raises(UserError, match="not among the class names"):
            study(ArrayImages("other", data.pixels, np.zeros(3, dtype=np.int64), ("elsewhere",), data.ids))
        predictor.differentiable = False
        with pytest.raises(UserError, match="gives no gradients"):
            study(data)
        predictor.differentiable = True
    assert looks(predictor, several, parse_corruption("gaussian_noise@3")).agreement
