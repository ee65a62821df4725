"""ConvNeXt with FAN's channel attention: a reading of the row "ConvNeXt-T + FAN" of FAN table 7.

The paper does not say how that model is built and the release lacks it, so the construction is this project's own:
in every block of every stage the pointwise MLP becomes efficient channel attention, `gate(n) * norm(mlp(n))`, with
`n` the normalised output of the depthwise convolution, whose pixels are the tokens. The gate is the released form.
Nothing else differs from ConvNeXt (Liu et al., CVPR 2022).
"""

import torch
import torch.nn.functional as F
from jaxtyping import Float
from timm.layers.drop import DropPath
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint

from weatherglass.errors import UserError
from weatherglass.models.channel_attention import ConstantGate, EfficientChannelAttention, Grid, Tokens
from weatherglass.models.configuration import ConvNeXtConfig
from weatherglass.models.convnext import ChannelLayerNorm, Map, MapLayerNorm, initialise_convnext
from weatherglass.models.fan import checked_images, initialise_linear
from weatherglass.models.fan_swin import drop_path_ramp
from weatherglass.models.feature_maps import Indices, wanted_maps
from weatherglass.models.linear import Linear


class FanConvNeXt(nn.Module):
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
        super().__init__()
        self.config = config
        self.num_classes = num_classes
        self.in_chans = in_chans
        self.img_size = (img_size, img_size) if isinstance(img_size, int) else tuple(img_size)
        self.global_pool = checked_pooling(global_pool)
        self.embed_dim = self.num_features = self.head_hidden_size = config.widths[-1]
        self.grad_checkpointing = False
        rates = drop_path_ramp(drop_path_rate, config.depths)

        self.stem = nn.Sequential(
            nn.Conv2d(in_chans, config.widths[0], config.patch, stride=config.patch), MapLayerNorm(config.widths[0])
        )
        inputs = (config.widths[0], *config.widths[:-1])
        self.stages = nn.ModuleList(
            FanConvNeXtStage(before, width, config, drop_paths=rate)
            for before, width, rate in zip(inputs, config.widths, rates, strict=True)
        )
        self.norm = ChannelLayerNorm(self.embed_dim)
        self.head_drop = nn.Dropout(drop_rate)
        self.head = Linear(self.embed_dim, num_classes) if num_classes > 0 else nn.Identity()
        self.feature_info: list[dict[str, str | int]] = [
            {"num_chs": width, "reduction": config.patch * 2**stage, "module": f"stages.{stage}"}
            for stage, width in enumerate(config.widths)
        ]
        self.apply(initialise_convnext).apply(initialise_linear)

    def forward(self, images: Map) -> Float[Tensor, "batch classes"]:
        return self.forward_head(self.forward_features(images))

    def forward_features(self, images: Map) -> Map:
        """The map of the last stage."""
        return self._maps(images, len(self.stages) - 1)[-1]

    def forward_head(self, features: Map, pre_logits: bool = False) -> Tensor:
        """Pool, normalise and classify the map of `forward_features`; `pre_logits` stops before the classifier."""
        rows = features.permute(0, 2, 3, 1)
        rows = self.head_drop(self.norm(rows.mean(dim=(1, 2)) if self.global_pool else rows))
        return rows if pre_logits else self.head(rows)

    def forward_intermediates(
        self,
        x: Map,
        indices: Indices = None,
        norm: bool = False,
        stop_early: bool = False,
        output_fmt: str = "NCHW",
        intermediates_only: bool = False,
    ) -> list[Tensor] | tuple[Tensor, list[Tensor]]:
        """Maps of the stages, see `Fan.forward_intermediates`."""
        if output_fmt not in ("NCHW", "NHWC"):
            raise UserError(f"output_fmt must be 'NCHW' or 'NHWC', got '{output_fmt}'.")
        take, last = wanted_maps(len(self.stages), indices)
        maps = self._maps(x, last if stop_early else len(self.stages) - 1)
        final = maps[-1]
        if norm:
            maps = [
                self.norm(each.permute(0, 2, 3, 1)).permute(0, 3, 1, 2) if each.shape[1] == self.embed_dim else each
                for each in maps
            ]
        outputs = [maps[index].permute(0, 2, 3, 1) if output_fmt == "NHWC" else maps[index] for index in take]
        return outputs if intermediates_only else (final, outputs)

    def prune_intermediate_layers(
        self, indices: Indices = 1, prune_norm: bool = False, prune_head: bool = True
    ) -> list[int]:
        """Drop what lies behind the last wanted stage, for `features_only`."""
        take, last = wanted_maps(len(self.stages), indices)
        self.stages = self.stages[: last + 1]
        if prune_norm:
            self.norm = nn.Identity()
        if prune_head:
            self.reset_classifier(0, "")
        return take

    def _maps(self, images: Map, last: int) -> list[Map]:
        height, width = checked_images(images, self.in_chans).shape[2:]
        stride = self.config.patch * 2 ** (len(self.config.widths) - 1)
        if height < stride or width < stride:
            raise UserError(f"Images must be at least {stride}x{stride} pixels, got {height}x{width}.")
        features = self.stem(images.contiguous(memory_format=torch.channels_last))
        maps = []
        for stage in self.stages[: last + 1]:
            features = stage(features, self.grad_checkpointing and torch.is_grad_enabled())
            maps.append(features)
        return maps

    def get_classifier(self) -> nn.Module:
        return self.head

    def reset_classifier(self, num_classes: int, global_pool: str | None = None) -> None:
        """A fresh classifier for `num_classes` outputs; 0 leaves it out."""
        self.num_classes = num_classes
        if global_pool is not None:
            self.global_pool = checked_pooling(global_pool)
        head = Linear(self.embed_dim, num_classes) if num_classes > 0 else nn.Identity()
        self.head = head.apply(initialise_linear).to(next(self.stem.parameters()))

    def set_grad_checkpointing(self, enable: bool = True) -> None:
        """Recompute the activations of every block in the backward pass instead of keeping them."""
        self.grad_checkpointing = enable

    def no_weight_decay(self) -> set[str]:
        """Nothing besides vectors, as in FAN's other families."""
        return set()

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


def checked_pooling(global_pool: str) -> str:
    if global_pool not in ("avg", ""):
        raise UserError(f"global_pool of a ConvNeXt must be 'avg' or '' (the map), got '{global_pool}'.")
    return global_pool
