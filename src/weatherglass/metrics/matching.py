"""Which found objects are right: COCO's matching of one image, at ten overlaps and four ranges of area.

The rules are those of the reference evaluator (pycocotools `COCOeval.evaluateImg`), to the tie: of each class the 100
best are taken; each in turn, best first, takes the free true object that it overlaps most; crowds, and objects
outside the range of area, take what is found on them and it counts neither way.
"""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float, Int, UInt64

from weatherglass.types import Objects

THRESHOLDS = np.linspace(0.5, 0.95, 10)
"""Intersection over union from which a found object is right."""

AREAS = {"all": (0.0, 1e10), "small": (0.0, 32.0**2), "medium": (32.0**2, 96.0**2), "large": (96.0**2, 1e10)}
"""Pixels from and to, both ends included."""

MOST_FOUND = 100
"""Found objects of one class and image that count."""

_LANES = len(AREAS) * len(THRESHOLDS)
_BITS = np.left_shift(np.uint64(1), np.arange(_LANES, dtype=np.uint64))
_LIMITS = np.array(list(AREAS.values())).repeat(len(THRESHOLDS), axis=0)  # lanes, 2: areas outermost
_OVERLAP = np.tile(THRESHOLDS, len(AREAS))


def bit(area: str, threshold: int) -> np.uint64:
    """The bit of `Matches` that stands for a range of area and the index of a threshold."""
    return _BITS[list(AREAS).index(area) * len(THRESHOLDS) + threshold]


@dataclass(frozen=True)
class Matches:
    """What became of the found objects of one image. Bits are those of `bit`."""

    hits: UInt64[np.ndarray, " found"]
    """Where the object is right."""
    ignored: UInt64[np.ndarray, " found"]
    """Where it counts neither way; elsewhere it is right or wrong."""


def counted(found: Objects) -> Int[np.ndarray, " kept"]:
    """Rows of the found objects that count, best first: the `MOST_FOUND` best of every class."""
    assert found.scores is not None
    order = np.argsort(-found.scores, kind="stable")
    kept = np.zeros(len(order), dtype=bool)
    for category in np.unique(found.classes):
        kept[np.flatnonzero(found.classes[order] == category)[:MOST_FOUND]] = True
    return order[kept]


def match(found: Objects, truth: Objects, *, masks: bool) -> Matches:
    """Match the objects of one image, by boxes or by masks. `found` is in the order of `counted`."""
    hits, ignored = np.zeros(len(found), np.uint64), np.zeros(len(found), np.uint64)
    crowd = crowds(truth)
    sizes, true_sizes = found_areas(found, masks=masks), true_areas(truth)
    for category in np.unique(found.classes):
        rows, true = np.flatnonzero(found.classes == category), np.flatnonzero(truth.classes == category)
        if masks:
            assert found.masks is not None
            assert truth.masks is not None
            overlaps = mask_overlaps(found.masks[rows], truth.masks[true], crowd[true])
        else:
            overlaps = box_overlaps(found.boxes[rows], truth.boxes[true], crowd[true])
        hit, beside = _matched(overlaps, sizes[rows], true_sizes[true], crowd[true])
        hits[rows], ignored[rows] = hit @ _BITS, beside @ _BITS
    return Matches(hits, ignored)


def crowds(truth: Objects) -> Bool[np.ndarray, " objects"]:
    return np.zeros(len(truth), dtype=bool) if truth.crowd is None else truth.crowd


def true_areas(truth: Objects) -> Float[np.ndarray, " objects"]:
    """Area that decides the range of true objects: as stated, else of the masks, else of the boxes."""
    if truth.areas is not None:
        return truth.areas
    return found_areas(truth, masks=truth.masks is not None)


def found_areas(found: Objects, *, masks: bool) -> Float[np.ndarray, " objects"]:
    """Pixels of each mask or box."""
    if masks:
        assert found.masks is not None
        return found.masks.sum(axis=(1, 2)).astype(np.float64)
    return (found.boxes[:, 2] - found.boxes[:, 0]) * (found.boxes[:, 3] - found.boxes[:, 1])


def area_bits(truth: Objects) -> np.ndarray:
    """uint8, shape (objects,): bit i where the object counts in the i-th range of `AREAS`; crowds count nowhere."""
    limits = np.array(list(AREAS.values()))
    areas = true_areas(truth)[:, None]
    inside = (areas >= limits[:, 0]) & (areas <= limits[:, 1]) & ~crowds(truth)[:, None]
    return (inside @ (1 << np.arange(len(AREAS)))).astype(np.uint8)


def box_overlaps(
    found: Float[np.ndarray, "found 4"], true: Float[np.ndarray, "true 4"], crowd: Bool[np.ndarray, " true"]
) -> Float[np.ndarray, "found true"]:
    """Intersection over union; over the found area for a crowd."""
    origin, size = found[:, None, :2], found[:, None, 2:] - found[:, None, :2]
    true_origin, true_size = true[None, :, :2], true[None, :, 2:] - true[None, :, :2]
    # Ends are origin + size again, as of a box given by width and height: so that ties fall as in the reference.
    inner = np.minimum(origin + size, true_origin + true_size) - np.maximum(origin, true_origin)
    shared = np.where((inner > 0).all(axis=2), inner.prod(axis=2), 0.0)
    return _ratio(shared, size.prod(axis=2), true_size.prod(axis=2), crowd)


def mask_overlaps(
    found: Bool[np.ndarray, "found height width"],
    true: Bool[np.ndarray, "true height width"],
    crowd: Bool[np.ndarray, " true"],
) -> Float[np.ndarray, "found true"]:
    """Intersection over union of pixels; over the found pixels for a crowd."""
    pixels = found.shape[1] * found.shape[2]
    flat, true_flat = (masks.reshape(len(masks), pixels).astype(np.float32) for masks in (found, true))
    shared = (flat @ true_flat.T).astype(np.float64)  # whole numbers below 2**24 are exact
    return _ratio(shared, flat.sum(axis=1, dtype=np.float64)[:, None], true_flat.sum(axis=1, dtype=np.float64), crowd)


def _ratio(shared: np.ndarray, found: np.ndarray, true: np.ndarray, crowd: np.ndarray) -> np.ndarray:
    united = np.where(crowd, found, found + true - shared)
    return np.divide(shared, united, out=np.zeros_like(shared), where=united > 0)


def _matched(
    overlaps: np.ndarray, sizes: np.ndarray, true_sizes: np.ndarray, crowd: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Of each found object, best first, whether it is right and whether it is ignored; bool, shape (found, lanes)."""
    low, high = _LIMITS[:, :1], _LIMITS[:, 1:]
    aside = crowd | (true_sizes < low) | (true_sizes > high)  # lanes, true
    outside = ((sizes < low) | (sizes > high)).T  # found, lanes
    hit, ignored = np.zeros_like(outside), outside.copy()
    free = np.ones_like(aside)
    lanes = np.arange(_LANES)
    touching = np.flatnonzero((overlaps >= THRESHOLDS[0]).any(axis=1)) if overlaps.size else ()
    for row in touching:
        fits = (overlaps[row] >= _OVERLAP[:, None]) & (free | crowd)
        # An object that counts goes before any that does not; of equal overlaps the last one is taken.
        rank = np.where(fits, np.where(aside, overlaps[row], overlaps[row] + 2), -1.0)[:, ::-1]
        chosen = overlaps.shape[1] - 1 - rank.argmax(axis=1)
        taken = fits[lanes, chosen]
        beside = aside[lanes, chosen]
        hit[row] = taken & ~beside
        ignored[row] = np.where(taken, beside, outside[row])
        free[lanes[taken], chosen[taken]] = False
    return hit, ignored
