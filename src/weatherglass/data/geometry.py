"""The geometric half of preprocessing: resize and crop on uint8, equal to timm's and torchvision's transforms."""

import torch
from jaxtyping import UInt8
from torch import Tensor
from torchvision.transforms import InterpolationMode
from torchvision.transforms.v2 import functional

from weatherglass.errors import UserError
from weatherglass.types import Preprocessing


def prepare(
    image: UInt8[Tensor, "3 height width"], preprocessing: Preprocessing
) -> UInt8[Tensor, "3 out_height out_width"]:
    """Resize, then crop the centre, as `preprocessing` says. Stays uint8 all the way.

    On uint8, resizing equals Pillow's within one level (bicubic: two at less than 1 in 10,000 values, where the two
    quantise their weights differently); on floats torchvision's bicubic would differ by up to four levels. A crop
    larger than the image is padded: with black, as torchvision's and timm's centre crop, or with the mean colour for
    `fit` 'contain', as timm's border mode.
    """
    if preprocessing.resize is not None:
        size = resized_size(image.shape[-2], image.shape[-1], preprocessing)
        if size != tuple(image.shape[-2:]):
            image = functional.resize(image, list(size), _interpolation(preprocessing.interpolation), antialias=True)
    if preprocessing.size is not None:
        image = _centre_crop(image, preprocessing)
    return image


def resized_size(height: int, width: int, preprocessing: Preprocessing) -> tuple[int, int]:
    """Height and width after resizing and before cropping, in pixels."""
    resize = preprocessing.resize
    if resize is None:
        return height, width
    if isinstance(resize, int):  # torchvision cuts the longer side down to an integer
        if height <= width:
            return resize, int(resize * width / height)
        return int(resize * height / width), resize
    if preprocessing.fit == "squash":
        return resize
    ratios = height / resize[0], width / resize[1]
    ratio = max(ratios) if preprocessing.fit == "contain" else min(ratios)
    return round(height / ratio), round(width / ratio)  # timm rounds where torchvision cuts


def _centre_crop(
    image: UInt8[Tensor, "3 height width"], preprocessing: Preprocessing
) -> UInt8[Tensor, "3 out_height out_width"]:
    assert preprocessing.size is not None
    (height, width), (rows, columns) = image.shape[-2:], preprocessing.size
    if rows > height or columns > width:
        down, right = max(rows - height, 0), max(columns - width, 0)
        canvas = (
            torch.tensor(preprocessing.padding, dtype=torch.uint8).view(3, 1, 1).repeat(1, height + down, width + right)
        )
        canvas[:, down // 2 : down // 2 + height, right // 2 : right // 2 + width] = image
        image = canvas
        height, width = image.shape[-2:]
    top, left = round((height - rows) / 2), round((width - columns) / 2)
    return image[:, top : top + rows, left : left + columns].contiguous()


def _interpolation(name: str) -> InterpolationMode:
    try:
        return {
            "nearest": InterpolationMode.NEAREST,
            "bilinear": InterpolationMode.BILINEAR,
            "bicubic": InterpolationMode.BICUBIC,
        }[name]
    except KeyError:
        raise UserError(f"The interpolation '{name}' is not one of nearest, bilinear, bicubic.") from None
