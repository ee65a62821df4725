"""Architectures on which the structure finder is tried: with random weights, small where they can be made small."""

from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True)
class Architecture:
    """A model of timm, or one of ours, which register there."""

    name: str
    size: int
    blocks: int
    """Removable blocks that it has; 0: the model is refused."""
    branches: int
    """Branches of a block."""
    options: dict[str, Any] = field(default_factory=dict)
    refused: str = ""
    """Why it cannot be read."""
    slow: bool = False
    """Too large for every run."""


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
    Architecture(
        "coat_lite_tiny",
        64,
        0,
        0,
        {"img_size": 64},
        refused="the positional encoding and its shortcut stand outside any child that could be silenced",
    ),
    Architecture("crossvit_tiny_240", 240, 15, 2),
    Architecture("levit_128s", 224, 9, 2),
    Architecture(
        "davit_tiny", 64, 0, 0, refused="only its positional encodings can be read, under 3 % of the parameters"
    ),
    Architecture("focalnet_tiny_srf", 64, 12, 2),
    Architecture("densenet121", 64, 0, 0, refused="no residual sums: layers are concatenated"),
    Architecture("selecsls42", 64, 0, 0, refused="no residual sums: layers are concatenated"),
    Architecture("fan_vit_micro_32", 32, 5, 2),
    Architecture("fan_vit_micro_32_sa", 32, 5, 2),
    Architecture("fan_vit_micro_32_eca_paper", 32, 5, 2),
    Architecture("fan_hybrid_micro_32", 32, 5, 2),
    Architecture("fan_swin_micro_32", 32, 6, 2),
    Architecture("fan_convnext_micro_32", 32, 5, 1),
    Architecture("resnet50_star", 64, 12, 1, slow=True),
    Architecture("pvt_v2_b2_li", 64, 16, 2, slow=True),
    Architecture("mobilevit_xxs", 64, 12, 2),
    Architecture("mambaout_femto", 64, 18, 1),
    Architecture("inception_next_atto", 64, 12, 1),
    Architecture("starnet_s1", 64, 15, 1),
    Architecture("hrnet_w18_small", 64, 18, 1),
    Architecture("fan_small_12_p16_224", 224, 12, 2, slow=True),
    Architecture("fan_small_12_p4_hybrid", 224, 16, 2, slow=True),
    Architecture("fan_swin_tiny_patch4_window7_224", 224, 12, 2, slow=True),
    Architecture("fan_convnext_tiny", 224, 18, 1, slow=True),
    Architecture("fan_small_12_p16_224_se_attn", 224, 12, 2, slow=True),
    Architecture("rvt_small_star", 224, 12, 2, slow=True),
    Architecture("mobilevitv2_050", 64, 10, 2, slow=True),
    Architecture("efficientformer_l1", 224, 15, 2, slow=True),
    Architecture("efficientformerv2_s0", 224, 14, 2, slow=True),
    Architecture("gcvit_xxtiny", 224, 23, 2, slow=True),
    Architecture("nest_tiny", 224, 12, 2, slow=True),
    Architecture("tnt_s_patch16_224", 224, 12, 2, slow=True),
    Architecture("edgenext_xx_small", 64, 12, 1, slow=True),
    Architecture("hiera_tiny_224", 224, 9, 2, slow=True),
    Architecture("mvitv2_tiny", 224, 7, 2, slow=True),
    Architecture("mobilenetv3_small_100", 64, 6, 1, slow=True),
    Architecture("coatnet_pico_rw_224", 224, 8, 2, slow=True),
    Architecture("visformer_tiny", 224, 15, 2, slow=True),
    Architecture("convit_tiny", 224, 12, 2, slow=True),
    Architecture("pit_ti_224", 224, 12, 2, slow=True),
    Architecture("sequencer2d_s", 224, 18, 2, slow=True),
    Architecture("swin_s3_tiny_224", 224, 12, 2, slow=True),
    Architecture("volo_d1_224", 224, 20, 2, slow=True),
    Architecture("dm_nfnet_f0", 64, 8, 1, slow=True),
    Architecture("res2net50_26w_4s", 64, 12, 1, slow=True),
    Architecture("dla34", 64, 8, 1, slow=True),
    Architecture("ghostnet_050", 64, 11, 1, slow=True),
    Architecture("gmlp_ti16_224", 224, 30, 1, slow=True),
    Architecture("mixnet_s", 64, 11, 1, slow=True),
    Architecture("cspdarknet53", 64, 23, 1, slow=True),
    Architecture("xception41", 64, 8, 1, slow=True),
    Architecture("twins_svt_small", 64, 22, 2, slow=True),
    Architecture("nextvit_small", 64, 11, 2, slow=True),
    Architecture("shvit_s1", 64, 39, 1, slow=True),
    Architecture("caformer_s18", 64, 6, 2, slow=True),
    Architecture("convformer_s18", 64, 6, 2, slow=True),
    Architecture("hgnetv2_b0", 64, 1, 1, slow=True),
    Architecture("tresnet_m", 64, 12, 1, slow=True),
    Architecture("swiftformer_xs", 64, 16, 1, slow=True),
    Architecture("vitamin_small_224", 224, 18, 2, slow=True),
    Architecture("naflexvit_base_patch16_gap", 224, 12, 2, slow=True),
    Architecture("resnest26d", 64, 4, 1, slow=True),
    Architecture(
        "tiny_vit_5m_224", 224, 0, 0, refused="a convolution without a shortcut stands inside every block", slow=True
    ),
    Architecture(
        "repvgg_a0",
        64,
        0,
        0,
        refused="its sums are of parallel convolutions; only a batch normalisation is beside them",
        slow=True,
    ),
    Architecture("vgg11", 64, 0, 0, refused="no residual sums", slow=True),
    Architecture("inception_v3", 299, 0, 0, refused="no residual sums: branches are concatenated", slow=True),
    Architecture("rdnet_tiny", 64, 0, 0, refused="no residual sums: layers are concatenated", slow=True),
    Architecture("repvit_m0_9", 64, 0, 0, refused="a normalisation stands on the shortcut", slow=True),
    Architecture(
        "fastvit_t8",
        64,
        0,
        0,
        refused="a normalisation stands on the shortcut; what can be read is 1 % of the parameters",
        slow=True,
    ),
)
