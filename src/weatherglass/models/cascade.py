"""Cascade R-CNN (Cai and Vasconcelos, CVPR 2018): three sets of torchvision's region heads, one behind the other.

Each stage has a `RoIHeads` of its own, of which only the parts are used: how proposals meet targets, the heads, what
is left after non-maximum suppression. What torchvision promises least of, the test `test_cascade.py` guards.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import torch
import torch.nn.functional as F
from jaxtyping import Float, Int
from torch import Tensor, nn
from torchvision.models.detection.roi_heads import RoIHeads, maskrcnn_inference, maskrcnn_loss
from torchvision.ops.boxes import clip_boxes_to_image, remove_small_boxes
from torchvision.ops.giou_loss import generalized_box_iou_loss

Boxes = Float[Tensor, "boxes 4"]


@dataclass(frozen=True)
class Stage:
    """What differs between the stages."""

    iou: float
    """Overlap from which a proposal counts as an object."""
    coder: tuple[float, float, float, float]
    """Inverse standard deviations of the box offsets: centre x, y, width, height."""
    weight: float
    """Of the stage's losses."""


STAGES = (
    Stage(0.5, (10.0, 10.0, 5.0, 5.0), 1.0),
    Stage(0.6, (20.0, 20.0, 10.0, 10.0), 0.5),
    Stage(0.7, (30.0, 30.0, 15.0, 15.0), 0.25),
)
"""As published, and as Swin's and FAN's configurations have them."""

BOX_WEIGHT = 10.0
"""Of the GIoU loss (Rezatofighi et al., CVPR 2019) of decoded boxes."""


class BoxPredictor(nn.Module):
    """Scores of all classes and the ground, and one box for all of them."""

    def __init__(self, width: int, classes: int) -> None:
        super().__init__()
        self.cls_score = nn.Linear(width, classes + 1)
        self.bbox_pred = nn.Linear(width, 4)

    def forward(
        self, features: Float[Tensor, "boxes width"]
    ) -> tuple[Float[Tensor, "boxes scores"], Float[Tensor, "boxes 4"]]:
        return self.cls_score(features), self.bbox_pred(features)


class _Seen(NamedTuple):
    """What one stage made of its proposals."""

    scores: Float[Tensor, "boxes scores"]
    offsets: Float[Tensor, "boxes 4"]
    boxes: list[Boxes]
    """Proposals moved by the offsets and clipped, without gradient, by image."""


class CascadeHeads(nn.Module):
    """In place of torchvision's `RoIHeads` in a `GeneralizedRCNN`.

    At every stage proposals are matched anew and sampled anew, as in mmdetection, whose configurations the published
    detectors used. Masks have one head a stage, learned from the stage's own boxes; at inference all heads look at
    the final boxes and the mean of their probabilities is taken.
    """

    def __init__(self, stages: Sequence[RoIHeads]) -> None:
        """One `RoIHeads` for every member of `STAGES`, each with its own matcher, box coder, heads and predictors."""
        super().__init__()
        self.stages = nn.ModuleList(stages)

    def forward(
        self,
        features: dict[str, Tensor],
        proposals: list[Boxes],
        image_shapes: list[tuple[int, int]],
        targets: list[dict[str, Tensor]] | None = None,
    ) -> tuple[list[dict[str, Tensor]], dict[str, Tensor]]:
        """Found objects by image (none while training) and losses by name (none in evaluation)."""
        if self.training:
            assert targets is not None
            return [], self._losses(features, proposals, image_shapes, targets)
        return self._found(features, proposals, image_shapes), {}

    def _losses(
        self,
        features: dict[str, Tensor],
        proposals: list[Boxes],
        image_shapes: list[tuple[int, int]],
        targets: list[dict[str, Tensor]],
    ) -> dict[str, Tensor]:
        losses = {}
        for number, (heads, stage) in enumerate(zip(self.stages, STAGES, strict=True)):
            assert isinstance(heads, RoIHeads)
            # The boxes themselves join the proposals here, so that there is always something to learn from.
            proposals, matched, labels, _ = heads.select_training_samples(_wide(proposals), targets)
            seen = _look(heads, features, proposals, image_shapes)
            classes = torch.cat(labels)
            truth = torch.cat([_matched_boxes(*pair) for pair in zip(targets, matched, strict=True)])
            losses[f"loss_classifier_{number}"] = stage.weight * F.cross_entropy(seen.scores, classes)
            losses[f"loss_box_{number}"] = stage.weight * _box_loss(heads, seen.offsets, proposals, truth, classes)
            if heads.has_mask():
                mask_loss = _mask_loss(heads, features, proposals, image_shapes, matched, labels, targets)
                losses[f"loss_mask_{number}"] = stage.weight * mask_loss
            proposals = seen.boxes
        return losses

    def _found(
        self, features: dict[str, Tensor], proposals: list[Boxes], image_shapes: list[tuple[int, int]]
    ) -> list[dict[str, Tensor]]:
        probabilities, offsets, looked_at = [], proposals[0].new_zeros(0), proposals
        for heads in self.stages:
            looked_at = proposals
            seen = _look(heads, features, proposals, image_shapes)
            probabilities.append(seen.scores.float().softmax(dim=1))
            offsets, proposals = seen.offsets, seen.boxes
        last = self.stages[-1]
        assert isinstance(last, RoIHeads)
        mean = torch.stack(probabilities).mean(dim=0)
        # torchvision takes logits, whose softmax the logarithm of probabilities gives back, and a box for every class.
        found = last.postprocess_detections(
            mean.clamp(min=torch.finfo(mean.dtype).tiny).log(),
            offsets.repeat(1, mean.shape[1]),
            looked_at,
            image_shapes,
        )
        rows: list[dict[str, Tensor]] = [
            {"boxes": boxes, "scores": scores, "labels": labels} for boxes, scores, labels in zip(*found, strict=True)
        ]
        if last.has_mask():
            for row, masks in zip(rows, self._masks(features, rows, image_shapes), strict=True):
                row["masks"] = masks
        return rows

    def _masks(
        self, features: dict[str, Tensor], rows: Sequence[dict[str, Tensor]], image_shapes: list[tuple[int, int]]
    ) -> list[Tensor]:
        """The mean probability over the stages, by image: (boxes, 1, 28, 28)."""
        boxes, labels = [row["boxes"] for row in rows], [row["labels"] for row in rows]
        by_stage = [
            maskrcnn_inference(_mask_logits(heads, features, boxes, image_shapes), labels) for heads in self.stages
        ]
        return [torch.stack(stages).mean(dim=0) for stages in zip(*by_stage, strict=True)]


def _look(
    heads: Any, features: dict[str, Tensor], proposals: list[Boxes], image_shapes: list[tuple[int, int]]
) -> _Seen:
    """Scores and offsets of one stage, and where the offsets move the proposals."""
    pooled = heads.box_roi_pool(features, proposals, image_shapes)
    scores, offsets = heads.box_predictor(heads.box_head(pooled))
    moved = _decoded(heads, offsets.detach(), proposals).split([len(each) for each in proposals])
    clipped = [clip_boxes_to_image(boxes, shape) for boxes, shape in zip(moved, image_shapes, strict=True)]
    return _Seen(scores, offsets, clipped)


def _decoded(heads: Any, offsets: Float[Tensor, "boxes 4"], proposals: list[Boxes]) -> Boxes:
    """Proposals moved by offsets, in float32: half precision holds whole pixels up to 256 only."""
    return heads.box_coder.decode_single(offsets.float(), torch.cat(proposals).float())


def _box_loss(
    heads: Any, offsets: Float[Tensor, "boxes 4"], proposals: list[Boxes], truth: Boxes, classes: Int[Tensor, " boxes"]
) -> Tensor:
    """GIoU of the boxes that belong to an object, over the number of all sampled ones."""
    own = classes > 0
    losses = generalized_box_iou_loss(_decoded(heads, offsets, proposals)[own], truth[own], reduction="sum")
    return BOX_WEIGHT * losses / max(len(classes), 1)


def _mask_loss(
    heads: Any,
    features: dict[str, Tensor],
    proposals: list[Boxes],
    image_shapes: list[tuple[int, int]],
    matched: list[Tensor],
    labels: list[Tensor],
    targets: list[dict[str, Tensor]],
) -> Tensor:
    """Binary cross-entropy of the masks of the proposals that belong to an object."""
    own = [label > 0 for label in labels]
    boxes = [each[chosen] for each, chosen in zip(proposals, own, strict=True)]
    indices = [each[chosen] for each, chosen in zip(matched, own, strict=True)]
    logits = _mask_logits(heads, features, boxes, image_shapes)
    return maskrcnn_loss(logits, boxes, [t["masks"] for t in targets], [t["labels"] for t in targets], indices)


def _mask_logits(heads: Any, features: dict[str, Tensor], boxes: list[Boxes], shapes: list[tuple[int, int]]) -> Tensor:
    return heads.mask_predictor(heads.mask_head(heads.mask_roi_pool(features, boxes, shapes)))


def _matched_boxes(target: dict[str, Tensor], matched: Int[Tensor, " boxes"]) -> Boxes:
    """The true box of each proposal; zeros in an image without objects, where none is used."""
    boxes = target["boxes"]
    return boxes[matched] if len(boxes) else boxes.new_zeros(len(matched), 4)


def _wide(proposals: list[Boxes]) -> list[Boxes]:
    """Without those that clipping left no area of."""
    return [boxes[remove_small_boxes(boxes, min_size=1e-2)] for boxes in proposals]
