"""FAN-Swin (Zhou et al., ICML 2022, table 7): a Swin transformer (Liu et al., ICCV 2021) whose first stages
process channels as FAN does.

The windows limit the token mixing; the channel attention sees the whole map. Differences of the released model
from FAN-ViT: the MLP has no skip around its depthwise branch, there is no LayerScale and no class attention, and
the last stage keeps the plain MLP. Tokens are (batch, tokens, channels), row-major on `grid` = (height, width).
"""

import math
from collections.abc import Iterator
from typing import Any, cast

from timm.layers.drop import DropPath
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint

from weatherglass.errors import UserError
from weatherglass.models.channel_attention import (
    ConvolutionalMlp,
    EfficientChannelAttention,
    Grid,
    Tokens,
    map_to_tokens,
)
from weatherglass.models.classifier import ImageClassifier, drop_path_ramp, initialise_linear
from weatherglass.models.configuration import SwinConfig
from weatherglass.models.convnext import Map
from weatherglass.models.fan_blocks import Mlp
from weatherglass.models.linear import Linear
from weatherglass.models.windows import WindowAttention, join_windows, shift_mask, split_windows


class FanSwin(ImageClassifier):
    """FAN-Swin, with the methods of a timm model.

    Args:
        config: the architecture.
        num_classes: outputs; 0 leaves the head out.
        in_chans: image channels.
        img_size: nominal size, which decides the windows; other sizes whose stages divide into them work too.
        global_pool: 'avg' reads the mean of the tokens, '' all tokens.
        drop_rate: dropout before the classifier.
        proj_drop_rate: dropout behind projections and within MLPs.
        attn_drop_rate: dropout on attention weights and gates.
        drop_path_rate: stochastic depth of the last block; the rates rise linearly from 0.
    """

    def __init__(
        self,
        config: SwinConfig,
        *,
        num_classes: int = 1000,
        in_chans: int = 3,
        img_size: int | tuple[int, int] = 224,
        global_pool: str = "avg",
        drop_rate: float = 0.0,
        proj_drop_rate: float = 0.0,
        attn_drop_rate: float = 0.0,
        drop_path_rate: float = 0.1,
    ) -> None:
        super().__init__(
            config.width * 2 ** (len(config.depths) - 1),
            num_classes=num_classes,
            in_chans=in_chans,
            img_size=img_size,
            global_pool=global_pool,
        )
        self.config = config
        grids = self._grids(*self.img_size)
        self.unit = math.lcm(*(config.patch * 2**stage * min(config.window, *grid) for stage, grid in enumerate(grids)))
        """Image height and width are multiples of so many pixels, so that whole windows cover every stage."""
        rates = drop_path_ramp(drop_path_rate, config.depths)

        self.patch_embed = PatchEmbed(config.patch, in_chans, config.width)
        self.layers = nn.Sequential(
            *(
                SwinStage(
                    config.width * 2**stage,
                    config.heads[stage],
                    grids[stage],
                    config,
                    drop_paths=rates[stage],
                    fan=stage < len(config.depths) - config.plain_stages,
                    downsample=stage < len(config.depths) - 1,
                    drop=proj_drop_rate,
                    attn_drop=attn_drop_rate,
                )
                for stage in range(len(config.depths))
            )
        )
        self._add_head(nn.LayerNorm(self.embed_dim), drop_rate)
        self.feature_info = [
            {"num_chs": config.width * 2**stage, "reduction": config.patch * 2**stage, "module": f"layers.{stage}"}
            for stage in range(len(config.depths))
        ]
        self._initialise()

    # ------------------------------------------------------------------------------------------ forward

    def forward_features(self, images: Map) -> Tokens:
        """Normalised tokens of the last stage. Every stage is called as a whole, so that hooks on it fire."""
        self._check_size(self._checked_images(images))
        tokens, grid = self.patch_embed(images)
        for stage in self._stages():
            tokens = stage(tokens, grid, recompute=self._recompute)
            grid = stage.grid_after(grid)
        return self._finished(tokens)

    def _look(self, images: Map, last: int) -> tuple[list[tuple[Tokens, Grid]], Tokens]:
        """The stages, before their downsampling."""
        self._check_size(self._checked_images(images))
        tokens, grid = self.patch_embed(images)
        found: list[tuple[Tokens, Grid]] = []
        for stage in self._stages():
            if len(found) > last:
                break
            tokens = stage.mix(tokens, grid, recompute=self._recompute)
            found.append((tokens, grid))
            tokens, grid = stage.shrink(tokens, grid), stage.grid_after(grid)
        return found, tokens

    def _drop_behind(self, last: int) -> None:
        self.layers = self.layers[: last + 1]

    def _stages(self) -> Iterator["SwinStage"]:
        return cast("Iterator[SwinStage]", iter(self.layers))

    def _grids(self, height: int, width: int) -> list[Grid]:
        """The grid of every stage of the nominal size, or one line why that size does not fit."""
        config = self.config
        grids = []
        for stage in range(len(config.depths)):
            stride = config.patch * 2**stage
            grid = (height // stride, width // stride)
            window = min(config.window, *grid)
            if height % stride or width % stride or window < 1 or grid[0] % window or grid[1] % window:
                whole = config.patch * 2 ** (len(config.depths) - 1) * config.window
                raise _misfit(whole, height, width)
            grids.append(grid)
        return grids

    def _check_size(self, images: Map) -> None:
        """Refuse, in one line, sizes that the windows of the blocks do not divide; they were fixed with the model."""
        height, width = images.shape[2:]
        if height % self.unit or width % self.unit or not height or not width:
            raise _misfit(self.unit, height, width)

    def group_matcher(self, coarse: bool = False) -> dict[str, object]:
        """Groups for layer-wise learning-rate decay: the patches, every block with its downsampling, the norm."""
        return {
            "stem": r"^patch_embed",
            "blocks": r"^layers\.(\d+)"
            if coarse
            else [
                (r"^layers\.(\d+)\.downsample", (0,)),
                (r"^layers\.(\d+)\.\w+\.(\d+)", None),
                (r"^norm", (99999,)),
            ],
        }

    def _initialise(self) -> None:
        self.apply(initialise_linear)
        for name, module in self.named_modules():
            if isinstance(module, nn.Conv2d) and "dwconv" in name:
                nn.init.normal_(module.weight, std=(2 / 9) ** 0.5)
                if module.bias is not None:
                    nn.init.zeros_(module.bias)
            elif isinstance(module, WindowAttention):
                nn.init.trunc_normal_(module.relative_position_bias_table, std=0.02)


def _misfit(unit: int, height: int, width: int) -> UserError:
    return UserError(f"Image height and width must be multiples of {unit} pixels for this Swin, got {height}x{width}.")


class PatchEmbed(nn.Module):
    """Square patches, a linear map, a LayerNorm."""

    def __init__(self, patch: int, channels: int, width: int) -> None:
        super().__init__()
        self.proj = nn.Conv2d(channels, width, patch, stride=patch)
        self.norm = nn.LayerNorm(width)

    def forward(self, images: Map) -> tuple[Tokens, Grid]:
        features = self.proj(images)
        return self.norm(map_to_tokens(features)), (features.shape[2], features.shape[3])


class SwinStage(nn.Module):
    """Blocks on one grid, then patch merging."""

    def __init__(
        self,
        width: int,
        heads: int,
        grid: Grid,
        config: SwinConfig,
        *,
        drop_paths: list[float],
        fan: bool,
        downsample: bool,
        drop: float = 0.0,
        attn_drop: float = 0.0,
    ) -> None:
        super().__init__()
        self.blocks = nn.ModuleList(
            SwinBlock(
                width,
                heads,
                grid,
                config,
                shifted=index % 2 == 1,
                fan=fan,
                drop_path=rate,
                drop=drop,
                attn_drop=attn_drop,
            )
            for index, rate in enumerate(drop_paths)
        )
        self.downsample = PatchMerging(width) if downsample else None

    def forward(self, tokens: Tokens, grid: Grid, recompute: bool = False) -> Tokens:
        return self.shrink(self.mix(tokens, grid, recompute), grid)

    def mix(self, tokens: Tokens, grid: Grid, recompute: bool = False) -> Tokens:
        for block in self.blocks:
            tokens = checkpoint(block, tokens, grid, use_reentrant=False) if recompute else block(tokens, grid)
        return tokens

    def shrink(self, tokens: Tokens, grid: Grid) -> Tokens:
        return tokens if self.downsample is None else self.downsample(tokens, grid)

    def grid_after(self, grid: Grid) -> Grid:
        """The grid of the tokens that `forward` returns."""
        return grid if self.downsample is None else (grid[0] // 2, grid[1] // 2)


class SwinBlock(nn.Module):
    """Window attention, then channel processing (or the plain MLP)."""

    attn_mask: Tensor | None

    def __init__(
        self,
        width: int,
        heads: int,
        grid: Grid,
        config: SwinConfig,
        *,
        shifted: bool,
        fan: bool,
        drop_path: float,
        drop: float = 0.0,
        attn_drop: float = 0.0,
    ) -> None:
        super().__init__()
        self.shifted = shifted
        self.grid = grid
        """Of the nominal size, to which `attn_mask` belongs; other grids compute their own."""
        self.window = min(config.window, *grid)
        # A buffer because the published checkpoints hold it.
        self.register_buffer("attn_mask", shift_mask(grid, self.window) if self._shift(grid) else None)
        self.register_load_state_dict_pre_hook(_keep_own_mask)
        self.norm1 = nn.LayerNorm(width)
        self.attn = WindowAttention(width, heads, self.window, drop=drop, attn_drop=attn_drop)
        self.drop_path = DropPath(drop_path) if drop_path else nn.Identity()
        self.norm2 = nn.LayerNorm(width)
        self.fan = fan
        hidden = int(width * config.mlp_ratio)
        if fan:
            mlp = ConvolutionalMlp(width, hidden, skip=False, drop=drop)
            self.mlp = EfficientChannelAttention(width, heads, mlp, attn_drop=attn_drop)
        else:
            self.mlp = Mlp(width, hidden, drop=drop)

    def forward(self, tokens: Tokens, grid: Grid) -> Tokens:
        tokens = tokens + self.drop_path(self._mix(self.norm1(tokens), grid))
        normed = self.norm2(tokens)
        return tokens + self.drop_path(self.mlp(normed, grid) if self.fan else self.mlp(normed))

    def _mix(self, tokens: Tokens, grid: Grid) -> Tokens:
        shift = self._shift(grid)
        features = tokens.unflatten(1, grid)  # batch height width channels
        mask = None
        if shift:
            features = features.roll((-shift, -shift), (1, 2))
            mask = self.attn_mask if grid == self.grid else shift_mask(grid, self.window).to(tokens)
        features = join_windows(self.attn(split_windows(features, self.window), mask), grid)
        if shift:
            features = features.roll((shift, shift), (1, 2))
        return features.flatten(1, 2)

    def _shift(self, grid: Grid) -> int:
        """Half a window in every second block, unless one window covers a side."""
        return self.window // 2 if self.shifted and min(grid) > self.window else 0


def _keep_own_mask(block: SwinBlock, state: dict[str, Any], prefix: str, *_: object) -> None:
    """A mask in a checkpoint belongs to the image size it was saved at, and its shape may agree where that does not."""
    name = f"{prefix}attn_mask"
    state.pop(name, None)
    if block.attn_mask is not None:
        state[name] = shift_mask(block.grid, block.window)


class PatchMerging(nn.Module):
    """Four neighbours become one token of twice the width."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.reduction = Linear(4 * width, 2 * width, bias=False)
        self.norm = nn.LayerNorm(4 * width)

    def forward(self, tokens: Tokens, grid: Grid) -> Tokens:
        features = tokens.unflatten(1, (grid[0] // 2, 2, grid[1] // 2, 2))  # batch rows two columns two channels
        features = features.permute(0, 1, 3, 4, 2, 5)  # the row varies first within a group of four
        return self.reduction(self.norm(features.flatten(3).flatten(1, 2)))
