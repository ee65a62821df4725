"""Self-attention within the windows of Swin, and how a map is cut into windows and put together again."""

import torch
import torch.nn.functional as F
from jaxtyping import Bool, Float, Int
from torch import Tensor, nn

from weatherglass.models.channel_attention import Grid, Tokens
from weatherglass.models.linear import Linear

MASKED = -100.0
"""Added to the attention of two tokens that a cyclic shift has brought together."""


class WindowAttention(nn.Module):
    """Self-attention within windows, with a learned bias for every relative position."""

    relative_position_index: Tensor

    def __init__(self, width: int, heads: int, window: int, *, drop: float = 0.0, attn_drop: float = 0.0) -> None:
        super().__init__()
        self.heads = heads
        self.attn_drop = attn_drop
        self.relative_position_bias_table = nn.Parameter(torch.zeros((2 * window - 1) ** 2, heads))
        self.register_buffer("relative_position_index", relative_positions(window))
        self.qkv = Linear(width, 3 * width)
        self.proj = Linear(width, width)
        self.proj_drop = nn.Dropout(drop)

    def forward(self, windows: Tokens, mask: Float[Tensor, "windows n n"] | None = None) -> Tokens:
        """`windows` is (batch * windows, n, channels)."""
        query, key, value = self.qkv(windows).unflatten(2, (3, self.heads, -1)).permute(2, 0, 3, 1, 4)
        bias = self.relative_position_bias_table[self.relative_position_index].permute(2, 0, 1)[None]  # 1 heads n n
        if mask is not None:
            bias = (mask[:, None] + bias).repeat(len(windows) // len(mask), 1, 1, 1)
        mixed = F.scaled_dot_product_attention(
            query, key, value, bias.to(query.dtype), dropout_p=self.attn_drop if self.training else 0.0
        )
        mixed = mixed.transpose(1, 2)
        if torch.compiler.is_compiling():
            # Exporters replace the fused kernel by one with another memory layout, which a view would not survive.
            mixed = mixed.clone(memory_format=torch.contiguous_format)
        return self.proj_drop(self.proj(mixed.flatten(2)))


def split_windows(features: Float[Tensor, "batch height width channels"], window: int) -> Tokens:
    """(batch * windows, window * window, channels), windows row-major."""
    height, width = features.shape[1:3]
    features = features.unflatten(2, (width // window, window)).unflatten(1, (height // window, window))
    return features.transpose(2, 3).flatten(0, 2).flatten(1, 2)


def join_windows(windows: Tokens, grid: Grid) -> Float[Tensor, "batch height width channels"]:
    """The inverse of `split_windows`."""
    window = round(windows.shape[1] ** 0.5)
    features = windows.reshape(-1, grid[0] // window, grid[1] // window, window, window, windows.shape[2])
    return features.transpose(2, 3).flatten(3, 4).flatten(1, 2)


def relative_positions(window: int) -> Int[Tensor, "n n"]:
    """Row in the bias table for every pair of positions in a window."""
    rows, columns = torch.meshgrid(torch.arange(window), torch.arange(window), indexing="ij")
    positions = torch.stack([rows.flatten(), columns.flatten()])
    offset = positions[:, :, None] - positions[:, None, :] + window - 1  # 2 n n
    return offset[0] * (2 * window - 1) + offset[1]


def shift_mask(grid: Grid, window: int) -> Float[Tensor, "windows n n"]:
    """0 for pairs of tokens that were neighbours before the cyclic shift by half a window, `MASKED` for others."""
    shift = window // 2
    rows, columns = (_region(side, window, shift) for side in grid)
    regions = (3 * rows[:, None] + columns[None, :])[None, :, :, None]
    regions = split_windows(regions, window).squeeze(2)  # windows n
    apart: Bool[Tensor, "windows n n"] = regions[:, :, None] != regions[:, None, :]
    return apart.float() * MASKED


def _region(side: int, window: int, shift: int) -> Int[Tensor, " side"]:
    """0, 1 or 2: what the last row of windows holds after the shift comes from two ends of the image."""
    position = torch.arange(side)
    return (position >= side - window).long() + (position >= side - shift).long()
