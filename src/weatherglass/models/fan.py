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
from typing import ClassVar, cast

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint

from weatherglass.models.channel_attention import Grid, Tokens, map_to_tokens
from weatherglass.models.classifier import ImageClassifier, initialise_linear
from weatherglass.models.configuration import ConvNeXtStem, FanConfig
from weatherglass.models.convnext import Map, initialise_convnext
from weatherglass.models.fan_blocks import ClassAttentionBlock, FanBlock
from weatherglass.models.fan_stem import FourierPositions, HybridPatchEmbed, patch_embed


class Fan(ImageClassifier):
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

    poolings: ClassVar[dict[str, str]] = {
        "token": "the class token",
        "avg": "the mean of the patch tokens",
        "": "all tokens",
    }

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
        stages = [(config.depth, config.width, config.heads)]
        if config.last_stage:
            stages.append(config.last_stage)
        super().__init__(
            stages[-1][1], num_classes=num_classes, in_chans=in_chans, img_size=img_size, global_pool=global_pool
        )
        self.config = config
        self.num_prefix_tokens = 1
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
        self._add_head(nn.LayerNorm(width, eps=1e-6), drop_rate)
        self.feature_info = self._describe_features()
        self._initialise()

    # ------------------------------------------------------------------------------------------ forward

    def forward(self, images: Map) -> Float[Tensor, "batch classes"]:
        # The classifier reads one token, so the last class block and norm need not touch the others.
        return self.forward_head(self._normalised(images, class_only=self.global_pool == "token"))

    def forward_features(self, images: Map) -> Tokens:
        """Normalised tokens, the class token first: (batch, 1 + height * width, channels)."""
        return self._normalised(images, class_only=False)

    def _pooled(self, features: Tokens) -> Tensor:
        if self.global_pool == "token":
            return features[:, 0]
        return features[:, self.num_prefix_tokens :].mean(dim=1) if self.global_pool == "avg" else features

    def _normalised(self, images: Map, *, class_only: bool) -> Tokens:
        tokens, grid = self.patch_embed(self._checked_images(images))
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
        if self._recompute:
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

    def _look(self, images: Map, last: int) -> tuple[list[tuple[Tokens, Grid]], Tokens]:
        """The hybrids' two ConvNeXt stages, every FAN block, the patch tokens behind the class-attention blocks."""
        maps, tokens, grid = self.patch_embed.with_stages(self._checked_images(images))
        found = [(map_to_tokens(each), (each.shape[2], each.shape[3])) for each in maps]
        tokens = self._positioned(tokens, grid)
        for block in self._fan_blocks():
            if len(found) > last:
                return found, tokens
            tokens = self._run(block, tokens, grid)
            grid = block.grid_after(grid)
            found.append((tokens, grid))
        if len(found) <= last:
            tokens = self._class_attention(tokens, class_only=False)
            found.append((tokens[:, self.num_prefix_tokens :], grid))
        return found, tokens

    def _drop_behind(self, last: int) -> None:
        stages = len(self.feature_info) - len(self.blocks) - 1
        self.blocks = self.blocks[: max(0, last - stages + 1)]
        if last < len(self.feature_info) - 1:
            self.cls_attn_blocks, self.num_prefix_tokens = nn.ModuleList(), 0
            self.register_parameter("cls_token", None)

    # ------------------------------------------------------------------------------------- timm's protocol

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
