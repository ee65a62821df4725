"""How each number was made: what it means, its formula, and where that comes from."""

from dataclasses import dataclass

from weatherglass.evaluation.estimates import Summary
from weatherglass.report.content import Content


@dataclass(frozen=True)
class Method:
    """One number of the page."""

    name: str
    meaning: str
    formula: str = ""
    source: str = ""


def methods_of(content: Content) -> list[Method]:
    """The numbers that this page shows, in the order in which they appear."""
    summary = content.models[0].summary
    shown = {name for view in content.models for name in _present(view.summary)}
    shown |= {"clean"}
    tasks = {view.summary.task for view in content.models}
    known = {name: [_METHODS[name]] if "classification" in tasks else [] for name in _METHODS}
    for task, own in (("segmentation", _SEGMENTATION), ("detection", _DETECTION)):
        if task in tasks:
            known = {name: [*found, *own.get(name, [])] for name, found in known.items()}
    texts = list(dict.fromkeys(method for name, methods in known.items() if name in shown for method in methods))
    interval = Method(
        f"Intervals ({summary.level:.0%})",
        f"Images are drawn with replacement {summary.resamples:,} times and every number is computed again from each "
        "draw; the interval holds the middle part of the results. All conditions and models use the same draws, so "
        "differences and ratios get intervals of their own. Where every draw gives the same rate (all images right, "
        "say), Wilson's score interval stands in. An interval speaks of the choice of images, not of training.",
        "",
        "Efron (1979), percentile bootstrap; Wilson (1927)",
    )
    return [interval, *texts]


def _present(summary: Summary) -> set[str]:
    """Names of the methods whose numbers this summary holds."""
    found = {"corrupted": ("corrupted",), "retention": ("retention",), "mce": ("mce",)}
    found |= {"relative_mce": ("relative_mce",), "effective_robustness": ("effective_robustness",)}
    found |= {"ece": ("ece",), "ece_corrupted": ("ece",)}
    names = {name for metric, group in found.items() if metric in summary.metrics for name in group}
    names |= {"failure"} if summary.first_failure is not None else set()
    names |= {"sequences"} if summary.sequences is not None else set()
    return names | ({"classes"} if summary.classes else set())


_SEGMENTATION = {
    "clean": [
        Method(
            "Clean mIoU",
            "Intersection over union of each class from the pixels of all images together, then the mean over the "
            "classes that occur in the truth or the prediction. Pixels marked as void count nowhere.",
            "IoU(k) = Σ right pixels of k ÷ Σ (pixels predicted k + pixels that are k − right pixels of k)",
            "Everingham et al., PASCAL VOC (2010); Cordts et al., Cityscapes (2016)",
        )
    ],
    "corrupted": [
        Method(
            "mIoU under disturbance (mPC)",
            "First the mean over the severities of one corruption, then the mean over the corruptions. In cityscapes-c "
            "noise has severities 1 to 3, everything else 1 to 5. Masks stay as they are, except under "
            "elastic_transform, which moves them with the pixels (nearest neighbour); the protocol says which.",
            "mean over corruptions c of (mean over severities s of mIoU(c, s))",
            "Kamann & Rother, CVPR 2020; Michaelis et al., 2019 (mPC)",
        )
    ],
    "retention": [
        Method(
            "Kept of the clean mIoU (retention, rPC)",
            "How much of the clean mIoU is left under disturbance.",
            "retention = mIoU under disturbance ÷ clean mIoU",
            "Zhou et al., ICML 2022; Michaelis et al., 2019 (rPC)",
        )
    ],
    "classes": [
        Method(
            "Loss by class",
            "Clean IoU of a class minus its IoU under disturbance, over the same cells as the mean above.",
        )
    ],
}

_DETECTION = {
    "clean": [
        Method(
            "Clean box AP",
            "Average precision as COCO defines it: found objects are matched with true ones of their class and image, "
            "best score first; precision is read at 101 recalls; the mean is over ten overlaps from 0.50 to 0.95 and "
            "over the classes that occur. What is found on crowds counts neither way. AP50 and AP75 take one overlap, "
            "small, medium and large objects end at 32² and 96² pixels; mask AP matches pixels instead of boxes. An "
            "image's own AP, by which pictures are chosen, is that of the image alone.",
            "AP = mean over classes and overlaps of (1/101) Σ over recalls r of max precision at recall ≥ r",
            "Lin et al., Microsoft COCO (2014), and its evaluator",
        )
    ],
    "corrupted": [
        Method(
            "Box AP under disturbance (mPC)",
            "First the mean over the severities of one corruption, then the mean over the corruptions: coco-c has 16 "
            "corruptions at 5 severities. Images are corrupted at their own resolution. Boxes and masks stay as they "
            "are; what moves pixels is not measured.",
            "mPC = mean over corruptions c of (mean over severities s of AP(c, s))",
            "Michaelis et al., “Benchmarking Robustness in Object Detection”, 2019, equation 2",
        )
    ],
    "retention": [
        Method(
            "Kept of the clean box AP (retention, rPC)",
            "How much of the clean AP is left under disturbance.",
            "rPC = AP under disturbance ÷ clean AP",
            "Michaelis et al., 2019, equation 3; Zhou et al., ICML 2022",
        )
    ],
    "classes": [
        Method(
            "Loss by class",
            "Clean AP of a class minus its AP under disturbance, over the same cells as the mean above.",
        )
    ],
}

_METHODS = {
    "clean": Method(
        "Clean accuracy",
        "Share of the undisturbed images for which the largest output is the true class. A tie counts as wrong.",
        "accuracy = right images ÷ all images",
    ),
    "corrupted": Method(
        "Accuracy under disturbance",
        "First the mean over the severities of one corruption, then the mean over the corruptions, so that each "
        "corruption weighs the same. Where cells are missing the mean is over those there are, and the page says so.",
        "mean over corruptions c of (mean over severities s of accuracy(c, s))",
        "Hendrycks & Dietterich, ICLR 2019, section 4",
    ),
    "retention": Method(
        "Kept of the clean accuracy (retention)",
        "How much of what the model can do on clean images is left under disturbance. 100% means nothing was lost; "
        "a weak model can keep much of little, so read it beside the accuracy.",
        "retention = accuracy under disturbance ÷ clean accuracy",
        "Zhou et al., “Understanding the Robustness in Vision Transformers”, ICML 2022",
    ),
    "mce": Method(
        "mCE, mean corruption error",
        "The errors of a corruption, summed over its severities, relative to those of a reference model, then the "
        "mean over the fifteen main corruptions. 100 is as bad as the reference, less is better.",
        "CE(c) = Σₛ error(c, s) ÷ Σₛ reference error(c, s);  mCE = 100 × mean of CE(c)",
        "Hendrycks & Dietterich, ICLR 2019, section 4.1",
    ),
    "relative_mce": Method(
        "Relative mCE",
        "Like mCE, of the errors in excess of the clean error: it measures the fall, not the level.",
        "100 × mean over c of Σₛ (error(c, s) − clean error) ÷ Σₛ (the same of the reference)",
        "Hendrycks & Dietterich, ICLR 2019, section 4.1",
    ),
    "effective_robustness": Method(
        "Effective robustness",
        "What a model keeps under disturbance beyond what its clean accuracy lets one expect from baseline models.",
        "accuracy under disturbance − β(clean accuracy), β a line on the logit scale",
        "Taori et al., NeurIPS 2020, equation 1",
    ),
    "failure": Method(
        "Smallest failing severity",
        "For each image and corruption the first severity at which the prediction is wrong; 0 when it is wrong "
        "already on the clean image. A later success does not undo a failure.",
    ),
    "sequences": Method(
        "Flips and top-5 distance",
        "An image is shown in many slightly different versions. A flip is a step at which the prediction changes: from "
        "one frame to the next, and for noise, whose frames have no order, from the first (clean) frame. The distance "
        "adds up by how many places the five best classes move; a class that leaves the five counts as the sixth. "
        "Rates divide by those of a reference model; mFR and mT5D are their means.",
        "FP = flips ÷ (images × steps);  mFR = 100 × mean over sequences of FP ÷ FP of the reference",
        "Hendrycks & Dietterich, ICLR 2019, sections 4.2 and 4.3",
    ),
    "classes": Method(
        "Loss by class",
        "Clean accuracy of the images of one class minus their accuracy under disturbance, over the same cells as the "
        "mean above. Classes with few images have wide intervals.",
    ),
    "ece": Method(
        "Calibration error (ECE)",
        "The gap between how sure the model says it is and how often it is right, over 15 equal bins of confidence, "
        "weighted by their images. 0 is perfect.",
        "ECE = Σ over bins (images in bin ÷ images) × |accuracy − mean confidence|",
        "Guo et al., ICML 2017, equation 5",
    ),
}
