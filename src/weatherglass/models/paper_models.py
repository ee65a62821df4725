"""The models in the tables of both papers, by the name that builds them here. No torch."""

from weatherglass.catalog import Catalog

PAPER_MODELS: Catalog[str] = Catalog(
    "model of the papers",
    {
        # FAN (arXiv 2204.12451), tables 1 to 8, 11 and 12
        "FAN-T-ViT": "fan_tiny_12_p16_224",
        "FAN-S-ViT": "fan_small_12_p16_224",
        "FAN-B-ViT": "fan_base_18_p16_224",
        "FAN-L-ViT": "fan_large_24_p16_224",
        "FAN-T-Hybrid": "fan_tiny_8_p4_hybrid",
        "FAN-S-Hybrid": "fan_small_12_p4_hybrid",
        "FAN-B-Hybrid": "fan_base_16_p4_hybrid",
        "FAN-L-Hybrid": "fan_large_16_p4_hybrid",
        "FAN-ViT-S-SA": "fan_vit_small_sa",
        "FAN-ViT-S-SE": "fan_small_12_p16_224_se_attn",
        "FAN-ViT-S-ECA": "fan_small_12_p16_224",
        "Swin-T + FAN": "fan_swin_tiny_patch4_window7_224",
        "ConvNeXt-T + FAN": "fan_convnext_tiny",
        "ViT-S*": "timm/deit_small_patch16_224",  # the strengthened recipe on DeiT-S's shape
        "ViT-B*": "timm/deit_base_patch16_224",
        "ViT-S": "timm/vit_small_patch16_224",  # table 2 begins with an older, 8-block form that timm has dropped
        "ViT-B": "timm/vit_base_patch16_224",
        "DeiT-S": "timm/deit_small_patch16_224",
        "DeiT-B": "timm/deit_base_patch16_224",
        "ResNet-18": "timm/resnet18",
        "ResNet-50": "timm/resnet50",
        "ResNet-50 + SE": "timm/seresnet50",
        "ResNet-50*": "resnet50_star",
        "ResNet-101": "timm/resnet101",
        "MobileNetV2": "timm/mobilenetv2_100",
        "EfficientNet-B0": "timm/efficientnet_b0",
        "PVT-V2-B0": "timm/pvt_v2_b0",
        "PVT-V2-B1": "timm/pvt_v2_b1",
        "Swin-T": "timm/swin_tiny_patch4_window7_224",
        "Swin-S": "timm/swin_small_patch4_window7_224",
        "Swin-B": "timm/swin_base_patch4_window7_224",
        "ConvNeXt-T": "timm/convnext_tiny",
        "ConvNeXt-S": "timm/convnext_small",
        "ConvNeXt-B": "timm/convnext_base",
        "XCiT-S12": "timm/xcit_small_12_p16_224",
        "XCiT-S24": "timm/xcit_small_24_p16_224",
        "RVT-S": "rvt_small_star",
        "RVT-B": "rvt_base_star",
        "MAE-ViT-B": "timm/vit_base_patch16_224",  # the shape; weights: the tag 'mae'
        "MAE-ViT-L": "timm/vit_large_patch16_224",
        # Bhojanapalli et al. (arXiv 2103.14586)
        "ViT-B/32": "timm/vit_base_patch32_224",
        "ViT-B/16": "timm/vit_base_patch16_224",
        "ViT-L/32": "timm/vit_large_patch32_224",
        "ViT-L/16": "timm/vit_large_patch16_224",
        "ViT-H/14": "timm/vit_huge_patch14_224",
        "R50x1": "timm/resnetv2_50x1_bit",
        "R101x1": "timm/resnetv2_101x1_bit",
        "R50x3": "timm/resnetv2_50x3_bit",
        "R101x3": "timm/resnetv2_101x3_bit",
        "R152x4": "timm/resnetv2_152x4_bit",
    },
)
"""Classifiers and backbones. The segmentation and detection rows stand on these backbones; the CNN segmenters that
table 9 only quotes (DeepLabv3+, ICNet, FCN8s, DilatedNet, ResNet-38, PSPNet) are not classifiers and not here."""
