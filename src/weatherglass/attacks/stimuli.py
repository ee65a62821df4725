"""Our own conflict stimuli: the shape of one image in the texture of another, for any labelled set.

Texture transfer by patches, in the spirit of Efros and Freeman, "Image Quilting for Texture Synthesis and Transfer"
(SIGGRAPH 2001), simplified: every patch of the shape image is replaced by the patch of the texture image whose
brightness pattern is nearest, and overlapping patches are averaged. What results is ours; it is neither the style
transfer of Geirhos et al. (2019) nor comparable with shape biases measured on their stimuli.
"""

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor

from weatherglass.errors import UserError
from weatherglass.types import Images

LUMA = (0.299, 0.587, 0.114)
"""Weights of red, green and blue in brightness (ITU-R BT.601)."""


def conflict_stimuli(shapes: Images, textures: Images, *, patch: int = 8, detail: float = 1.0) -> Images:
    """Each image of `shapes` redrawn with patches of its partner in `textures`; deterministic, in [0, 1].

    `patch` is the side of a patch in pixels, even; larger patches carry more of the texture and less of the shape.
    `detail` weighs the pattern within a patch against its mean brightness. All pixels come from the texture image, so
    colour and fine structure are its alone. Raises `UserError` where sizes differ or a patch does not fit.
    """
    if shapes.shape != textures.shape:
        raise UserError(
            f"Shapes and textures must have one size; got {tuple(shapes.shape)} and {tuple(textures.shape)}."
        )
    height, width = shapes.shape[2:]
    if patch < 2 or patch % 2 or patch > min(height, width):
        raise UserError(f"A patch has an even side of 2 to {min(height, width)} pixels, got {patch}.")
    drawn = [_redraw(shape, texture, patch, detail) for shape, texture in zip(shapes, textures, strict=True)]
    return torch.stack(drawn)


def _redraw(
    shape: Float[Tensor, "3 height width"], texture: Float[Tensor, "3 height width"], patch: int, detail: float
) -> Float[Tensor, "3 height width"]:
    stride = patch // 2
    padded = _pad_to_grid(shape, patch, stride)
    wanted = _features(F.unfold(_brightness(padded, texture), patch, stride=stride), detail)  # places, features
    offered = F.unfold(texture[None], patch, stride=1)[0].T  # patches, 3 * patch * patch
    known = _features(F.unfold(_brightness(texture, texture), patch, stride=1), detail)
    nearest = torch.cat([torch.cdist(part, known).argmin(dim=1) for part in wanted.split(1024)])
    chosen = offered[nearest].T[None]
    size = padded.shape[1:]
    window = _window(patch).repeat(3)[None, :, None].to(chosen)
    total = F.fold(chosen * window, size, patch, stride=stride)
    weight = F.fold(window.expand_as(chosen).contiguous(), size, patch, stride=stride)
    return (total / weight)[0, :, : shape.shape[1], : shape.shape[2]].clamp(0, 1)


def _brightness(image: Tensor, like: Tensor) -> Float[Tensor, "1 1 height width"]:
    """Brightness with the mean and spread of `like`, so that a dark shape finds partners in a bright texture."""
    weights = torch.tensor(LUMA, device=image.device)[:, None, None]
    values, target = (image * weights).sum(dim=0), (like * weights).sum(dim=0)
    spread = values.std().clamp(min=1e-6)
    return ((values - values.mean()) / spread * target.std() + target.mean())[None, None]


def _features(patches: Float[Tensor, "1 pixels places"], detail: float) -> Float[Tensor, "places features"]:
    """Mean brightness of a patch, weighted like all its pixels, and the pattern around the mean."""
    rows = patches[0].T
    mean = rows.mean(dim=1, keepdim=True)
    return torch.cat([mean * rows.shape[1] ** 0.5, detail * (rows - mean)], dim=1)


def _pad_to_grid(image: Tensor, patch: int, stride: int) -> Tensor:
    """Edges repeated to the right and below, so that patches cover every pixel."""
    missing = [(-(side - patch)) % stride for side in image.shape[1:]]
    return F.pad(image[None], (0, missing[1], 0, missing[0]), mode="replicate")[0]


def _window(patch: int) -> Float[Tensor, " pixels"]:
    """Weights of the pixels of a patch: highest in the middle, above 0 at the border, so that seams fade."""
    ramp = 1 - ((torch.arange(patch) + 0.5) / patch * 2 - 1).abs()
    return (ramp[:, None] * ramp[None, :] + 0.01).flatten()
