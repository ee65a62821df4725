"""A feature pyramid on any backbone: maps of doubling strides, all of one width, and one coarser than the last."""

import math
from collections import OrderedDict
from collections.abc import Sequence

from jaxtyping import Float
from torch import Tensor, nn
from torchvision.ops.feature_pyramid_network import FeaturePyramidNetwork, LastLevelMaxPool

from weatherglass.errors import UserError
from weatherglass.models.backbone import Backbone
from weatherglass.models.convnext import Map

FINEST = 4
"""Stride in pixels at which the pyramid of a network of one stride starts, where that is no more than fourfold."""


class FeaturePyramid(nn.Module):
    """Backbone, resampling to doubling strides where its own do not double, and torchvision's pyramid network.

    The names of the maps are '0', '1', ... and 'pool' for the extra one, as torchvision's detectors expect them.
    """

    def __init__(self, backbone: Backbone, width: int) -> None:
        super().__init__()
        self.out_channels = width
        wanted = pyramid_strides(backbone.strides)
        self.strides = [*wanted, 2 * wanted[-1]]
        """Of all maps, the extra one included."""
        self.backbone = backbone
        self.levels = nn.ModuleList(
            _resampling(channels, stride, target)
            for channels, stride, target in zip(backbone.channels, backbone.strides, wanted, strict=True)
        )
        self.fpn = FeaturePyramidNetwork(backbone.channels, width, LastLevelMaxPool())

    @property
    def names(self) -> list[str]:
        """Of the maps that regions are read from: all but the extra one."""
        return [str(level) for level in range(len(self.levels))]

    @property
    def divisor(self) -> int:
        """What sizes of images must be multiples of, so that every stride (and window of a FAN-Swin) divides them."""
        unit = getattr(self.backbone.whole, "unit", self.backbone.reduction)
        return math.lcm(unit, self.strides[-2])

    def forward(self, images: Float[Tensor, "batch 3 height width"]) -> "OrderedDict[str, Map]":
        """Maps by name, finest first."""
        maps = [level(each) for level, each in zip(self.levels, self.backbone(images), strict=True)]
        return self.fpn(OrderedDict(zip(self.names, maps, strict=True)))


def pyramid_strides(strides: Sequence[int]) -> list[int]:
    """Strides that double from the finest one on.

    The maps of a plain transformer all have its patch size s as their stride; theirs become s/4, s/2, s, 2s, as in
    ViTDet (Li et al., "Exploring Plain Vision Transformer Backbones for Object Detection", ECCV 2022), but none is
    finer than 4 pixels. Raises `UserError` for a patch size that cannot be halved down to its finest stride.
    """
    finest = strides[0]
    if len(set(strides)) == 1 and len(strides) > 1:
        finest = max(strides[0] // 4, min(FINEST, strides[0]))
    wanted = [finest * 2**level for level in range(len(strides))]
    for stride, target in zip(strides, wanted, strict=True):
        ratio = max(stride, target) / min(stride, target)
        if not math.log2(ratio).is_integer():
            raise UserError(
                f"A pyramid needs strides that are halves and doubles of each other; this backbone has "
                f"{', '.join(map(str, strides))}. Take a network with patches of 8, 16 or 32 pixels, or with stages."
            )
    return wanted


def _resampling(channels: int, stride: int, target: int) -> nn.Module:
    """From one stride to another: learned 3x3 stride-2 convolutions, as FAN's last level, or 2x2 transposed ones."""
    steps: list[nn.Module] = []
    for _ in range(int(math.log2(max(stride, target) // min(stride, target)))):
        if steps:
            steps.append(nn.GELU())
        if target > stride:
            steps.append(nn.Conv2d(channels, channels, 3, stride=2, padding=1))
        else:
            steps.append(nn.ConvTranspose2d(channels, channels, 2, stride=2))
    return nn.Sequential(*steps)
