"""The cards: what a published table or figure asks, what it found, and what its small form measures. No torch."""

from weatherglass.catalog import Catalog
from weatherglass.experiments.ablations import ABLATIONS
from weatherglass.experiments.card import Card, Claim
from weatherglass.experiments.dense import DENSE

_BHOJANAPALLI = "Bhojanapalli et al., 'Understanding Robustness of Transformers for Image Classification' (ICCV 2021)"
_ZHOU = "Zhou et al., 'Understanding The Robustness in Vision Transformers' (ICML 2022)"
_NO_NUMBERS = (
    "The paper gives its numbers in figures, and none is repeated here. It pre-trains on ILSVRC-2012, ImageNet-21k "
    "and JFT-300M; here shares of one training set stand for them."
)

CARDS: Catalog[Card] = Catalog(
    "card",
    {
        "model-data-grid": Card(
            question="How do clean and disturbed accuracy depend on family, size and the amount of training data?",
            source=f"{_BHOJANAPALLI}, section 2",
            small_form="Any models, each with its family and share of data, e.g. 'ViT,20%=cifar10_vit_20'; clean, "
            f"corrupted and shifted accuracy of each. {_NO_NUMBERS}",
            cost="75 conditions a model; minutes for micro models on 500 images of CIFAR-10 and two cores",
            claims=(Claim("With growing training data vision transformers gain more than ResNets.", "data"),),
            figure="grid",
        ),
        "input-shifts": Card(
            question="Do transformers withstand corruptions, renditions and natural adversarial images as ResNets do?",
            source=f"{_BHOJANAPALLI}, sections 3.1 to 3.3",
            small_form="Any models on clean data, a suite of corruptions and any shifted data; accuracy, the share "
            f"of the clean accuracy that is kept, and effective robustness. {_NO_NUMBERS}",
            cost="75 conditions and one pass over each shifted set a model",
            claims=(
                Claim("With little training data vision transformers are worse than ResNets of their size.", "little"),
                Claim("With enough of it they are at least as good.", "much"),
            ),
            figure="size",
        ),
        "model-size": Card(
            question="How does the error on each benchmark fall with the size of the model?",
            source=f"{_BHOJANAPALLI}, section 3.4",
            small_form="error = a + b log10(parameters) for each family and share of data, and the difference of the "
            f"slopes with its interval. {_NO_NUMBERS}",
            cost="as input-shifts; at least two sizes of each family",
            claims=(Claim("The error of vision transformers falls faster with size.", "slope"),),
            figure="size",
        ),
        "fan-table-8": Card(
            question="How do FAN models compare with others on ImageNet-C, at which size?",
            source=f"{_ZHOU}, table 8",
            small_form="Any models under the names of the table, e.g. 'FAN-S-ViT=fan_small_12_p16_224'; on other data "
            "than ImageNet the paper's numbers are no reference.",
            cost="75 conditions a model",
            tables=("table8",),
            columns={"in1k": "clean", "inc": "corrupted", "retention": "retention"},
            figure="size",
        ),
        "fan-table-11": Card(
            question="Does the robustness of FAN carry over to natural adversarial images and renditions?",
            source=f"{_ZHOU}, table 11",
            small_form="Any models under the names of the table, with --shift imagenet-a:FOLDER and --shift "
            "imagenet-r:FOLDER. The paper does not print the image size; the release takes 384 px for ImageNet-A.",
            cost="75 conditions and two shifted sets a model",
            tables=("table11",),
            columns={
                "clean": "clean",
                "in_a": "shift:imagenet-a",
                "in_r": "shift:imagenet-r",
                "in_c_mce": "mce",
            },
            figure="size",
        ),
        **ABLATIONS,
        **DENSE,
    },
)
