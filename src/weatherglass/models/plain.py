"""timm's networks at the sizes of our smallest FANs: what a comparison of equal depth and width needs."""

from typing import Any

from torch import nn

from weatherglass.models.configuration import PlainConfig


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
