"""Weather and light: snow, frost, fog, brightness, spatter. Kernels take and return images in [0, 1]."""

import cv2
import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from weatherglass.corruptions.fields import map_side, plasma
from weatherglass.corruptions.filters import (
    enlarge,
    gaussian_blur_2d,
    gaussian_taps,
    motion_blur_2d,
    motion_path,
    zoom_window,
)
from weatherglass.corruptions.frost import Textures
from weatherglass.randomness import Draws
from weatherglass.types import Images

GREY = (0.299, 0.587, 0.114)
WATER = (175 / 255, 238 / 255, 238 / 255)
MUD = (63 / 255, 42 / 255, 20 / 255)


def snow(
    images: Images,
    *,
    mean: float,
    scale: float,
    zoom: float,
    threshold: float,
    radius: int,
    sigma: float,
    picture_weight: float,
    central: bool,
    draws: Draws,
) -> Images:
    """Flakes at U(-135, -45) degrees over a whitened picture (Hendrycks and Dietterich 2019).

    A layer of normal noise (`mean`, `scale`) is enlarged by `zoom`, set to 0 below `threshold`, motion-blurred, and
    added as it is and rotated by 180 degrees. `central`: Hendrycks's order, where the layer is trimmed to the image
    and truncated to 8 bits before the blur; else it is blurred first and trimmed at the bottom and right.
    """
    height, width = images.shape[-2:]
    layers = flakes((height, width), mean, scale, zoom, threshold, draws, images.device)
    if central:
        layers = trimmed_flakes(layers, (height, width))
    angles = draws.uniform("angle").mul(90).sub(135).tolist()
    streaks = [
        motion_blur_2d(layer, motion_path(radius, sigma, angle))[..., :height, :width]
        for layer, angle in zip(layers, angles, strict=True)
    ]
    return with_snow(images, torch.stack(streaks), picture_weight)


def with_snow(images: Images, streaks: Float[Tensor, "batch 1 height width"], picture_weight: float) -> Images:
    """A whitened picture with a layer of streaks, rounded to 8 bits, added as it is and turned by 180 degrees."""
    layer = (streaks * 255).round().div_(255)
    weights = torch.tensor(GREY, device=images.device).view(3, 1, 1)
    grey = (images * weights).sum(1, keepdim=True)
    whitened = torch.maximum(images, grey * 1.5 + 0.5)
    picture = images * picture_weight + whitened * (1 - picture_weight)
    return picture + (layer + layer.rot90(2, (-2, -1)))


def trimmed_flakes(
    layers: Float[Tensor, "batch 1 rows columns"], size: tuple[int, int]
) -> Float[Tensor, "batch 1 height width"]:
    """The centre of the layer, truncated to 8 bits."""
    top, left = (layers.shape[-2] - size[0]) // 2, (layers.shape[-1] - size[1]) // 2
    return (layers[..., top : top + size[0], left : left + size[1]] * 255 + 1e-3).floor_().div_(255)


def flakes(
    size: tuple[int, int], mean: float, scale: float, zoom: float, threshold: float, draws: Draws, device: torch.device
) -> Float[Tensor, "batch 1 rows columns"]:
    """The enlarged, thresholded noise. Only the centre that the enlargement keeps is drawn."""
    _, rows, new_height = zoom_window(size[0], zoom)
    _, columns, new_width = zoom_window(size[1], zoom)
    noise = draws.normal("flakes", 1, rows, columns, device=device) * scale + mean
    noise = enlarge(noise, (new_height, new_width))
    return noise.masked_fill_(noise < threshold, 0).clamp_(0, 1)


def frost(
    images: Images,
    *,
    picture_weight: float,
    frost_weight: float,
    texture_scale: float,
    textures: Textures,
    draws: Draws,
) -> Images:
    """Add a random crop of a random frost texture (Hendrycks and Dietterich 2019).

    Textures are enlarged by `texture_scale`, or by 1.1 times what it takes to cover the image where that is more.
    """
    height, width = images.shape[-2:]
    choices = draws.integers("texture", len(textures.pictures)).tolist()
    corners = draws.uniform("corner", 2).tolist()
    crops = []
    for choice, (down, right) in zip(choices, corners, strict=True):
        texture = textures.scaled(choice, (height, width), texture_scale)
        top = int(down * max(1, texture.shape[-2] - height))
        left = int(right * max(1, texture.shape[-1] - width))
        crops.append(texture[:, top : top + height, left : left + width])
    ice = torch.stack(crops).to(images.device).to(torch.float32)
    return images * picture_weight + ice.mul_(frost_weight / 255)


def fog(images: Images, *, amount: float, decay: float, smallest_map: int, draws: Draws) -> Images:
    """Add `amount` times a plasma map and rescale to the image's largest value (Hendrycks and Dietterich 2019)."""
    height, width = images.shape[-2:]
    side = map_side(height, width, smallest_map)
    haze = plasma(draws.bits16("plasma", side * side, device=images.device), decay)[:, None, :height, :width]
    brightest = images.amax((1, 2, 3), keepdim=True)
    return (images + haze * amount) * (brightest / (brightest + amount))


def brightness(images: Images, *, shift: float) -> Images:
    """Add `shift` to the value of HSV, clipped at 1 (Hendrycks and Dietterich 2019).

    Hue and saturation stay, so the three channels are scaled by one factor; black becomes grey.
    """
    value = images.amax(1, keepdim=True)
    lifted = (value + shift).clamp_(0, 1)
    return torch.where(value > 0, images * (lifted / value.clamp_min(1e-12)), lifted)


def spatter(
    images: Images,
    *,
    mean: float,
    scale: float,
    sigma: float,
    threshold: float,
    strength: float,
    mud: bool,
    draws: Draws,
) -> Images:
    """Drops of water, or splashes of mud, on the lens (Hendrycks and Dietterich 2019).

    Blurred normal noise above `threshold` is liquid. Where nothing exceeds it (about 1 in 60 images of 32 pixels at
    severity 1) the reference divides 0 by 0 and returns black; here such an image stays clean.
    """
    height, width = images.shape[-2:]
    layer = draws.normal("liquid", height, width, device=images.device) * scale + mean
    layer = gaussian_blur_2d(layer, (sigma, sigma), border="edge")
    layer.masked_fill_(layer < threshold, 0)
    if mud:
        mask = (layer > threshold).float()
        taps = gaussian_taps(strength)
        mask = gaussian_blur_2d(mask, (strength, strength), border="edge") if len(taps) > 1 else mask
        mask = mask.masked_fill_(mask < 0.8, 0)[:, None]
        return images * (1 - mask) + mask * torch.tensor(MUD, device=images.device).view(3, 1, 1)
    return with_water(images, layer, strength)


def with_water(images: Images, layer: Float[Tensor, "batch height width"], strength: float) -> Images:
    """Drops on the lens, refracted near their edges; `layer` is the height of the liquid."""
    relief = np.stack([water_relief(liquid) for liquid in layer.cpu().numpy()])
    film = layer * torch.from_numpy(relief).to(images.device)
    film = film / film.amax((1, 2), keepdim=True).clamp_min(1e-12) * strength
    return images + film[:, None] * torch.tensor(WATER, device=images.device).view(3, 1, 1)


def water_relief(liquid: Float[np.ndarray, "height width"]) -> Float[np.ndarray, "height width"]:
    """How light refracts near the edges of the liquid, 0..255, by OpenCV's operators as the reference uses them."""
    eight_bit = (np.clip(liquid, 0, 1) * 255 + 1e-3).astype(np.uint8)
    edges = 255 - cv2.Canny(eight_bit, 50, 150)
    distance = cv2.distanceTransform(edges, cv2.DIST_L2, 5)
    _, distance = cv2.threshold(distance, 20, 20, cv2.THRESH_TRUNC)
    distance = cv2.equalizeHist(cv2.blur(distance, (3, 3)).astype(np.uint8))
    emboss = np.array([[-2, -1, 0], [-1, 1, 1], [0, 1, 2]], np.float32)
    return cv2.blur(cv2.filter2D(distance, cv2.CV_8U, emboss), (3, 3)).astype(np.float32)
