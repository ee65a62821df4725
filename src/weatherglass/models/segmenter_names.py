"""Segmenters by name: HEAD/BACKBONE, where the backbone is any network that gives feature maps. No torch."""

from dataclasses import dataclass

from weatherglass.catalog import Catalog


@dataclass(frozen=True)
class Head:
    """One decoder."""

    example: str
    summary: str
    """One line for people, with the source."""
    auxiliary: bool = False
    """Whether it is trained with auxiliary classifiers on earlier maps (weight 0.4)."""


HEADS: Catalog[Head] = Catalog(
    "segmentation head",
    {
        "segformer": Head(
            "segformer/fan_small_12_p4_hybrid",
            "all-MLP: every level to one width, upsampled to the finest, fused (Xie et al. 2021)",
        ),
        "setr-naive": Head(
            "setr-naive/fan_small_12_p16_224", "two 1x1 convolutions on the last level (Zheng et al. 2021)", True
        ),
        "setr-pup": Head(
            "setr-pup/fan_small_12_p16_224", "four 3x3 convolutions, upsampled between (Zheng et al. 2021)", True
        ),
        "setr-mla": Head(
            "setr-mla/fan_small_12_p16_224", "four levels added from the deepest up, joined (Zheng et al. 2021)", True
        ),
        "upernet": Head(
            "upernet/timm/convnext_tiny", "UPerNet of segmentation-models-pytorch (Xiao et al. 2018; extra 'dense')"
        ),
        "deeplabv3plus": Head(
            "deeplabv3plus/timm/resnet50", "DeepLabv3+ of the same package (Chen et al. 2018; extra 'dense')"
        ),
    },
)
"""Every head; the first part of a segmenter's name."""

OTHERS = {
    "torchvision/NAME": "torchvision's segmenters: deeplabv3_resnet50, fcn_resnet50, lraspp_mobilenet_v3_large ...",
    "huggingface/FOLDER": "a segmenter saved by transformers' save_pretrained (extra 'dense')",
    "file.py:factory": "your own torch.nn.Module with the attribute task = 'segmentation'",
}
"""How segmenters of others are named."""


def is_segmenter(spec: str) -> bool:
    """Whether a name is HEAD/BACKBONE or huggingface/FOLDER."""
    head, slash, rest = spec.partition("/")
    return bool(slash and rest) and (head in HEADS or head == "huggingface")
