"""Faster, Mask and Cascade (Mask) R-CNN: torchvision's parts on a feature pyramid over any backbone."""

import math
from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torchvision.models.detection.anchor_utils import AnchorGenerator
from torchvision.models.detection.faster_rcnn import FastRCNNConvFCHead, FastRCNNPredictor, TwoMLPHead
from torchvision.models.detection.generalized_rcnn import GeneralizedRCNN
from torchvision.models.detection.mask_rcnn import MaskRCNNHeads, MaskRCNNPredictor
from torchvision.models.detection.roi_heads import RoIHeads
from torchvision.models.detection.rpn import RegionProposalNetwork, RPNHead
from torchvision.models.detection.transform import GeneralizedRCNNTransform
from torchvision.ops.poolers import MultiScaleRoIAlign, initLevelMapper

from weatherglass.errors import UserError
from weatherglass.models.backbone import Backbone, positions_and_tokens
from weatherglass.models.cascade import STAGES, BoxPredictor, CascadeHeads, Stage
from weatherglass.models.detector_names import DETECTORS, Method
from weatherglass.models.pyramid import FeaturePyramid

BOX_SIDE, MASK_SIDE = 7, 14
"""Cells a side that a region is pooled to, for its box and for its mask (which is found at twice as many)."""


@dataclass(frozen=True)
class DetectorConfig:
    """Everything of a detector but its backbone. The defaults are those of the published COCO detectors (Swin's)."""

    short_side: int = 800
    """Evaluation: pixels that the shorter side of an image is brought to; 0 leaves images as they are."""
    long_side: int = 1333
    """Evaluation: no image becomes longer than this."""
    divisor: int = 32
    """Images are padded at the right and the bottom to multiples of it (and of the largest stride)."""
    mean: tuple[float, float, float] = (0.485, 0.456, 0.406)
    std: tuple[float, float, float] = (0.229, 0.224, 0.225)
    """Normalisation of pixels in [0, 1], done inside the detector."""
    pyramid_width: int = 256
    """Channels of the pyramid, and of convolutions in the heads."""
    head_width: int = 1024
    """Of the fully connected layers behind a region's features."""
    anchor_scale: float = 8.0
    """Side of a square anchor over the stride of its level."""
    anchor_ratios: tuple[float, ...] = (0.5, 1.0, 2.0)
    """Height over width."""
    anchor_samples: int = 256
    """Anchors an image that the proposal network learns from, at most half of them objects."""
    candidates: tuple[int, int] = (2000, 1000)
    """Best boxes of each level before suppression, in training and in evaluation."""
    proposals: tuple[int, int] = (1000, 1000)
    """Boxes of all levels behind suppression at IoU 0.7."""
    region_samples: int = 512
    """Proposals an image that the heads learn from, at most a quarter of them objects."""
    canonical_size: int = 224
    """Side of the square region that is read from the level of stride 16 (Lin et al. 2017, equation 1)."""
    least_score: float = 0.05
    """Objects found with less confidence are left out."""
    detections: int = 100
    """Objects an image, at most, behind suppression at IoU 0.5 within each class."""


class Detector(GeneralizedRCNN):
    """A detector with torchvision's conventions.

    In evaluation mode a list of (3, height, width) images in [0, 1], of any sizes, gives a list of dictionaries:
    `boxes` (x0, y0, x1, y1 in pixels of the image as given), `labels` (class index + 1), `scores`, and `masks`
    ((objects, 1, height, width), probabilities) where the method finds them. In training mode images and targets of the
    same form (`masks` (objects, height, width), uint8) give a dictionary of losses; images are then taken at the size
    they come in.
    """

    task = "detection"
    backbone: FeaturePyramid
    rpn: RegionProposalNetwork
    roi_heads: RoIHeads | CascadeHeads
    transform: "_Transform"

    def __init__(self, backbone: Backbone, method: Method, classes: int, config: DetectorConfig) -> None:
        pyramid = FeaturePyramid(backbone, config.pyramid_width)
        if method.cascade:
            heads: nn.Module = CascadeHeads([_stage(pyramid, stage, method, classes, config) for stage in STAGES])
        else:
            heads = _region_heads(pyramid, method, classes, config)
        super().__init__(pyramid, _proposal_network(pyramid, config), heads, _Transform(config, pyramid.divisor))
        self.config = config
        self.classes = classes
        """Without the ground."""
        self.has_masks = method.masks

    def extra_repr(self) -> str:
        """Decides, beside the weights, what is found; so it belongs to the digest of a predictor."""
        return str(self.config)

    @property
    def network(self) -> nn.Module:
        """The backbone as weights of a classifier fit it."""
        return self.backbone.backbone.whole

    def no_weight_decay(self) -> set[str]:
        """Learned positions and class tokens; vectors are not decayed in any case."""
        return positions_and_tokens(self)


class _Transform(GeneralizedRCNNTransform):
    """Resizing in evaluation only, and not at all where no side is named; normalisation and padding always.

    Unlike torchvision's, resizing is antialiased, as that of training images is.
    """

    def __init__(self, config: DetectorConfig, stride: int) -> None:
        super().__init__(
            config.short_side,
            config.long_side,
            list(config.mean),
            list(config.std),
            size_divisible=math.lcm(config.divisor, stride),
        )
        self.sides = (config.short_side, config.long_side)

    def resize(self, image: Tensor, target: dict[str, Tensor] | None = None) -> tuple[Tensor, dict[str, Tensor] | None]:
        if self.training or not self.sides[0]:
            return image, target
        size = fitting_size(image.shape[1], image.shape[2], *self.sides)
        return F.interpolate(image[None], size, mode="bilinear", antialias=True)[0], target


def fitting_size(height: int, width: int, short_side: int, long_side: int | None) -> tuple[int, int]:
    """Height and width whose shorter one is `short_side`, or whose longer one is `long_side` where it would be more."""
    scale = short_side / min(height, width)
    if long_side is not None:
        scale = min(scale, long_side / max(height, width))
    return max(round(height * scale), 1), max(round(width * scale), 1)


def build_detector(
    method: str,
    backbone: str,
    classes: int,
    *,
    config: DetectorConfig | None = None,
    pretrained_backbone: bool = False,
    drop_path_rate: float = 0.0,
    backbone_arguments: Mapping[str, Any] | None = None,
) -> Detector:
    """The detector METHOD/BACKBONE with fresh weights.

    Raises `UnknownName` for an unknown method, `UserError` for a backbone that gives no fitting maps.
    """
    chosen = DETECTORS[method]
    said = {"pretrained": pretrained_backbone, "drop_path_rate": drop_path_rate}
    options = {key: value for key, value in said.items() if value} | dict(backbone_arguments or {})
    detector = Detector(Backbone(backbone, options, "detection"), chosen, classes, config or DetectorConfig())
    if backbone.startswith("timm/"):
        _check_sizes(detector, backbone)
    return detector


def _check_sizes(detector: Detector, backbone: str) -> None:
    """Raise `UserError` for a network that takes images of its own size only: detection has no one size."""
    side = detector.transform.size_divisible
    network = detector.backbone.eval()
    try:
        with torch.inference_mode():
            network(torch.zeros(1, 3, side, 2 * side))
    except (AssertionError, RuntimeError, ValueError) as error:
        reason = " ".join(str(error).split())[:160]
        raise UserError(
            f"'{backbone}' cannot be a detector's backbone: it fails on {side}x{2 * side} pixels ({reason})."
        ) from error
    network.train()


def build_named_detector(
    name: str, classes: int, arguments: Mapping[str, Any] | None = None, *, drop_path: float = 0.0
) -> Detector:
    """The detector METHOD/BACKBONE with fresh weights.

    `arguments` are fields of `DetectorConfig`, e.g. {"anchor_scale": 4}; all others are the backbone's, e.g.
    {"depths": [1, 3]}. Raises `UserError` for an argument that the backbone does not take.
    """
    method, _, backbone = name.partition("/")
    given = {key: tuple(value) if isinstance(value, list) else value for key, value in (arguments or {}).items()}
    own: dict[str, Any] = {field.name: given.pop(field.name) for field in fields(DetectorConfig) if field.name in given}
    return build_detector(
        method, backbone, classes, config=DetectorConfig(**own), drop_path_rate=drop_path, backbone_arguments=given
    )


def classes_in(state: Mapping[str, Tensor]) -> int | None:
    """The classes (without the ground) in a detector's weights; None where there is no detector in them."""
    names = [name for name in state if name.startswith("roi_heads.") and name.endswith("cls_score.weight")]
    return int(state[names[0]].shape[0]) - 1 if names else None


def _proposal_network(pyramid: FeaturePyramid, config: DetectorConfig) -> RegionProposalNetwork:
    anchors = AnchorGenerator(
        tuple((config.anchor_scale * stride,) for stride in pyramid.strides),
        (tuple(config.anchor_ratios),) * len(pyramid.strides),
    )
    return RegionProposalNetwork(
        anchors,
        RPNHead(config.pyramid_width, len(config.anchor_ratios)),
        fg_iou_thresh=0.7,
        bg_iou_thresh=0.3,
        batch_size_per_image=config.anchor_samples,
        positive_fraction=0.5,
        pre_nms_top_n=_by_mode(config.candidates),
        post_nms_top_n=_by_mode(config.proposals),
        nms_thresh=0.7,
    )


def _by_mode(counts: tuple[int, int]) -> dict[str, int]:
    return {"training": counts[0], "testing": counts[1]}


def _region_heads(pyramid: FeaturePyramid, method: Method, classes: int, config: DetectorConfig) -> RoIHeads:
    """Two fully connected layers, a box for every class."""
    head = TwoMLPHead(config.pyramid_width * BOX_SIDE**2, config.head_width)
    predictor = FastRCNNPredictor(config.head_width, classes + 1)
    return _heads(pyramid, Stage(0.5, (10.0, 10.0, 5.0, 5.0), 1.0), head, predictor, method, classes, config)


def _stage(pyramid: FeaturePyramid, stage: Stage, method: Method, classes: int, config: DetectorConfig) -> RoIHeads:
    """Four convolutions with batch normalisation and one fully connected layer, a box for all classes."""
    width = config.pyramid_width
    head = FastRCNNConvFCHead((width, BOX_SIDE, BOX_SIDE), [width] * 4, [config.head_width], nn.BatchNorm2d)
    predictor = BoxPredictor(config.head_width, classes)
    return _heads(pyramid, stage, head, predictor, method, classes, config)


def _heads(
    pyramid: FeaturePyramid,
    stage: Stage,
    head: nn.Module,
    predictor: nn.Module,
    method: Method,
    classes: int,
    config: DetectorConfig,
) -> RoIHeads:
    width = config.pyramid_width
    masks: dict[str, nn.Module] = {}
    if method.masks:
        masks = {
            "mask_roi_pool": _pooling(pyramid, MASK_SIDE, config),
            "mask_head": MaskRCNNHeads(width, [width] * 4, 1),
            "mask_predictor": MaskRCNNPredictor(width, width, classes + 1),
        }
    return RoIHeads(
        _pooling(pyramid, BOX_SIDE, config),
        head,
        predictor,
        fg_iou_thresh=stage.iou,
        bg_iou_thresh=stage.iou,
        batch_size_per_image=config.region_samples,
        positive_fraction=0.25,
        bbox_reg_weights=stage.coder,
        score_thresh=config.least_score,
        nms_thresh=0.5,
        detections_per_img=config.detections,
        **masks,
    )


def _pooling(pyramid: FeaturePyramid, side: int, config: DetectorConfig) -> MultiScaleRoIAlign:
    """RoIAlign from the level that suits a region's size.

    The strides are told: torchvision would guess them from the first batch it meets, wrongly where an image is padded
    to nearly twice its size.
    """
    strides = pyramid.strides[:-1]
    pooling = MultiScaleRoIAlign(pyramid.names, side, sampling_ratio=2, canonical_scale=config.canonical_size)
    pooling.scales = [1 / stride for stride in strides]
    levels = [round(math.log2(stride)) for stride in (strides[0], strides[-1])]
    pooling.map_levels = initLevelMapper(*levels, canonical_scale=config.canonical_size)  # pyright: ignore[reportAttributeAccessIssue]
    return pooling
