"""Cards of FAN's tables of dense tasks: segmentation on Cityscapes-C, detection on COCO-C. No torch."""

from weatherglass.experiments.card import Card, Claim
from weatherglass.experiments.published import published_table

_ZHOU = "Zhou et al., 'Understanding The Robustness in Vision Transformers' (ICML 2022)"
_SEGMENTERS = {"FAN-S-Hybrid": "segformer-fan-hybrid-micro", "ConvNeXt-T": "segformer-convnext-micro"}
_DETECTORS = {"FAN-S-Hybrid": "mask-rcnn-fan-hybrid-micro"}
_SCENES = (
    "On other data, synthetic scenes (scenes:, scene-objects:) or CamVid (camvid:), say, the paper's numbers are no "
    "reference; what is compared is the order of the models."
)
_RULE = "mean over 16 corruptions of the mean over the severities of each"


def _by_corruption(name: str) -> dict[str, str]:
    """The average beside ours, and every corruption beside its own."""
    kinds = [column.key for column in published_table(name).columns if column.key != "average"]
    return {"average": "corrupted"} | {kind: f"kind:{kind}" for kind in kinds}


DENSE: dict[str, Card] = {
    "fan-table-9": Card(
        question="Does the robustness of FAN carry over to semantic segmentation?",
        source=f"{_ZHOU}, table 9",
        small_form=f"Segmenters under the names of the table; mIoU clean and under cityscapes-c, {_RULE}, noise at "
        f"severities 1 to 3. {_SCENES}",
        cost="72 conditions a model",
        claims=(
            Claim("FAN is more robust than ConvNeXt of its size.", pair=("ConvNeXt-T", "FAN-S-Hybrid")),
            Claim("A larger FAN is better clean and corrupted.", pair=("FAN-T-Hybrid", "FAN-S-Hybrid")),
        ),
        tables=("table9",),
        columns={"city": "clean", "city_c": "corrupted", "retention": "retention"},
        figure="rows",
        suite="cityscapes-c",
        data="Cityscapes",
        recipes=_SEGMENTERS,
    ),
    "fan-table-10": Card(
        question="Does the robustness of FAN carry over to object detection?",
        source=f"{_ZHOU}, table 10",
        small_form=f"Detectors under the names of the table; box AP clean and under coco-c, {_RULE}, all five "
        f"severities. {_SCENES}",
        cost="80 conditions a model",
        claims=(Claim("FAN is more robust than Swin of its size.", pair=("Swin-T", "FAN-S-Hybrid")),),
        tables=("table10",),
        columns={"coco": "clean", "coco_c": "corrupted", "retention": "retention"},
        figure="rows",
        suite="coco-c",
        data="COCO",
        recipes=_DETECTORS,
    ),
    "fan-table-13": Card(
        question="Which corruptions of Cityscapes-C take most from which segmenter?",
        source=f"{_ZHOU}, table 13",
        small_form=f"As fan-table-9, corruption by corruption. {_SCENES}",
        cost="72 conditions a model; cells that fan-table-9 measured are read",
        tables=("table13",),
        columns=_by_corruption("table13"),
        figure="rows",
        suite="cityscapes-c",
        data="Cityscapes",
        recipes=_SEGMENTERS,
    ),
    "fan-table-14": Card(
        question="Which corruptions of COCO-C take most from which detector?",
        source=f"{_ZHOU}, table 14",
        small_form=f"As fan-table-10, corruption by corruption. {_SCENES}",
        cost="80 conditions a model; cells that fan-table-10 measured are read",
        tables=("table14",),
        columns=_by_corruption("table14"),
        figure="rows",
        suite="coco-c",
        data="COCO",
        recipes=_DETECTORS,
    ),
}
