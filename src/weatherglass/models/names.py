"""The models of this package by name: what they are made of, what they are called, how large they are. No torch."""

from dataclasses import dataclass, replace

from weatherglass.catalog import Catalog
from weatherglass.errors import UnknownName
from weatherglass.models.configuration import (
    ConvNeXtConfig,
    ConvNeXtStem,
    ConvolutionStem,
    FanConfig,
    PlainConfig,
    RvtConfig,
    StrongResNetConfig,
    SwinConfig,
)

Config = FanConfig | SwinConfig | ConvNeXtConfig | PlainConfig | RvtConfig | StrongResNetConfig


@dataclass(frozen=True)
class ModelName:
    """One row of the table."""

    name: str
    """As in `weatherglass list models` and `timm.create_model`."""
    config: Config
    summary: str
    """One line for people."""
    parameters: int
    """Learned numbers, with the default number of classes."""
    aliases: tuple[str, ...] = ()
    classes: int = 1000
    image_size: int = 224
    crop: float = 1.0
    """Side of the centre crop over the side of the resized image, as evaluated by the authors."""


_HYBRID = ConvNeXtStem()
_SWIN_SUFFIX = "patch4_window7_224"


def _vit(name: str, size: str, config: FanConfig, parameters: int) -> ModelName:
    text = f"FAN-{size[0].upper()}-ViT: {config.depth} blocks, width {config.width}, {config.heads} heads"
    return ModelName(name, config, text, parameters, (f"fan_vit_{size}",))


def _hybrid(name: str, size: str, config: FanConfig, parameters: int) -> ModelName:
    letter = "XL" if size == "xlarge" else size[0].upper()
    depth = config.depth + (config.last_stage[0] if config.last_stage else 0)
    text = f"FAN-{letter}-Hybrid: ConvNeXt stem, {depth} blocks, width {config.width}, {config.heads} heads"
    aliases = (f"fan_hybrid_{size}", *((name.lower(),) if name != name.lower() else ()))
    return ModelName(name, config, text, parameters, aliases)


def _swin(size: str, config: SwinConfig, parameters: int) -> ModelName:
    text = f"FAN-Swin-{size[0].upper()}: depths {' '.join(map(str, config.depths))}, width {config.width}"
    name = f"fan_swin_{size}_{_SWIN_SUFFIX}"
    return ModelName(name, config, text, parameters, (f"fan_swin_{size}",), crop=0.9)


_SMALL = FanConfig(depth=12, width=384, heads=8)

_PUBLISHED = [
    _vit("fan_tiny_12_p16_224", "tiny", FanConfig(depth=12, width=192, heads=4), 7_319_920),
    _vit("fan_small_12_p16_224", "small", _SMALL, 28_345_336),
    ModelName(
        "fan_small_12_p16_224_se_attn",
        replace(_SMALL, channel_processing="se"),
        "FAN-S-ViT with squeeze and excitation in place of channel attention",
        27_452_440,
        ("fan_vit_small_se",),
    ),
    _vit("fan_base_18_p16_224", "base", FanConfig(depth=18, width=448, heads=8), 54_350_320),
    _vit("fan_large_24_p16_224", "large", FanConfig(depth=24, width=480, heads=10), 80_574_100),
    # The published names of the hybrids do not tell their depth: small_12 has 10 blocks, large_16 has 22.
    _hybrid("fan_tiny_8_p4_hybrid", "tiny", FanConfig(8, 192, 8, _HYBRID), 7_467_240),
    _hybrid("fan_small_12_p4_hybrid", "small", FanConfig(10, 384, 8, _HYBRID), 26_117_944),
    _hybrid("fan_base_16_p4_hybrid", "base", FanConfig(16, 448, 8, _HYBRID), 50_475_048),
    _hybrid(
        "fan_large_16_p4_hybrid",
        "large",
        FanConfig(22, 480, 10, replace(_HYBRID, depths=(3, 5)), head_init_scale=0.001),
        76_855_140,
    ),
    _hybrid(
        "fan_Xlarge_16_p4_hybrid",
        "xlarge",
        FanConfig(20, 528, 11, replace(_HYBRID, depths=(3, 7)), last_stage=(3, 768, 16)),
        120_407_316,
    ),
    _swin("tiny", SwinConfig(96, (2, 2, 6, 2), (3, 6, 12, 24)), 29_538_940),
    _swin("small", SwinConfig(96, (2, 2, 18, 2), (3, 6, 12, 24)), 53_064_220),
    _swin("base", SwinConfig(128, (2, 2, 18, 2), (4, 8, 16, 32)), 93_599_448),
    _swin("large", SwinConfig(192, (2, 2, 18, 2), (6, 12, 24, 48)), 208_941_136),
]
"""The fourteen models of the FAN release."""

_PARAMETERS: dict[str, int] = {
    "fan_convnext_tiny": 31_844_023,
    "fan_convnext_small": 56_153_743,
    "fan_convnext_base": 99_115_548,
    "fan_vit_small_sa": 30_110_104,
    "fan_vit_small_eca_paper": 28_331_416,
    "fan_vit_small_constant_gate": 26_571_256,
    "fan_vit_small_plain_mlp": 26_561_944,
    "fan_vit_micro_32": 652_395,
    "fan_hybrid_micro_32": 684_246,
    "fan_swin_micro_32": 594_846,
    "fan_convnext_micro_32": 469_431,
    "vit_micro_32": 399_370,
    "swin_micro_32": 566_360,
    "convnext_micro_32": 428_234,
    "resnet_micro_32": 514_506,
    "fan_vit_micro_32_sa": 683_970,
    "fan_vit_micro_32_eca_paper": 651_170,
    "fan_vit_micro_32_constant_gate": 619_995,
    "fan_vit_micro_32_plain_mlp": 619_170,
    "fan_vit_micro_64": 659_095,
    "fan_hybrid_micro_64": 685_398,
    "fan_swin_micro_64": 595_998,
    "fan_convnext_micro_64": 470_583,
    "vit_micro_64": 410_890,
    "swin_micro_64": 567_512,
    "convnext_micro_64": 429_386,
    "resnet_micro_64": 514_506,
}
"""Sizes of the models that are not the release's."""

_PROCESSING = {
    "sa": ("sa", "the paper's equation 6 (softmax over channel pairs)"),
    "eca_paper": ("eca_paper", "the paper's equation 7 as printed"),
    "constant_gate": ("constant", "a gate fixed at 0.5 (control)"),
    "plain_mlp": ("mlp", "no channel attention (control)"),
}


def _processing(base: str, config: FanConfig, size: int, classes: int) -> list[ModelName]:
    return [
        ModelName(
            name := f"{base}_{suffix}",
            replace(config, channel_processing=kind),
            f"{base} with {text}",
            _PARAMETERS[name],
            classes=classes,
            image_size=size,
        )
        for suffix, (kind, text) in _PROCESSING.items()
    ]


_VIT_MICRO = FanConfig(depth=5, width=80, heads=5, stem=ConvolutionStem(stride=4))
_HYBRID_MICRO = FanConfig(3, 96, 4, ConvNeXtStem(widths=(32, 64), depths=(1, 1), patch=2, projection=1))
_SWIN_MICRO = SwinConfig(width=32, depths=(2, 2, 2), heads=(1, 2, 4), patch=2, window=4)
_CONVNEXT_MICRO = ConvNeXtConfig(depths=(1, 1, 2, 1), widths=(32, 64, 96, 128), patch=2)


def _micro(size: int) -> list[ModelName]:
    """Networks under 3 MiB for images of `size` pixels: 64 tokens, 256 in the first stage of Swin and ConvNeXt."""
    stretch = size // 32
    vit = replace(_VIT_MICRO, stem=ConvolutionStem(stride=4 * stretch))
    hybrid = replace(_HYBRID_MICRO, stem=replace(_HYBRID_MICRO.stem, patch=2 * stretch))
    convnext = replace(_CONVNEXT_MICRO, patch=2 * stretch)
    rows: dict[str, tuple[Config, str]] = {
        "fan_vit_micro": (vit, "FAN-ViT: 5 blocks, width 80"),
        "fan_hybrid_micro": (hybrid, "FAN-Hybrid: ConvNeXt stem, 3 blocks, width 96"),
        "fan_swin_micro": (replace(_SWIN_MICRO, patch=2 * stretch), "FAN-Swin: 3 stages of 2 blocks, width 32 to 128"),
        "fan_convnext_micro": (convnext, "ConvNeXt with channel attention: 5 blocks, width 32 to 128"),
        "vit_micro": (PlainConfig("vit", (5,), (80,), (5,), 4 * stretch), "plain ViT: 5 blocks, width 80"),
        "swin_micro": (
            PlainConfig("swin", (2, 2, 2), (32,), (1, 2, 4), 2 * stretch),
            "plain Swin: 3 stages of 2 blocks, width 32 to 128",
        ),
        "convnext_micro": (
            replace(convnext, channel_processing="mlp"),
            "plain ConvNeXt: 5 blocks, width 32 to 128",
        ),
        "resnet_micro": (
            PlainConfig("resnet", (1, 1, 1, 1), (32, 64, 96, 128)),
            "ResNet: 4 basic blocks, width 32 to 128",
        ),
    }
    return [
        ModelName(
            name := f"{stem}_{size}",
            config,
            f"{text}, for {size} px",
            _PARAMETERS[name],
            classes=10,
            image_size=size,
        )
        for stem, (config, text) in rows.items()
    ]


_CONVNEXTS = [
    ModelName(
        f"fan_convnext_{size}",
        ConvNeXtConfig(depths=depths, widths=widths),
        f"ConvNeXt-{size[0].upper()} with channel attention (our construction): depths {' '.join(map(str, depths))}",
        _PARAMETERS[f"fan_convnext_{size}"],
    )
    for size, depths, widths in (
        ("tiny", (3, 3, 9, 3), (96, 192, 384, 768)),
        ("small", (3, 3, 27, 3), (96, 192, 384, 768)),
        ("base", (3, 3, 27, 3), (128, 256, 512, 1024)),
    )
]

_BASELINES = [
    ModelName("rvt_small_star", RvtConfig(12, 384, 6), "RVT-S* (baseline): 12 blocks, width 384", 23_198_296),
    ModelName("rvt_base_star", RvtConfig(12, 768, 12), "RVT-B* (baseline): 12 blocks, width 768", 90_143_752),
    ModelName(
        "resnet50_star",
        StrongResNetConfig(),
        "ResNet-50* (baseline): SE, strided 3x3 shortcuts",
        50_108_120,
    ),
]

MODELS = Catalog(
    "model",
    {
        model.name: model
        for model in (
            *_PUBLISHED,
            *_CONVNEXTS,
            *_BASELINES,
            *_processing("fan_vit_small", _SMALL, 224, 1000),
            *_micro(32),
            *_processing("fan_vit_micro_32", _VIT_MICRO, 32, 10),
            *_micro(64),
        )
    },
)
"""Every model, in the order of `weatherglass list models`."""

ALIASES: dict[str, str] = {alias: model.name for model in MODELS.values() for alias in model.aliases}
"""Readable name -> published name."""


def model_name(name: str) -> ModelName:
    """The row of a name or alias; `UnknownName` names the nearest ones."""
    if name in ALIASES:
        return MODELS[ALIASES[name]]
    if name not in MODELS:
        raise UnknownName("model", name, (*MODELS, *ALIASES))
    return MODELS[name]


def published_weights(name: str) -> dict[str, str]:
    """Where the authors' weights of a model are described, in the words of timm's pretrained configurations."""
    if model_name(name).name not in {model.name for model in _PUBLISHED}:
        return {}
    return {"origin_url": "https://github.com/NVlabs/FAN", "license": "NVIDIA Source Code License-NC"}
