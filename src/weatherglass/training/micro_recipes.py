"""The recipe in small, for 32-pixel images: FAN's families and their rivals, at equal parameters. No torch."""

from dataclasses import replace

from weatherglass.training.recipe import (
    Augmentation,
    Averaging,
    Distillation,
    Mixing,
    Network,
    Optimiser,
    Recipe,
    Schedule,
)

MICRO = Recipe(
    name="fan-vit-micro",
    summary="FAN-ViT, 5 blocks of width 80",
    network=Network("fan_vit_micro_32"),
    image_size=32,
    batch=128,
    optimiser=Optimiser(rate=2e-3, weight_decay=0.05, clip=1.0),
    schedule=Schedule(epochs=8, warmup=1, warmup_rate=1e-5, minimum_rate=1e-5),
    augmentation=Augmentation(crop="padded", policy="rand-m5-mstd0.5-inc1", erasing=0.1),
    mixing=Mixing(mixup=0.8, cutmix=1.0, probability=0.5, switch=0.5, smoothing=0.1),
    averaging=Averaging(0.998),
    crop_ratio=1.0,
    precision="bfloat16",
    channels_last=True,
)
"""The recipe in small, for 32-pixel images and minutes of a processor: eight epochs. Every part of the large one is
there, milder (RandAugment 5 of 10, half of the batches mixed), since so short a training underfits; and gradients are
clipped, since the peak rate is high for such a batch."""

_GATES = {"sa": "the softmax over channel pairs", "se": "squeeze and excitation", "constant": "a gate fixed at 0.5"}

MICROS = (
    MICRO,
    *(
        replace(
            MICRO,
            name=f"fan-vit-micro-{kind}",
            summary=f"The same with {text} in place of the channel attention",
            network=Network("fan_vit_micro_32", {"channel_processing": kind}),
        )
        for kind, text in _GATES.items()
    ),
    *(
        replace(MICRO, name=name, summary=summary, network=network)
        for name, summary, network in (
            ("vit-micro", "ViT, 5 blocks of width 80: depth and width of FAN-ViT", Network("vit_micro_32")),
            (
                "vit-micro-deep",
                "ViT, 8 blocks of width 80: the parameters of FAN-ViT",
                Network("vit_micro_32", {"depths": [8]}),
            ),
            ("fan-hybrid-micro", "FAN-Hybrid, ConvNeXt stem and 3 blocks of width 96", Network("fan_hybrid_micro_32")),
            ("swin-micro", "Swin, 2-4-2 blocks", Network("swin_micro_32", {"depths": [2, 4, 2]})),
            ("fan-swin-micro", "FAN-Swin, 2-3-2 blocks", Network("fan_swin_micro_32", {"depths": [2, 3, 2]})),
            ("convnext-micro", "ConvNeXt, 1-1-3-2 blocks", Network("convnext_micro_32", {"depths": [1, 1, 3, 2]})),
            (
                "fan-convnext-micro",
                "ConvNeXt with channel attention, 1-2-2-2 blocks",
                Network("fan_convnext_micro_32", {"depths": [1, 2, 2, 2]}),
            ),
            (
                "resnet-micro",
                "ResNet, four basic blocks",
                Network("resnet_micro_32", {"widths": [32, 64, 112, 144]}),
            ),
            (
                "resnet-micro-se",
                "ResNet with squeeze and excitation",
                Network("resnet_micro_32", {"widths": [32, 64, 112, 144], "block_args": {"attn_layer": "se"}}),
            ),
        )
    ),
    replace(
        MICRO,
        name="vit-micro-distilled",
        summary="ViT of 8 blocks, taught by cifar10_resnet as well (row '+ KD' of FAN table 2 in small)",
        network=Network("vit_micro_32", {"depths": [8]}),
        distillation=Distillation("hard", teacher="cifar10_resnet"),
    ),
)
