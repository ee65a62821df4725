"""Named recipes for detectors: Swin's, which FAN's detection follows, and small forms for scenes. No torch."""

from dataclasses import replace

from weatherglass.training.recipe import Augmentation, Boxed, Mixing, Network, Optimiser, Recipe, Schedule

MASK_RCNN = Recipe(
    name="mask-rcnn-fan-hybrid-s",
    summary="FAN-S-Hybrid with Mask R-CNN on COCO, 36 epochs (FAN table 10); give network.start",
    network=Network("mask-rcnn/fan_small_12_p4_hybrid", drop_path=0.3),
    image_size=800,
    batch=16,
    optimiser=Optimiser(rate=1e-4, weight_decay=0.05),
    schedule=Schedule(epochs=36, warmup=0, warmup_steps=500, warmup_rate=1e-7, shape="steps", milestones=(27, 33)),
    augmentation=Augmentation(crop="none", flip=0.5),
    mixing=Mixing(smoothing=0.0),
    crop_ratio=1.0,
)
"""Swin's recipe (Liu et al. 2021): the rate drops tenfold behind epochs 27 and 33, 500 steps warm up, images have a
shorter side of 480 to 800 pixels and are cropped first every other time. Drop path is that of FAN's detection
backbones, equal in all blocks. Normalisation statistics of the cascade's heads are each process's own, where the
authors synchronise them."""

_CASCADE = replace(
    MASK_RCNN,
    name="cascade-mask-rcnn-fan-hybrid-s",
    summary="The same with Cascade Mask R-CNN (FAN table 10)",
    network=replace(MASK_RCNN.network, name="cascade-mask-rcnn/fan_small_12_p4_hybrid"),
)


def _sized(recipe: Recipe, letter: str, model: str) -> Recipe:
    """The recipe with another size of FAN-Hybrid."""
    method = recipe.network.name.partition("/")[0]
    return replace(
        recipe,
        name=f"{method}-fan-hybrid-{letter}",
        summary=f"The same with FAN-{letter.upper()}-Hybrid",
        network=replace(recipe.network, name=f"{method}/{model}"),
    )


_SQUARE = replace(
    MASK_RCNN,
    name="faster-rcnn-fan-vit-s",
    summary="FAN-S-ViT with Faster R-CNN on COCO, 24 epochs, squares of 640 to 896 pixels; give network.start",
    network=Network(
        "faster-rcnn/fan_small_12_p16_224", {"short_side": 896, "long_side": 896, "divisor": 896}, drop_path=0.2
    ),
    image_size=896,
    schedule=replace(MASK_RCNN.schedule, epochs=24, milestones=(16, 22)),
    boxed=Boxed(short_sides=tuple(range(640, 897, 32)), long_side=0, crop_chance=0.0),
)
"""The paper states sides and epochs alone: images keep their aspect, fit into the square and are padded to 896. The
rate drops where a schedule of 24 epochs usually has it."""

MICRO = Recipe(
    name="mask-rcnn-fan-hybrid-micro",
    summary="FAN-Hybrid micro with Mask R-CNN on scenes of 96 pixels",
    network=Network(
        "mask-rcnn/fan_hybrid_micro_64",
        {
            "short_side": 0,
            "pyramid_width": 64,
            "head_width": 128,
            "anchor_scale": 4.0,
            "anchor_samples": 64,
            "candidates": [256, 128],
            "proposals": [128, 64],
            "region_samples": 32,
            "canonical_size": 56,
            "detections": 20,
        },
    ),
    image_size=96,
    batch=8,
    optimiser=Optimiser(rate=1e-3, weight_decay=0.05, clip=1.0),
    schedule=Schedule(epochs=12, warmup=1, warmup_rate=1e-5, minimum_rate=1e-5),
    augmentation=Augmentation(crop="none", flip=0.5),
    boxed=Boxed(short_sides=(80, 96, 112), long_side=0, crop_chance=0.0),
    mixing=Mixing(smoothing=0.0),
    crop_ratio=1.0,
    precision="bfloat16",
    channels_last=True,
)
"""The same in small, from scratch in minutes of a processor: smaller anchors and regions for objects of 17 to 50
pixels, a pyramid of width 64, fewer proposals, a higher rate and a cosine."""


def _micro(name: str, summary: str, method: str, backbone: str, **more: object) -> Recipe:
    arguments = {**MICRO.network.arguments, **more}
    return replace(MICRO, name=name, summary=summary, network=Network(f"{method}/{backbone}", arguments))


DETECTORS = (
    _sized(MASK_RCNN, "t", "fan_tiny_8_p4_hybrid"),
    MASK_RCNN,
    _sized(_CASCADE, "t", "fan_tiny_8_p4_hybrid"),
    _CASCADE,
    _sized(_CASCADE, "b", "fan_base_16_p4_hybrid"),
    _sized(_CASCADE, "l", "fan_large_16_p4_hybrid"),
    _SQUARE,
    MICRO,
    _micro(
        "mask-rcnn-convnext-micro",
        "The same with the plain ConvNeXt micro, 1-2-3-2 blocks: the parameters of FAN-Hybrid micro",
        "mask-rcnn",
        "convnext_micro_64",
        depths=[1, 2, 3, 2],
    ),
    _micro(
        "cascade-mask-rcnn-fan-hybrid-micro",
        "FAN-Hybrid micro with Cascade Mask R-CNN",
        "cascade-mask-rcnn",
        "fan_hybrid_micro_64",
    ),
    _micro("faster-rcnn-fan-vit-micro", "FAN-ViT micro with Faster R-CNN", "faster-rcnn", "fan_vit_micro_64"),
)
"""In the order of `weatherglass list recipes`."""
