"""ConvNeXt (Liu et al., CVPR 2022) as the FAN family uses it: the hybrids' patchifier, and ConvNeXt with FAN's gate.

Maps have the shape (batch, channels, height, width) and channels-last memory, so that LayerNorms and 1x1
convolutions see rows of channels without a copy.
"""

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn

from weatherglass.models.channel_attention import PointwiseLinear
from weatherglass.models.configuration import ConvNeXtStem

Map = Float[Tensor, "batch channels height width"]


class ChannelLayerNorm(nn.Module):
    """LayerNorm over the last axis; `biased=False` divides the variance by C-1 instead of C.

    The FAN release does the latter wherever its input is channels-last in memory (a known slip of early ConvNeXt
    code), so the published hybrids were trained and evaluated with it. With S the sum of squared deviations,
    S/(C-1) + eps = C/(C-1) * (S/C + eps*(C-1)/C): PyTorch's LayerNorm with another eps and a scaled weight.
    """

    def __init__(self, channels: int, *, biased: bool = True, eps: float = 1e-6) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.ones(channels))
        self.bias = nn.Parameter(torch.zeros(channels))
        self.shrink = 1.0 if biased else (channels - 1) / channels
        self.eps = eps

    def forward(self, features: Float[Tensor, "*batch channels"]) -> Float[Tensor, "*batch channels"]:
        weight = self.weight if self.shrink == 1 else self.weight * self.shrink**0.5
        return F.layer_norm(features, self.weight.shape, weight, self.bias, self.eps * self.shrink)


class MapLayerNorm(ChannelLayerNorm):
    """The same over the channels of a map."""

    def forward(self, features: Map) -> Map:
        return super().forward(features.permute(0, 2, 3, 1)).permute(0, 3, 1, 2)


class PointwiseMlp(nn.Module):
    """ConvNeXt's inverted bottleneck on rows of channels."""

    def __init__(self, width: int, hidden: int) -> None:
        super().__init__()
        self.fc1 = PointwiseLinear(width, hidden)
        self.fc2 = PointwiseLinear(hidden, width)

    def forward(self, features: Float[Tensor, "*batch c"]) -> Float[Tensor, "*batch c"]:
        return self.fc2(F.gelu(self.fc1(features)))


class ConvNeXtBlock(nn.Module):
    """`x + gamma * mlp(norm(depthwise(x)))` with a 7x7 depthwise convolution; gamma starts at 1e-6."""

    def __init__(self, width: int, *, biased_variance: bool = True) -> None:
        super().__init__()
        self.gamma = nn.Parameter(torch.full((width,), 1e-6))
        self.conv_dw = nn.Conv2d(width, width, 7, padding=3, groups=width)
        self.norm = ChannelLayerNorm(width, biased=biased_variance)
        self.mlp = PointwiseMlp(width, 4 * width)

    def forward(self, features: Map) -> Map:
        rows = self.conv_dw(features).permute(0, 2, 3, 1)
        return torch.addcmul(features, self.gamma[:, None, None], self.mlp(self.norm(rows)).permute(0, 3, 1, 2))


class ConvNeXtStage(nn.Module):
    """Blocks of one width behind a LayerNorm and a 2x2 stride-2 convolution where the width changes."""

    def __init__(self, inputs: int, width: int, depth: int, *, biased_variance: bool = True) -> None:
        super().__init__()
        self.downsample = (
            nn.Identity()
            if inputs == width
            else nn.Sequential(MapLayerNorm(inputs, biased=biased_variance), nn.Conv2d(inputs, width, 2, stride=2))
        )
        self.blocks = nn.Sequential(*(ConvNeXtBlock(width, biased_variance=biased_variance) for _ in range(depth)))

    def forward(self, features: Map) -> Map:
        return self.blocks(self.downsample(features))


class ConvNeXtBackbone(nn.Module):
    """A ConvNeXt's stem and first two stages."""

    def __init__(self, config: ConvNeXtStem, channels: int) -> None:
        super().__init__()
        first, second = config.widths
        biased = config.biased_variance
        self.stem = nn.Sequential(nn.Conv2d(channels, first, config.patch, stride=config.patch), MapLayerNorm(first))
        self.stages = nn.ModuleList(
            [
                ConvNeXtStage(first, first, config.depths[0], biased_variance=biased),
                ConvNeXtStage(first, second, config.depths[1], biased_variance=biased),
            ]
        )

    def forward(self, images: Map) -> list[Map]:
        """The map of each stage."""
        features = self.stem(images.contiguous(memory_format=torch.channels_last))
        maps = []
        for stage in self.stages:
            features = stage(features)
            maps.append(features)
        return maps


def initialise_convnext(module: nn.Module) -> None:
    """Truncated normal weights of standard deviation 0.02, zero biases; for `Module.apply`."""
    if isinstance(module, nn.Conv2d | PointwiseLinear):
        nn.init.trunc_normal_(module.weight, std=0.02)
        if module.bias is not None:
            nn.init.zeros_(module.bias)
