"""Architectures on which the structure finder is tried: small, with random weights."""

from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True)
class Architecture:
    """A timm model, made small."""

    name: str
    size: int
    blocks: int
    """Removable blocks that it has; 0: the model is refused."""
    branches: int
    """Branches of a block."""
    options: dict[str, Any] = field(default_factory=dict)


_VIT = {"depth": 2, "embed_dim": 48, "num_heads": 3, "img_size": 64}
_SWIN = {"depths": (2, 2), "embed_dim": 24, "num_heads": (2, 4), "img_size": 64, "window_size": 4}

ARCHITECTURES = (
    Architecture("vit_small_patch16_224", 64, 2, 2, _VIT),
    Architecture("vit_base_patch16_clip_224", 64, 2, 2, _VIT),
    Architecture("vit_small_patch14_reg4_dinov2", 56, 2, 2, _VIT | {"img_size": 56}),
    Architecture("vit_base_patch16_siglip_224", 64, 2, 2, _VIT),
    Architecture("deit_tiny_distilled_patch16_224", 64, 2, 2, _VIT),
    Architecture("deit3_small_patch16_224", 64, 2, 2, _VIT),
    Architecture("beit_base_patch16_224", 64, 2, 2, _VIT),
    Architecture("eva02_tiny_patch14_224", 56, 2, 2, _VIT | {"img_size": 56}),
    Architecture("cait_xxs24_224", 64, 4, 2, {"depth": 2, "img_size": 64}),
    Architecture("xcit_nano_12_p16_224", 64, 2, 3, {"depth": 2, "img_size": 64}),
    Architecture("swin_tiny_patch4_window7_224", 64, 4, 2, _SWIN),
    Architecture("swinv2_tiny_window8_256", 64, 4, 2, _SWIN),
    Architecture("pvt_v2_b0", 64, 8, 2),
    Architecture("twins_pcpvt_small", 64, 20, 2, {"img_size": 64}),
    Architecture("convnext_atto", 64, 12, 1),
    Architecture("convnextv2_atto", 64, 12, 1),
    Architecture("resnet18", 64, 5, 1),
    Architecture("resnet50", 64, 12, 1),
    Architecture("resnext50_32x4d", 64, 12, 1),
    Architecture("seresnet18", 64, 5, 1),
    Architecture("resnet26d", 64, 4, 1),
    Architecture("mobilenetv2_050", 64, 10, 1),
    Architecture("efficientnet_b0", 64, 9, 1),
    Architecture("regnety_002", 64, 9, 1),
    Architecture("mixer_s32_224", 64, 8, 2, {"img_size": 64}),
    Architecture("resmlp_12_224", 64, 12, 2, {"img_size": 64}),
    Architecture("poolformer_s12", 64, 12, 2),
    Architecture("convmixer_768_32", 64, 32, 1),
    Architecture("maxvit_pico_rw_256", 64, 29, 2, {"img_size": 64}),
    Architecture("coat_lite_tiny", 64, 0, 0, {"img_size": 64}),
    Architecture("crossvit_tiny_240", 240, 15, 2),
    Architecture("levit_128s", 224, 9, 2),
    Architecture("davit_tiny", 64, 0, 0),
    Architecture("focalnet_tiny_srf", 64, 12, 2),
    Architecture("densenet121", 64, 0, 0),
    Architecture("selecsls42", 64, 0, 0),
)
