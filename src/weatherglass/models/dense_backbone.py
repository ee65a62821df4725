"""FAN as a backbone for segmentation and detection, as the release builds it for these tasks.

The published dense-prediction checkpoints were trained with these maps: other ones than `features_only` gives by
default, and with a position encoding that lacks the pairing of frequencies (`paired_frequencies=False`).
"""

from collections.abc import Mapping
from dataclasses import replace
from typing import Literal

from torch import Tensor, nn

from weatherglass.errors import UserError
from weatherglass.models.configuration import ConvNeXtStem, FanConfig
from weatherglass.models.convnext import Map
from weatherglass.models.fan import Fan
from weatherglass.models.names import model_name

TAPS = {
    "fan_tiny_8_p4_hybrid": (0, 1, 2 + 7),
    "fan_small_12_p4_hybrid": (0, 1, 2 + 9),
    "fan_base_16_p4_hybrid": (0, 1, 2 + 15),
    "fan_large_16_p4_hybrid": (0, 1, 2 + 18),
    "fan_small_12_p16_224": (4, 7, 11),
}
"""Maps before the last one, as positions in `Fan.feature_info`: two stages and a block, or three blocks."""

DETECTION_WIDTH = 768
"""Channels of the last map in detection."""


class FanDenseBackbone(nn.Module):
    """Four maps of a FAN; the last one holds the patch tokens behind the class-attention blocks.

    Strides are 4, 8, 16, 16 for hybrids in segmentation, 4, 8, 16, 32 in detection (a 3x3 stride-2 convolution to 768
    channels is added), and 16 throughout for FAN-S-ViT.
    """

    def __init__(
        self, name: str, task: Literal["segmentation", "detection"], *, drop_path_rate: float | None = None
    ) -> None:
        super().__init__()
        model = model_name(name)
        config = model.config
        if model.name not in TAPS or not isinstance(config, FanConfig):
            raise UserError(f"There is no dense backbone of {name}; there are: {', '.join(TAPS)}.")
        if task == "detection" and not isinstance(config.stem, ConvNeXtStem):
            raise UserError(f"The detection backbones are hybrids; {name} is none.")
        if drop_path_rate is None:
            drop_path_rate = 0.3 if task == "detection" else 0.0
        self.body = Fan(replace(config, paired_frequencies=False), num_classes=0, drop_path_rate=drop_path_rate)
        self.body.norm = nn.Identity()
        self.indices = [*TAPS[model.name], len(self.body.feature_info) - 1]
        rows = [self.body.feature_info[index] for index in self.indices]
        self.channels = [int(row["num_chs"]) for row in rows]
        self.strides = [int(row["reduction"]) for row in rows]
        self.learnable_downsample: nn.Conv2d | None = None
        if task == "detection":
            self.learnable_downsample = nn.Conv2d(config.width, DETECTION_WIDTH, 3, stride=2, padding=1)
            self.channels[-1], self.strides[-1] = DETECTION_WIDTH, 2 * self.strides[-1]

    def forward(self, images: Map) -> list[Map]:
        """The four maps, finest first."""
        maps = self.body.forward_intermediates(images, self.indices, intermediates_only=True)
        assert isinstance(maps, list)
        if self.learnable_downsample is not None:
            maps[-1] = self.learnable_downsample(maps[-1])
        return maps


def dense_state_dict(state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """A published dense or classifier checkpoint under the names of `FanDenseBackbone`; heads are left out."""
    heads = ("norm.", "head.", "decode_head.", "auxiliary_head.", "neck.", "rpn_head.", "roi_head.")
    names = {name.removeprefix("backbone."): tensor for name, tensor in state.items() if not name.startswith(heads)}
    return {name if name.startswith("learnable") else f"body.{name}": tensor for name, tensor in names.items()}
