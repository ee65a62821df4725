"""Similarity of layers, noise decay, gates: identities that must hold, and cost."""

import numpy as np
import pytest
import timm
import torch
from torch import nn

from weatherglass.analysis.gates import gate_distributions
from weatherglass.analysis.noise_decay import middle_correlation, noise_decay, spectrum
from weatherglass.analysis.recording import EMBEDDING, Recorder
from weatherglass.analysis.similarity import layer_similarity, linear_gram, unbiased_hsic
from weatherglass.data.images import ArrayImages
from weatherglass.errors import UserError
from weatherglass.models.load import load_predictor
from weatherglass.models.predictor import TorchPredictor
from weatherglass.types import Preprocessing


@pytest.fixture
def pictures() -> ArrayImages:
    pixels = np.random.default_rng(0).integers(0, 256, (12, 32, 32, 3), dtype=np.uint8)
    return ArrayImages("noise", pixels, np.arange(12) % 10, tuple("0123456789"), tuple(str(i) for i in range(12)))


@pytest.fixture
def predictor(vit: nn.Module) -> TorchPredictor:
    return TorchPredictor(vit, name="vit", preprocessing=Preprocessing(size=(32, 32)), classes=10, device="cpu")


def test_recorded_tokens_are_what_the_blocks_return(predictor: TorchPredictor) -> None:
    images = torch.rand(2, 3, 32, 32)
    recorder = Recorder(predictor, (32, 32))
    assert [layer.name for layer in recorder.layers] == [EMBEDDING, *(f"blocks.{i}" for i in range(4))]
    with torch.no_grad():
        recording = recorder(images)
        expected = predictor.module.forward_intermediates(images, output_fmt="NLC", intermediates_only=True)  # pyright: ignore
    for layer, tokens in zip(recorder.layers[1:], expected, strict=True):
        assert torch.equal(recording.patches(layer), tokens)
    assert all(not module._forward_hooks for module in predictor.module.modules())


@pytest.mark.parametrize(("name", "layers"), [("squeezenet1_0", 9), ("mobilenet_v2", 18), ("alexnet", 6)])
def test_networks_without_tokens_are_recorded_too(name: str, layers: int) -> None:
    predictor = load_predictor(f"torchvision/{name}", pretrained=False, device="cpu")
    recorder = Recorder(predictor, (96, 96))
    assert len(recorder.layers) == layers
    with torch.no_grad():
        recording = recorder(torch.rand(1, 3, 96, 96))
    assert all(recording.patches(layer).shape[1] == layer.layout.tokens for layer in recorder.layers)
    assert sum(layer.downsamples for layer in recorder.layers) >= 2


def test_blocks_that_all_change_the_shape_are_recorded_too() -> None:
    predictor = load_predictor("resnet_micro_32", pretrained=False, device="cpu")
    names = [layer.name for layer in Recorder(predictor, (32, 32)).layers]
    assert names == [EMBEDDING, "layer1.0", "layer2.0", "layer3.0", "layer4.0"]


@pytest.mark.parametrize("tokens", ["patches", "class", "all"])
def test_similarity_is_symmetric_with_ones_on_the_diagonal(
    predictor: TorchPredictor, pictures: ArrayImages, tokens: str
) -> None:
    found = layer_similarity(predictor, pictures, tokens=tokens, batch_size=6)
    assert [one.measure for one in found] == ["cosine", "pearson", "cka"]
    for one in found:
        assert np.allclose(one.matrix, one.matrix.T, atol=1e-6, equal_nan=True)
        constant = tokens == "class"  # the class token of the embedding is the same for every image
        assert np.allclose(np.diagonal(one.matrix)[constant:], 1, atol=1e-5)
        assert len(one.adjacent) == 4


@pytest.mark.parametrize("tokens", ["patches", "class"])
def test_similarity_is_a_mean_over_images_whatever_the_batches(
    predictor: TorchPredictor, pictures: ArrayImages, tokens: str
) -> None:
    # The last of the batches of 11 holds one image, which is its own mean.
    whole, uneven = (layer_similarity(predictor, pictures, tokens=tokens, batch_size=size) for size in (12, 11))
    for one, other in zip(whole[:2], uneven[:2], strict=True):
        assert np.allclose(one.matrix, other.matrix, atol=1e-5)


def test_batches_weigh_in_cka_by_what_varies_in_them() -> None:
    # Nguyen et al., equation 3: HSIC is summed over batches as it is, not each brought to one scale.
    examples = torch.randn(5, 3)
    assert torch.allclose(linear_gram(3 * examples), 9 * linear_gram(examples))


def test_cka_ignores_rotations_and_scales_and_is_small_between_strangers() -> None:
    features = torch.randn(200, 6, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    rotation = torch.linalg.qr(torch.randn(6, 6, dtype=torch.float64)).Q
    stranger = torch.randn(200, 6, dtype=torch.float64, generator=torch.Generator().manual_seed(1))
    grams = torch.stack([linear_gram(one) for one in (features, 3 * features @ rotation, stranger)])
    hsic = unbiased_hsic(grams, grams)
    cka = hsic / (hsic.diagonal()[:, None] * hsic.diagonal()[None]).sqrt()
    assert cka[0, 1].item() == pytest.approx(1)
    assert abs(cka[0, 2].item()) < 0.05


def test_similarity_between_networks(predictor: TorchPredictor, pictures: ArrayImages) -> None:
    resnet = TorchPredictor(timm.create_model("resnet10t"), name="r", classes=1000, device="cpu")
    (found,) = layer_similarity(predictor, pictures, second=resnet)
    assert found.measure == "cka"
    assert found.matrix.shape == (len(found.rows), len(found.columns))
    assert np.isfinite(found.matrix).all()
    (itself,) = layer_similarity(predictor, pictures, second=predictor)
    assert np.allclose(np.diagonal(itself.matrix), 1)


def test_more_noise_is_more_change(predictor: TorchPredictor, pictures: ArrayImages) -> None:
    weak, strong = (noise_decay(predictor, pictures, sigma=sigma, draws=2) for sigma in (0.05, 0.2))
    assert weak.noise.mean() < strong.noise.mean()
    assert np.allclose(weak.decay[0], 1)
    again = noise_decay(predictor, pictures, sigma=0.05, draws=2, batch_size=5)
    assert np.allclose(weak.noise, again.noise, rtol=1e-4)
    pure = noise_decay(predictor, pictures, mode="pure", draws=1)
    assert (pure.noise > 0).all()


def test_spectrum_counts_every_image_and_layer(predictor: TorchPredictor, pictures: ArrayImages) -> None:
    found = spectrum(predictor, pictures)
    assert found.significant[1.0].shape == (12, 5)
    assert (found.significant[0.1] >= found.significant[1.0]).all()
    assert (found.effective_rank <= 16).all() and (found.effective_rank >= 1).all()
    whole, low, high = middle_correlation(found, noise_decay(predictor, pictures, draws=1), resamples=50)
    assert np.isnan(whole) or low <= high


def test_gates_of_the_released_form_stay_in_their_range(pictures: ArrayImages) -> None:
    predictor = load_predictor("fan_vit_micro_32", pretrained=False, device="cpu")
    found = gate_distributions(predictor, pictures)
    assert len(found) == 5
    for gate in found:
        assert 0.5 <= gate.percentiles[0] <= gate.mean <= gate.percentiles[-1] <= 0.7311
        assert gate.temperature == (1, 1)
    assert found[0].mean == pytest.approx(0.5 + 1 / 4 / 64, abs=2e-3)  # sigmoid(1/n) with n = 64 tokens


def test_a_constant_gate_does_not_differ_between_images(pictures: ArrayImages) -> None:
    predictor = load_predictor("fan_vit_micro_32_constant_gate", pretrained=False, device="cpu")
    assert all(gate.between_images == 0 for gate in gate_distributions(predictor, pictures))


def test_an_activation_called_gate_is_none(pictures: ArrayImages) -> None:
    predictor = load_predictor("timm/mobilenetv3_small_050", pretrained=False, device="cpu")
    with pytest.raises(UserError, match="no channel attention"):
        gate_distributions(predictor, pictures)


def test_models_without_gates_are_told_so(predictor: TorchPredictor, pictures: ArrayImages) -> None:
    with pytest.raises(UserError, match="no channel attention"):
        gate_distributions(predictor, pictures)
