"""Baselines of the FAN paper that timm lacks: RVT-S* and RVT-B*. (ResNet-50* is timm's ResNet with two arguments.)"""

import torch
import torch.nn.functional as F
from timm.layers.drop import DropPath
from torch import nn
from torch.utils.checkpoint import checkpoint

from weatherglass.errors import UserError
from weatherglass.models.channel_attention import Grid, Tokens, map_gelu, map_to_tokens, tokens_to_map
from weatherglass.models.classifier import ImageClassifier, initialise_linear
from weatherglass.models.configuration import ConvolutionStem, RvtConfig
from weatherglass.models.convnext import Map
from weatherglass.models.fan_stem import ConvolutionPatchEmbed
from weatherglass.models.linear import Linear


class RobustVisionTransformer(ImageClassifier):
    """RVT* from its paper (arXiv 2105.07926): a convolutional stem, no class token, depthwise convolutions in the
    MLPs, and a learned scale for every pair of positions in the attention (position-aware attention scaling).

    The paper's patch-wise augmentation belongs to training and is not here. What the paper leaves open is chosen so:
    the stem is FAN's (four 3x3 convolutions), GELU stands on both sides of the depthwise convolution. Sizes differ
    from the printed ones by under 2 %. The position scales tie the model to its `img_size`.
    """

    def __init__(
        self,
        config: RvtConfig,
        *,
        num_classes: int = 1000,
        in_chans: int = 3,
        img_size: int | tuple[int, int] = 224,
        global_pool: str = "avg",
        drop_rate: float = 0.0,
        drop_path_rate: float = 0.0,
    ) -> None:
        super().__init__(
            config.width, num_classes=num_classes, in_chans=in_chans, img_size=img_size, global_pool=global_pool
        )
        tokens = -(-self.img_size[0] // 16) * -(-self.img_size[1] // 16)
        self.patch_embed = ConvolutionPatchEmbed(ConvolutionStem(), in_chans, config.width)
        self.blocks = nn.ModuleList(RvtBlock(config, tokens, drop_path_rate) for _ in range(config.depth))
        self._add_head(nn.LayerNorm(config.width, eps=1e-6), drop_rate)
        self.feature_info = [
            {"num_chs": config.width, "reduction": 16, "module": f"blocks.{block}"} for block in range(config.depth)
        ]
        self.apply(initialise_linear)

    def _look(self, images: Map, last: int) -> tuple[list[tuple[Tokens, Grid]], Tokens]:
        """The blocks."""
        if tuple(self._checked_images(images).shape[2:]) != self.img_size:
            raise UserError(
                f"This RVT takes images of {self.img_size[0]}x{self.img_size[1]} pixels, got "
                f"{images.shape[2]}x{images.shape[3]}; create it with that img_size."
            )
        tokens, grid = self.patch_embed(images)
        found: list[tuple[Tokens, Grid]] = []
        for block in self.blocks[: last + 1]:
            tokens = checkpoint(block, tokens, grid, use_reentrant=False) if self._recompute else block(tokens, grid)
            found.append((tokens, grid))
        return found, tokens

    def _drop_behind(self, last: int) -> None:
        self.blocks = self.blocks[: last + 1]


class RvtBlock(nn.Module):
    """Position-scaled attention, then the convolutional MLP."""

    def __init__(self, config: RvtConfig, tokens: int, drop_path: float) -> None:
        super().__init__()
        width, hidden = config.width, int(config.width * config.mlp_ratio)
        self.heads = config.heads
        self.norm1 = nn.LayerNorm(width, eps=1e-6)
        self.qkv = Linear(width, 3 * width)
        self.position_scale = nn.Parameter(torch.ones(tokens, tokens))
        self.proj = Linear(width, width)
        self.norm2 = nn.LayerNorm(width, eps=1e-6)
        self.fc1 = Linear(width, hidden)
        self.conv = nn.Conv2d(hidden, hidden, 3, padding=1, groups=hidden)
        self.fc2 = Linear(hidden, width)
        self.drop_path = DropPath(drop_path) if drop_path else nn.Identity()

    def forward(self, tokens: Tokens, grid: Grid) -> Tokens:
        tokens = tokens + self.drop_path(self._attention(self.norm1(tokens)))
        hidden = map_gelu(self.conv(tokens_to_map(F.gelu(self.fc1(self.norm2(tokens))), grid)))
        return tokens + self.drop_path(self.fc2(map_to_tokens(hidden)))

    def _attention(self, tokens: Tokens) -> Tokens:
        query, key, value = self.qkv(tokens).unflatten(2, (3, self.heads, -1)).permute(2, 0, 3, 1, 4)
        scores = query @ key.transpose(2, 3) * (self.position_scale * query.shape[3] ** -0.5)
        return self.proj((scores.softmax(dim=3) @ value).transpose(1, 2).flatten(2))
