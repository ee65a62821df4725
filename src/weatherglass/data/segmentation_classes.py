"""Classes, ids and colours of the published segmentation sets. Tables without torch."""

from collections.abc import Sequence
from dataclasses import dataclass

CAMVID = (
    *("sky", "building", "pole", "road", "pavement", "tree", "sign_symbol", "fence", "car", "pedestrian"),
    "bicyclist",
)
"""The 11 classes of SegNet's version; id 11 is void."""

CITYSCAPES = (
    *("road", "sidewalk", "building", "wall", "fence", "pole", "traffic light", "traffic sign", "vegetation"),
    *("terrain", "sky", "person", "rider", "car", "truck", "bus", "train", "motorcycle", "bicycle"),
)
"""In the order of train ids."""

CITYSCAPES_IDS = (7, 8, 11, 12, 13, 17, 19, 20, 21, 22, 23, 24, 25, 26, 27, 28, 31, 32, 33)
"""Label id of each train id; every other label id is ignored."""

VOC = (
    *("background", "aeroplane", "bicycle", "bird", "boat", "bottle", "bus", "car", "cat", "chair", "cow"),
    *("diningtable", "dog", "horse", "motorbike", "person", "pottedplant", "sheep", "sofa", "train", "tvmonitor"),
)

_CITYSCAPES_COLOURS = (
    *((128, 64, 128), (244, 35, 232), (70, 70, 70), (102, 102, 156), (190, 153, 153), (153, 153, 153)),
    *((250, 170, 30), (220, 220, 0), (107, 142, 35), (152, 251, 152), (70, 130, 180), (220, 20, 60), (255, 0, 0)),
    *((0, 0, 142), (0, 0, 70), (0, 60, 100), (0, 80, 100), (0, 0, 230), (119, 11, 32)),
)
_SAME_AS = {
    "pavement": "sidewalk",
    "tree": "vegetation",
    "sign_symbol": "traffic sign",
    "pedestrian": "person",
    "bicyclist": "rider",
}
"""Classes of CamVid under the names of Cityscapes, so that both are drawn in the same colours."""


@dataclass(frozen=True)
class LabelIds:
    """What the numbers in mask files mean: the class of each id, and the ids that do not count."""

    ids: tuple[int, ...]
    """The id of each class, in class order."""
    ignored: frozenset[int]
    """Ids of pixels that do not count; every other id is a mistake."""


def palette(classes: Sequence[str]) -> list[tuple[int, int, int]]:
    """One RGB colour a class: those of Cityscapes where the name is known there, PASCAL VOC's for the others."""
    known = dict(zip(CITYSCAPES, _CITYSCAPES_COLOURS, strict=True))
    free = iter(voc_colour(index) for index in range(1, 255))
    taken = {known[name] for name in (_SAME_AS.get(one, one) for one in classes) if name in known}
    colours = []
    for name in classes:
        colour = known.get(_SAME_AS.get(name, name))
        colours.append(colour if colour else next(one for one in free if one not in taken))
    return colours


def voc_colour(index: int) -> tuple[int, int, int]:
    """PASCAL VOC's colour of a class index: its bits, dealt to red, green and blue from the highest down."""
    channels = [0, 0, 0]
    for place in range(8):
        for channel in range(3):
            channels[channel] |= ((index >> (3 * place + channel)) & 1) << (7 - place)
    return channels[0], channels[1], channels[2]
