"""The recipes of the networks of the demo: one plain recipe for four architectures, a minute of a processor each.

Nothing in it resembles a corruption: images are moved by up to three pixels, and that is all. No torch.
"""

from dataclasses import replace

from weatherglass.training.recipe import Augmentation, Averaging, Mixing, Network, Optimiser, Recipe, Schedule

DIGITS = Recipe(
    name="digits-vit",
    summary="ViT, 4 blocks of width 64, 16 patches; for --data digits",
    network=Network("vit_micro_64", {"depths": [4], "widths": [64], "heads": [4]}),
    image_size=32,
    batch=50,
    optimiser=Optimiser(rate=2e-3, weight_decay=0.05, clip=1.0),
    schedule=Schedule(epochs=50, warmup=3, warmup_rate=1e-5, minimum_rate=1e-5),
    augmentation=Augmentation(crop="padded", padding=3, flip=0.0),
    mixing=Mixing(smoothing=0.1),
    averaging=Averaging(0.99),
    crop_ratio=1.0,
    mean=(0.5, 0.5, 0.5),
    std=(0.5, 0.5, 0.5),
)
"""1,200 steps; the networks are named after the size whose patches are 8 pixels a side, and see 32 pixels."""

_ATTENTIONAL = {"width": 64, "heads": 4, "class_depth": 1, "mlp_ratio": 2.0}

DIGITS_RECIPES = (
    replace(
        DIGITS,
        name="digits-cnn",
        summary="The same for a ResNet of four basic blocks",
        network=Network("resnet_micro_32", {"widths": [16, 32, 64, 88]}),
    ),
    DIGITS,
    replace(
        DIGITS,
        name="digits-fan",
        summary="The same for a FAN-ViT of equal depth and width",
        network=Network("fan_vit_micro_64", {"depth": 4, **_ATTENTIONAL}),
    ),
    replace(
        DIGITS,
        name="digits-fan-hybrid",
        summary="The same for a FAN-Hybrid, ConvNeXt stem and 3 blocks",
        network=Network("fan_hybrid_micro_64", {"depth": 3, **_ATTENTIONAL}),
    ),
)
