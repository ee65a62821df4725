"""Small forms of the paper's ablations: heads at a fixed width, tricks of training, tricks of ResNet. No torch.

Each is the micro recipe with one thing changed, so that what it is compared with has all else in common.
"""

from dataclasses import replace

from weatherglass.training.recipe import Augmentation, Averaging, Mixing, Network, Recipe

HEADS = (1, 2, 10, 20)
"""Beside the five heads of the micro FAN-ViT: 80, 40, 8 and 4 channels a head (16 with five)."""

_SHALLOW = Network("vit_micro_32")
_WIDTHS = [32, 64, 112, 144]


def ablation_recipes(base: Recipe) -> tuple[Recipe, ...]:
    """The variants of `base`, the micro recipe of FAN-ViT."""
    plain = replace(
        base, augmentation=Augmentation(crop="padded"), mixing=Mixing(smoothing=0.0), averaging=Averaging(0.0)
    )
    bare = replace(plain, network=_SHALLOW)
    return (
        *(_heads(base, heads) for heads in HEADS),
        *(_token_heads(base, heads) for heads in HEADS),
        replace(
            bare,
            name="vit-micro-plain",
            summary="ViT of 5 blocks with flips and crops alone: the bottom of the ladder of FAN table 2",
        ),
        replace(
            bare,
            name="vit-micro-only-policy",
            summary="The same with RandAugment",
            augmentation=replace(bare.augmentation, policy=base.augmentation.policy),
        ),
        replace(
            bare,
            name="vit-micro-only-erasing",
            summary="The same with Random Erasing instead",
            augmentation=replace(bare.augmentation, erasing=base.augmentation.erasing),
        ),
        replace(
            bare,
            name="vit-micro-only-mixing",
            summary="The same with Mixup, CutMix and label smoothing instead",
            mixing=base.mixing,
        ),
        replace(
            bare,
            name="vit-micro-only-averaging",
            summary="The same with the moving average of the weights instead",
            averaging=base.averaging,
        ),
        replace(
            plain,
            name="resnet-micro-plain",
            summary="ResNet with flips and crops alone: the bottom of FAN table 3 in small",
            network=Network("resnet_micro_32", {"widths": _WIDTHS}),
        ),
        replace(
            base,
            name="resnet-micro-strided",
            summary="ResNet with squeeze and excitation and strided 3x3 shortcuts: the top of FAN table 3 in small",
            network=Network(
                "resnet_micro_32",
                {"widths": [32, 64, 96, 120], "block_args": {"attn_layer": "se"}, "down_kernel_size": 3},
            ),
        ),
    )


def _heads(base: Recipe, heads: int) -> Recipe:
    channels = 80 // heads
    return replace(
        base,
        name=f"fan-vit-micro-heads-{heads}",
        summary=f"FAN-ViT, 5 blocks of width 80, {heads} head{'s' if heads > 1 else ''} of {channels} channels",
        network=Network("fan_vit_micro_32", {"heads": heads}),
    )


def _token_heads(base: Recipe, heads: int) -> Recipe:
    return replace(
        _heads(base, heads),
        name=f"fan-vit-micro-token-heads-{heads}",
        summary=f"FAN-ViT, 5 blocks of width 80, {heads} head{'s' if heads > 1 else ''} of tokens and 5 of channels",
        network=Network("fan_vit_micro_32", {"heads": heads, "channel_heads": 5}),
    )
