"""A segmenter: a backbone that gives feature maps, a head, and scores at the size of the image."""

from collections.abc import Mapping, Sequence
from typing import Any

import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn

from weatherglass.errors import MissingExtra, UserError
from weatherglass.models.backbone import Backbone, positions_and_tokens
from weatherglass.models.decoders import AUXILIARY_WEIGHT, Head, HeadConfig, Map, build_head
from weatherglass.models.segmenter_names import HEADS

Images = Float[Tensor, "batch 3 height width"]
Scores = Float[Tensor, "batch classes height width"]


class Segmenter(nn.Module):
    """Backbone and head. In evaluation mode it gives class scores at the size of the images, whatever that is.

    Sizes that the backbone's largest stride does not divide are padded at the right and the bottom with zeros (the
    mean colour, since images come normalised), and the answer is cut back.
    """

    task = "segmentation"

    def __init__(self, backbone: Backbone, head: Head) -> None:
        super().__init__()
        self.backbone = backbone
        self.head = head

    def forward(self, images: Images) -> Scores | list[tuple[Scores, float]]:
        """Scores at the size of the images; in training mode `training_scores`."""
        if self.training:
            return self.training_scores(images)
        maps, size = self._maps(images)
        return self._at(self.head(maps), size, images)

    def training_scores(self, images: Images) -> list[tuple[Scores, float]]:
        """Scores at the size of the images with the weight of their loss: the head's, then the auxiliary ones."""
        maps, size = self._maps(images)
        weighted = [(self.head(maps), 1.0)]
        weighted += [(scores, AUXILIARY_WEIGHT) for scores in self.head.auxiliary(maps)]
        return [(self._at(scores, size, images), weight) for scores, weight in weighted]

    def no_weight_decay(self) -> set[str]:
        """Learned positions and class tokens; vectors are not decayed in any case."""
        return positions_and_tokens(self)

    def _maps(self, images: Images) -> tuple[list[Map], tuple[int, int]]:
        height, width = images.shape[2:]
        stride = self.backbone.reduction
        size = (-(-height // stride) * stride, -(-width // stride) * stride)
        padded = F.pad(images, (0, size[1] - width, 0, size[0] - height))
        return self.backbone(padded), size

    def _at(self, scores: Scores, size: tuple[int, int], images: Images) -> Scores:
        whole = F.interpolate(scores, size=size, mode="bilinear", align_corners=False)
        return whole[:, :, : images.shape[2], : images.shape[3]]


class ForeignHead(Head):
    """A decoder of segmentation-models-pytorch, which wants the image and a map of stride 2 before the others."""

    def __init__(self, decoder: nn.Module, outputs: int, classes: int) -> None:
        super().__init__()
        self.decoder = decoder
        self.classifier = nn.Conv2d(outputs, classes, 1)

    def forward(self, maps: Sequence[Map]) -> Scores:
        batch, _, height, width = maps[0].shape
        finer = [maps[0].new_zeros(batch, 3, 4 * height, 4 * width), maps[0].new_zeros(batch, 0, 2 * height, 2 * width)]
        return self.classifier(self.decoder([*finer, *maps]))


def build_segmenter(
    head: str,
    backbone: str,
    classes: int,
    *,
    config: HeadConfig | None = None,
    pretrained_backbone: bool = False,
    drop_path_rate: float = 0.0,
    backbone_arguments: Mapping[str, Any] | None = None,
) -> Segmenter:
    """The segmenter HEAD/BACKBONE with fresh weights.

    Raises `UnknownName` for an unknown head, `UserError` for a backbone that gives no fitting maps, `MissingExtra`
    for the heads of segmentation-models-pytorch where it is not installed.
    """
    HEADS[head]  # an unknown head is answered with the known ones
    stride = 16 if head == "deeplabv3plus" and backbone.startswith("timm/") else None
    said = {"pretrained": pretrained_backbone, "drop_path_rate": drop_path_rate, "output_stride": stride}
    body = Backbone(backbone, {key: value for key, value in said.items() if value} | dict(backbone_arguments or {}))
    config = config or HeadConfig(width=_fitting_width(head, body.channels))
    if head in {"upernet", "deeplabv3plus"}:
        decoder = _foreign_head(head, body, classes, config)
    else:
        decoder = build_head(head, body.channels, classes, config)
    return Segmenter(body, decoder)


def build_named_segmenter(
    name: str, classes: int, arguments: Mapping[str, Any] | None = None, *, drop_path: float = 0.0
) -> Segmenter:
    """The segmenter HEAD/BACKBONE with fresh weights.

    `arguments` are fields of `HeadConfig`, e.g. {"width": 256}; all others are the backbone's, e.g. {"depths": [1, 3]}.
    Raises `UserError` for an argument that the backbone does not take.
    """
    head, _, backbone = name.partition("/")
    given = dict(arguments or {})
    of_head = {key: given.pop(key) for key in ("width", "dropout") if key in given}
    lists = {key: tuple(value) if isinstance(value, list) else value for key, value in given.items()}
    config = HeadConfig(**of_head) if of_head else None
    return build_segmenter(head, backbone, classes, config=config, drop_path_rate=drop_path, backbone_arguments=lists)


def _fitting_width(head: str, channels: Sequence[int]) -> int | None:
    """The published width, but for small backbones (at most 128 channels) one that does not dwarf them."""
    return 128 if max(channels) <= 128 and head in {"segformer", "setr-pup", "setr-naive", "setr-mla"} else None


def _foreign_head(name: str, body: Backbone, classes: int, config: HeadConfig) -> ForeignHead:
    try:
        from segmentation_models_pytorch.decoders.deeplabv3.decoder import DeepLabV3PlusDecoder
        from segmentation_models_pytorch.decoders.upernet.decoder import UPerNetDecoder
    except ImportError as error:
        raise MissingExtra("segmentation-models-pytorch", "dense", f"The head '{name}'") from error
    if len(body.channels) != 4:
        raise UserError(f"{name} needs four levels of strides 4, 8, 16, 32; this backbone gives {len(body.channels)}.")
    channels = [3, 0, *body.channels]
    if name == "upernet":
        width = config.width or 256
        return ForeignHead(UPerNetDecoder(channels, encoder_depth=5, decoder_channels=width), width, classes)
    decoder = DeepLabV3PlusDecoder(
        encoder_channels=channels,
        encoder_depth=5,
        out_channels=256,
        atrous_rates=(12, 24, 36),
        output_stride=16,
        aspp_separable=True,
        aspp_dropout=0.5,
    )
    return ForeignHead(decoder, 256, classes)
