"""Detection: of every image what was found and how it matched is kept, and average precision is made of it."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace

import numpy as np
from jaxtyping import Float
from torch import Tensor

from weatherglass.metrics.comparison import exchange_test
from weatherglass.metrics.detection import Found, Truth, ap_influence, average_precisions, mean_ap
from weatherglass.metrics.intervals import Bootstrap
from weatherglass.metrics.matching import THRESHOLDS, Matches, area_bits, counted, crowds, match
from weatherglass.tasks.task import ClassTable, Columns, InvalidOutput, Kinds, Rows, Score, ScoreTable
from weatherglass.types import Objects, Predictor

Precisions = Float[np.ndarray, "rows classes 10"]

_PARTS: Mapping[str, tuple[str, str, slice]] = {
    "box_ap": ("box", "all", slice(None)),
    "box_ap50": ("box", "all", slice(0, 1)),
    "box_ap75": ("box", "all", slice(5, 6)),
    "box_ap_small": ("box", "small", slice(None)),
    "box_ap_medium": ("box", "medium", slice(None)),
    "box_ap_large": ("box", "large", slice(None)),
    "mask_ap": ("mask", "all", slice(None)),
    "mask_ap50": ("mask", "all", slice(0, 1)),
    "mask_ap75": ("mask", "all", slice(5, 6)),
}
"""Score -> what is matched, range of area, thresholds."""

_WORDS = {
    "box_ap": "box AP",
    "box_ap50": "box AP50",
    "box_ap75": "box AP75",
    "box_ap_small": "box AP of small objects",
    "box_ap_medium": "box AP of medium objects",
    "box_ap_large": "box AP of large objects",
    "mask_ap": "mask AP",
    "mask_ap50": "mask AP50",
    "mask_ap75": "mask AP75",
}


class Detection:
    """Finding objects, with boxes and perhaps masks. Final.

    AP is COCO's: the mean over ten overlaps from 0.50 to 0.95, and over the classes that occur. mPC is its mean over
    corruptions of the mean over severities, rPC (retention) mPC over clean AP (Michaelis et al. 2019).
    """

    name = "detection"
    headline = "box_ap"
    measure = "box AP"
    kept = (
        *("scores", "classes", "box_hits", "box_ignored", "masked", "mask_hits", "mask_ignored"),
        *("true_classes", "true_areas", "ap"),
    )
    counts_images = False
    resampled_images = 80_000_000
    scores: Mapping[str, Score] = {
        name: Score(f"clean {words}", f"mean corrupted {words}" + (" (mPC)" if name == "box_ap" else ""))
        for name, words in _WORDS.items()
    }

    def __init__(self) -> None:
        self._last: tuple[Columns, Bootstrap, list[Precisions]] | None = None

    def output_shape(self, predictor: Predictor, images: Tensor) -> tuple[int, ...]:
        return (len(images),)

    def observe(self, output: Sequence[Objects], truth: Sequence[Objects]) -> dict[str, np.ndarray]:
        """What is kept of each image: lists of one number a found object, best first, or a true object.

        `scores`, `classes`; `box_hits`, `box_ignored` and, where both sides have masks, `mask_hits`, `mask_ignored`:
        bits of `metrics.matching.Matches`; `true_classes`, `true_areas`. `masked`: whether there are masks; `objects`:
        true objects that count; `ap`: float32, the image's own box AP.
        Raises `InvalidOutput` when a box or a score is not finite.
        """
        bad = sum(not (np.isfinite(one.boxes).all() and np.isfinite(_scores(one)).all()) for one in output)
        if bad:
            raise InvalidOutput(f"the model returned NaN or infinite boxes or scores for {bad} of {len(output)} images")
        return _columns([_observed(found, true) for found, true in zip(output, truth, strict=True)])

    def summarise(self, observations: Columns) -> dict[str, float]:
        """Scores of one cell; those that are not defined (no masks, no small object) are left out."""
        samples = len(observations["ap"])
        scores, _ = _measured(observations, np.ones((1, samples), np.float32))
        return {name: float(values[0]) for name, values in scores.items() if np.isfinite(values[0])}

    def tables(self, columns: Columns, bootstrap: Bootstrap) -> dict[str, ScoreTable]:
        """Scores of stacked conditions, computed again from the matches for every resample."""
        measured = [_resampled(_row(columns, row), bootstrap) for row in range(len(columns["ap"]))]
        self._last = (columns, bootstrap, [precisions for _, precisions in measured])
        tables = {name: np.stack([scores[name] for scores, _ in measured], axis=1) for name in _PARTS}
        return {name: table for name, table in tables.items() if np.isfinite(table[0]).all()}

    def classes(
        self, columns: Columns, labels: np.ndarray, clean: int | None, kinds: Kinds, bootstrap: Bootstrap
    ) -> list[ClassTable]:
        """Box AP of each class that occurs in the truth."""
        if self._last is None or self._last[0] is not columns or self._last[1] != bootstrap:
            self.tables(columns, bootstrap)
        assert self._last is not None
        by_class = [precisions.mean(axis=2) for precisions in self._last[2]]
        corrupted = np.mean([np.mean([by_class[row] for row in rows], axis=0) for rows in kinds], axis=0)
        truth = _truth(_row(columns, 0))
        held = np.unique(np.stack([truth.images, truth.classes])[:, (truth.areas & 1) > 0], axis=1)
        return [
            ClassTable(
                int(index), int(count), None if clean is None else by_class[clean][:, index], corrupted[:, index]
            )
            for index, count in zip(*np.unique(held[1], return_counts=True), strict=True)
        ]

    def image_scores(self, columns: Columns) -> Float[np.ndarray, "*conditions samples"]:
        """Box AP of each image by itself; nan where it holds no object."""
        return columns["ap"]

    def p_values(self, first: Columns, second: Columns, *, mid_p: bool) -> Float[np.ndarray, " conditions"]:
        """Paired randomisation test of the difference in box AP; `mid_p` has no meaning here.

        AP is no function of sums over images, and 20,000 exchanges would take as many evaluations. So what is
        exchanged is each image's share in the AP, to first order, among the objects that both models found: those of
        both together are ranked, and `ap_influence` says how much each image of each model adds. It does not change
        when models are exchanged, so the test keeps its level.
        """

        def shares(row: int) -> tuple[np.ndarray, np.ndarray]:
            pair = [_row(columns, row) for columns in (first, second)]
            samples, classes = len(pair[0]["ap"]), _class_count(pair)
            mixed, truth = _together(_found(pair[0], "box"), _found(pair[1], "box"), samples), _truth(pair[0])
            influence = ap_influence(mixed, truth, classes, 2 * samples)
            return influence[:samples, None], influence[samples:, None]

        pairs = (shares(row) for row in range(len(first["ap"])))
        return np.array([exchange_test(one, other, lambda sums: sums[:, 0]) for one, other in pairs])

    def test_name(self, *, mid_p: bool) -> str:
        return "randomisation test of paired images, AP to first order"


def _observed(found: Objects, truth: Objects) -> dict[str, np.ndarray | np.float32]:
    found = _best(found)
    boxes = match(found, truth, masks=False)
    nothing = np.zeros(0, np.uint64)
    masked = found.masks is not None and truth.masks is not None
    masks = match(found, truth, masks=True) if masked else Matches(nothing, nothing)
    kept: dict[str, np.ndarray | np.float32] = {
        "scores": _scores(found).astype(np.float32),
        "classes": found.classes.astype(np.uint16),
        "box_hits": boxes.hits,
        "box_ignored": boxes.ignored,
        "mask_hits": masks.hits,
        "mask_ignored": masks.ignored,
        "true_classes": truth.classes.astype(np.uint16),
        "true_areas": area_bits(truth),
    }
    alone = _columns([kept | {"ap": np.float32(0), "masked": np.bool_(masked)}])
    precisions = average_precisions(_found(alone, "box"), _truth(alone), np.ones((1, 1)), _class_count([alone]))
    objects = np.int32((~crowds(truth)).sum())
    return kept | {"ap": np.float32(mean_ap(precisions)[0]), "masked": np.bool_(masked), "objects": objects}


def _best(found: Objects) -> Objects:
    rows = counted(found)
    masks = None if found.masks is None else found.masks[rows]
    return replace(
        found, boxes=found.boxes[rows], classes=found.classes[rows], scores=_scores(found)[rows], masks=masks
    )


def _scores(found: Objects) -> np.ndarray:
    assert found.scores is not None, "what a detector finds has scores"
    return found.scores


def _columns(kept: Sequence[Mapping[str, np.ndarray | np.float32]]) -> dict[str, np.ndarray]:
    """One column a name: numbers as an array, lists as an array of arrays."""
    columns = {}
    for name, first in kept[0].items():
        if isinstance(first, np.ndarray):
            columns[name] = np.empty(len(kept), dtype=object)
            for row, one in enumerate(kept):
                columns[name][row] = one[name]
        else:
            columns[name] = np.array([one[name] for one in kept])
    return columns


def _row(columns: Columns, row: int) -> dict[str, np.ndarray]:
    """One condition of stacked ones."""
    return {name: values[row] for name, values in columns.items()}


def _found(columns: Columns, kind: str) -> Found:
    """What was found in all images of one condition, by boxes or masks."""
    counts = [len(one) for one in columns["scores"]]
    return Found(
        images=np.arange(len(counts)).repeat(counts),
        classes=np.concatenate(columns["classes"]).astype(np.int64),
        scores=np.concatenate(columns["scores"]),
        hits=np.concatenate(columns[f"{kind}_hits"]),
        ignored=np.concatenate(columns[f"{kind}_ignored"]),
    )


def _truth(columns: Columns) -> Truth:
    counts = [len(one) for one in columns["true_classes"]]
    return Truth(
        images=np.arange(len(counts)).repeat(counts),
        classes=np.concatenate(columns["true_classes"]).astype(np.int64),
        areas=np.concatenate(columns["true_areas"]),
    )


def _together(first: Found, second: Found, samples: int) -> Found:
    """What two models found, as of twice as many images."""
    parts = [first, replace(second, images=second.images + samples)]
    return Found(
        images=np.concatenate([part.images for part in parts]),
        classes=np.concatenate([part.classes for part in parts]),
        scores=np.concatenate([part.scores for part in parts]),
        hits=np.concatenate([part.hits for part in parts]),
        ignored=np.concatenate([part.ignored for part in parts]),
    )


def _class_count(rows: Sequence[Columns]) -> int:
    """One more than the largest class index that occurs; classes beyond it have no number anyway."""
    return 1 + max((int(one.max()) for row in rows for one in row["true_classes"] if len(one)), default=0)


def _measured(columns: Columns, weights: np.ndarray) -> tuple[dict[str, Rows], Precisions]:
    """Every score of one condition for each row of weights, and the box APs of classes."""
    truth, classes = _truth(columns), _class_count([columns])
    precisions: dict[tuple[str, str], Precisions] = {}
    for kind, area, _ in _PARTS.values():
        if (kind, area) not in precisions:
            precisions[kind, area] = _precisions(columns, truth, weights, classes, kind, area)
    scores = {name: mean_ap(precisions[kind, area][:, :, cut]) for name, (kind, area, cut) in _PARTS.items()}
    return scores, precisions["box", "all"]


def _precisions(columns: Columns, truth: Truth, weights: np.ndarray, classes: int, kind: str, area: str) -> Precisions:
    if kind == "mask" and not columns["masked"].all():
        return np.full((len(weights), classes, len(THRESHOLDS)), np.nan)
    return average_precisions(_found(columns, kind), truth, weights, classes, area)


def _resampled(columns: Columns, bootstrap: Bootstrap) -> tuple[dict[str, Rows], Precisions]:
    """The estimate in row 0, then one row a resample."""
    parts = [_measured(columns, weights) for weights in _weights(bootstrap)]
    scores = {name: np.concatenate([part[0][name] for part in parts]) for name in _PARTS}
    return scores, np.concatenate([part[1] for part in parts])


def _weights(bootstrap: Bootstrap) -> Iterator[np.ndarray]:
    yield np.ones((1, bootstrap.samples), np.float32)
    yield from bootstrap.counts()
