"""What processing does to pictures: contrast, saturation, pixels, JPEG, elastic maps. Images in [0, 1]."""

from functools import lru_cache

import numpy as np
import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor

from weatherglass.corruptions.codecs import jpeg_round_trip
from weatherglass.corruptions.filters import gaussian_blur_2d
from weatherglass.randomness import Draws
from weatherglass.types import Images, Masks, Pixels


def contrast(images: Images, *, factor: float) -> Images:
    """Scale by `factor` around the mean of each channel of each image (Hendrycks and Dietterich 2019)."""
    mean = images.mean((2, 3), keepdim=True)
    return (images - mean).mul_(factor).add_(mean)


def saturate(images: Images, *, factor: float, shift: float) -> Images:
    """S -> factor S + shift in HSV, clipped (Hendrycks and Dietterich 2019).

    Grey has hue 0: where `shift` is positive (severities 4 and 5) grey pixels turn reddish, as published.
    """
    value = images.amax(1, keepdim=True)
    chroma = value - images.amin(1, keepdim=True)
    saturation = chroma / value.clamp_min(1e-12)
    wanted = (saturation * factor + shift).clamp_(0, 1)
    coloured = value - (value - images) * (wanted / saturation.clamp_min(1e-12))
    red = torch.tensor([0.0, 1.0, 1.0], device=images.device).view(3, 1, 1)
    return torch.where(chroma > 0, coloured, value - value * wanted * red)


def pixelate(images: Images, *, fraction: float, eight_bit: bool) -> Images:
    """Shrink by Pillow's box filter to int(side * fraction), enlarge by nearest (Hendrycks and Dietterich 2019).

    Each small pixel is the plain mean of the whole pixels whose centre lies in its window, with 8-bit rounding after
    each direction where the images are 8-bit.
    """
    height, width = images.shape[-2:]
    rows, columns = max(1, int(height * fraction)), max(1, int(width * fraction))
    # Pillow shrinks the columns first, but the rows of pictures more than twice as high as wide.
    small = images
    for dim in (-2, -1) if height > 2 * width else (-1, -2):
        matrix = box_matrix(*((height, rows) if dim == -2 else (width, columns))).to(images.device)
        small = matrix @ small if dim == -2 else small @ matrix.T
        if eight_bit:
            small = _rounded(small)
    down = torch.from_numpy(nearest_index(rows, height)).to(images.device)
    right = torch.from_numpy(nearest_index(columns, width)).to(images.device)
    return small.index_select(-2, down).index_select(-1, right)


def _rounded(values: Tensor) -> Tensor:
    # Halves go up, as in Pillow; the summand makes up for float32 sums that end just below a half.
    return (values * 255 + (0.5 + 1e-3)).floor_().div_(255)


@lru_cache(maxsize=64)
def box_windows(size: int, smaller: int) -> list[tuple[int, int]]:
    """First and end pixel of each window of Pillow's box filter from `size` to `smaller` pixels."""
    ratio = size / smaller
    windows = []
    for index in range(smaller):
        centre = (index + 0.5) * ratio
        first, end = max(0, int(centre - ratio / 2 + 0.5)), min(size, int(centre + ratio / 2 + 0.5))
        inside = [p for p in range(first, end) if -0.5 < (p - centre + 0.5) / ratio <= 0.5]
        windows.append((inside[0], inside[-1] + 1))
    return windows


@lru_cache(maxsize=64)
def box_matrix(size: int, smaller: int) -> Float[Tensor, "smaller size"]:
    """The means of `box_windows` as a matrix."""
    matrix = np.zeros((smaller, size), np.float32)
    for row, (first, end) in enumerate(box_windows(size, smaller)):
        matrix[row, first:end] = 1 / (end - first)
    return torch.from_numpy(matrix)


@lru_cache(maxsize=64)
def nearest_index(smaller: int, size: int) -> np.ndarray:
    """Which of `smaller` pixels each of `size` pixels shows.

    Pillow adds up the step pixel by pixel, and the rounding of that sum decides where a boundary falls on a pixel.
    """
    step = smaller / size
    positions = np.cumsum(np.r_[step / 2, np.full(size - 1, step)])
    return positions.astype(np.int64).clip(0, smaller - 1)


def jpeg_compression(pixels: Pixels, *, quality: int) -> Pixels:
    """Through a JPEG of `quality`, 4:2:0, standard tables (Hendrycks and Dietterich 2019). Takes 8-bit images."""
    return jpeg_round_trip(pixels, quality)


def elastic_transform(
    images: Images,
    *,
    amplitude_of_height: float,
    sigma_of_side: float,
    corner_jitter_of_side: float,
    draws: Draws,
) -> Images:
    """Displace by blurred uniform noise, after a random affine map (Hendrycks and Dietterich 2019).

    The noise U(-1, 1), smoothed by `sigma_of_side` times height and width (cut at 3 sigma), is multiplied by
    `amplitude_of_height` times the height. Three points a third of the side around the centre move by
    U(-1, 1) * `corner_jitter_of_side`. The package `imagecorruptions` has no affine map and other constants.
    """
    height, width = images.shape[-2:]
    if corner_jitter_of_side > 0:
        images = _affine(images, corner_jitter_of_side, draws)
    if amplitude_of_height == 0:
        return images
    grid = _displacements(height, width, amplitude_of_height, sigma_of_side, draws, images.device)
    return F.grid_sample(images, grid, mode="bilinear", padding_mode="reflection", align_corners=False)


def elastic_masks(
    masks: Masks, *, amplitude_of_height: float, sigma_of_side: float, corner_jitter_of_side: float, draws: Draws
) -> Masks:
    """The masks of images under `elastic_transform` of the same draws: moved alike, by nearest neighbour."""
    moved = masks[:, None].float()
    if corner_jitter_of_side > 0:
        moved = _affine(moved, corner_jitter_of_side, draws, mode="nearest")
    if amplitude_of_height != 0:
        height, width = masks.shape[1:]
        grid = _displacements(height, width, amplitude_of_height, sigma_of_side, draws, masks.device)
        moved = F.grid_sample(moved, grid, mode="nearest", padding_mode="reflection", align_corners=False)
    return moved[:, 0].to(torch.uint8)


def _displacements(
    height: int, width: int, amplitude_of_height: float, sigma_of_side: float, draws: Draws, device: torch.device
) -> Float[Tensor, "batch height width 2"]:
    """Where each pixel comes from, in the coordinates of `grid_sample`."""
    noise = (draws.bits16("displacement", 2, height, width, device=device) + 0.5).mul_(1 / 32768).sub_(1)
    sigma = sigma_of_side * height, sigma_of_side * width
    across, down = (gaussian_blur_2d(noise, sigma, border="half", truncate=3) * (amplitude_of_height * height)).unbind(
        1
    )
    rows = torch.arange(height, device=device)[:, None] + down
    columns = torch.arange(width, device=device) + across
    return torch.stack([(2 * columns + 1) / width - 1, (2 * rows + 1) / height - 1], -1)


def _affine(
    images: Float[Tensor, "batch channels height width"], jitter_of_side: float, draws: Draws, mode: str = "bilinear"
) -> Float[Tensor, "batch channels height width"]:
    """The affine map that moves three points by random amounts, mirrored at the border pixels."""
    height, width = images.shape[-2:]
    side = min(height, width)
    arm, middle = side // 3, (height // 2, width // 2)
    # In (x, y) the published code puts rows first; the points lie symmetrically, so only the labels differ.
    start = np.array([[middle[0] + arm, middle[1] + arm], [middle[0] + arm, middle[1] - arm], [middle[0] - arm] * 2])
    start[2] = middle[0] - arm, middle[1] - arm
    jitter = (draws.uniform("corners", 3, 2).double().mul(2).sub(1) * jitter_of_side * side).numpy()
    grids = []
    for moved in start + jitter:
        forward = np.linalg.solve(np.c_[start, np.ones(3)], moved).T  # 2 3: (x, y, 1) -> (x, y)
        back = np.linalg.inv(np.r_[forward, [[0, 0, 1]]])
        y, x = np.mgrid[:height, :width].astype(np.float64)
        source_x = back[0, 0] * x + back[0, 1] * y + back[0, 2]
        source_y = back[1, 0] * x + back[1, 1] * y + back[1, 2]
        grids.append(np.stack([2 * source_x / (width - 1) - 1, 2 * source_y / (height - 1) - 1], -1))
    grid = torch.from_numpy(np.stack(grids).astype(np.float32)).to(images.device)
    return F.grid_sample(images, grid, mode=mode, padding_mode="reflection", align_corners=True)
