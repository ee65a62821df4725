"""Decoders that turn a pyramid of feature maps into class scores: SegFormer's all-MLP head and the three of SETR."""

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from jaxtyping import Float
from timm.layers.norm import LayerNorm2d
from torch import Tensor, nn

from weatherglass.errors import UserError

Map = Float[Tensor, "batch channels height width"]
Scores = Float[Tensor, "batch classes height width"]

AUXILIARY_WEIGHT = 0.4
"""Weight of each auxiliary loss (Zheng et al. 2021, section 4.1)."""


@dataclass(frozen=True)
class HeadConfig:
    """What may differ between heads of one kind; None takes the published value."""

    width: int | None = None
    """Channels inside the head: 768 for SegFormer (B2 and up), 256 for SETR."""
    dropout: float = 0.1


class Head(nn.Module, ABC):
    """Feature maps, finest first, to scores at some stride; the segmenter brings them to the size of the image."""

    @abstractmethod
    def forward(self, maps: Sequence[Map]) -> Scores: ...

    def auxiliary(self, maps: Sequence[Map]) -> list[Scores]:
        """Scores of the classifiers that only training asks for."""
        return []


class SegFormerHead(Head):
    """A linear layer for every level, all brought to the size of the finest, one 1x1 convolution over all of them.

    Xie et al., "SegFormer" (NeurIPS 2021), equation 4 and its code: batch normalisation and ReLU behind the fusion,
    dropout of whole channels before the classifier.
    """

    def __init__(self, channels: Sequence[int], classes: int, config: HeadConfig) -> None:
        super().__init__()
        width = config.width or 768
        self.linear = nn.ModuleList(nn.Conv2d(inputs, width, 1) for inputs in channels)
        self.fuse = _convolution(width * len(channels), width, 1)
        self.dropout = nn.Dropout2d(config.dropout)
        self.classifier = nn.Conv2d(width, classes, 1)

    def forward(self, maps: Sequence[Map]) -> Scores:
        size = maps[0].shape[2:]
        levels = [_resized(linear(level), size) for linear, level in zip(self.linear, maps, strict=True)]
        # Deepest first, as the published weights have it.
        return self.classifier(self.dropout(self.fuse(torch.cat(levels[::-1], dim=1))))


class NaiveHead(Head):
    """SETR naive: the last level through one 1x1 convolution and the classifier (Zheng et al., CVPR 2021, 3.3)."""

    def __init__(self, channels: Sequence[int], classes: int, config: HeadConfig) -> None:
        super().__init__()
        width = config.width or 256
        self.main = _plain_classifier(channels[-1], width, classes, kernel=1)
        self.earlier = nn.ModuleList(_plain_classifier(inputs, width, classes, kernel=1) for inputs in channels[:-1])

    def forward(self, maps: Sequence[Map]) -> Scores:
        return self.main(maps[-1])

    def auxiliary(self, maps: Sequence[Map]) -> list[Scores]:
        return [head(level) for head, level in zip(self.earlier, maps[:-1], strict=True)]


class ProgressiveHead(Head):
    """SETR-PUP: four 3x3 convolutions on the last level, each followed by doubling (Zheng et al., CVPR 2021, 3.3)."""

    def __init__(self, channels: Sequence[int], classes: int, config: HeadConfig) -> None:
        super().__init__()
        width = config.width or 256
        self.norm = LayerNorm2d(channels[-1], eps=1e-6)
        self.steps = nn.ModuleList(_convolution(channels[-1] if i == 0 else width, width, 3) for i in range(4))
        self.classifier = nn.Conv2d(width, classes, 1)
        self.earlier = nn.ModuleList(_plain_classifier(inputs, width, classes, kernel=3) for inputs in channels[:-1])

    def forward(self, maps: Sequence[Map]) -> Scores:
        level = self.norm(maps[-1])
        for step in self.steps:
            level = step(level)
            level = _resized(level, (2 * level.shape[2], 2 * level.shape[3]))
        return self.classifier(level)

    def auxiliary(self, maps: Sequence[Map]) -> list[Scores]:
        return [head(level) for head, level in zip(self.earlier, maps[:-1], strict=True)]


class AggregationHead(Head):
    """SETR-MLA: levels of equal size added from the deepest up, each convolved, enlarged four times, joined
    (Zheng et al., CVPR 2021, 3.3). Levels of other sizes are first brought to that of the last one."""

    def __init__(self, channels: Sequence[int], classes: int, config: HeadConfig) -> None:
        super().__init__()
        width = config.width or 256
        self.reduce = nn.ModuleList(
            nn.Sequential(LayerNorm2d(inputs, eps=1e-6), *_convolution(inputs, width, 1)) for inputs in channels
        )
        self.smooth = nn.ModuleList(_convolution(width, width, 3) for _ in channels)
        self.branches = nn.ModuleList(
            nn.Sequential(*_convolution(width, width // 2, 3), *_convolution(width // 2, width // 2, 3))
            for _ in channels
        )
        self.classifier = nn.Conv2d(width // 2 * len(channels), classes, 3, padding=1)
        self.each = nn.ModuleList(nn.Conv2d(width, classes, 1) for _ in channels)

    def forward(self, maps: Sequence[Map]) -> Scores:
        levels = self._aggregated(maps)
        size = (4 * levels[0].shape[2], 4 * levels[0].shape[3])
        enlarged = [_resized(branch(level), size) for branch, level in zip(self.branches, levels, strict=True)]
        return self.classifier(torch.cat(enlarged, dim=1))

    def auxiliary(self, maps: Sequence[Map]) -> list[Scores]:
        return [head(level) for head, level in zip(self.each, self._aggregated(maps), strict=True)]

    def _aggregated(self, maps: Sequence[Map]) -> list[Map]:
        size = maps[-1].shape[2:]
        levels = [reduce(_resized(level, size)) for reduce, level in zip(self.reduce, maps, strict=True)]
        for i in reversed(range(len(levels) - 1)):
            levels[i] = levels[i] + levels[i + 1]
        return [smooth(level) for smooth, level in zip(self.smooth, levels, strict=True)]


KINDS: dict[str, type[Head]] = {
    "segformer": SegFormerHead,
    "setr-naive": NaiveHead,
    "setr-pup": ProgressiveHead,
    "setr-mla": AggregationHead,
}
"""Name -> class, for the heads that are written here."""


def build_head(name: str, channels: Sequence[int], classes: int, config: HeadConfig) -> Head:
    """The head of that name for maps of these channels. Raises `UserError` for MLA on fewer than two levels."""
    if name == "setr-mla" and len(channels) < 2:
        raise UserError(f"setr-mla aggregates several levels; this backbone gives {len(channels)}.")
    head = KINDS[name](channels, classes, config)  # type: ignore[call-arg]
    for module in head.modules():
        if isinstance(module, nn.Conv2d):
            nn.init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu")
            if module.bias is not None:
                nn.init.zeros_(module.bias)
    for module in head.modules():  # classifiers start near indifference
        if isinstance(module, nn.Conv2d) and module.out_channels == classes:
            nn.init.normal_(module.weight, std=0.01)
    return head


def _convolution(inputs: int, outputs: int, kernel: int) -> nn.Sequential:
    convolution = nn.Conv2d(inputs, outputs, kernel, padding=kernel // 2, bias=False)
    return nn.Sequential(convolution, nn.BatchNorm2d(outputs), nn.ReLU(inplace=True))


def _plain_classifier(inputs: int, width: int, classes: int, *, kernel: int) -> nn.Sequential:
    return nn.Sequential(
        LayerNorm2d(inputs, eps=1e-6), *_convolution(inputs, width, kernel), nn.Conv2d(width, classes, 1)
    )


def _resized(level: Map, size: Sequence[int]) -> Map:
    if tuple(level.shape[2:]) == tuple(size):
        return level
    return F.interpolate(level, size=tuple(size), mode="bilinear", align_corners=False)
