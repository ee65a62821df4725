"""Channel processing of the FAN block (FAN section 2.3): the MLP with its depthwise branch, and its gates.

Tokens are (batch, tokens, channels); `grid` is the (height, width) they cover, tokens = height * width in
row-major order. Module and parameter names follow the published checkpoints.
"""

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn

from weatherglass.models.configuration import ChannelProcessing
from weatherglass.models.linear import Linear, linear

Grid = tuple[int, int]
Tokens = Float[Tensor, "batch tokens channels"]
Gate = Float[Tensor, "batch 1 channels"]


def tokens_to_map(tokens: Tokens, grid: Grid) -> Float[Tensor, "batch channels height width"]:
    """The tokens as a map, a view in channels-last layout."""
    return tokens.transpose(1, 2).unflatten(2, grid)


def map_to_tokens(features: Float[Tensor, "batch channels height width"]) -> Tokens:
    """The map as tokens; a view where the map is channels-last."""
    return features.flatten(2).transpose(1, 2)


def map_gelu(features: Float[Tensor, "b c h w"]) -> Float[Tensor, "b c h w"]:
    """Exact GELU. On a view whose memory is in order PyTorch takes a kernel several times as fast."""
    return F.gelu(features.permute(0, 2, 3, 1)).permute(0, 3, 1, 2)


class DepthwiseBranch(nn.Module):
    """Two depthwise 3x3 convolutions with GELU and BatchNorm between them."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(channels, channels, 3, padding=1, groups=channels)
        self.bn = nn.BatchNorm2d(channels)
        self.conv2 = nn.Conv2d(channels, channels, 3, padding=1, groups=channels)

    def forward(self, features: Float[Tensor, "b c h w"], gain: Float[Tensor, " c"]) -> Float[Tensor, "b c h w"]:
        """`gain * conv2(...)`; the gain is taken up by the second kernel, which is far smaller than the map."""
        assert self.conv2.bias is not None
        kernel = self.conv2.weight * gain[:, None, None, None]
        normed = self.bn(map_gelu(self.conv1(features)))
        return F.conv2d(normed, kernel, self.conv2.bias * gain, padding=1, groups=len(gain))

    def folded(self, features: Float[Tensor, "b c h w"], gain: Float[Tensor, " c"]) -> tuple[Tensor, Tensor]:
        """`forward` with running statistics, split into what depends on the image and what does not.

        BatchNorm is then a scale, which the second kernel takes up, and a shift, which becomes a constant of each
        position: at the border some taps of the kernel meet the zero padding instead of the shift. Returned are
        the map without its constants and, for each of the nine taps and the bias, the constant it contributes
        where it lies inside: (10, channels), to be used with `tap_coverage`.
        """
        assert self.conv2.bias is not None
        scale, shift = fixed_affine(self.bn)
        kernel = self.conv2.weight * gain[:, None, None, None]
        constants = torch.cat([kernel.flatten(1) * shift[:, None], (self.conv2.bias * gain)[:, None]], 1).t()
        kernel = kernel * scale[:, None, None, None]
        return F.conv2d(map_gelu(self.conv1(features)), kernel, padding=1, groups=len(gain)), constants


def fixed_affine(norm: nn.BatchNorm2d) -> tuple[Float[Tensor, " c"], Float[Tensor, " c"]]:
    """The scale and the shift that a BatchNorm applies once its statistics are fixed."""
    assert norm.running_var is not None and norm.running_mean is not None
    scale = norm.weight * torch.rsqrt(norm.running_var + norm.eps)
    return scale, norm.bias - scale * norm.running_mean


def tap_coverage(grid: Grid, like: Tensor) -> Float[Tensor, "tokens 10"]:
    """1 where a tap of a zero-padded 3x3 kernel lies inside the grid, row by row; the tenth column (the bias) is 1."""
    ones = torch.ones(1, 1, *grid, device=like.device, dtype=like.dtype)
    return F.pad(F.unfold(ones, 3, padding=1)[0].t(), (0, 1), value=1.0)


class ConvolutionalMlp(nn.Module):
    """The MLP of a FAN block: `fc2(u + gamma * depthwise(u))` with `u = fc1(tokens)`.

    The only nonlinearity stands inside the depthwise branch. FAN-Swin's lacks the skip `u`.
    """

    def __init__(
        self, width: int, hidden: int, *, skip: bool = True, squeeze_excite: bool = False, drop: float = 0.0
    ) -> None:
        super().__init__()
        self.skip = skip
        self.gamma = nn.Parameter(torch.ones(hidden))
        self.fc1 = Linear(width, hidden)
        self.dwconv = DepthwiseBranch(hidden)
        self.fc2 = Linear(hidden, width)
        self.drop = nn.Dropout(drop)
        self.se = SqueezeExcite(width) if squeeze_excite else None

    def forward(self, tokens: Tokens, grid: Grid) -> Tokens:
        hidden = self.fc1(tokens)
        if self.dwconv.bn.training or self.drop.p:
            mixed = map_to_tokens(self.dwconv(tokens_to_map(hidden, grid), self.gamma))
            output = self.drop(self.fc2(self.drop(mixed + hidden if self.skip else mixed)))
        else:
            output = self._evaluated(hidden, grid)
        return output if self.se is None else self.se(output)

    def _evaluated(self, hidden: Tokens, grid: Grid) -> Tokens:
        """The same with running statistics, in fewer passes over the hidden channels, the widest tensor there is."""
        mixed, constants = self.dwconv.folded(tokens_to_map(hidden, grid), self.gamma)
        mixed = map_to_tokens(mixed)
        positional = tap_coverage(grid, constants) @ F.linear(constants, self.fc2.weight)  # tokens channels
        return self.fc2(mixed.add_(hidden) if self.skip else mixed) + positional


class EfficientChannelAttention(nn.Module):
    """ECA as released: gate the MLP's channels by how they agree with their head's token prototype.

    Departs from equation 7 as printed: the linear map comes before the softmax over tokens, each head has its
    own prototype, a learned temperature multiplies the sigmoid, there is no 1/sqrt(n), and a LayerNorm (eps 1e-5,
    whatever the other norms have) follows the MLP.
    """

    def __init__(self, width: int, heads: int, mlp: nn.Module, *, attn_drop: float = 0.0) -> None:
        super().__init__()
        self.temperature = nn.Parameter(torch.ones(heads, 1, 1))
        self.mlp_v = mlp
        self.norm_v = nn.LayerNorm(width)
        self.q = Linear(width, width)
        self.attn_drop = nn.Dropout(attn_drop)

    def forward(self, tokens: Tokens, grid: Grid) -> Tokens:
        return self.attn_drop(self.gate(tokens)) * self.norm_v(self.mlp_v(tokens, grid))

    def gate(self, tokens: Tokens) -> Gate:
        """Between 0.5 and 0.7311 times the head's temperature: both softmaxes sum to one over the tokens."""
        heads = len(self.temperature)
        query = self.q(tokens).softmax(dim=1)
        prototype = tokens.softmax(dim=1).unflatten(2, (heads, -1)).mean(dim=3)  # batch tokens heads
        agreement = prototype.transpose(1, 2) @ query  # batch heads channels: every head against every channel
        own = agreement.unflatten(2, (heads, -1)).diagonal(dim1=1, dim2=2)  # batch channels/heads heads
        return (torch.sigmoid(own.transpose(1, 2)) * self.temperature[:, 0]).flatten(1).unsqueeze(1)


class PaperChannelAttention(nn.Module):
    """ECA as printed, equation 7: `sigmoid(W softmax(Z) softmax(mean Z)^T / sqrt(n)) * MLP(Z)`.

    Both softmaxes run over the tokens, `mean` over the channels: one prototype for all. Since the sum over
    tokens commutes with W, W acts once an image.
    """

    def __init__(self, width: int, mlp: nn.Module, *, attn_drop: float = 0.0) -> None:
        super().__init__()
        self.mlp_v = mlp
        self.q = Linear(width, width, bias=False)
        self.attn_drop = nn.Dropout(attn_drop)

    def forward(self, tokens: Tokens, grid: Grid) -> Tokens:
        return self.attn_drop(self.gate(tokens)) * self.mlp_v(tokens, grid)

    def gate(self, tokens: Tokens) -> Gate:
        """At most sigmoid of |W| / sqrt(n): flatter still than the released form."""
        prototype = tokens.mean(dim=2, keepdim=True).softmax(dim=1)  # batch tokens 1
        pooled = prototype.transpose(1, 2) @ tokens.softmax(dim=1)  # batch 1 channels
        return torch.sigmoid(self.q(pooled) * tokens.shape[1] ** -0.5)


class SelfChannelAttention(nn.Module):
    """CA, equation 6: `softmax((W_q Z)(W_k Z)^T / sqrt(n)) MLP(Z)`; a channel attends to those of its head."""

    def __init__(self, width: int, heads: int, mlp: nn.Module, *, attn_drop: float = 0.0) -> None:
        super().__init__()
        self.heads = heads
        self.mlp_v = mlp
        self.q = Linear(width, width)
        self.k = Linear(width, width)
        self.attn_drop = nn.Dropout(attn_drop)

    def forward(self, tokens: Tokens, grid: Grid) -> Tokens:
        value = self.mlp_v(tokens, grid).unflatten(2, (self.heads, -1)).permute(0, 2, 3, 1)  # batch heads c tokens
        mixed = self.attn_drop(self.attention(tokens)) @ value
        return mixed.permute(0, 3, 1, 2).flatten(2)

    def attention(self, tokens: Tokens) -> Float[Tensor, "batch heads c c"]:
        """Rows sum to one over the channels of a head."""
        query = self.q(tokens).unflatten(2, (self.heads, -1)).permute(0, 2, 3, 1)  # batch heads c tokens
        key = self.k(tokens).unflatten(2, (self.heads, -1)).transpose(1, 2)  # batch heads tokens c
        return (query @ key * tokens.shape[1] ** -0.5).softmax(dim=3)


class ConstantGate(nn.Module):
    """The control of table 6: the released form with its agreement replaced by nothing, a gate of 0.5 * temperature."""

    def __init__(self, width: int, heads: int, mlp: nn.Module) -> None:
        super().__init__()
        self.temperature = nn.Parameter(torch.ones(heads, 1, 1))
        self.mlp_v = mlp
        self.norm_v = nn.LayerNorm(width)

    def forward(self, tokens: Tokens, grid: Grid) -> Tokens:
        return self.gate(tokens) * self.norm_v(self.mlp_v(tokens, grid))

    def gate(self, tokens: Tokens) -> Gate:
        """The same for every image."""
        width = tokens.shape[2] // len(self.temperature)
        return 0.5 * self.temperature.flatten().repeat_interleave(width).expand(len(tokens), 1, -1)


class SqueezeExcite(nn.Module):
    """Multiply the channels by a gate computed from their means over the tokens (Hu et al., CVPR 2018)."""

    def __init__(self, width: int, ratio: float = 0.25) -> None:
        super().__init__()
        self.conv_reduce = PointwiseLinear(width, round(width * ratio))
        self.conv_expand = PointwiseLinear(round(width * ratio), width)

    def forward(self, tokens: Tokens) -> Tokens:
        return self.gate(tokens) * tokens

    def gate(self, tokens: Tokens) -> Gate:
        return torch.sigmoid(self.conv_expand(F.relu(self.conv_reduce(tokens.mean(dim=1, keepdim=True)))))


class PointwiseLinear(nn.Module):
    """A linear map of the last axis whose weight is stored as that of a 1x1 convolution, (out, in, 1, 1)."""

    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__()
        # A convolution of the same shape sets PyTorch's default values.
        convolution = nn.Conv2d(inputs, outputs, 1)
        self.weight, self.bias = convolution.weight, convolution.bias

    def forward(self, features: Float[Tensor, "*batch inputs"]) -> Float[Tensor, "*batch outputs"]:
        return linear(features, self.weight[:, :, 0, 0], self.bias)


def channel_processing(
    kind: ChannelProcessing, width: int, heads: int, hidden: int, *, drop: float = 0.0, attn_drop: float = 0.0
) -> nn.Module:
    """The second half of a FAN block; called with (tokens, grid)."""
    mlp = ConvolutionalMlp(width, hidden, squeeze_excite=kind == "se", drop=drop)
    match kind:
        case "eca":
            return EfficientChannelAttention(width, heads, mlp, attn_drop=attn_drop)
        case "eca_paper":
            return PaperChannelAttention(width, mlp, attn_drop=attn_drop)
        case "sa":
            return SelfChannelAttention(width, heads, mlp, attn_drop=attn_drop)
        case "constant":
            return ConstantGate(width, heads, mlp)
        case "se" | "mlp":
            return mlp
