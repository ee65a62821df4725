"""The border of a model: images in [0, 1] in, float32 logits out, whatever form the model came in."""

import warnings
from pathlib import Path

import pytest
import torch
from torch import nn

from weatherglass.errors import UserError
from weatherglass.models.load import load_predictor
from weatherglass.models.predictor import TorchPredictor
from weatherglass.models.preprocessing import PreprocessingOverride
from weatherglass.types import Preprocessing


def network() -> nn.Module:
    torch.manual_seed(0)
    layers = [nn.Conv2d(3, 4, 3, 2), nn.BatchNorm2d(4), nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten()]
    return nn.Sequential(*layers, nn.Dropout(0.5), nn.Linear(4, 6))


def predictor(module: nn.Module | None = None, **options: object) -> TorchPredictor:
    return TorchPredictor(module or network(), name="mine", device="cpu", **options)  # pyright: ignore[reportArgumentType]


IMAGES = torch.rand(5, 3, 32, 32, generator=torch.Generator().manual_seed(1))


def test_evaluation_mode_and_normalisation() -> None:
    plain = network()
    shifted = predictor(plain, preprocessing=Preprocessing(mean=(0.1, 0.2, 0.3), std=(0.5, 0.6, 0.7)))
    assert not plain.training
    mean, std = torch.tensor([0.1, 0.2, 0.3]).view(3, 1, 1), torch.tensor([0.5, 0.6, 0.7]).view(3, 1, 1)
    torch.testing.assert_close(shifted(IMAGES), plain((IMAGES - mean) / std))
    assert torch.equal(shifted(IMAGES), shifted(IMAGES))


def test_gradients_reach_the_images_and_are_the_callers_choice() -> None:
    images = IMAGES.clone().requires_grad_()
    (gradient,) = torch.autograd.grad(predictor()(images).sum(), images)
    assert gradient.abs().sum() > 0
    with torch.inference_mode():
        assert not predictor()(IMAGES).requires_grad


@pytest.mark.parametrize("precision", ["bfloat16", "float16"])
def test_lower_precision_returns_float32(precision: str) -> None:
    output = predictor(precision=precision)(IMAGES)
    assert output.dtype == torch.float32
    torch.testing.assert_close(output, predictor()(IMAGES), atol=0.02, rtol=0.02)


def test_channels_last_changes_the_layout_only() -> None:
    torch.testing.assert_close(predictor(channels_last=True)(IMAGES), predictor()(IMAGES))


@pytest.mark.parametrize("output", ["tuple", "record", "map"])
def test_what_counts_as_logits(output: str) -> None:
    class Wrapped(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.inner = network()

        def forward(self, images: torch.Tensor) -> object:
            logits = self.inner(images)
            if output == "tuple":
                return logits, images
            if output == "map":
                return images
            return type("Record", (), {"logits": logits})()

    if output == "map":
        with pytest.raises(UserError, match="returns logits of shape"):
            predictor(Wrapped())
    else:
        assert predictor(Wrapped()).classes == 6


def test_a_model_that_fails_on_images_is_told_so() -> None:
    with pytest.raises(UserError, match=r"mine fails on a grey image; 224x224"):
        predictor(nn.Linear(7, 2))


# ------------------------------------------------------------------------------------------- files of their own


def write_script(path: Path, module: nn.Module) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        torch.jit.trace(module, IMAGES).save(str(path))


def write_export(path: Path, module: nn.Module, *, fixed: bool = False) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        shapes = None if fixed else ({0: torch.export.Dim.DYNAMIC},)
        images = IMAGES[:2] if fixed else IMAGES
        torch.export.save(torch.export.export(module, (images,), dynamic_shapes=shapes), path)


def write_onnx(path: Path, module: nn.Module, *, fixed: bool = False) -> None:
    pytest.importorskip("onnx", reason="the extra 'onnx' is not installed")
    axes = None if fixed else {"input": {0: "batch", 2: "height", 3: "width"}}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        torch.onnx.export(module, (IMAGES[:2],), str(path), dynamo=False, input_names=["input"], dynamic_axes=axes)


FILES = {
    "model.ts": write_script,
    "model.pt": write_script,
    "any.pt2": write_export,
    "fixed.pt2": lambda path, module: write_export(path, module, fixed=True),
    "any.onnx": write_onnx,
    "fixed.onnx": lambda path, module: write_onnx(path, module, fixed=True),
}


@pytest.mark.parametrize("file", FILES)
def test_exported_files_predict_as_the_module(file: str, tmp_path: Path) -> None:
    module = network().eval()
    path = tmp_path / file
    FILES[file](path, module)
    override = PreprocessingOverride(mean=(0.5, 0.5, 0.5), std=(0.25, 0.25, 0.25))
    loaded = load_predictor(str(path), device="cpu", preprocessing=override)
    assert loaded.classes == 6
    assert loaded.preprocessing.source == "none declared, overridden"
    assert loaded.differentiable == (not file.endswith(".onnx"))
    for images in (IMAGES, IMAGES[:1], IMAGES[:4]):
        torch.testing.assert_close(loaded(images), module((images - 0.5) / 0.25), atol=1e-5, rtol=1e-5)


def test_an_onnx_file_of_one_size_says_which(tmp_path: Path) -> None:
    write_onnx(tmp_path / "m.onnx", network().eval(), fixed=True)
    loaded = load_predictor(str(tmp_path / "m.onnx"), device="cpu")
    with pytest.raises(UserError, match=r"32x32 pixels, these have 20x24: give --preprocessing 'resize 32"):
        loaded(torch.rand(1, 3, 20, 24))


@pytest.mark.parametrize("name", ["absent.onnx", "text.onnx", "weights.pt", "text.pt2"])
def test_files_that_are_no_models(name: str, tmp_path: Path) -> None:
    path = tmp_path / name
    if name.startswith("text"):
        path.write_text("no model at all")
    elif name.startswith("weights"):
        torch.save(network().state_dict(), path)
    with pytest.raises(UserError) as caught:
        load_predictor(str(path))
    assert name in str(caught.value)
    assert "\n" not in str(caught.value)
