"""The geometry equals timm's and torchvision's evaluation transforms."""

import numpy as np
import pytest
import torch
from PIL import Image, ImageFilter
from timm.data.transforms_factory import transforms_imagenet_eval

from weatherglass.data.geometry import prepare
from weatherglass.models.preprocessing import from_timm_config
from weatherglass.types import Preprocessing

SIZES = [(300, 401), (401, 300), (224, 224), (97, 201), (500, 256)]


def photo(height: int, width: int) -> Image.Image:
    """Smooth shapes with edges, as photographs have them."""
    noise = np.random.default_rng(height).integers(0, 256, (height, width, 3), dtype=np.uint8)
    return Image.fromarray(noise).filter(ImageFilter.GaussianBlur(2))


def pixels(image: Image.Image) -> torch.Tensor:
    return torch.from_numpy(np.array(image)).permute(2, 0, 1)


@pytest.mark.parametrize("height_width", SIZES)
@pytest.mark.parametrize("mode", ["center", "squash", "border"])
@pytest.mark.parametrize(("size", "fraction"), [((224, 224), 0.875), ((224, 224), 1.0), ((96, 160), 0.9)])
@pytest.mark.parametrize("interpolation", ["bilinear", "bicubic"])
def test_equals_timm(
    height_width: tuple[int, int], mode: str, size: tuple[int, int], fraction: float, interpolation: str
) -> None:
    image = photo(*height_width)
    config = {
        "input_size": (3, *size),
        "crop_pct": fraction,
        "crop_mode": mode,
        "interpolation": interpolation,
        "mean": (0.485, 0.456, 0.406),
        "std": (0.229, 0.224, 0.225),
    }
    theirs = transforms_imagenet_eval(
        size, fraction, mode, interpolation=interpolation, mean=config["mean"], std=config["std"], normalize=False
    )(image)
    ours = prepare(pixels(image), from_timm_config(config, "timm"))
    assert ours.dtype == torch.uint8
    assert ours.shape == theirs.shape == (3, *size)
    difference = (ours.int() - theirs.int()).abs()
    # Pillow and torchvision quantise the weights differently: one level, and two at a few pixels of bicubic.
    assert difference.max() <= (2 if interpolation == "bicubic" else 1)
    assert (difference > 1).float().mean() < 1e-4
    assert (difference > 0).float().mean() < 0.2  # most where one axis grows and the other shrinks


@pytest.mark.parametrize("height_width", SIZES)
def test_equals_torchvision(height_width: tuple[int, int]) -> None:
    from torchvision.transforms import InterpolationMode
    from torchvision.transforms._presets import ImageClassification

    image = photo(*height_width)
    preset = ImageClassification(crop_size=224, resize_size=232, mean=(0, 0, 0), std=(1, 1, 1))
    assert preset.interpolation == InterpolationMode.BILINEAR
    theirs = (preset(image) * 255).round().to(torch.uint8)
    ours = prepare(pixels(image), Preprocessing(size=(224, 224), resize=232, interpolation="bilinear"))
    assert (ours.int() - theirs.int()).abs().max() <= 1


def test_no_geometry_leaves_the_image_as_it_is() -> None:
    image = pixels(photo(31, 57))
    assert torch.equal(prepare(image, Preprocessing()), image)


def test_a_crop_larger_than_the_image_is_padded_with_black() -> None:
    image = torch.full((3, 4, 6), 9, dtype=torch.uint8)
    padded = prepare(image, Preprocessing(size=(8, 6)))
    assert padded.shape == (3, 8, 6)
    assert padded[:, 2:6].unique().tolist() == [9]
    assert padded[:, :2].unique().tolist() == padded[:, 6:].unique().tolist() == [0]
