"""ConvNeXt with FAN's channel attention: a reading of the row "ConvNeXt-T + FAN" of FAN table 7.

The paper does not say how that model is built and the release lacks it, so the construction is this project's own:
in every block of every stage the pointwise MLP becomes efficient channel attention, `gate(n) * norm(mlp(n))`, with
`n` the normalised output of the depthwise convolution, whose pixels are the tokens. The gate is the released form.
Nothing else differs from ConvNeXt (Liu et al., CVPR 2022).
"""

import torch
import torch.nn.functional as F
from timm.layers.drop import DropPath
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint

from weatherglass.errors import UserError
from weatherglass.models.channel_attention import (
    ConstantGate,
    EfficientChannelAttention,
    Grid,
    Tokens,
    map_to_tokens,
)
from weatherglass.models.classifier import ImageClassifier, drop_path_ramp, initialise_linear
from weatherglass.models.configuration import ConvNeXtConfig
from weatherglass.models.convnext import ChannelLayerNorm, Map, MapLayerNorm, initialise_convnext
from weatherglass.models.linear import Linear


class FanConvNeXt(ImageClassifier):
    """ConvNeXt + FAN, with the methods of a timm model.

    Args:
        config: the architecture.
        num_classes: outputs; 0 leaves the head out.
        in_chans: image channels.
        img_size: nominal size; any size of at least the last stage's stride works.
        global_pool: 'avg' or '' (the map itself).
        drop_rate: dropout before the classifier.
        drop_path_rate: stochastic depth of the last block; the rates rise linearly from 0.
    """

    def __init__(
        self,
        config: ConvNeXtConfig,
        *,
        num_classes: int = 1000,
        in_chans: int = 3,
        img_size: int | tuple[int, int] = 224,
        global_pool: str = "avg",
        drop_rate: float = 0.0,
        drop_path_rate: float = 0.0,
    ) -> None:
        super().__init__(
            config.widths[-1], num_classes=num_classes, in_chans=in_chans, img_size=img_size, global_pool=global_pool
        )
        self.config = config
        rates = drop_path_ramp(drop_path_rate, config.depths)

        self.stem = nn.Sequential(
            nn.Conv2d(in_chans, config.widths[0], config.patch, stride=config.patch), MapLayerNorm(config.widths[0])
        )
        inputs = (config.widths[0], *config.widths[:-1])
        self.stages = nn.ModuleList(
            FanConvNeXtStage(before, width, config, drop_paths=rate)
            for before, width, rate in zip(inputs, config.widths, rates, strict=True)
        )
        self._add_head(ChannelLayerNorm(self.embed_dim), drop_rate)
        self.feature_info = [
            {"num_chs": width, "reduction": config.patch * 2**stage, "module": f"stages.{stage}"}
            for stage, width in enumerate(config.widths)
        ]
        self.apply(initialise_convnext).apply(initialise_linear)

    def _look(self, images: Map, last: int) -> tuple[list[tuple[Tokens, Grid]], Map]:
        """The stages."""
        height, width = self._checked_images(images).shape[2:]
        stride = self.config.patch * 2 ** (len(self.config.widths) - 1)
        if height < stride or width < stride:
            raise UserError(f"Images must be at least {stride}x{stride} pixels, got {height}x{width}.")
        features = self.stem(images.contiguous(memory_format=torch.channels_last))
        found: list[tuple[Tokens, Grid]] = []
        for stage in self.stages[: last + 1]:
            features = stage(features, self._recompute)
            found.append((map_to_tokens(features), (features.shape[2], features.shape[3])))
        return found, features

    def _drop_behind(self, last: int) -> None:
        self.stages = self.stages[: last + 1]

    def _finished(self, features: Map) -> Map:
        return features  # normalised after pooling, as in ConvNeXt

    def _pooled(self, features: Map) -> Tensor:
        rows = features.permute(0, 2, 3, 1)
        return self.norm(rows.mean(dim=(1, 2)) if self.global_pool else rows)

    def group_matcher(self, coarse: bool = False) -> dict[str, object]:
        """Groups for layer-wise learning-rate decay: the stem, every block with its downsampling, the norm."""
        return {
            "stem": r"^stem",
            "blocks": r"^stages\.(\d+)"
            if coarse
            else [
                (r"^stages\.(\d+)\.downsample", (0,)),
                (r"^stages\.(\d+)\.blocks\.(\d+)", None),
                (r"^norm", (99999,)),
            ],
        }


class FanConvNeXtStage(nn.Module):
    """Blocks of one width behind a LayerNorm and a 2x2 stride-2 convolution where the width changes."""

    def __init__(self, inputs: int, width: int, config: ConvNeXtConfig, *, drop_paths: list[float]) -> None:
        super().__init__()
        self.downsample = (
            nn.Identity()
            if inputs == width
            else nn.Sequential(MapLayerNorm(inputs), nn.Conv2d(inputs, width, 2, stride=2))
        )
        self.blocks = nn.ModuleList(FanConvNeXtBlock(width, config, drop_path=rate) for rate in drop_paths)

    def forward(self, features: Map, recompute: bool = False) -> Map:
        features = self.downsample(features)
        for block in self.blocks:
            features = checkpoint(block, features, use_reentrant=False) if recompute else block(features)
        return features


class FanConvNeXtBlock(nn.Module):
    """`x + gamma * channel_processing(norm(depthwise(x)))` with a 7x7 depthwise convolution; gamma starts at 1e-6."""

    def __init__(self, width: int, config: ConvNeXtConfig, *, drop_path: float) -> None:
        super().__init__()
        self.gamma = nn.Parameter(torch.full((width,), 1e-6))
        self.conv_dw = nn.Conv2d(width, width, 7, padding=3, groups=width)
        self.norm = nn.LayerNorm(width, eps=1e-6)
        self.drop_path = DropPath(drop_path) if drop_path else nn.Identity()
        mlp = PixelMlp(width, 4 * width)
        heads = max(1, width // config.head_width)
        match config.channel_processing:
            case "eca":
                self.mlp: nn.Module = EfficientChannelAttention(width, heads, mlp)
            case "constant":
                self.mlp = ConstantGate(width, heads, mlp)
            case "mlp":
                self.mlp = mlp

    def forward(self, features: Map) -> Map:
        local = self.conv_dw(features)
        height, width = local.shape[2:]
        pixels = self.norm(local.flatten(2).transpose(1, 2))
        branch = self.drop_path(self.gamma * self.mlp(pixels, (height, width)))
        return features + branch.transpose(1, 2).unflatten(2, (height, width))


class PixelMlp(nn.Module):
    """ConvNeXt's inverted bottleneck, in the place of FAN's convolutional MLP."""

    def __init__(self, width: int, hidden: int) -> None:
        super().__init__()
        self.fc1 = Linear(width, hidden)
        self.fc2 = Linear(hidden, width)

    def forward(self, tokens: Tokens, grid: Grid) -> Tokens:
        return self.fc2(F.gelu(self.fc1(tokens)))
