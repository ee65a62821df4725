"""What the models of this package are made of, as values: one frozen record for each family, no torch.

The records are the rows of the table in `names.py`; the networks read them and nothing else.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal

from weatherglass.errors import UserError

ChannelProcessing = Literal["eca", "eca_paper", "se", "sa", "constant", "mlp"]
"""What follows the token mixing of a FAN block (FAN section 2.3, table 6), see `channel_attention.py`:

'eca' efficient channel attention as released; 'eca_paper' equation 7 as printed; 'sa' equation 6 (a softmax
over channel pairs); 'se' squeeze and excitation; 'constant' a gate fixed at 0.5 and 'mlp' no gate at all
(the two controls that the table lacks).
"""


@dataclass(frozen=True)
class ConvolutionStem:
    """FAN-ViT's patchifier: 3x3 convolutions of stride 2, each with BatchNorm, GELU between them."""

    stride: int = 16
    """Image pixels a token, a power of two: log2(stride) convolutions."""


@dataclass(frozen=True)
class ConvNeXtStem:
    """FAN-Hybrid's patchifier: the first two stages of a ConvNeXt, then a convolution to the token width."""

    widths: tuple[int, int] = (128, 256)
    depths: tuple[int, int] = (3, 3)
    patch: int = 4
    """Stride of the ConvNeXt stem."""
    projection: int = 2
    """Kernel and stride of the last convolution."""
    biased_variance: bool = False
    """Divide the variance of every LayerNorm by C. The published models do so in the stem's alone and divide by
    C-1 in all others, an accident of memory layout in the release; False reproduces them."""

    @property
    def stride(self) -> int:
        return self.patch * 2 * self.projection


@dataclass(frozen=True)
class FanConfig:
    """A FAN-ViT or FAN-Hybrid: patchifier, FAN blocks, class-attention blocks (FAN section 2.4, table 1)."""

    depth: int
    width: int
    heads: int
    stem: ConvolutionStem | ConvNeXtStem = ConvolutionStem()
    channel_processing: ChannelProcessing = "eca"
    channel_heads: int | None = None
    """Groups of the channel processing, which divide the width; None: as many as heads, as published."""
    mlp_ratio: float = 4.0
    class_depth: int = 2
    """Class-attention blocks on top."""
    last_stage: tuple[int, int, int] | None = None
    """(depth, width, heads) of more FAN blocks behind a 3x3 stride-2 convolution (FAN-XL-Hybrid)."""
    paired_frequencies: bool = True
    """Sine and cosine of the position encoding share a frequency. The release's dense-prediction backbones
    lack this pairing; False reproduces them."""
    head_init_scale: float = 1.0
    """Factor on the freshly initialised classifier weights."""

    def __post_init__(self) -> None:
        stages = [(self.width, self.heads), *([self.last_stage[1:]] if self.last_stage else [])]
        _check_heads(stages, "heads")
        if self.channel_heads is not None:
            _check_heads([(width, self.channel_heads) for width, _ in stages], "channel_heads")


@dataclass(frozen=True)
class SwinConfig:
    """A FAN-Swin: Swin whose first stages process channels as FAN does (FAN table 7)."""

    width: int
    depths: tuple[int, ...]
    heads: tuple[int, ...]
    patch: int = 4
    window: int = 7
    mlp_ratio: float = 4.0
    plain_stages: int = 1
    """Stages at the end that keep the plain MLP."""

    def __post_init__(self) -> None:
        _check_heads([(self.width * 2**stage, heads) for stage, heads in enumerate(self.heads)], "heads")


@dataclass(frozen=True)
class ConvNeXtConfig:
    """A ConvNeXt whose channel MLPs are gated by efficient channel attention: our reading of FAN table 7."""

    depths: tuple[int, ...]
    widths: tuple[int, ...]
    patch: int = 4
    head_width: int = 32
    """Channels a head of the gate; the heads of FAN-Swin have as many."""
    channel_processing: Literal["eca", "constant", "mlp"] = "eca"


@dataclass(frozen=True)
class PlainConfig:
    """A timm network without FAN's parts, of equal depth and width: the other half of a comparison."""

    family: Literal["vit", "swin", "resnet"]
    depths: tuple[int, ...]
    widths: tuple[int, ...]
    heads: tuple[int, ...] = ()
    patch: int = 4
    window: int = 4

    def __post_init__(self) -> None:
        stages = list(zip(self.widths, self.heads, strict=False))  # a ResNet has no heads
        if self.family == "swin":
            stages = [(self.widths[0] * 2**stage, heads) for stage, heads in enumerate(self.heads)]
        _check_heads(stages, "heads")


@dataclass(frozen=True)
class RvtConfig:
    """RVT* (Mao et al., "Towards Robust Vision Transformer", CVPR 2022), a baseline of FAN table 11."""

    depth: int
    width: int
    heads: int
    mlp_ratio: float = 4.0


@dataclass(frozen=True)
class StrongResNetConfig:
    """ResNet-50* (FAN tables 3 and 4): squeeze and excitation, shortcuts that shrink by strided convolution."""

    depths: tuple[int, ...] = (3, 4, 6, 3)
    shortcut_kernel: int = 3
    """3 reads "strided convolution" as a 3x3 one in the shortcut (50 M parameters); 1 is the usual one (28 M)."""


def _check_heads(stages: Iterable[tuple[int, int]], name: str) -> None:
    for width, heads in stages:
        if heads < 1 or width % heads:
            raise UserError(f"{name}={heads} does not divide the width {width}: every head has as many channels.")
