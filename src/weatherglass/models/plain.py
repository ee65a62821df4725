"""timm's networks at the sizes of our smallest FANs: what a comparison of equal depth and width needs."""

from typing import Any

from torch import nn

from weatherglass.models.configuration import PlainConfig, StrongResNetConfig


def plain_class_and_arguments(config: PlainConfig) -> tuple[type[nn.Module], dict[str, Any]]:
    """timm's class of the family and the arguments that give it this size."""
    from timm.models.resnet import BasicBlock, ResNet
    from timm.models.swin_transformer import SwinTransformer
    from timm.models.vision_transformer import VisionTransformer

    match config.family:
        case "vit":
            return VisionTransformer, {
                "patch_size": config.patch,
                "depth": config.depths[0],
                "embed_dim": config.widths[0],
                "num_heads": config.heads[0],
                "dynamic_img_size": True,
            }
        case "swin":
            return SwinTransformer, {
                "patch_size": config.patch,
                "depths": config.depths,
                "embed_dim": config.widths[0],
                "num_heads": config.heads,
                "window_size": config.window,
                "dynamic_img_size": True,
            }
        case "resnet":
            return ResNet, {"block": BasicBlock, "layers": config.depths, "channels": config.widths}


def strong_resnet_class_and_arguments(config: StrongResNetConfig) -> tuple[type[nn.Module], dict[str, Any]]:
    """ResNet-50*: SE (ratio 1/16) behind every block, and 3x3 strided convolutions where shortcuts shrink.

    The paper names both and gives no more; its ablation's step "average pooling to strided convolution" is read as
    the shortcut's.
    """
    from timm.models.resnet import Bottleneck, ResNet

    return ResNet, {
        "block": Bottleneck,
        "layers": config.depths,
        "down_kernel_size": config.shortcut_kernel,
        "block_args": {"attn_layer": "se"},
    }
