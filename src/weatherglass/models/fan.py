"""Fully attentional networks (Zhou et al., "Understanding The Robustness in Vision Transformers", ICML 2022,
arXiv 2204.12451): FAN-ViT and FAN-Hybrid.

An image becomes tokens (`ConvolutionPatchEmbed` or `HybridPatchEmbed`), gets Fourier position features, passes
`depth` FAN blocks (token mixing, then channel processing) and is read out by a class token in two
class-attention blocks. Written from the paper and from recorded facts about the released models, whose
checkpoints fit by name and whose outputs this code reproduces; where release and paper differ, the release is
the default and the docstring says so. Tokens are (batch, tokens, channels), row-major on `grid` = (height, width).
"""

import math
from collections.abc import Iterator
from itertools import pairwise
from typing import cast

import torch
import torch.nn.functional as F
from jaxtyping import Float
from timm.layers.drop import DropPath
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint

from weatherglass.errors import UserError
from weatherglass.models.channel_attention import (
    Grid,
    PointwiseLinear,
    Tokens,
    channel_processing,
    fixed_affine,
    map_gelu,
    map_to_tokens,
    tokens_to_map,
)
from weatherglass.models.configuration import ConvNeXtStem, ConvolutionStem, FanConfig
from weatherglass.models.convnext import ConvNeXtBackbone, initialise_convnext
from weatherglass.models.feature_maps import Indices, wanted_maps
from weatherglass.models.linear import Linear

Map = Float[Tensor, "batch channels height width"]


class Fan(nn.Module):
    """FAN-ViT or FAN-Hybrid, with the methods of a timm model.

    Args:
        config: the architecture.
        num_classes: outputs; 0 leaves the head out.
        in_chans: image channels.
        img_size: nominal size; the model takes every size its patchifier allows, whatever this says.
        global_pool: 'token' reads the class token, 'avg' the mean of the patch tokens, '' all tokens.
        drop_rate: dropout before the classifier.
        proj_drop_rate: dropout behind projections and within MLPs.
        attn_drop_rate: dropout on attention weights and gates.
        drop_path_rate: stochastic depth, the same in every FAN block (no ramp); class blocks have none.
    """

    def __init__(
        self,
        config: FanConfig,
        *,
        num_classes: int = 1000,
        in_chans: int = 3,
        img_size: int | tuple[int, int] = 224,
        global_pool: str = "token",
        drop_rate: float = 0.0,
        proj_drop_rate: float = 0.0,
        attn_drop_rate: float = 0.0,
        drop_path_rate: float = 0.0,
    ) -> None:
        super().__init__()
        stages = [(config.depth, config.width, config.heads)]
        if config.last_stage:
            stages.append(config.last_stage)
        self.config = config
        self.num_classes = num_classes
        self.in_chans = in_chans
        self.img_size = (img_size, img_size) if isinstance(img_size, int) else tuple(img_size)
        self.embed_dim = self.num_features = self.head_hidden_size = stages[-1][1]
        self.num_prefix_tokens = 1
        self.global_pool = checked_pooling(global_pool)
        self.grad_checkpointing = False
        dropouts = {"drop": proj_drop_rate, "attn_drop": attn_drop_rate}

        self.cls_token = nn.Parameter(torch.zeros(1, 1, self.embed_dim))
        self.patch_embed = patch_embed(config.stem, in_chans, config.width)
        self.pos_embed = FourierPositions(config.width, paired=config.paired_frequencies)
        self.pos_drop = nn.Dropout(proj_drop_rate)
        self.blocks = nn.ModuleList()
        for stage, (depth, width, heads) in enumerate(stages):
            for block in range(depth):
                last_of_stage = block == depth - 1 and stage < len(stages) - 1
                self.blocks.append(
                    FanBlock(
                        width,
                        heads,
                        config,
                        drop_path=drop_path_rate,
                        downsample_to=stages[stage + 1][1] if last_of_stage else None,
                        **dropouts,
                    )
                )
        _, width, heads = stages[-1]
        self.cls_attn_blocks = nn.ModuleList(
            ClassAttentionBlock(width, heads, config.mlp_ratio, **dropouts) for _ in range(config.class_depth)
        )
        self.norm = nn.LayerNorm(width, eps=1e-6)
        self.head_drop = nn.Dropout(drop_rate)
        self.head = Linear(width, num_classes) if num_classes > 0 else nn.Identity()
        self.feature_info = self._describe_features()
        self._initialise()

    # ------------------------------------------------------------------------------------------ forward

    def forward(self, images: Map) -> Float[Tensor, "batch classes"]:
        # The classifier reads one token, so the last class block and norm need not touch the others.
        return self.forward_head(self._normalised(images, class_only=self.global_pool == "token"))

    def forward_features(self, images: Map) -> Tokens:
        """Normalised tokens, the class token first: (batch, 1 + height * width, channels)."""
        return self._normalised(images, class_only=False)

    def forward_head(self, tokens: Tokens, pre_logits: bool = False) -> Tensor:
        """Pool the tokens of `forward_features` and classify; `pre_logits` stops before the classifier."""
        if self.global_pool == "token":
            tokens = tokens[:, 0]
        elif self.global_pool == "avg":
            tokens = tokens[:, self.num_prefix_tokens :].mean(dim=1)
        tokens = self.head_drop(tokens)
        return tokens if pre_logits else self.head(tokens)

    def _normalised(self, images: Map, *, class_only: bool) -> Tokens:
        tokens, grid = self.patch_embed(checked_images(images, self.in_chans))
        tokens = self._positioned(tokens, grid)
        for block in self._fan_blocks():
            tokens = self._run(block, tokens, grid)
            grid = block.grid_after(grid)
        return self.norm(self._class_attention(tokens, class_only=class_only))

    def _fan_blocks(self) -> Iterator["FanBlock"]:
        return cast("Iterator[FanBlock]", iter(self.blocks))

    def _positioned(self, tokens: Tokens, grid: Grid) -> Tokens:
        return self.pos_drop(tokens + map_to_tokens(self.pos_embed(grid)))

    def _class_attention(self, tokens: Tokens, *, class_only: bool) -> Tokens:
        if not self.num_prefix_tokens:
            return tokens
        tokens = torch.cat([self.cls_token.expand(len(tokens), -1, -1), tokens], dim=1)
        last = len(self.cls_attn_blocks) - 1
        for index, block in enumerate(self.cls_attn_blocks):
            tokens = self._run(block, tokens, class_only and index == last)
        return tokens

    def _run(self, block: nn.Module, *inputs: Tensor | Grid | bool) -> Tensor:
        if self.grad_checkpointing and torch.is_grad_enabled():
            return checkpoint(block, *inputs, use_reentrant=False)
        return block(*inputs)

    # ----------------------------------------------------------------------------------------- features

    def _describe_features(self) -> list[dict[str, str | int]]:
        """One row a feature map that `forward_intermediates` can return, in its order."""
        stem = self.config.stem
        rows: list[dict[str, str | int]] = []
        if isinstance(stem, ConvNeXtStem):
            for stage, width in enumerate(stem.widths):
                module = f"patch_embed.backbone.stages.{stage}"
                rows.append({"num_chs": width, "reduction": stem.patch * 2**stage, "module": module})
        reduction = stem.stride
        for index, block in enumerate(self._fan_blocks()):
            reduction *= 1 if block.downsample is None else 2
            rows.append({"num_chs": block.output_width, "reduction": reduction, "module": f"blocks.{index}"})
        final = f"cls_attn_blocks.{len(self.cls_attn_blocks) - 1}"
        rows.append({"num_chs": self.embed_dim, "reduction": reduction, "module": final})
        return rows

    def forward_intermediates(
        self,
        x: Map,
        indices: Indices = None,
        norm: bool = False,
        stop_early: bool = False,
        output_fmt: str = "NCHW",
        intermediates_only: bool = False,
    ) -> list[Tensor] | tuple[Tensor, list[Tensor]]:
        """Maps from within, in the order of `feature_info`: the hybrids' two ConvNeXt stages, every FAN block, and
        the patch tokens behind the class-attention blocks.

        Args:
            x: images.
            indices: which maps; an integer takes that many from the end, None all.
            norm: apply the final LayerNorm to the maps of its width.
            stop_early: compute nothing behind the last map.
            output_fmt: 'NCHW' maps or 'NLC' tokens.
            intermediates_only: return the maps alone rather than (tokens, maps).
        """
        if output_fmt not in ("NCHW", "NLC"):
            raise UserError(f"output_fmt must be 'NCHW' or 'NLC', got '{output_fmt}'.")
        take, last = wanted_maps(len(self.feature_info), indices)
        maps, tokens, grid = self.patch_embed.with_stages(checked_images(x, self.in_chans))
        found = [(map_to_tokens(each), (each.shape[2], each.shape[3])) for each in maps]
        tokens = self._positioned(tokens, grid)
        for block in self._fan_blocks():
            if stop_early and len(found) > last:
                break
            tokens = self._run(block, tokens, grid)
            grid = block.grid_after(grid)
            found.append((tokens, grid))
        if not (stop_early and len(found) > last):
            tokens = self._class_attention(tokens, class_only=False)
            found.append((tokens[:, self.num_prefix_tokens :], grid))
        chosen = [found[index] for index in take]
        if norm:
            chosen = [(self.norm(each) if each.shape[2] == self.embed_dim else each, size) for each, size in chosen]
        if output_fmt == "NCHW":
            outputs = [tokens_to_map(each, size).contiguous() for each, size in chosen]
        else:
            outputs = [each for each, _ in chosen]
        return outputs if intermediates_only else (self.norm(tokens), outputs)

    def prune_intermediate_layers(
        self, indices: Indices = 1, prune_norm: bool = False, prune_head: bool = True
    ) -> list[int]:
        """Drop what lies behind the last wanted map, for `features_only`."""
        take, last = wanted_maps(len(self.feature_info), indices)
        stages = len(self.feature_info) - len(self.blocks) - 1
        self.blocks = self.blocks[: max(0, last - stages + 1)]
        if last < len(self.feature_info) - 1:
            self.cls_attn_blocks, self.num_prefix_tokens = nn.ModuleList(), 0
            self.register_parameter("cls_token", None)
        if prune_norm:
            self.norm = nn.Identity()
        if prune_head:
            self.reset_classifier(0, "")
        return take

    # ------------------------------------------------------------------------------------- timm's protocol

    def get_classifier(self) -> nn.Module:
        return self.head

    def reset_classifier(self, num_classes: int, global_pool: str | None = None) -> None:
        """A fresh classifier for `num_classes` outputs; 0 leaves it out."""
        self.num_classes = num_classes
        if global_pool is not None:
            self.global_pool = checked_pooling(global_pool)
        weight = self.norm.weight if isinstance(self.norm, nn.LayerNorm) else next(self.parameters())
        head = Linear(self.embed_dim, num_classes) if num_classes > 0 else nn.Identity()
        head.apply(initialise_linear)
        self.head = head.to(weight)

    def set_grad_checkpointing(self, enable: bool = True) -> None:
        """Recompute the activations of every block in the backward pass instead of keeping them."""
        self.grad_checkpointing = enable

    def no_weight_decay(self) -> set[str]:
        """Besides vectors. The published training decayed the temperatures and the position projection."""
        return {"cls_token"}

    def group_matcher(self, coarse: bool = False) -> dict[str, object]:
        """Groups for layer-wise learning-rate decay: the stem, every block, the final norm with the last."""
        return {
            "stem": r"^cls_token|pos_embed|patch_embed",
            "blocks": r"^blocks\.(\d+)",
            "cls_attn_blocks": [(r"^cls_attn_blocks\.(\d+)", None), (r"^norm", (99999,))],
        }

    def _initialise(self) -> None:
        self.apply(initialise_linear)
        nn.init.trunc_normal_(self.cls_token, std=0.02)
        if isinstance(self.patch_embed, HybridPatchEmbed):
            self.patch_embed.backbone.apply(initialise_convnext)
        for block in self.blocks:
            for name, module in block.named_modules():
                if isinstance(module, nn.Conv2d) and ("dwconv" in name or "downsample" in name):
                    fan_out = math.prod(module.kernel_size) * module.out_channels // module.groups
                    nn.init.normal_(module.weight, std=math.sqrt(2 / fan_out))
                    if module.bias is not None:
                        nn.init.zeros_(module.bias)
        if isinstance(self.head, nn.Linear):
            with torch.no_grad():
                self.head.weight.mul_(self.config.head_init_scale)


# ------------------------------------------------------------------------------------------------ patchifiers


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


# ------------------------------------------------------------------------------------------------- FAN blocks


class FanBlock(nn.Module):
    """Token mixing, then channel processing, each normalised, scaled per channel and added."""

    def __init__(
        self,
        width: int,
        heads: int,
        config: FanConfig,
        *,
        drop_path: float = 0.0,
        drop: float = 0.0,
        attn_drop: float = 0.0,
        downsample_to: int | None = None,
    ) -> None:
        super().__init__()
        self.output_width = downsample_to or width
        self.gamma1 = nn.Parameter(torch.ones(width))
        self.gamma2 = nn.Parameter(torch.ones(width))
        self.norm1 = nn.LayerNorm(width, eps=1e-6)
        self.attn = TokenMixing(width, heads, drop=drop, attn_drop=attn_drop)
        self.drop_path = DropPath(drop_path) if drop_path else nn.Identity()
        self.norm2 = nn.LayerNorm(width, eps=1e-6)
        self.mlp = channel_processing(
            config.channel_processing, width, heads, int(width * config.mlp_ratio), drop=drop, attn_drop=attn_drop
        )
        self.downsample = None if downsample_to is None else TokenDownsample(width, downsample_to)

    def forward(self, tokens: Tokens, grid: Grid) -> Tokens:
        tokens = tokens + self.drop_path(self.gamma1 * self.attn(self.norm1(tokens)))
        tokens = tokens + self.drop_path(self.gamma2 * self.mlp(self.norm2(tokens), grid))
        return tokens if self.downsample is None else self.downsample(tokens, grid)

    def grid_after(self, grid: Grid) -> Grid:
        """The grid of the tokens that `forward` returns."""
        return grid if self.downsample is None else (-(-grid[0] // 2), -(-grid[1] // 2))


class TokenMixing(nn.Module):
    """Multi-head self-attention, equation 1: `softmax(Q^T K / sqrt(d)) V^T W_L`."""

    def __init__(self, width: int, heads: int, *, drop: float = 0.0, attn_drop: float = 0.0) -> None:
        super().__init__()
        self.heads = heads
        self.attn_drop = attn_drop
        self.q = Linear(width, width)
        self.kv = Linear(width, 2 * width)
        self.proj = Linear(width, width)
        self.proj_drop = nn.Dropout(drop)

    def forward(self, tokens: Tokens) -> Tokens:
        query = self.q(tokens).unflatten(2, (self.heads, -1)).transpose(1, 2)  # batch heads tokens d
        key, value = self.kv(tokens).unflatten(2, (2, self.heads, -1)).permute(2, 0, 3, 1, 4)
        mixed = attend(query, key, value, drop=self.attn_drop if self.training else 0.0)
        return self.proj_drop(self.proj(mixed.transpose(1, 2).flatten(2)))


def attend(
    query: Float[Tensor, "b h n d"], key: Float[Tensor, "b h m d"], value: Float[Tensor, "b h m d"], *, drop: float
) -> Float[Tensor, "b h n d"]:
    """`softmax(query key^T / sqrt(d)) value`, fused, save where PyTorch's fused backward pass is the slow one."""
    if query.device.type == "cpu" and query.dtype is torch.bfloat16 and query.requires_grad:
        with torch.autocast("cpu", enabled=False):
            weights = (query * query.shape[3] ** -0.5 @ key.transpose(2, 3)).softmax(dim=3)
            return F.dropout(weights, drop) @ value
    return F.scaled_dot_product_attention(query, key, value, dropout_p=drop)


class TokenDownsample(nn.Module):
    """A 3x3 stride-2 convolution of the token map and a LayerNorm (FAN-XL-Hybrid)."""

    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__()
        self.proj = nn.Conv2d(inputs, outputs, 3, stride=2, padding=1)
        self.norm = nn.LayerNorm(outputs)

    def forward(self, tokens: Tokens, grid: Grid) -> Tokens:
        return self.norm(map_to_tokens(self.proj(tokens_to_map(tokens, grid))))


# --------------------------------------------------------------------------------------------------- read-out


class ClassAttention(nn.Module):
    """The class token attends to all tokens (Touvron et al., "Going deeper with image transformers", ICCV 2021).

    One query an image: its keys are never formed. `(W_q c)^T (W_k x)` is a vector times x, and the weighted mean
    of `W_v x` is W_v of the weighted mean; each costs C^2 instead of C^2 for every token.
    """

    def __init__(self, width: int, heads: int, *, drop: float = 0.0, attn_drop: float = 0.0) -> None:
        super().__init__()
        self.heads = heads
        self.q = Linear(width, width)
        self.k = Linear(width, width)
        self.v = Linear(width, width)
        self.attn_drop = nn.Dropout(attn_drop)
        self.proj = Linear(width, width)
        self.proj_drop = nn.Dropout(drop)

    def forward(self, tokens: Tokens) -> Float[Tensor, "batch 1 channels"]:
        by_head = (self.heads, -1)
        query = self.q(tokens[:, 0]).unflatten(1, by_head) * (tokens.shape[2] // self.heads) ** -0.5  # b h d
        query_of_token = torch.einsum("bhd,hdc->bhc", query, self.k.weight.unflatten(0, by_head))
        # The key bias adds the same to every score of a head; it stays for its (zero) gradient.
        constant = torch.einsum("bhd,hd->bh", query, self.k.bias.unflatten(0, by_head))
        scores = query_of_token @ tokens.transpose(1, 2) + constant[:, :, None]  # b h tokens
        mean = self.attn_drop(scores.softmax(dim=2)) @ tokens  # b h channels
        value = torch.einsum("bhc,hdc->bhd", mean, self.v.weight.unflatten(0, by_head)).flatten(1)
        return self.proj_drop(self.proj(value + self.v.bias)).unsqueeze(1)


class ClassAttentionBlock(nn.Module):
    """XCiT's class-attention block, which the published models use (the paper says CaiT's).

    Unlike CaiT's, the patch tokens change too: each receives its own normalised copy, all tokens pass the second
    LayerNorm before the residual is taken, and the patch tokens are doubled. None of it reaches the class token's
    logits, the dense feature maps show it.
    """

    def __init__(self, width: int, heads: int, mlp_ratio: float, *, drop: float = 0.0, attn_drop: float = 0.0) -> None:
        super().__init__()
        self.gamma1 = nn.Parameter(torch.ones(width))
        self.gamma2 = nn.Parameter(torch.ones(width))
        self.norm1 = nn.LayerNorm(width, eps=1e-6)
        self.attn = ClassAttention(width, heads, drop=drop, attn_drop=attn_drop)
        self.norm2 = nn.LayerNorm(width, eps=1e-6)
        self.mlp = Mlp(width, int(width * mlp_ratio), drop=drop)

    def forward(self, tokens: Tokens, class_only: bool = False) -> Tokens:
        """All tokens, or the class token alone: (batch, 1, channels)."""
        normed = self.norm1(tokens)
        attended = self.attn(normed)
        if class_only:
            tokens = tokens[:, :1] + self.gamma1 * attended
        else:
            tokens = tokens + self.gamma1 * torch.cat([attended, normed[:, 1:]], dim=1)
        tokens = self.norm2(tokens)
        token, patches = tokens[:, :1], tokens[:, 1:]
        token = token + self.gamma2 * self.mlp(token)
        return token if class_only else torch.cat([token, 2 * patches], dim=1)


class Mlp(nn.Module):
    """Two linear layers with a GELU between them, equation 2."""

    def __init__(self, width: int, hidden: int, *, drop: float = 0.0) -> None:
        super().__init__()
        self.fc1 = Linear(width, hidden)
        self.fc2 = Linear(hidden, width)
        self.drop = nn.Dropout(drop)

    def forward(self, tokens: Tokens) -> Tokens:
        return self.drop(self.fc2(self.drop(F.gelu(self.fc1(tokens)))))


# --------------------------------------------------------------------------------------------- checks at the border


def checked_images(images: Tensor, channels: int) -> Map:
    """The images, or one line about what is wrong with them."""
    if images.dim() != 4 or images.shape[1] != channels:
        raise UserError(
            f"Images must have the shape (batch, {channels}, height, width), got {tuple(images.shape)}."
            + (f" For other channel counts create the model with in_chans={images.shape[1]}." * (images.dim() == 4))
        )
    return images


def checked_pooling(global_pool: str) -> str:
    if global_pool not in ("token", "avg", ""):
        raise UserError(f"global_pool must be 'token', 'avg' or '' (all tokens), got '{global_pool}'.")
    return global_pool


def initialise_linear(module: nn.Module) -> None:
    """Truncated normal weights of standard deviation 0.02, zero bias; for `Module.apply`."""
    if isinstance(module, nn.Linear):
        nn.init.trunc_normal_(module.weight, std=0.02)
        if module.bias is not None:
            nn.init.zeros_(module.bias)
