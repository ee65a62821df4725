"""Augmentation of images with masks: random scale, a crop in which no class fills too much, mirroring, distortion of
colours. Plain functions; everything that is drawn comes from the `Draws` of one sample."""

import cv2
import numpy as np
import torch
import torch.nn.functional as F
from jaxtyping import UInt8
from torch import Tensor

from weatherglass.randomness import Draws
from weatherglass.types import IGNORE

Image = UInt8[Tensor, "3 height width"]
Mask = UInt8[Tensor, "height width"]

CROP_TRIALS = 10
"""Crops that are tried before one with too large a class is taken after all (mmsegmentation's RandomCrop)."""


def rescaled(image: Image, mask: Mask, height: int, width: int) -> tuple[Image, Mask]:
    """Both at another size: the image bilinear with antialiasing, the mask by nearest neighbour."""
    if (height, width) == tuple(mask.shape):
        return image, mask
    larger = F.interpolate(image[None].float(), (height, width), mode="bilinear", antialias=True)[0]
    nearest = F.interpolate(mask[None, None].float(), (height, width), mode="nearest-exact")[0, 0]
    return larger.round().clamp(0, 255).to(torch.uint8), nearest.to(torch.uint8)


def padded(image: Image, mask: Mask, side: int) -> tuple[Image, Mask]:
    """Both with at least `side` pixels each way: black, and `IGNORE`, at the right and the bottom."""
    down, right = max(side - mask.shape[0], 0), max(side - mask.shape[1], 0)
    if not (down or right):
        return image, mask
    return F.pad(image, (0, right, 0, down)), F.pad(mask, (0, right, 0, down), value=IGNORE)


def cropped(image: Image, mask: Mask, side: int, *, largest_share: float, draws: Draws) -> tuple[Image, Mask]:
    """A square of `side` pixels in which no class has more than `largest_share` of what counts, if one is found."""
    image, mask = padded(image, mask, side)
    room = torch.tensor([mask.shape[0] - side + 1, mask.shape[1] - side + 1])
    places = (draws.uniform("crop", CROP_TRIALS, 2)[0] * room).long().tolist()
    fitting = (place for place in places if _is_mixed(mask[place[0] :, place[1] :][:side, :side], largest_share))
    top, left = next(fitting, places[-1])
    return image[:, top : top + side, left : left + side], mask[top : top + side, left : left + side]


def _is_mixed(mask: Mask, largest_share: float) -> bool:
    """Whether there are several classes and none has more than that share of the counted pixels."""
    counts = torch.bincount(mask[mask != IGNORE].long())
    several = int((counts > 0).sum()) > 1
    return several and float(counts.max()) < largest_share * float(counts.sum())


def mirrored(image: Image, mask: Mask, *, chance: float, draws: Draws) -> tuple[Image, Mask]:
    """Left and right exchanged with that chance."""
    if float(draws.uniform("mirror", 1)[0, 0]) >= chance:
        return image, mask
    return image.flip(2), mask.flip(1)


def distorted(image: Image, *, draws: Draws) -> Image:
    """Photometric distortion: brightness +-32 levels, contrast and saturation x 0.5..1.5, hue +-18 of 180 steps.

    Each with chance 1/2; contrast comes before or behind saturation and hue (Liu et al., "SSD", ECCV 2016, with the
    numbers and order of mmsegmentation's PhotoMetricDistortion). That cuts to whole levels of 0..255 after every step;
    here brightness and a contrast right behind it are one step, which spares what would be cut off between them.
    """
    coins = (draws.uniform("coins", 5)[0] < 0.5).tolist()
    amounts = (2 * draws.uniform("amounts", 4)[0] - 1).tolist()
    pixels = image.permute(1, 2, 0).numpy().astype(np.float32)
    if coins[0]:
        pixels = pixels + 32 * amounts[0]
    if coins[1] and coins[4]:
        pixels = pixels * (1 + 0.5 * amounts[1])
    if coins[2] or coins[3]:
        hsv = cv2.cvtColor(_levels(pixels), cv2.COLOR_RGB2HSV).astype(np.float32)
        if coins[2]:
            hsv[..., 1] = np.clip(hsv[..., 1] * (1 + 0.5 * amounts[2]), 0, 255)
        if coins[3]:
            hsv[..., 0] = (hsv[..., 0] + round(18 * amounts[3])) % 180
        pixels = cv2.cvtColor(_levels(hsv), cv2.COLOR_HSV2RGB).astype(np.float32)
    if coins[1] and not coins[4]:
        pixels = pixels * (1 + 0.5 * amounts[1])
    return torch.from_numpy(_levels(pixels).transpose(2, 0, 1).copy())


def _levels(pixels: np.ndarray) -> np.ndarray:
    return np.clip(np.rint(pixels), 0, 255).astype(np.uint8)
