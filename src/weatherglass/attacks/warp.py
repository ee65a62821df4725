"""Rotating and shifting images: bilinear, black outside, exact where nothing needs to be interpolated."""

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor

from weatherglass.types import Images

Moves = Float[Tensor, "rows 3"]
"""Angle in degrees (counter-clockwise), shift down and shift right in pixels; float64."""


def rotate_and_shift(images: Images, moves: Moves) -> Images:
    """Each image rotated about its centre and then shifted; what comes from outside is black.

    The form of Engstrom et al., "Exploring the Landscape of Spatial Robustness" (ICML 2019): pixel p of the result is
    the image at R p - t, read bilinearly with the corners of the grid at the centres of the corner pixels. A row of
    zeros leaves the image bit for bit as it is.
    """
    moves = moves.to(images.device, torch.float64)
    height, width = images.shape[2:]
    angle = torch.deg2rad(moves[:, 0])[:, None, None]
    cosine, sine = _clean(angle.cos()), _clean(angle.sin())
    down, right = moves[:, 1, None, None], moves[:, 2, None, None]
    y = (torch.arange(height, device=images.device, dtype=torch.float64) - (height - 1) / 2)[None, :, None]
    x = (torch.arange(width, device=images.device, dtype=torch.float64) - (width - 1) / 2)[None, None, :]
    from_x = cosine * x - sine * y - right
    from_y = sine * x + cosine * y - down
    scale_x, scale_y = max(width - 1, 1) / 2, max(height - 1, 1) / 2
    grid = torch.stack([from_x / scale_x, from_y / scale_y], dim=3).to(images.dtype)
    moved = F.grid_sample(images, grid, mode="bilinear", padding_mode="zeros", align_corners=True)
    still = (moves == 0).all(dim=1)[:, None, None, None]
    # The weights of a sample sum to 1 up to rounding.
    return torch.where(still, images, moved.clamp(0, 1))


def _clean(values: Tensor) -> Tensor:
    """Cosine and sine of right angles as the whole numbers they are."""
    nearest = values.round()
    return torch.where((values - nearest).abs() < 1e-12, nearest, values)
