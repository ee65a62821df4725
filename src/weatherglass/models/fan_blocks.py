"""What FAN is made of behind its stem: FAN blocks (token mixing, channel processing) and class-attention blocks."""

import torch
import torch.nn.functional as F
from jaxtyping import Float
from timm.layers.drop import DropPath
from torch import Tensor, nn

from weatherglass.models.channel_attention import Grid, Tokens, channel_processing, map_to_tokens, tokens_to_map
from weatherglass.models.configuration import FanConfig
from weatherglass.models.linear import Linear


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
            config.channel_processing,
            width,
            config.channel_heads or heads,
            int(width * config.mlp_ratio),
            drop=drop,
            attn_drop=attn_drop,
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
