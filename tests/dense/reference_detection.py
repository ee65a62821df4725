"""Average precision by the reference evaluator, pycocotools, from the same objects."""

import contextlib
import io
from collections.abc import Sequence
from typing import Any

import numpy as np
from pycocotools import mask as runs
from pycocotools.coco import COCO
from pycocotools.cocoeval import COCOeval

from weatherglass.types import Objects

NAMES = ("ap", "ap50", "ap75", "ap_small", "ap_medium", "ap_large")


def reference_ap(
    found: Sequence[Objects], truth: Sequence[Objects], classes: int, kind: str = "bbox"
) -> dict[str, float]:
    """The first six numbers that COCOeval prints; nan where it says -1."""
    with contextlib.redirect_stdout(io.StringIO()):
        true: Any = COCO()
        true.dataset = {
            "images": [{"id": index, "height": 0, "width": 0} for index in range(len(truth))],
            "categories": [{"id": index} for index in range(classes)],
            "annotations": [],
        }
        for image, one in enumerate(truth):
            for row in range(len(one)):
                record = _record(one, row, image, kind) | {"id": len(true.dataset["annotations"]) + 1}
                record["iscrowd"] = int(one.crowd[row]) if one.crowd is not None else 0
                assert one.areas is not None
                record["area"] = float(one.areas[row])
                true.dataset["annotations"].append(record)
        true.createIndex()
        results = [_record(one, row, image, kind) for image, one in enumerate(found) for row in range(len(one))]
        if not results:  # COCOeval takes no empty list of results
            results = [{"image_id": 0, "category_id": classes, "bbox": [0, 0, 1, 1], "score": 0.5}]
            results[0] |= {"segmentation": runs.encode(np.zeros((4, 4), np.uint8, order="F"))} if kind == "segm" else {}
        evaluation: Any = COCOeval(true, true.loadRes(results), kind)  # pyright: ignore[reportArgumentType]
        evaluation.evaluate()
        evaluation.accumulate()
        evaluation.summarize()
    stats = [float(value) for value in evaluation.stats[:6]]
    return dict(zip(NAMES, [np.nan if value == -1 else value for value in stats], strict=True))


def _record(objects: Objects, row: int, image: int, kind: str) -> dict[str, Any]:
    x0, y0, x1, y1 = (float(value) for value in objects.boxes[row])
    record: dict[str, Any] = {"image_id": image, "category_id": int(objects.classes[row])}
    if kind == "bbox":
        record["bbox"] = [x0, y0, x1 - x0, y1 - y0]
    else:
        assert objects.masks is not None
        record["segmentation"] = runs.encode(np.asfortranarray(objects.masks[row].astype(np.uint8)))
    if objects.scores is not None:
        record["score"] = float(objects.scores[row])
    else:
        record["bbox"] = [x0, y0, x1 - x0, y1 - y0]
    return record
