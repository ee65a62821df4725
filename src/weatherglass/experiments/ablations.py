"""The cards of FAN's ablations, over networks of the micro recipes: one thing changed, all else in common. No torch."""

from weatherglass.experiments.card import Card, Claim

_ZHOU = "Zhou et al., 'Understanding The Robustness in Vision Transformers' (ICML 2022)"
_SMALL = (
    "Networks of 0.65 million parameters for 32-pixel images, trained by the micro recipes with one thing changed; "
    "several trainings of a row (other seeds) are averaged, and where there are some, intervals count their luck."
)
_COST = "76 conditions a network; minutes for 500 images of CIFAR-10 and two cores, after the trainings"
_ACCURACIES = {"in1k": "clean", "inc": "corrupted", "retention": "retention", "mce": "mce"}

ABLATIONS: dict[str, Card] = {
    "fan-figure-7": Card(
        question="How many heads are best at a fixed width?",
        source=f"{_ZHOU}, figure 7",
        small_form=f"FAN-ViT of width 80 with 1 to 20 heads, 80 to 4 channels a head. {_SMALL} The number of heads "
        "also sets the groups of the channel attention, as in the release; 'tokens alone' leaves five of those. The "
        "paper's numbers stand in a figure, and none is repeated here.",
        cost=_COST,
        claims=(
            Claim("More heads than one make the network more accurate and more robust.", pair=("1", "5")),
            Claim("Too few channels a head cost clean accuracy (4 against 40).", pair=("20", "2"), on=("clean",)),
            Claim("About 32 channels a head are the best compromise (40 against 16).", pair=("5", "2")),
        ),
        figure="rows",
        recipes={
            "1": "fan-vit-micro-heads-1",
            "2": "fan-vit-micro-heads-2",
            "5": "fan-vit-micro",
            "10": "fan-vit-micro-heads-10",
            "20": "fan-vit-micro-heads-20",
            "1, tokens alone": "fan-vit-micro-token-heads-1",
            "2, tokens alone": "fan-vit-micro-token-heads-2",
            "10, tokens alone": "fan-vit-micro-token-heads-10",
            "20, tokens alone": "fan-vit-micro-token-heads-20",
        },
    ),
    "fan-table-2": Card(
        question="What do a ViT's robustness owe to augmentation, depth and distillation?",
        source=f"{_ZHOU}, table 2",
        small_form=f"The ladder from flips and crops to a taught ViT of 8 blocks. {_SMALL} Depth goes from 5 to 8 "
        "blocks at one width, where the paper narrows the network; a ResNet teaches; ImageNet-22k has no small form. "
        "vit-micro-only-policy, -erasing, -mixing and -averaging are the recipe's parts one by one.",
        cost=_COST,
        claims=(
            Claim("The recipe makes it more accurate and more robust.", pair=("ViT-S", "+ DeiT Recipe")),
            Claim("So does depth.", pair=("+ DeiT Recipe", "+ #Blocks (8 -> 12)")),
            Claim(
                "Distillation raises both accuracies.",
                pair=("+ #Blocks (8 -> 12)", "+ KD"),
                on=("clean", "corrupted"),
            ),
            Claim("It hardly changes what is kept under corruption."),
        ),
        tables=("table2",),
        columns=_ACCURACIES,
        figure="rows",
        recipes={
            "ViT-S": "vit-micro-plain",
            "+ DeiT Recipe": "vit-micro",
            "+ #Blocks (8 -> 12)": "vit-micro-deep",
            "+ KD": "vit-micro-distilled",
        },
    ),
    "fan-table-3": Card(
        question="How far do the same tricks carry a ResNet?",
        source=f"{_ZHOU}, table 3",
        small_form=f"The ladder of the ResNet. {_SMALL} 'Strided convolution' is read as 3x3 ones of stride 2 in the "
        "shortcuts, with narrower stages for the same number of parameters.",
        cost=_COST,
        claims=(
            Claim(
                "The recipe makes it more accurate, clean and corrupted.",
                pair=("ResNet-50", "+ DeiT Recipe"),
                on=("clean", "corrupted"),
            ),
            Claim("Squeeze and excitation makes it more robust.", pair=("+ DeiT Recipe", "+ SE")),
            Claim("So do strided convolutions.", pair=("+ SE", "+ Strided Conv")),
        ),
        tables=("table3",),
        columns=_ACCURACIES,
        figure="rows",
        recipes={
            "ResNet-50": "resnet-micro-plain",
            "+ DeiT Recipe": "resnet-micro",
            "+ SE": "resnet-micro-se",
            "+ Strided Conv": "resnet-micro-strided",
        },
    ),
    "fan-table-4": Card(
        question="With the same recipe, does a ViT keep more than a ResNet?",
        source=f"{_ZHOU}, table 4",
        small_form=f"The best ResNet of table 3 and the ViT of as many parameters. {_SMALL}",
        cost=_COST,
        claims=(
            Claim(
                "The ViT is more robust, at a lower clean accuracy.",
                pair=("ResNet-50", "ViT-S"),
                on=("corrupted", "retention"),
            ),
        ),
        tables=("table4",),
        columns=_ACCURACIES,
        figure="rows",
        recipes={"ResNet-50": "resnet-micro-strided", "ViT-S": "vit-micro-deep"},
    ),
    "fan-table-5": Card(
        question="Do windows of attention, convolutions and FAN differ in what they keep?",
        source=f"{_ZHOU}, table 5",
        small_form=f"ConvNeXt, Swin, ViT and FAN-Hybrid. {_SMALL} The columns of Cityscapes belong to segmenters.",
        cost=_COST,
        claims=(
            Claim(
                "Attention in windows keeps less than attention over all.", pair=("SWIN", "DeiT-S"), on=("retention",)
            ),
            Claim(
                "FAN-Hybrid is the most robust.",
                pair=("DeiT-S", "FAN-Hybrid-S"),
                on=("clean", "corrupted", "retention"),
            ),
            Claim("FAN-Hybrid is ahead of ConvNeXt.", pair=("ConvNeXt", "FAN-Hybrid-S")),
        ),
        tables=("table5",),
        columns={"in_clean": "clean", "in_corrupt": "corrupted", "in_retention": "retention"},
        figure="rows",
        recipes={
            "ConvNeXt": "convnext-micro",
            "SWIN": "swin-micro",
            "DeiT-S": "vit-micro-deep",
            "FAN-Hybrid-S": "fan-hybrid-micro",
        },
    ),
    "fan-table-6": Card(
        question="Which form of channel attention is best, and what does it cost?",
        source=f"{_ZHOU}, table 6",
        small_form=f"FAN-ViT with each form, and with a gate fixed at 0.5, a control that the table lacks. {_SMALL} "
        "Memory is the peak of one training step on 128 images beyond the network itself, in a process of its own "
        "(Linux); the paper's unit is not explained, so that only ratios compare.",
        cost=_COST,
        claims=(
            Claim("ECA is better than attention over channel pairs.", pair=("FAN-ViT-S-SA", "FAN-ViT-S-ECA")),
            Claim("ECA is better than squeeze and excitation.", pair=("FAN-ViT-S-SE", "FAN-ViT-S-ECA")),
            Claim("(Not in the paper.) ECA is better than a constant gate.", pair=("constant gate", "FAN-ViT-S-ECA")),
        ),
        tables=("table6",),
        columns={"mem": "memory", **_ACCURACIES},
        figure="rows",
        recipes={
            "FAN-ViT-S-SA": "fan-vit-micro-sa",
            "FAN-ViT-S-SE": "fan-vit-micro-se",
            "FAN-ViT-S-ECA": "fan-vit-micro",
            "constant gate": "fan-vit-micro-constant",
        },
    ),
    "fan-table-7": Card(
        question="Does the FAN block lift other families?",
        source=f"{_ZHOU}, table 7",
        small_form=f"ViT, Swin and ConvNeXt, each with and without. {_SMALL} As in the paper's numbers, the ViT's FAN "
        "block is the one with attention over channel pairs; how ConvNeXt was changed is our reading.",
        cost=_COST,
        claims=tuple(
            Claim(f"FAN lifts {words}.", pair=(name, f"{name} + FAN"))
            for name, words in (("ViT-S", "the ViT"), ("Swin-T", "Swin"), ("ConvNeXt-T", "ConvNeXt"))
        ),
        tables=("table7",),
        columns=_ACCURACIES,
        figure="rows",
        recipes={
            "ViT-S": "vit-micro-deep",
            "ViT-S + FAN": "fan-vit-micro-sa",
            "Swin-T": "swin-micro",
            "Swin-T + FAN": "fan-swin-micro",
            "ConvNeXt-T": "convnext-micro",
            "ConvNeXt-T + FAN": "fan-convnext-micro",
        },
    ),
}
"""A row is named as in its table; '+ FAN', which table 7 prints three times, with what it stands under."""
