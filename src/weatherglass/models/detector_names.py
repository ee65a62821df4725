"""Detectors by name: METHOD/BACKBONE, where the backbone is any network that gives feature maps. No torch."""

from dataclasses import dataclass

from weatherglass.catalog import Catalog


@dataclass(frozen=True)
class Method:
    """One way to detect on feature maps."""

    example: str
    summary: str
    """One line for people, with the source."""
    masks: bool = False
    """Whether it finds the pixels of objects, beside their boxes."""
    cascade: bool = False
    """Whether boxes are refined in three stages."""


DETECTORS: Catalog[Method] = Catalog(
    "detection method",
    {
        "faster-rcnn": Method("faster-rcnn/fan_small_12_p16_224", "boxes (Ren et al. 2015)"),
        "mask-rcnn": Method("mask-rcnn/fan_small_12_p4_hybrid", "boxes and masks (He et al. 2017)", masks=True),
        "cascade-rcnn": Method(
            "cascade-rcnn/timm/convnext_tiny", "boxes, refined three times (Cai and Vasconcelos 2018)", cascade=True
        ),
        "cascade-mask-rcnn": Method(
            "cascade-mask-rcnn/fan_small_12_p4_hybrid", "boxes and masks, refined three times", masks=True, cascade=True
        ),
    },
)
"""Every method; the first part of a detector's name. All have a feature pyramid (Lin et al. 2017)."""


OTHERS = {
    "torchvision/NAME": "torchvision's detectors: maskrcnn_resnet50_fpn_v2, fasterrcnn_mobilenet_v3_large_fpn ...",
    "file.py:factory": "your own torch.nn.Module with the attributes task = 'detection' and class_names",
}
"""How detectors of others are named."""


def is_detector(spec: str) -> bool:
    """Whether a name is METHOD/BACKBONE."""
    method, slash, backbone = spec.partition("/")
    return bool(slash and backbone) and method in DETECTORS
