"""Average precision equals the reference evaluator's, for all images and for resamples of them."""

from collections.abc import Sequence

import numpy as np
import pytest
from reference_detection import reference_ap

from weatherglass.metrics.detection import Found, Truth, ap_influence, average_precisions, mean_ap
from weatherglass.metrics.intervals import Bootstrap
from weatherglass.metrics.matching import area_bits, counted, match
from weatherglass.tasks.detection import Detection
from weatherglass.types import Objects

SIDE = 150


def some_objects(random: np.random.Generator, count: int, classes: int, *, grid: bool, masks: bool) -> Objects:
    """Boxes of all ranges of area, a few of them crowds; on a grid overlaps tie and fall on thresholds."""
    corner, size = random.uniform(0, 0.7 * SIDE, (count, 2)), random.uniform(5, 0.9 * SIDE, (count, 2))
    ends = np.concatenate([corner, np.minimum(corner + size, SIDE)], axis=1)
    boxes = np.rint(ends / 10) * 10 if grid else ends
    boxes[:, 2:] = np.maximum(boxes[:, 2:], boxes[:, :2] + 5)
    drawn = np.zeros((count, SIDE, SIDE), dtype=bool)
    for mask, (x0, y0, x1, y1) in zip(drawn, np.rint(boxes).astype(int), strict=True):
        mask[y0:y1, x0:x1] = True
    return Objects(
        boxes=boxes,
        classes=random.integers(0, classes, count),
        masks=drawn if masks else None,
        crowd=random.random(count) < 0.15,
        areas=(boxes[:, 2:] - boxes[:, :2]).prod(axis=1) * random.uniform(0.3, 1, count),
    )


def some_found(
    random: np.random.Generator, truth: Objects, classes: int, extra: int, *, ties: bool, grid: bool
) -> Objects:
    """Most of the true objects, moved a little, among others that are wrong."""
    masks = truth.masks is not None
    wrong = some_objects(random, extra, classes, grid=grid, masks=masks)
    kept = random.random(len(truth)) < 0.8
    moved = truth.boxes[kept] + (
        random.integers(-1, 2, (kept.sum(), 4)) * 10.0 if grid else random.normal(0, 4, (kept.sum(), 4))
    )
    boxes = np.concatenate([moved, wrong.boxes])
    boxes[:, 2:] = np.maximum(boxes[:, 2:], boxes[:, :2] + 1)
    scores = random.random(len(boxes)).astype(np.float32)
    drawn = None
    if truth.masks is not None and wrong.masks is not None:
        drawn = np.concatenate([truth.masks[kept] & (random.random((kept.sum(), SIDE, SIDE)) < 0.8), wrong.masks])
    return Objects(
        boxes=boxes,
        classes=np.concatenate([truth.classes[kept], wrong.classes]),
        scores=(np.rint(4 * scores) / 4).astype(np.float32) if ties else scores,
        masks=drawn,
    )


def a_set(seed: int, *, ties: bool = False, grid: bool = False, masks: bool = False, many: int = 10):
    random = np.random.default_rng(seed)
    classes, images = int(random.integers(1, 5)), int(random.integers(2, 10))
    truth = [some_objects(random, int(random.integers(0, 8)), classes, grid=grid, masks=masks) for _ in range(images)]
    truth[0] = some_objects(random, 3, classes, grid=grid, masks=masks)
    found = [some_found(random, one, classes, int(random.integers(0, many)), ties=ties, grid=grid) for one in truth]
    if images > 3:
        found[2] = some_found(
            random, some_objects(random, 0, classes, grid=grid, masks=masks), classes, 0, ties=ties, grid=grid
        )
    return found, truth, classes


def assert_equal(scores: dict[str, float], reference: dict[str, float], kind: str) -> None:
    for name, value in reference.items():
        ours = scores.get(f"{kind}_{name}", np.nan)
        if f"{kind}_{name}" in Detection.scores:
            assert ours == pytest.approx(value, abs=1e-12, nan_ok=True), name


CASES = [
    {"ties": ties, "grid": grid, "masks": masks, "many": many, "seed": seed}
    for seed, (ties, grid, masks, many) in enumerate(
        [
            *((False, False, False, 10), (True, False, False, 10), (False, True, False, 10), (True, True, False, 10)),
            *((False, False, False, 200), (True, True, False, 200), (False, False, True, 6), (True, True, True, 6)),
        ]
    )
]


@pytest.mark.parametrize("case", CASES, ids=str)
def test_equals_the_reference_evaluator(case: dict[str, int]) -> None:
    found, truth, classes = a_set(**case)  # pyright: ignore[reportArgumentType]
    scores = Detection().summarise(Detection().observe(found, truth))
    assert_equal(scores, reference_ap(found, truth, classes), "box")
    if case["masks"]:
        assert_equal(scores, reference_ap(found, truth, classes, "segm"), "mask")
    else:
        assert not any(name.startswith("mask") for name in scores)


@pytest.mark.parametrize("seed", range(4))
def test_resamples_equal_the_reference_on_the_images_drawn(seed: int) -> None:
    found, truth, classes = a_set(seed + 20, many=20)
    task, bootstrap = Detection(), Bootstrap(len(found), 3, seed)
    columns = {name: values[None] for name, values in task.observe(found, truth).items()}
    tables = task.tables(columns, bootstrap)
    for row, weights in enumerate(next(bootstrap.counts()), start=1):
        drawn = np.arange(len(found)).repeat(weights.astype(int))
        reference = reference_ap([found[i] for i in drawn], [truth[i] for i in drawn], classes)
        for name, value in reference.items():
            if f"box_{name}" in tables:
                assert tables[f"box_{name}"][row, 0] == pytest.approx(value, abs=1e-12, nan_ok=True)


def objects(boxes: Sequence[Sequence[float]], scores: list[float] | None = None, **changes: object) -> Objects:
    given = np.array(boxes, dtype=np.float64).reshape(-1, 4)
    certainty = None if scores is None else np.array(scores, dtype=np.float32)
    return Objects(given, np.zeros(len(given), dtype=np.int64), certainty, **changes)  # pyright: ignore[reportArgumentType]


def box_ap(found: Objects, truth: Objects) -> dict[str, float]:
    return Detection().summarise(Detection().observe([found], [truth]))


def test_numbers_by_hand() -> None:
    truth = objects([[0, 0, 10, 10], [20, 20, 40, 40]])
    assert box_ap(objects([[0, 0, 10, 10], [20, 20, 40, 40]], [0.9, 0.8]), truth)["box_ap"] == pytest.approx(1)
    half = box_ap(objects([[0, 0, 10, 10]], [0.9]), truth)
    assert half["box_ap"] == pytest.approx(51 / 101), "recall 0.5 is reached with precision 1: 51 of the 101 recalls"
    wrong_first = box_ap(objects([[60, 60, 70, 70], [0, 0, 10, 10]], [0.9, 0.8]), truth)
    assert wrong_first["box_ap"] == pytest.approx(51 / 101 / 2)
    loose = box_ap(objects([[0, 0, 10, 6]], [0.9]), objects([[0, 0, 10, 10]]))
    assert loose["box_ap"] == pytest.approx(0.3), "overlap 0.6 counts at 0.50, 0.55 and 0.60"
    assert (loose["box_ap50"], loose["box_ap75"]) == (pytest.approx(1), 0)


def test_what_is_found_on_a_crowd_counts_neither_way() -> None:
    truth = objects([[0, 0, 10, 10], [50, 50, 100, 100]], crowd=np.array([False, True]))
    on_the_crowd = [[50, 50, 70, 70], [60, 60, 80, 80], [0, 0, 10, 10]]
    assert box_ap(objects(on_the_crowd, [0.9, 0.8, 0.7]), truth)["box_ap"] == pytest.approx(1)


def test_nothing_found_and_nothing_there() -> None:
    nothing = objects([], [])
    assert box_ap(nothing, objects([[0, 0, 10, 10]]))["box_ap"] == 0
    assert "box_ap" not in box_ap(objects([[0, 0, 1, 1]], [0.5]), objects([]))
    kept = Detection().observe([nothing, nothing], [objects([]), objects([[0, 0, 10, 10]])])
    assert np.isnan(kept["ap"][0])
    assert kept["ap"][1] == 0


def flat(found: list[Objects], truth: list[Objects]) -> tuple[Found, Truth]:
    rows = [counted(one) for one in found]
    best = [Objects(one.boxes[row], one.classes[row], one.scores[row]) for one, row in zip(found, rows, strict=True)]  # pyright: ignore[reportOptionalSubscript]
    matches = [match(one, true, masks=False) for one, true in zip(best, truth, strict=True)]
    images = np.arange(len(found)).repeat([len(one) for one in best])
    return Found(
        images,
        np.concatenate([one.classes for one in best]),
        np.concatenate([one.scores for one in best if one.scores is not None]),
        np.concatenate([one.hits for one in matches]),
        np.concatenate([one.ignored for one in matches]),
    ), Truth(
        np.arange(len(truth)).repeat([len(one) for one in truth]),
        np.concatenate([one.classes for one in truth]),
        np.concatenate([area_bits(one) for one in truth]),
    )


def test_the_influence_of_an_image_is_the_slope_of_the_area() -> None:
    """Against differences of the area under precision and recall, computed plainly."""
    found, truth, classes = a_set(3, many=20)
    every, true = flat(found, truth)
    slopes = ap_influence(every, true, classes, len(found))
    step = 1e-6
    for image in range(len(found)):
        weights = [np.ones(len(found)), np.ones(len(found))]
        weights[0][image] -= step
        weights[1][image] += step
        low, high = (plain_area(every, true, one) for one in weights)
        assert slopes[image] == pytest.approx((high - low) / (2 * step), abs=1e-6)


def plain_area(found: Found, truth: Truth, weights: np.ndarray) -> float:
    """Area under precision and recall without interpolation, what is found weighted by image."""
    areas = []
    for category in np.unique(truth.classes[(truth.areas & 1) > 0]):
        rows = np.flatnonzero(found.classes == category)
        rows = rows[np.argsort(-found.scores[rows], kind="stable")]
        count = ((truth.classes == category) & ((truth.areas & 1) > 0)).sum()
        for threshold in range(10):
            flag = np.uint64(1 << threshold)
            right = seen = area = 0.0
            for row in rows:
                weight = weights[found.images[row]]
                hit = bool(found.hits[row] & flag)
                seen += 0.0 if found.ignored[row] & flag else weight
                right += weight if hit else 0.0
                area += weight * right / seen if hit else 0.0
            areas.append(area / count)
    return float(np.mean(areas))


def kept(found: list[Objects], truth: list[Objects]) -> dict[str, np.ndarray]:
    return {name: values[None] for name, values in Detection().observe(found, truth).items()}


def test_a_model_cannot_be_told_from_itself_and_a_better_one_can() -> None:
    random = np.random.default_rng(0)
    truth = [some_objects(random, 5, 2, grid=False, masks=False) for _ in range(40)]
    good = [some_found(random, one, 2, 2, ties=False, grid=False) for one in truth]
    bad = [some_found(random, one, 2, 12, ties=False, grid=False) for one in truth]
    task = Detection()
    assert task.p_values(kept(good, truth), kept(good, truth), mid_p=False)[0] == 1
    assert task.p_values(kept(good, truth), kept(bad, truth), mid_p=False)[0] < 0.001
    other = [some_found(random, one, 2, 2, ties=False, grid=False) for one in truth]
    assert task.p_values(kept(good, truth), kept(other, truth), mid_p=False)[0] > 0.01


def test_classes_that_do_not_occur_have_no_number() -> None:
    found, truth, _ = a_set(5)
    every, true = flat(found, truth)
    precisions = average_precisions(every, true, np.ones((1, len(found))), 9)
    assert np.isnan(precisions[0, 8]).all()
    assert np.isfinite(mean_ap(precisions)).all()
