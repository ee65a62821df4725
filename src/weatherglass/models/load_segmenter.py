"""From a name to a segmenter: HEAD/BACKBONE, torchvision/NAME, huggingface/FOLDER."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from torch import Tensor, nn

from weatherglass.errors import MissingExtra, UserError
from weatherglass.types import Preprocessing

IMAGENET = Preprocessing(mean=(0.485, 0.456, 0.406), std=(0.229, 0.224, 0.225), source="weatherglass")
"""Normalisation of segmenters that are trained here; images keep their size."""


@dataclass(frozen=True)
class BuiltSegmenter:
    """A network with what is known of it."""

    module: nn.Module
    preprocessing: Preprocessing
    class_names: tuple[str, ...] | None = None


def build_named(spec: str, *, published: bool, classes: int | None, state: dict[str, Tensor] | None) -> BuiltSegmenter:
    """HEAD/BACKBONE or huggingface/FOLDER; `state` are the weights that will be loaded, which tell the classes."""
    head, _, rest = spec.partition("/")
    if head == "huggingface":
        return _from_hugging_face(spec, rest, classes)
    from weatherglass.models.segmenter import build_segmenter

    if published:
        raise UserError(
            f"No weights of {spec} come with Weatherglass: give --checkpoint FILE, or --random --classes N."
        )
    classes = classes or classes_in(state or {})
    if classes is None:
        raise UserError(f"{spec} must be told its number of classes: give --classes N.")
    return BuiltSegmenter(build_segmenter(head, rest, classes), IMAGENET)


def classes_in(state: dict[str, Tensor]) -> int | None:
    """The outputs of the last classifier in a segmenter's weights; None where there is none."""
    names = [
        name for name in state if name.startswith("head.") and name.endswith(("classifier.weight", "main.4.weight"))
    ]
    return int(state[names[-1]].shape[0]) if names else None


def is_torchvision_segmenter(name: str) -> bool:
    import torchvision.models

    return name in torchvision.models.list_models(module=torchvision.models.segmentation)


def from_torchvision(name: str, published: bool, classes: int | None) -> BuiltSegmenter:
    """torchvision's segmenters; their published classes are those of PASCAL VOC. Images keep their size."""
    import torchvision.models

    from weatherglass.models.published import fetch

    weights: Any = torchvision.models.get_model_weights(name).DEFAULT  # pyright: ignore[reportAttributeAccessIssue]
    names = tuple(name.strip("_") for name in weights.meta["categories"])  # '__background__' is VOC's background
    if published and classes not in (None, len(names)):
        raise UserError(f"The published weights of torchvision/{name} have {len(names)} classes, not {classes}.")

    def build() -> nn.Module:
        return torchvision.models.get_model(
            name, weights=weights if published else None, weights_backbone=None, num_classes=classes or len(names)
        )

    module = fetch(build, f"torchvision/{name}") if published else build()
    own = Preprocessing(mean=IMAGENET.mean, std=IMAGENET.std, source="torchvision")
    return BuiltSegmenter(module, own, names if classes in (None, len(names)) else None)


def _from_hugging_face(spec: str, folder: str, classes: int | None) -> BuiltSegmenter:
    """A folder written by `save_pretrained`; its image processor says the normalisation, if it is there."""
    try:
        import transformers
    except ImportError as error:
        raise MissingExtra("transformers", "dense", "Loading a Hugging Face segmenter") from error
    if classes is not None:
        raise UserError(f"{spec} brings its own classes: leave the option out.")
    place = Path(folder).expanduser()
    if not (place / "config.json").is_file():
        raise UserError(f"{spec}: there is no {place / 'config.json'}; a folder written by save_pretrained is needed.")
    try:
        model = transformers.AutoModelForSemanticSegmentation.from_pretrained(place, local_files_only=True)
    except (OSError, ValueError) as error:
        raise UserError(
            f"{spec} is no semantic segmenter of transformers: {' '.join(str(error).split())[:200]}."
        ) from error
    labels = model.config.id2label
    return BuiltSegmenter(model, _processing(place), tuple(labels[i] for i in range(len(labels))))


def _processing(place: Path) -> Preprocessing:
    import json

    file = place / "preprocessor_config.json"
    if not file.is_file():
        return Preprocessing(mean=IMAGENET.mean, std=IMAGENET.std, source="none in the folder: ImageNet's")
    said = json.loads(file.read_text(encoding="utf-8"))
    mean, std = said.get("image_mean", IMAGENET.mean), said.get("image_std", IMAGENET.std)
    return Preprocessing(mean=tuple(mean), std=tuple(std), source="huggingface")
