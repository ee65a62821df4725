"""Average precision as COCO defines it, of a set of images and of any resample of them.

What became of every found object in its own image (`matching`) does not depend on the other images. So a resample
counts each found object as often as its image was drawn, and precision and recall follow from running sums. An image
drawn twice gives each found object two neighbouring places; the precision between them never decides, since the later
one is at least as high. The result is that of the reference evaluator on the resampled images (but for equal scores
in one image, which the evaluator would interleave with those of its copies).
"""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Int, Num, UInt8, UInt64

from weatherglass.metrics.matching import AREAS, THRESHOLDS, bit

RECALLS = np.linspace(0.0, 1.0, 101)
"""Recalls at which the precision is read (COCOeval `recThrs`)."""

LARGEST_BLOCK = 2**22
"""Weights of found objects worked on at a time, for all resamples of a block together."""

Weights = Num[np.ndarray, "rows images"]
"""How often each resample (row) holds each image."""


@dataclass(frozen=True)
class Found:
    """What was found in all images, flat; within an image best first."""

    images: Int[np.ndarray, " found"]
    """Position of the image, ascending."""
    classes: Int[np.ndarray, " found"]
    scores: Float[np.ndarray, " found"]
    hits: UInt64[np.ndarray, " found"]
    """See `matching.Matches`."""
    ignored: UInt64[np.ndarray, " found"]


@dataclass(frozen=True)
class Truth:
    """What is truly in all images, flat."""

    images: Int[np.ndarray, " objects"]
    classes: Int[np.ndarray, " objects"]
    areas: UInt8[np.ndarray, " objects"]
    """See `matching.area_bits`."""


@dataclass(frozen=True)
class _Ranked:
    """The found objects of one class that count in one range of area, best first."""

    category: int
    images: np.ndarray
    hits: np.ndarray
    ignored: np.ndarray
    true: np.ndarray
    """Image of each true object of that class and range."""
    scores: np.ndarray


def average_precisions(
    found: Found, truth: Truth, weights: Weights, classes: int, area: str = "all"
) -> Float[np.ndarray, "rows classes 10"]:
    """AP of each resample, class and threshold; nan where a resample holds no such object (COCOeval's -1)."""
    values = np.full((len(weights), classes, len(THRESHOLDS)), np.nan)
    for ranked in _by_class(found, truth, area):
        step = max(1, LARGEST_BLOCK // max(len(ranked.images), 1))
        for start in range(0, len(weights), step):
            rows = slice(start, start + step)
            values[rows, ranked.category] = _of_class(ranked, weights[rows], area)
    return values


def mean_ap(precisions: Float[np.ndarray, "rows classes 10"]) -> Float[np.ndarray, " rows"]:
    """Mean over the thresholds and the classes that occur; nan where none does. Thresholds may be cut beforehand."""
    there = np.isfinite(precisions)
    count = there.sum(axis=(1, 2))
    total = np.where(there, precisions, 0.0).sum(axis=(1, 2))
    return np.divide(total, count, out=np.full(len(total), np.nan), where=count > 0)


def ap_influence(found: Found, truth: Truth, classes: int, images: int) -> Float[np.ndarray, " images"]:
    """How much the AP of all images would rise for each more of one image: the derivative by its weight.

    Of the AP without interpolation (the area under precision and recall), and of what is found alone: the number of
    true objects is held fixed. Found objects of equal score count as one step, so their order has no say.
    """
    influence = np.zeros(images)
    groups = list(_by_class(found, truth, "all"))
    for ranked in groups:
        last = np.flatnonzero(np.append(np.diff(ranked.scores) != 0, True)) if len(ranked.scores) else np.zeros(0, int)
        step = np.searchsorted(last, np.arange(len(ranked.scores)))  # of equal scores the last one's place
        for threshold in range(len(THRESHOLDS)):
            flag = bit("all", threshold)
            hit, counts = (ranked.hits & flag) > 0, (ranked.ignored & flag) == 0
            right, seen = np.cumsum(hit)[last], np.maximum(np.cumsum(counts)[last], 1)
            here = np.diff(right, prepend=0)
            rising = np.cumsum((here / seen)[::-1])[::-1]
            falling = np.cumsum((here * right / seen**2)[::-1])[::-1]
            gain = np.where(hit, (right / seen + rising)[step], 0.0) - np.where(counts, falling[step], 0.0)
            influence += np.bincount(ranked.images, gain, images) / len(ranked.true)
    return influence / max(len(groups) * len(THRESHOLDS), 1)


def _by_class(found: Found, truth: Truth, area: str) -> Iterator[_Ranked]:
    """Every class with a true object in this range of area."""
    always = np.bitwise_or.reduce([bit(area, threshold) for threshold in range(len(THRESHOLDS))])
    relevant = np.flatnonzero((found.ignored & always) != always)
    order = relevant[np.lexsort((relevant, -found.scores[relevant], found.classes[relevant]))]
    counts = ((truth.areas >> list(AREAS).index(area)) & 1) > 0
    ends = np.searchsorted(found.classes[order], np.unique(truth.classes[counts]), side="right")
    starts = np.searchsorted(found.classes[order], np.unique(truth.classes[counts]), side="left")
    for category, start, end in zip(np.unique(truth.classes[counts]), starts, ends, strict=True):
        rows = order[start:end]
        true = truth.images[counts & (truth.classes == category)]
        yield _Ranked(
            int(category), found.images[rows], found.hits[rows], found.ignored[rows], true, found.scores[rows]
        )


def _of_class(ranked: _Ranked, weights: Weights, area: str) -> Float[np.ndarray, "rows 10"]:
    """AP of one class at the ten thresholds."""
    objects = weights[:, ranked.true].sum(axis=1, dtype=np.float64)
    drawn = weights[:, ranked.images].astype(np.float32)  # whole numbers, whose sums stay below 2**24
    seen = np.cumsum(drawn, axis=1)
    values = np.full((len(weights), len(THRESHOLDS)), np.nan)
    there = objects > 0
    for threshold in range(len(THRESHOLDS)):
        flag = bit(area, threshold)
        hits, aside = np.flatnonzero(ranked.hits & flag), np.flatnonzero(ranked.ignored & flag)
        right = np.cumsum(drawn[:, hits], axis=1)
        counting = seen[:, hits]
        if len(aside):
            skipped = np.pad(np.cumsum(drawn[:, aside], axis=1), ((0, 0), (1, 0)))
            counting = counting - skipped[:, np.searchsorted(aside, hits)]
        values[there, threshold] = _interpolated(right[there], counting[there], objects[there])
    return values


def _interpolated(right: np.ndarray, seen: np.ndarray, objects: np.ndarray) -> np.ndarray:
    """Mean precision at the 101 recalls, from the running sums at every hit; shape (rows,)."""
    if not right.shape[1]:
        return np.zeros(len(right))
    precision = right / (seen + np.spacing(1.0))  # COCOeval adds the same hair
    envelope = np.maximum.accumulate(precision[:, ::-1], axis=1)[:, ::-1]
    reached = np.searchsorted(RECALLS, right / objects[:, None], side="right")
    return (envelope * np.diff(reached, axis=1, prepend=0)).sum(axis=1) / len(RECALLS)
