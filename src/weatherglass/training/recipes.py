"""The named recipes: DeiT's, the FAN paper's and its release's, fine-tuning, distillation, and small forms of them.

Where the paper states one recipe (2e-3 at a batch of 2,048) and the release's scripts another per model, `fan-300` is
the paper's and the names of models are the scripts'. The scripts give no number of machines, hence no batch: 1,024, the
one their README's example amounts to, stands here. No torch.
"""

from dataclasses import replace
from pathlib import Path

from weatherglass.catalog import Catalog
from weatherglass.errors import UserError
from weatherglass.training.ablation_recipes import ablation_recipes
from weatherglass.training.detection_recipes import DETECTORS
from weatherglass.training.digits_recipes import DIGITS_RECIPES
from weatherglass.training.micro_recipes import MICRO, MICROS
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
from weatherglass.training.recipe_text import read_recipe
from weatherglass.training.segmentation_recipes import SEGMENTERS

_RAND_AUGMENT = "rand-m9-mstd0.5-inc1"
_MIXING = Mixing(mixup=0.8, cutmix=1.0, probability=1.0, switch=0.5, smoothing=0.1)

DEIT = Recipe(
    name="deit-300",
    summary="DeiT-S, 300 epochs (Touvron et al. 2021)",
    network=Network("timm/deit_small_patch16_224", drop_path=0.1),
    batch=1024,
    optimiser=Optimiser(rate=5e-4, rate_batch=512, weight_decay=0.05),
    schedule=Schedule(epochs=300, warmup=5, warmup_rate=1e-6, minimum_rate=1e-5),
    augmentation=Augmentation(policy=_RAND_AUGMENT, colour_jitter=0.3, erasing=0.25, repeats=3),
    mixing=_MIXING,
    averaging=Averaging(0.99996),
)
"""Every number of DeiT's training program."""

FAN = Recipe(
    name="fan-300",
    summary="FAN-S-ViT as the paper states the recipe: rate 2e-3 at a batch of 2,048",
    network=Network("fan_small_12_p16_224", drop_path=0.2),
    batch=2048,
    optimiser=Optimiser(rate=2e-3, weight_decay=0.05),
    schedule=Schedule(epochs=300, warmup=5, warmup_rate=1e-6, minimum_rate=1e-6, cooldown=10),
    augmentation=Augmentation(policy=_RAND_AUGMENT, colour_jitter=0.4, erasing=0.25, interpolation="random"),
    mixing=_MIXING,
    averaging=Averaging(0.99992),
    crop_ratio=1.0,
)
"""FAN section 4.1, with what its scripts add."""

# Name, model, peak rate, drop path, erasing, warm-up: the release's scripts (FAN reference, section 6).
_RELEASE = (
    ("fan-vit-t", "fan_tiny_12_p16_224", 2e-3, 0.0, 0.25, 5),
    ("fan-vit-s", "fan_small_12_p16_224", 2e-3, 0.2, 0.25, 5),
    ("fan-vit-b", "fan_base_18_p16_224", 2e-3, 0.35, 0.3, 5),
    ("fan-vit-l", "fan_large_24_p16_224", 1e-3, 0.3, 0.3, 5),
    ("fan-vit-s-se", "fan_small_12_p16_224_se_attn", 2e-3, 0.3, 0.25, 10),
    ("fan-hybrid-t", "fan_tiny_8_p4_hybrid", 1e-3, 0.1, 0.3, 5),
    ("fan-hybrid-s", "fan_small_12_p4_hybrid", 4e-3, 0.25, 0.3, 5),
    ("fan-hybrid-b", "fan_base_16_p4_hybrid", 4e-3, 0.35, 0.3, 10),
    ("fan-hybrid-l", "fan_large_16_p4_hybrid", 4e-3, 0.45, 0.3, 10),
    ("fan-hybrid-xl", "fan_Xlarge_16_p4_hybrid", 1e-3, 0.45, 0.3, 20),
    ("fan-swin-t", "fan_swin_tiny_patch4_window7_224", 5e-4, 0.3, 0.25, 5),
    ("fan-swin-s", "fan_swin_small_patch4_window7_224", 5e-4, 0.3, 0.25, 5),
    ("fan-swin-b", "fan_swin_base_patch4_window7_224", 2e-3, 0.2, 0.25, 10),
    ("fan-swin-l", "fan_swin_large_patch4_window7_224", 1e-3, 0.2, 0.25, 5),
)


def _release(name: str, model: str, rate: float, drop_path: float, erasing: float, warmup: int) -> Recipe:
    return replace(
        FAN,
        name=name,
        summary=f"{model} as the release's script trains it",
        network=Network(model, drop_path=drop_path),
        batch=1024,
        optimiser=replace(FAN.optimiser, rate=rate),
        schedule=replace(FAN.schedule, warmup=warmup),
        augmentation=replace(FAN.augmentation, erasing=erasing),
    )


def _resnet(name: str, summary: str, network: Network) -> Recipe:
    """A rung of FAN table 3: ResNet-50 with the DeiT recipe."""
    return replace(DEIT, name=name, summary=f"{summary}, DeiT recipe (FAN table 3)", network=network)


_RESNETS = (
    Recipe(
        name="resnet50-plain",
        summary="ResNet-50, 90 epochs of flips and crops: the bottom of FAN table 3",
        network=Network("timm/resnet50"),
        batch=256,
        optimiser=Optimiser("sgd", rate=0.1, rate_batch=256, weight_decay=1e-4),
        schedule=Schedule(epochs=90, warmup=5, warmup_rate=0.0, minimum_rate=0.0),
        augmentation=Augmentation(interpolation="bilinear"),
        mixing=Mixing(smoothing=0.0),
    ),
    _resnet("resnet50-deit", "ResNet-50", Network("timm/resnet50", drop_path=0.1)),
    _resnet(
        "resnet50-deit-se",
        "ResNet-50 with squeeze and excitation",
        Network("timm/resnet50", {"block_args": {"attn_layer": "se"}}, drop_path=0.1),
    ),
    _resnet(
        "resnet50-deit-strided",
        "ResNet-50* (squeeze and excitation, strided convolution)",
        Network("resnet50_star", drop_path=0.1),
    ),
)

_PRETRAIN = replace(
    FAN,
    name="fan-hybrid-b-22k",
    summary="FAN-B-Hybrid on the 21,841 classes of ImageNet-22k (ConvNeXt's protocol)",
    network=Network("fan_base_16_p4_hybrid", drop_path=0.1),
    batch=4096,
    optimiser=Optimiser(rate=4e-3, weight_decay=0.05),
    schedule=Schedule(epochs=90, warmup=5, warmup_rate=1e-6, minimum_rate=1e-6),
    averaging=Averaging(0.0),
)

_FINETUNE = replace(
    _PRETRAIN,
    name="fan-hybrid-b-22k-to-1k",
    summary="FAN-B-Hybrid from ImageNet-22k to 1k, layer-wise decay 0.8; give network.start",
    network=Network("fan_base_16_p4_hybrid", drop_path=0.2, head_scale=0.001),
    batch=512,
    optimiser=Optimiser(rate=5e-5, weight_decay=1e-8, layer_decay=0.8),
    schedule=Schedule(epochs=30, warmup=0, minimum_rate=1e-6),
    mixing=Mixing(smoothing=0.1),
    averaging=Averaging(0.9999),
)


def _finetunings() -> list[Recipe]:
    # FAN-L-Hybrid scales its fresh classifier by 0.001 itself.
    large = {"name": "fan_large_16_p4_hybrid", "drop_path": 0.3, "head_scale": 1.0}
    at_384 = {"image_size": 384, "crop_ratio": 1.0}
    from_22k = replace(
        _FINETUNE,
        name="fan-hybrid-l-22k-to-1k",
        summary="FAN-L-Hybrid from ImageNet-22k to 1k; give network.start",
        network=replace(_FINETUNE.network, **large),
    )
    return [
        _PRETRAIN,
        replace(
            _PRETRAIN,
            name="fan-hybrid-l-22k",
            summary="FAN-L-Hybrid on ImageNet-22k (ConvNeXt's protocol)",
            network=replace(_PRETRAIN.network, name="fan_large_16_p4_hybrid"),
        ),
        _FINETUNE,
        replace(_FINETUNE, name="fan-hybrid-b-22k-to-1k-384", summary="The same at 384 pixels", **at_384),
        from_22k,
        replace(from_22k, name="fan-hybrid-l-22k-to-1k-384", summary="The same at 384 pixels", **at_384),
        replace(
            _FINETUNE,
            name="fan-hybrid-b-1k-384",
            summary="FAN-B-Hybrid from ImageNet-1k at 224 to 384 pixels, layer-wise decay 0.7; give network.start",
            network=replace(_FINETUNE.network, head_scale=1.0),
            optimiser=replace(_FINETUNE.optimiser, layer_decay=0.7),
            **at_384,
        ),
        replace(  # Swin's rates, decay and drop path; no mixing, and an average, as in the others
            _FINETUNE,
            name="fan-swin-b-22k-to-1k",
            summary="FAN-Swin-B from ImageNet-22k to 1k (Swin's protocol); give network.start",
            network=Network("fan_swin_base_patch4_window7_224", drop_path=0.2),
            optimiser=Optimiser(rate=2e-5, rate_batch=512, weight_decay=1e-8),
            schedule=Schedule(epochs=30, warmup=5, warmup_rate=2e-8, minimum_rate=2e-7),
        ),
        replace(
            DEIT,
            name="deit-384",
            summary="DeiT-B from 224 to 384 pixels, 30 epochs; give network.start",
            network=Network("timm/deit_base_patch16_384", drop_path=0.1),
            image_size=384,
            batch=512,
            optimiser=Optimiser(rate=5e-6, rate_batch=512, weight_decay=1e-8),
            schedule=Schedule(epochs=30, warmup=5, warmup_rate=1e-6, minimum_rate=5e-6),
        ),
    ]


_DISTILLED = (
    replace(
        DEIT,
        name="deit-distilled",
        summary="DeiT-S with a distillation token and hard labels of RegNetY-16GF (row '+ KD' of FAN table 2)",
        network=Network("timm/deit_small_distilled_patch16_224", drop_path=0.1),
        distillation=Distillation("hard", teacher="torchvision/regnet_y_16gf"),
    ),
    replace(
        DEIT,
        name="deit-distilled-soft",
        summary="The same with the teacher's probabilities",
        network=Network("timm/deit_small_distilled_patch16_224", drop_path=0.1),
        distillation=Distillation("soft", teacher="torchvision/regnet_y_16gf"),
    ),
)

RECIPES: Catalog[Recipe] = Catalog(
    "recipe",
    {
        recipe.name: recipe
        for recipe in (
            DEIT,
            FAN,
            *(_release(*row) for row in _RELEASE),
            *_RESNETS,
            *_finetunings(),
            *_DISTILLED,
            *MICROS,
            *ablation_recipes(MICRO),
            *DIGITS_RECIPES,
            *SEGMENTERS,
            *DETECTORS,
        )
    },
)
"""In the order of `weatherglass list recipes`."""


def find_recipe(name: str) -> Recipe:
    """The recipe of that name, or in that TOML file. Raises `UnknownName` with the nearest names."""
    if name in RECIPES:
        return RECIPES[name]
    if name.endswith(".toml"):
        return read_recipe(name)
    if Path(name).exists():
        raise UserError(
            f"{name} is no recipe: a recipe is a TOML file (.toml) or a name of: weatherglass list recipes."
        )
    return RECIPES[name]
