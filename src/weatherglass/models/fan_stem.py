"""How FAN turns an image into tokens: the two patchifiers, and Fourier position features."""

import math
from itertools import pairwise
from typing import cast

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn

from weatherglass.errors import UserError
from weatherglass.models.channel_attention import Grid, PointwiseLinear, Tokens, fixed_affine, map_gelu, map_to_tokens
from weatherglass.models.configuration import ConvNeXtStem, ConvolutionStem
from weatherglass.models.convnext import ConvNeXtBackbone, Map


class ConvolutionNorm(nn.ModuleList):
    """A 3x3 stride-2 convolution and its BatchNorm, which the convolution takes up once statistics are fixed."""

    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__([nn.Conv2d(inputs, outputs, 3, stride=2, padding=1, bias=False), nn.BatchNorm2d(outputs)])

    def forward(self, features: Map) -> Map:
        convolution, norm = cast("tuple[nn.Conv2d, nn.BatchNorm2d]", tuple(self))
        if norm.training:
            return norm(convolution(features))
        scale, shift = fixed_affine(norm)
        return F.conv2d(features, convolution.weight * scale[:, None, None, None], shift, stride=2, padding=1)


class MapGelu(nn.Module):
    """`map_gelu` as a layer."""

    def forward(self, features: Map) -> Map:
        return map_gelu(features)


class ConvolutionPatchEmbed(nn.Module):
    """FAN-ViT: log2(stride) convolutions of doubling width; any size, the grid is rounded up."""

    def __init__(self, config: ConvolutionStem, channels: int, width: int) -> None:
        super().__init__()
        halvings = config.stride.bit_length() - 1
        if halvings < 1 or config.stride != 2**halvings or width % 2 ** (halvings - 1):
            raise UserError(
                f"The stem's stride must be a power of two with width a multiple of stride / 2, "
                f"got stride {config.stride} and width {width}."
            )
        widths = [channels, *(width >> shift for shift in reversed(range(halvings)))]
        layers: list[nn.Module] = []
        for inputs, outputs in pairwise(widths):
            layers += [ConvolutionNorm(inputs, outputs), MapGelu()]
        self.proj = nn.Sequential(*layers[:-1])

    def forward(self, images: Map) -> tuple[Tokens, Grid]:
        features = self.proj(images.contiguous(memory_format=torch.channels_last))
        return map_to_tokens(features), (features.shape[2], features.shape[3])

    def with_stages(self, images: Map) -> tuple[list[Map], Tokens, Grid]:
        return [], *self(images)


class HybridPatchEmbed(nn.Module):
    """FAN-Hybrid: two ConvNeXt stages and a convolution to the token width; the grid is rounded down."""

    def __init__(self, config: ConvNeXtStem, channels: int, width: int) -> None:
        super().__init__()
        self.stride = config.stride
        self.backbone = ConvNeXtBackbone(config, channels)
        self.proj = nn.Conv2d(config.widths[1], width, config.projection, stride=config.projection)

    def forward(self, images: Map) -> tuple[Tokens, Grid]:
        _, tokens, grid = self.with_stages(images)
        return tokens, grid

    def with_stages(self, images: Map) -> tuple[list[Map], Tokens, Grid]:
        """The maps of both stages besides the tokens and their grid."""
        height, width = images.shape[2:]
        if height < self.stride or width < self.stride:
            raise UserError(f"Images must be at least {self.stride}x{self.stride} pixels, got {height}x{width}.")
        maps = self.backbone(images)
        features = self.proj(maps[-1])
        return maps, map_to_tokens(features), (features.shape[2], features.shape[3])


def patch_embed(
    stem: ConvolutionStem | ConvNeXtStem, channels: int, width: int
) -> ConvolutionPatchEmbed | HybridPatchEmbed:
    if isinstance(stem, ConvNeXtStem):
        return HybridPatchEmbed(stem, channels, width)
    return ConvolutionPatchEmbed(stem, channels, width)


class FourierPositions(nn.Module):
    """A learned projection of sines and cosines of the row and the column (as XCiT's; not described in the paper).

    Row i = 1..height has the angle 2 pi i / (height + 1e-6), and feature j = 0..31 of an angle is its sine (even
    j) or cosine (odd j) at the frequency 10000^(-2 floor(j/2) / 32); rows give channels 0-31, columns 32-63.
    """

    features = 32
    temperature = 10000.0

    def __init__(self, width: int, *, paired: bool = True) -> None:
        super().__init__()
        self.paired = paired
        self.token_projection = PointwiseLinear(2 * self.features, width)

    def forward(self, grid: Grid) -> Float[Tensor, "1 channels height width"]:
        # The projection is linear: project the rows and the columns, not their product.
        weight = self.token_projection.weight[:, :, 0, 0]
        rows = F.linear(self.table(grid[0], weight), weight[:, : self.features], self.token_projection.bias)
        columns = F.linear(self.table(grid[1], weight), weight[:, self.features :])
        return (rows[:, None] + columns[None, :]).permute(2, 0, 1)[None]

    def table(self, length: int, like: Tensor) -> Float[Tensor, "length 32"]:
        """Sines and cosines along one side, computed in float32 or better and returned in the dtype of `like`."""
        dtype = torch.promote_types(like.dtype, torch.float32)
        angle = torch.arange(1, length + 1, device=like.device, dtype=dtype) * (2 * math.pi / (length + 1e-6))
        exponent = torch.arange(self.features, device=like.device, dtype=dtype)
        if self.paired:
            exponent = 2 * (exponent / 2).floor()
        phase = angle[:, None] * self.temperature ** (-exponent / self.features)
        return torch.stack([phase[:, 0::2].sin(), phase[:, 1::2].cos()], dim=2).flatten(1).to(like.dtype)
