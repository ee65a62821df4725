"""FAN-ViT and FAN-Hybrid as their equations are written: what `benchmarks/fan.py` measures the package against.

No fused attention, the attention matrix is formed, every token gets keys and values in the class attention, BatchNorm
runs as such, the position encoding is rebuilt for every image. With `duplicates=True` the two products that the
published implementation computes and discards (A V of the token mixing, the gated values of the channel processing)
are computed as well: that is the workload of the published code, and the baseline of the targets. Weights come from
the package's models by name.
"""

import math
from itertools import pairwise

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from weatherglass.models.configuration import ConvNeXtStem, FanConfig

Grid = tuple[int, int]


class PlainFan(nn.Module):
    """The same function and the same state dict as `weatherglass.models.fan.Fan` (one width, ECA)."""

    def __init__(self, config: FanConfig, classes: int = 1000, *, duplicates: bool = True) -> None:
        super().__init__()
        width = config.width
        self.cls_token = nn.Parameter(torch.zeros(1, 1, width))
        hybrid = isinstance(config.stem, ConvNeXtStem)
        self.patch_embed = PlainHybridStem(config.stem, width) if hybrid else PlainStem(width)
        self.pos_embed = PlainPositions(width)
        self.blocks = nn.ModuleList(PlainBlock(width, config.heads, duplicates) for _ in range(config.depth))
        self.cls_attn_blocks = nn.ModuleList(PlainClassBlock(width, config.heads) for _ in range(config.class_depth))
        self.norm = nn.LayerNorm(width, eps=1e-6)
        self.head = nn.Linear(width, classes)

    def forward(self, images: Tensor) -> Tensor:
        features = self.patch_embed(images)
        grid = (features.shape[2], features.shape[3])
        tokens = features.flatten(2).transpose(1, 2)
        tokens = tokens + self.pos_embed(len(images), *grid).flatten(2).transpose(1, 2)
        for block in self.blocks:
            tokens = block(tokens, grid)
        tokens = torch.cat([self.cls_token.expand(len(tokens), -1, -1), tokens], dim=1)
        for block in self.cls_attn_blocks:
            tokens = block(tokens)
        return self.head(self.norm(tokens)[:, 0])


class PlainStem(nn.Module):
    def __init__(self, width: int) -> None:
        super().__init__()
        layers: list[nn.Module] = []
        widths = [3, width // 8, width // 4, width // 2, width]
        for inputs, outputs in pairwise(widths):
            convolution = nn.Conv2d(inputs, outputs, 3, stride=2, padding=1, bias=False)
            layers += [nn.Sequential(convolution, nn.BatchNorm2d(outputs)), nn.GELU()]
        self.proj = nn.Sequential(*layers[:-1])

    def forward(self, images: Tensor) -> Tensor:
        return self.proj(images)


class PlainChannelNorm(nn.Module):
    """LayerNorm over the channels of a map, variance over C or C-1."""

    def __init__(self, channels: int, biased: bool) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.ones(channels))
        self.bias = nn.Parameter(torch.zeros(channels))
        self.biased = biased

    def forward(self, features: Tensor) -> Tensor:
        if self.biased:
            rows = F.layer_norm(features.permute(0, 2, 3, 1), self.weight.shape, self.weight, self.bias, 1e-6)
            return rows.permute(0, 3, 1, 2)
        variance, mean = torch.var_mean(features, dim=1, keepdim=True)
        features = (features - mean) * torch.rsqrt(variance + 1e-6)
        return features * self.weight[:, None, None] + self.bias[:, None, None]


class PlainConvNeXtBlock(nn.Module):
    def __init__(self, width: int) -> None:
        super().__init__()
        self.gamma = nn.Parameter(torch.ones(width))
        self.conv_dw = nn.Conv2d(width, width, 7, padding=3, groups=width)
        self.norm = PlainChannelNorm(width, biased=False)
        self.mlp = nn.Module()
        self.mlp.fc1, self.mlp.fc2 = nn.Conv2d(width, 4 * width, 1), nn.Conv2d(4 * width, width, 1)

    def forward(self, features: Tensor) -> Tensor:
        hidden = self.mlp.fc2(F.gelu(self.mlp.fc1(self.norm(self.conv_dw(features)))))
        return features + self.gamma[:, None, None] * hidden


class PlainStage(nn.Module):
    def __init__(self, inputs: int, width: int, depth: int) -> None:
        super().__init__()
        reduce = (PlainChannelNorm(inputs, biased=False), nn.Conv2d(inputs, width, 2, stride=2))
        self.downsample = nn.Identity() if inputs == width else nn.Sequential(*reduce)
        self.blocks = nn.Sequential(*(PlainConvNeXtBlock(width) for _ in range(depth)))

    def forward(self, features: Tensor) -> Tensor:
        return self.blocks(self.downsample(features))


class PlainHybridStem(nn.Module):
    def __init__(self, config: ConvNeXtStem, width: int) -> None:
        super().__init__()
        first, second = config.widths
        self.backbone = nn.Module()
        stem = nn.Conv2d(3, first, config.patch, stride=config.patch)
        self.backbone.stem = nn.Sequential(stem, PlainChannelNorm(first, biased=True))
        stages = (PlainStage(first, first, config.depths[0]), PlainStage(first, second, config.depths[1]))
        self.backbone.stages = nn.Sequential(*stages)
        self.proj = nn.Conv2d(second, width, config.projection, stride=config.projection)

    def forward(self, images: Tensor) -> Tensor:
        return self.proj(self.backbone.stages(self.backbone.stem(images)))


class PlainPositions(nn.Module):
    def __init__(self, width: int) -> None:
        super().__init__()
        self.token_projection = nn.Conv2d(64, width, 1)

    def forward(self, batch: int, height: int, width: int) -> Tensor:
        like = self.token_projection.weight
        ones = torch.ones(batch, height, width, device=like.device)
        rows = 2 * math.pi * ones.cumsum(1) / (height + 1e-6)
        columns = 2 * math.pi * ones.cumsum(2) / (width + 1e-6)
        frequency = 10000 ** (-2 * (torch.arange(32, device=like.device) / 2).floor() / 32)
        parts = []
        for angle in (rows, columns):
            phase = angle[..., None] * frequency
            parts.append(torch.stack([phase[..., 0::2].sin(), phase[..., 1::2].cos()], dim=4).flatten(3))
        return self.token_projection(torch.cat(parts, dim=3).permute(0, 3, 1, 2).to(like.dtype))


class PlainMlp(nn.Module):
    def __init__(self, width: int) -> None:
        super().__init__()
        self.gamma = nn.Parameter(torch.ones(4 * width))
        self.fc1 = nn.Linear(width, 4 * width)
        self.dwconv = nn.Module()
        self.dwconv.conv1 = nn.Conv2d(4 * width, 4 * width, 3, padding=1, groups=4 * width)
        self.dwconv.bn = nn.BatchNorm2d(4 * width)
        self.dwconv.conv2 = nn.Conv2d(4 * width, 4 * width, 3, padding=1, groups=4 * width)
        self.fc2 = nn.Linear(4 * width, width)

    def forward(self, tokens: Tensor, grid: Grid) -> Tensor:
        hidden = self.fc1(tokens)
        features = hidden.transpose(1, 2).reshape(len(tokens), -1, *grid)
        features = self.dwconv.conv2(self.dwconv.bn(F.gelu(self.dwconv.conv1(features))))
        return self.fc2(self.gamma * features.flatten(2).transpose(1, 2) + hidden)


class PlainChannelProcessing(nn.Module):
    def __init__(self, width: int, heads: int, duplicates: bool) -> None:
        super().__init__()
        self.heads, self.duplicates = heads, duplicates
        self.temperature = nn.Parameter(torch.ones(heads, 1, 1))
        self.mlp_v = PlainMlp(width)
        self.norm_v = nn.LayerNorm(width)
        self.q = nn.Linear(width, width)

    def forward(self, tokens: Tensor, grid: Grid) -> Tensor:
        batch, count, width = tokens.shape
        by_head = (batch, count, self.heads, width // self.heads)
        query = self.q(tokens).reshape(by_head).permute(0, 2, 1, 3).softmax(dim=2).transpose(2, 3)  # b h d n
        key = tokens.reshape(by_head).permute(0, 2, 1, 3).softmax(dim=2).mean(dim=3, keepdim=True)  # b h n 1
        gate = torch.sigmoid(query @ key) * self.temperature  # b h d 1
        value = self.norm_v(self.mlp_v(tokens, grid)).reshape(by_head).permute(0, 2, 3, 1)  # b h d n
        if self.duplicates:
            gate * value
        return (gate * value).permute(0, 3, 1, 2).reshape(batch, count, width)


class PlainTokenMixing(nn.Module):
    def __init__(self, width: int, heads: int, duplicates: bool) -> None:
        super().__init__()
        self.heads, self.duplicates = heads, duplicates
        self.q, self.kv, self.proj = nn.Linear(width, width), nn.Linear(width, 2 * width), nn.Linear(width, width)

    def forward(self, tokens: Tensor) -> Tensor:
        batch, count, width = tokens.shape
        query = self.q(tokens).reshape(batch, count, self.heads, -1).permute(0, 2, 1, 3)
        key, value = self.kv(tokens).reshape(batch, count, 2, self.heads, -1).permute(2, 0, 3, 1, 4)
        attention = (query * (width // self.heads) ** -0.5 @ key.transpose(2, 3)).softmax(dim=3)
        if self.duplicates:
            attention @ value
        return self.proj((attention @ value).transpose(1, 2).reshape(batch, count, width))


class PlainBlock(nn.Module):
    def __init__(self, width: int, heads: int, duplicates: bool) -> None:
        super().__init__()
        self.gamma1, self.gamma2 = nn.Parameter(torch.ones(width)), nn.Parameter(torch.ones(width))
        self.norm1, self.norm2 = nn.LayerNorm(width, eps=1e-6), nn.LayerNorm(width, eps=1e-6)
        self.attn = PlainTokenMixing(width, heads, duplicates)
        self.mlp = PlainChannelProcessing(width, heads, duplicates)

    def forward(self, tokens: Tensor, grid: Grid) -> Tensor:
        tokens = tokens + self.gamma1 * self.attn(self.norm1(tokens))
        return tokens + self.gamma2 * self.mlp(self.norm2(tokens), grid)


class PlainClassAttention(nn.Module):
    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.q, self.k, self.v = nn.Linear(width, width), nn.Linear(width, width), nn.Linear(width, width)
        self.proj = nn.Linear(width, width)

    def forward(self, tokens: Tensor) -> Tensor:
        batch, count, width = tokens.shape
        query = self.q(tokens[:, :1]).reshape(batch, 1, self.heads, -1).permute(0, 2, 1, 3)
        key = self.k(tokens).reshape(batch, count, self.heads, -1).permute(0, 2, 1, 3)
        value = self.v(tokens).reshape(batch, count, self.heads, -1).permute(0, 2, 1, 3)
        attention = (query * (width // self.heads) ** -0.5 @ key.transpose(2, 3)).softmax(dim=3)
        return self.proj((attention @ value).transpose(1, 2).reshape(batch, 1, width))


class PlainClassBlock(nn.Module):
    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.gamma1, self.gamma2 = nn.Parameter(torch.ones(width)), nn.Parameter(torch.ones(width))
        self.norm1, self.norm2 = nn.LayerNorm(width, eps=1e-6), nn.LayerNorm(width, eps=1e-6)
        self.attn = PlainClassAttention(width, heads)
        self.mlp = nn.Module()
        self.mlp.fc1, self.mlp.fc2 = nn.Linear(width, 4 * width), nn.Linear(4 * width, width)

    def forward(self, tokens: Tensor) -> Tensor:
        normed = self.norm1(tokens)
        tokens = self.norm2(tokens + self.gamma1 * torch.cat([self.attn(normed), normed[:, 1:]], dim=1))
        token = tokens[:, :1]
        token = token + self.gamma2 * self.mlp.fc2(F.gelu(self.mlp.fc1(token)))
        return torch.cat([token, tokens[:, 1:] + tokens[:, 1:]], dim=1)
