"""Which outputs compete for the prediction: all, the 200 of ImageNet-A or -R, or 16 categories.

The choice is part of the protocol, so numbers under different choices never stand in one table.
"""

from dataclasses import replace

import numpy as np

from weatherglass.data.classes import check_classes, relabelled
from weatherglass.data.masks import CATEGORIES16, MASKS, OUTPUTS, USUAL
from weatherglass.data.several_labels import SeveralLabels
from weatherglass.errors import UnknownName, UserError
from weatherglass.models.decision import grouped, masked
from weatherglass.types import ImageData, Predictor


def decide(predictor: Predictor, data: ImageData, outputs: str = "auto") -> tuple[Predictor, ImageData]:
    """The predictor restricted as `outputs` says, and the data with labels that fit it.

    A mask also leaves out the images of other classes, so that 'imagenet-a' on the ImageNet validation set gives the
    clean accuracy on the same 200 classes. Raises `UserError` for an unknown choice, a model without 1,000 outputs,
    or data without a single image of the classes.
    """
    choice = usual_outputs(data, predictor) if outputs == "auto" else outputs
    if choice not in OUTPUTS:
        raise UnknownName("choice of outputs", choice, OUTPUTS)
    if data.task != "classification" and choice != "all":
        raise UserError(
            f"'{choice}' chooses among the outputs of an ImageNet classifier; {data.name} is for {data.task}."
        )
    if choice == "all":
        return predictor, check_classes(data, predictor)
    if predictor.classes != 1000:
        raise UserError(
            f"'{choice}' chooses among the 1,000 outputs of an ImageNet model; {predictor.name} has "
            f"{predictor.classes}. Measure with --outputs all."
        )
    if choice == "objectnet":
        return _competing(predictor, data)
    if data.accepted is not None:
        raise UserError(f"The images of {data.name} have several right labels each; --outputs '{choice}' needs one.")
    if choice == "categories16":
        return _categories(predictor, data)
    mask = MASKS[choice]
    return masked(predictor, mask, choice), _restricted(check_classes(data, predictor), mask, choice)


def usual_outputs(data: ImageData, predictor: Predictor) -> str:
    """What 'auto' means for this data, from its kind.

    Stimuli whose classes are the model's own, or are not among the 16 categories, are decided by all outputs.
    """
    choice = USUAL.get(data.name.partition(":")[0], "all")
    if choice == "categories16":
        own = set(data.classes) <= set(predictor.class_names or ())
        return "all" if own or not set(data.classes) <= set(CATEGORIES16) else choice
    return choice


def _competing(predictor: Predictor, data: ImageData) -> tuple[Predictor, ImageData]:
    """Only the outputs that some class of the data set maps to compete."""
    if not isinstance(data, SeveralLabels) or data.competing is None:
        raise UserError(f"'objectnet' restricts to the classes of ObjectNet; the data is {data.name}.")
    mask = data.competing
    position = np.zeros(predictor.classes, dtype=np.int64)
    position[list(mask)] = np.arange(len(mask))
    decided = masked(predictor, mask, "objectnet")
    return decided, data.renumbered(position.tolist(), tuple(data.classes[output] for output in mask))


def _categories(predictor: Predictor, data: ImageData) -> tuple[Predictor, ImageData]:
    decided = grouped(predictor, CATEGORIES16, "categories16")
    if set(data.classes) <= set(CATEGORIES16):
        # Stimuli are drawn at the size of the input and shown whole: enlarging and cropping them shifts the bias.
        geometry = predictor.preprocessing
        if geometry.size is not None:
            decided.preprocessing = replace(geometry, resize=min(geometry.size))
        return decided, check_classes(data, decided)
    shown = check_classes(data, predictor)
    names = tuple(CATEGORIES16)
    category = np.full(predictor.classes, -1)
    for position, outputs in enumerate(CATEGORIES16.values()):
        category[list(outputs)] = position
    return decided, _kept(shown, category, names, "categories16")


def _restricted(data: ImageData, mask: tuple[int, ...], name: str) -> ImageData:
    position = np.full(1000, -1)
    position[list(mask)] = np.arange(len(mask))
    classes = data.classes if len(data.classes) == 1000 else tuple(map(str, range(1000)))
    return _kept(data, position, tuple(classes[output] for output in mask), name)


def _kept(data: ImageData, position: np.ndarray, classes: tuple[str, ...], name: str) -> ImageData:
    """The images whose label has a position, labelled by it."""
    inside = np.flatnonzero(position[data.labels] >= 0)
    if not len(inside):
        raise UserError(f"{data.name} has no image of the classes of '{name}'. Check the data, or --outputs.")
    if len(inside) < len(data):
        data = data.select(inside.tolist(), f"{data.selection}, the {len(inside)} of {len(data)} in {name}")
    # An unused label of a class outside keeps its row, which no image has.
    return relabelled(data, np.maximum(position, 0), classes)
