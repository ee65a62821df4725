"""Do the labels of the data mean what the outputs of the model mean? Found out from names, or refused.

The classic mistake: directories 0 ... 999 sorted as text (0, 1, 10, 100, ...) give every label a wrong meaning and
an accuracy near chance, without an error. Here numbers are always read as numbers.
"""

import re
from collections.abc import Callable, Sequence

import numpy as np

from weatherglass.data.detection import ReclassedObjects
from weatherglass.data.imagenet import imagenet_wnids
from weatherglass.data.images import Renamed, checked_labels
from weatherglass.data.segmentation import Reclassed
from weatherglass.data.several_labels import SeveralLabels
from weatherglass.data.stored import StoredConditions
from weatherglass.data.unlabelled import is_unlabelled
from weatherglass.errors import UserError
from weatherglass.types import DetectionData, ImageData, Predictor, SegmentationData

SYNONYMS = {
    "aeroplane": "airplane",
    "diningtable": "dining table",
    "motorbike": "motorcycle",
    "pottedplant": "potted plant",
    "sofa": "couch",
    "tvmonitor": "tv",
}
"""Classes of PASCAL VOC under the names of COCO, so that detectors of the one are measured on the other."""


def check_classes(data: ImageData, predictor: Predictor) -> ImageData:
    """`data` with labels that are indices into the outputs of `predictor`; `data` itself where they are already.

    Names decide where both sides have them: ImageNet's WordNet ids, the model's class names (case, '_' and
    further synonyms ignored), or directories that are numbers and mean output indices. So a folder that holds only
    some of the classes, or holds them in another order, is matched. Raises `UserError` with what was compared and
    the remedy where names contradict or the counts differ and no name helps, and for labels that are no classes.
    """
    checked_labels(data)
    if is_unlabelled(data):
        raise UserError(
            f"{data.name} has no classes, so nothing can be right or wrong. `weatherglass analyse` takes such images; "
            "to evaluate, put the images of each class into a directory of its own: imagefolder:FOLDER."
        )
    if data.task == "detection" and predictor.class_names is None and len(data.classes) <= predictor.classes:
        return data  # a detector without names: class k is its k-th, and its further classes are not looked for
    outputs = output_of_class(data.classes, predictor)
    if outputs is None:
        return data
    if np.array_equal(outputs, np.arange(predictor.classes)):
        return data
    return relabelled(data, outputs, _output_names(data, outputs, predictor))


def check_same_outputs(first: Predictor, second: Predictor) -> None:
    """Raise `UserError` where output k of the one model means another class than output k of the other.

    Both need the same number of outputs; a model without names is taken at that. Names agree in a position where they
    share one of their synonyms ('tench, Tinca tinca' and 'tench'; case, '_' and '-' ignored), and they must in most,
    since no two lists of ImageNet spell all of them alike ('crane' and 'crane bird'). Among the rest no name of the one
    may stand at another position of the other: that is another order, however few it touches. A name that several
    classes have ('crane', 'maillot') proves nothing, since the position that it points to agrees by itself.
    """
    if first.classes != second.classes:
        raise UserError(
            f"{first.name} has {first.classes} outputs and {second.name} {second.classes}: they have different classes."
        )
    if first.class_names is None or second.class_names is None:
        return
    ours, theirs = ([_synonyms(name) for name in one] for one in (first.class_names, second.class_names))
    apart = [k for k in range(first.classes) if not ours[k] & theirs[k]]
    elsewhere = {name for k in apart for name in ours[k]} & {name for k in apart for name in theirs[k]}
    if elsewhere or 2 * len(apart) >= first.classes:
        k = apart[0]
        raise UserError(
            f"{first.name} and {second.name} have different classes, or the same in another order: {len(apart)} of "
            f"{first.classes} outputs have other names, such as output {k}, '{first.class_names[k]}' and "
            f"'{second.class_names[k]}'."
        )


def relabelled(data: ImageData, outputs: np.ndarray, classes: tuple[str, ...]) -> ImageData:
    """`data` with label k replaced by `outputs[k]`."""
    if isinstance(data, SegmentationData):
        return Reclassed(data, tuple(outputs.tolist()), classes)
    if isinstance(data, DetectionData):
        return ReclassedObjects(data, tuple(outputs.tolist()), classes)
    if isinstance(data, StoredConditions):
        from dataclasses import replace

        return replace(data, shown=relabelled(data.shown, outputs, classes))
    if isinstance(data, SeveralLabels):
        return data.renumbered(outputs.tolist(), classes)
    return Renamed(data, data.ids, outputs[data.labels], classes)


def output_of_class(classes: Sequence[str], predictor: Predictor) -> np.ndarray | None:
    """The output index of each class of the data; None where they are taken in order, for want of names."""
    count = predictor.classes
    names = predictor.class_names or ()
    named = _Names(names)
    if len(classes) == count and all(index in named.outputs(name) for index, name in enumerate(classes)):
        return np.arange(count)  # every name in its place, though one may stand there twice
    if names and all(named.outputs(name) for name in classes):
        return _by_name(classes, named.outputs, predictor, "class names")
    if all(name.isascii() and name.isdigit() for name in classes):
        return _by_number(classes, predictor)
    if count == 1000 and all(re.fullmatch(r"n\d{8}", name) for name in classes):
        index = _imagenet_index()
        return _by_name(classes, lambda wnid: [index[wnid]] if wnid in index else [], predictor, "WordNet ids")
    if predictor.class_names is not None:
        return _by_name(classes, named.outputs, predictor, "class names")
    if len(classes) != count:
        raise UserError(
            f"The data has {len(classes)} classes ({_some(classes)}), {predictor.name} has {count} outputs and no "
            f"names that tell which belong together. {_remedy(predictor)}"
        )
    return None


def _by_number(classes: Sequence[str], predictor: Predictor) -> np.ndarray:
    numbers = np.array([int(name) for name in classes])
    count = predictor.classes
    if len(numbers) == count and numbers.min() == 1 and numbers.max() == count:
        return numbers - 1  # counted from one
    consecutive = np.array_equal(np.sort(numbers), np.arange(len(numbers)))
    if numbers.max() >= count or (consecutive and len(numbers) != count):
        raise UserError(
            f"The data has {len(classes)} numbered classes ({_some(classes)}), {predictor.name} has {count} outputs "
            f"(0 to {count - 1}). Numbered directories mean output indices. {_remedy(predictor)}"
        )
    return numbers


def _by_name(
    classes: Sequence[str], outputs_of: Callable[[str], Sequence[int]], predictor: Predictor, what: str
) -> np.ndarray:
    found = {name: outputs_of(name) for name in classes}
    if strangers := [name for name, outputs in found.items() if not outputs]:
        names = _some(predictor.class_names or imagenet_wnids())
        raise UserError(
            f"{len(strangers)} of the {len(classes)} classes of the data ({_some(strangers)}) are not among the {what} "
            f"of {predictor.name} ({names}; {predictor.classes} outputs). {_remedy(predictor)}"
        )
    if ambiguous := [name for name, outputs in found.items() if len(outputs) > 1]:
        meant = " and ".join(str(output) for output in found[ambiguous[0]])
        raise UserError(
            f"'{ambiguous[0]}' may be any of the outputs {meant} of {predictor.name}, which have that name"
            f"{f'; {len(ambiguous)} classes of the data are so' if len(ambiguous) > 1 else ''}. "
            f"Name all directories by output index instead{_or_wordnet(predictor)}."
        )
    outputs = np.array([found[name][0] for name in classes])
    if len(set(outputs.tolist())) < len(outputs):
        raise UserError(f"Two classes of the data have the same name for {predictor.name}; rename one directory.")
    return outputs


class _Names:
    """The outputs that a name may mean: one, several where the model gives it to several, or none.

    timm calls both the bird and the machine 'crane'; 'Cardigan' is a dog, 'cardigan' a garment. So a name just as the
    model writes it comes first, then one without regard to case and '_', whole or as far as the first comma ('tench,
    Tinca tinca'), and then a synonym.
    """

    def __init__(self, names: Sequence[str]) -> None:
        self._as_written = _outputs_by_name([{name} for name in names])
        self._plain = _outputs_by_name([{_plain(name), _plain(name.partition(",")[0])} for name in names])

    def outputs(self, name: str) -> list[int]:
        """Output indices, ascending."""
        found = self._as_written.get(name) or self._plain.get(_plain(name))
        return found or self._plain.get(SYNONYMS.get(name, ""), [])


def _outputs_by_name(forms: Sequence[set[str]]) -> dict[str, list[int]]:
    table: dict[str, list[int]] = {}
    for output, names in enumerate(forms):
        for name in names:
            table.setdefault(name, []).append(output)
    return table


def _imagenet_index() -> dict[str, int]:
    return {wnid: index for index, wnid in enumerate(imagenet_wnids())}


def _or_wordnet(predictor: Predictor) -> str:
    return ", or by WordNet ids" if predictor.classes == 1000 else ""


def _output_names(data: ImageData, outputs: np.ndarray, predictor: Predictor) -> tuple[str, ...]:
    names = list(predictor.class_names or (f"output {index}" for index in range(predictor.classes)))
    if predictor.class_names is None:
        for name, output in zip(data.classes, outputs, strict=True):
            names[output] = name
    return tuple(names)


def _plain(name: str) -> str:
    return " ".join(re.split(r"[\s_\-]+", name.strip().casefold()))


def _synonyms(name: str) -> frozenset[str]:
    """'tench' and 'tinca tinca' of 'tench, Tinca tinca'."""
    return frozenset(filter(None, map(_plain, name.split(","))))


def _some(names: Sequence[str]) -> str:
    return ", ".join(names[:4]) + (", ..." if len(names) > 4 else "")


def _remedy(predictor: Predictor) -> str:
    ours = "" if predictor.class_names is None else " exactly as the model names them, or"
    return (
        f"Name the directories{ours} by output index (0, 1, 2, ... in the order of training; torchvision's "
        "ImageFolder sorts names as text, so there '10' comes before '2'), or give a model with these classes."
    )
