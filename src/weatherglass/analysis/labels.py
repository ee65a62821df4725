"""Data for analyses that compare clean with disturbed images, with the labels that an attack needs."""

from collections.abc import Sequence

import numpy as np
import torch

from weatherglass.analysis.recording import image_batches
from weatherglass.data.classes import check_classes
from weatherglass.data.images import Renamed
from weatherglass.data.several_labels import check_single_labels
from weatherglass.data.unlabelled import is_unlabelled
from weatherglass.errors import UserError
from weatherglass.types import Disturbance, ImageData, Predictor


def labelled_for(data: ImageData, predictor: Predictor, disturbances: Sequence[Disturbance]) -> ImageData:
    """`data` with labels that are indices into the outputs, where one of `disturbances` needs them; else `data` itself.

    Images without classes are labelled by what the model says of them. Raises `UserError` for a disturbance of the
    model, where one does not suit the model, where images have several right labels, and where the classes are none of
    the model's.
    """
    for disturbance in disturbances:
        _check_of_input(disturbance)
        disturbance.check(predictor)
        check_single_labels(disturbance, data)
    if not any(disturbance.needs_labels for disturbance in disturbances):
        return data
    if is_unlabelled(data) or data.task != "classification":
        return own_labels(data, predictor)
    return check_classes(data, predictor)


def _check_of_input(disturbance: Disturbance) -> None:
    """What compares clean with disturbed *images* would ignore a disturbance of the model."""
    if type(disturbance).of_model is not Disturbance.of_model:
        raise UserError(
            f"'{disturbance}' disturbs the model, and here images are: give e.g. fog@3, gaussian_noise@3 or pgd@8/255."
        )


def own_labels(data: ImageData, predictor: Predictor) -> ImageData:
    """The images labelled by what the undisturbed model says of them; class k is called by its number."""
    with torch.no_grad():
        said = [predictor(batch.images).argmax(dim=1).cpu().numpy() for batch in image_batches(data, predictor, 32)]
    numbered = tuple(str(output) for output in range(predictor.classes))
    return Renamed(data, data.ids, np.concatenate(said).astype(np.int64), numbered)
