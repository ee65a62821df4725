"""Named recipes for segmenters: SegFormer's, which FAN's segmentation follows, and small forms. No torch."""

from dataclasses import replace

from weatherglass.training.recipe import Augmentation, Masked, Mixing, Network, Optimiser, Recipe, Schedule

SEGFORMER = Recipe(
    name="segformer-fan-hybrid-s",
    summary="FAN-S-Hybrid with a SegFormer head on Cityscapes, 431 epochs (FAN table 9); give network.start",
    network=Network("segformer/fan_small_12_p4_hybrid"),
    image_size=1024,
    batch=8,
    optimiser=Optimiser(rate=6e-5, weight_decay=0.01, head_factor=10.0),
    schedule=Schedule(epochs=431, warmup=0, warmup_steps=1500, warmup_rate=6e-11, minimum_rate=0.0, shape="linear"),
    augmentation=Augmentation(crop="none", flip=0.5),
    masked=Masked(size=(1024, 2048), scale=(0.5, 2.0), largest_share=0.75),
    mixing=Mixing(smoothing=0.0),
    crop_ratio=1.0,
)
"""SegFormer's recipe, which FAN's segmentation follows: its 160,000 steps are 431 epochs of 371 but for 99.
Normalisation statistics are each process's own, where the authors synchronise them."""

_SEGMENT_MICRO = replace(
    SEGFORMER,
    name="segformer-fan-hybrid-micro",
    summary="FAN-Hybrid micro with a SegFormer head, 96-pixel crops of images of 120x160",
    network=Network("segformer/fan_hybrid_micro_64"),
    image_size=96,
    batch=16,
    optimiser=Optimiser(rate=1e-3, weight_decay=0.05, clip=1.0),
    schedule=Schedule(epochs=24, warmup=1, warmup_rate=1e-5, minimum_rate=1e-5),
    masked=Masked(size=(120, 160), scale=(0.75, 1.5), largest_share=0.75),
)
"""The same in small, from scratch in minutes of a processor: a higher rate for all parts, a cosine, milder scales."""

SEGMENTERS = (
    SEGFORMER,
    replace(
        SEGFORMER,
        name="setr-pup-fan-vit-s",
        summary="FAN-S-ViT with SETR-PUP's head, the same recipe (FAN table 9's SETR decoder)",
        network=Network("setr-pup/fan_small_12_p16_224"),
    ),
    _SEGMENT_MICRO,
    replace(
        _SEGMENT_MICRO,
        name="segformer-convnext-micro",
        summary="The same with the plain ConvNeXt micro, 1-2-3-2 blocks: the parameters of FAN-Hybrid micro",
        network=Network("segformer/convnext_micro_64", {"depths": [1, 2, 3, 2]}),
    ),
    replace(
        _SEGMENT_MICRO,
        name="segformer-vit-micro",
        summary="The same with the plain ViT micro, 8 blocks",
        network=Network("segformer/vit_micro_64", {"depths": [8]}),
    ),
)
"""In the order of `weatherglass list recipes`."""
