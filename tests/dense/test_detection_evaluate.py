"""Detection through the verbs: measured once, kept, resumed, compared, judged, reported; images of many sizes."""

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from memory_detector import SCENES, MemoryDetector, boxes_only, shaky, steady
from PIL import Image
from torch import Tensor, nn

import weatherglass as wg
from weatherglass.errors import UserError
from weatherglass.evaluation.comparison import compare
from weatherglass.evaluation.copy_plan import plan_copy
from weatherglass.evaluation.evaluate import Evaluation, EvaluationSettings, evaluate
from weatherglass.evaluation.gate import gate
from weatherglass.evaluation.pixels import decode_once
from weatherglass.evaluation.rules import Rule, Rules
from weatherglass.evaluation.store import Store
from weatherglass.metrics.intervals import Bootstrap
from weatherglass.models.detection_predictor import DetectionPredictor
from weatherglass.models.preprocessing import PreprocessingOverride
from weatherglass.models.segmentation_predictor import SegmentationPredictor
from weatherglass.types import DetectionData, Objects, Preprocessing

CONDITIONS = ("fog@1", "fog@4", "gaussian_noise@1", "gaussian_noise@4")


def predictor(module: MemoryDetector, name: str = "memory") -> DetectionPredictor:
    return DetectionPredictor(module, name=name, labels=range(1, 6), class_names=module.class_names)


def run(store: Path, module: MemoryDetector, name: str = "memory", data: str = SCENES) -> Evaluation:
    return evaluate(predictor(module, name), data=data, store=store, disturbances=CONDITIONS)


@pytest.fixture(scope="module")
def measured(tmp_path_factory: pytest.TempPathFactory) -> Evaluation:
    return run(tmp_path_factory.mktemp("dense") / "store", shaky())


def test_summary(measured: Evaluation) -> None:
    summary = measured.summary
    assert (summary.task, summary.headline, summary.measure) == ("detection", "box_ap", "box AP")
    assert summary.clean is not None
    assert summary.corrupted is not None
    assert summary.retention is not None
    assert summary.clean.value == pytest.approx(1)
    assert 0 < summary.corrupted.value < 1
    kinds = [np.mean([summary.conditions[f"{kind}@{s}"].score.value for s in (1, 4)]) for kind in summary.grid.kinds]
    assert summary.corrupted.value == pytest.approx(np.mean(kinds))
    assert summary.retention.value == pytest.approx(summary.corrupted.value / summary.clean.value)
    assert {"box_ap", "box_ap50", "mask_ap", "mask_ap_corrupted", "fog@1", "drop.fog@1"} <= summary.metrics.keys()
    assert summary.mce is None
    assert "box_ap_large" in summary.absent
    assert {one.name for one in summary.classes} <= {"disc", "square", "triangle", "ring", "cross"}
    assert all(one.clean is not None and one.clean.value == pytest.approx(1) for one in summary.classes)
    assert 0 < np.mean([one.corrupted.value for one in summary.classes]) < 1


def test_without_masks_there_is_no_mask_ap(tmp_path: Path) -> None:
    summary = run(tmp_path, boxes_only()).summary
    assert "mask_ap" not in summary.metrics
    assert "mask_ap" in summary.absent


def same(first: np.ndarray, second: np.ndarray) -> bool:
    """Equal numbers, nan among them."""
    return np.array_equal(first, second, equal_nan=np.asarray(first).dtype.kind == "f")


def test_only_what_is_missing_is_measured(measured: Evaluation) -> None:
    again = run(measured.store.path, shaky())
    assert (again.measured, again.reused) == (0, 5)


def test_batches_change_nothing(measured: Evaluation, tmp_path: Path) -> None:
    settings = EvaluationSettings(batch_size=1, workers=1, forward_batch=4)
    other = evaluate(predictor(shaky()), data=SCENES, store=tmp_path, disturbances=["fog@4"], settings=settings)
    for text in ("clean", "fog@4"):
        a, b = measured.runs[0].observations(text), other.runs[0].observations(text)
        assert a.columns.keys() == b.columns.keys()
        for name, column in a.columns.items():
            assert all(same(*pair) for pair in zip(column, b.columns[name], strict=True)), name


def test_the_protocol_says_what_matters(measured: Evaluation) -> None:
    record = measured.runs[0].records["fog@1"]
    assert record.protocol.disturbance["objects"] == "unmoved"
    assert (record.protocol.task, record.protocol.forward_batch) == ("detection", 1)


@pytest.mark.parametrize("text", ["fgsm@2/255", "elastic_transform@1", "pinch_and_twirl@1"])
def test_what_boxes_cannot_follow_is_refused(tmp_path: Path, text: str) -> None:
    with pytest.raises(UserError, match=r"boxes|gradient"):
        evaluate(predictor(shaky()), data="scene-objects:2@48x64", store=tmp_path / "store", disturbances=[text])
    assert not (tmp_path / "store").exists()


def test_compare_and_gate(measured: Evaluation, tmp_path: Path) -> None:
    other = run(tmp_path, steady(), "steady")
    found = compare(measured.runs[0], other.runs[0])
    assert found.task == "detection"
    assert found.aggregates["corrupted"].difference.value > 0
    assert found.conditions["clean"].p_value == 1
    assert any("box AP" in sentence for sentence in found.sentences)
    assert "to first order" in found.sentences[-1]
    rules = (
        Rule(name="clean", metric="box_ap", minimum=0.5, by="estimate"),
        Rule(name="masks", metric="mask_ap", minimum=0.5, by="estimate"),
        Rule(name="corrupted", metric="corrupted", minimum=0.999, by="estimate"),
    )
    assert [one.passed for one in gate(measured.runs[0], Rules(rules=rules)).results] == [True, True, False]


def test_pictures_and_page(measured: Evaluation) -> None:
    store = Store(measured.store.path)
    overlays = [one for record in measured.runs[0].disturbed.values() for one in store.overlays(record.key)]
    assert overlays
    assert all(one.clean_score > one.score for one in overlays)
    page = wg.report(measured.store.path).html
    findings = page.split("<body", 1)[1].split('id="gaps"')[0]
    assert "box AP" in findings
    assert "mIoU" not in findings


def test_query(measured: Evaluation) -> None:
    sql = "select count(*) as found from (select unnest(scores) as score from samples where disturbance = 'clean') where score > 0.5"  # noqa: E501
    scores = measured.runs[0].observations("clean").columns["scores"]
    assert measured.store.query(sql).to_pylist()[0]["found"] == sum(int((one > 0.5).sum()) for one in scores)


def test_a_copy_in_folders_of_classes_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="no copy is needed"):
        plan_copy(wg.load_data("scene-objects:2@48"), tmp_path / "copy", corruptions=["fog@1"])


def test_data_without_objects_and_wrong_boxes_are_refused(tmp_path: Path) -> None:
    file = photographs(tmp_path, boxes=[])
    with pytest.raises(UserError, match=r"None of the 4 images .* no AP"):
        evaluate(predictor(shaky()), data=f"coco:{file}", store=tmp_path / "a", disturbances=["fog@1"])
    file = photographs(tmp_path, boxes=[[5, 5, 20, 20], [300, 5, 10, 10]])
    with pytest.raises(UserError, match=r"annotation 1 of 1.png .* outside the image.*skip-unreadable"):
        evaluate(predictor(shaky()), data=f"coco:{file}", store=tmp_path / "b", disturbances=["fog@1"])
    settings = EvaluationSettings(skip_unreadable=True)
    kept = evaluate(predictor(shaky()), data=f"coco:{file}", store=tmp_path / "c", disturbances=["fog@1"], settings=settings)  # fmt: skip  # noqa: E501
    assert kept.summary.samples == 3
    assert "1 unreadable left out" in kept.runs[0].protocol.selection


def photographs(root: Path, boxes: list[list[float]]) -> Path:
    """Four images of three sizes; box k lies in image k."""
    (root / "images").mkdir(exist_ok=True)
    sizes = [(40, 60), (60, 40), (40, 60), (32, 32)]
    for number, (height, width) in enumerate(sizes):
        pixels = np.random.default_rng(number).integers(0, 255, (height, width, 3), dtype=np.uint8)
        Image.fromarray(pixels).save(root / "images" / f"{number}.png")
    listed = [{"id": n, "file_name": f"{n}.png", "height": h, "width": w} for n, (h, w) in enumerate(sizes)]
    drawn = [{"id": n, "image_id": n, "category_id": n % 2, "bbox": box, "area": 400} for n, box in enumerate(boxes)]
    names = [{"id": 0, "name": "disc"}, {"id": 1, "name": "ring"}]
    (root / "annotations.json").write_text(json.dumps({"images": listed, "annotations": drawn, "categories": names}))
    return root / "annotations.json"


class Corners(nn.Module):
    """Finds one object, whose place and score follow the pixels."""

    def __init__(self) -> None:
        super().__init__()
        self.scale = nn.Parameter(torch.ones(()))

    def forward(self, images: list[Tensor]) -> list[dict[str, Tensor]]:
        return [
            {
                "boxes": torch.tensor([[5.0, 5.0, 25.0 + 4 * image.mean().item(), 25.0]]),
                "labels": torch.tensor([1 + (image.shape[1] > 50)]),
                "scores": image.std()[None],
            }
            for image in images
        ]


def test_images_of_many_sizes(tmp_path: Path) -> None:
    data = wg.load_data(f"coco:{photographs(tmp_path, [[5, 5, 20, 20]] * 3)}")
    model = DetectionPredictor(Corners(), name="corners", labels=(1, 2), class_names=("disc", "ring"))
    whole = evaluate(model, data=data, store=tmp_path / "whole", disturbances=["fog@2", "gaussian_noise@2"])
    single = EvaluationSettings(batch_size=1, workers=1)
    again = evaluate(model, data=data, store=tmp_path / "single", disturbances=["fog@2"], settings=single)
    for text in ("clean", "fog@2"):
        a, b = whole.runs[0].observations(text), again.runs[0].observations(text)
        assert a.ids == b.ids == data.ids
        for name, column in a.columns.items():
            assert all(same(*pair) for pair in zip(column, b.columns[name], strict=True)), name
    part = evaluate(model, data=data.select([2, 1], "two"), store=tmp_path / "two", disturbances=["fog@2"])
    scores = dict(zip(data.ids, whole.runs[0].observations("fog@2").columns["scores"], strict=True))
    for sample, score in zip(("2.png", "1.png"), part.runs[0].observations("fog@2").columns["scores"], strict=True):
        assert np.array_equal(score, scores[sample]), "the image alone decides"
    assert whole.runs[0].observations("clean").columns["objects"].tolist() == [1, 1, 1, 0]


def test_decoded_images_of_many_sizes_come_back(tmp_path: Path) -> None:
    data = wg.load_data(f"coco:{photographs(tmp_path, [])}")
    pixels = decode_once(data, Preprocessing(), tmp_path / "pixels", workers=2)
    assert str(pixels.layout) == "3 sizes up to 60x60 pixels"
    batches = list(pixels.batches(2))
    assert sorted(row for rows in batches for row in rows) == [0, 1, 2, 3]
    for rows in batches:
        for row, image in zip(rows, pixels.at(rows), strict=True):
            assert torch.equal(image, data.image(row))
    assert decode_once(data, Preprocessing(), tmp_path / "pixels", workers=2).layout == pixels.layout


def test_masks_of_many_sizes_without_geometry(tmp_path: Path) -> None:
    for number, (height, width) in enumerate([(40, 60), (60, 40), (40, 60)]):
        grey = np.random.default_rng(number).integers(0, 255, (height, width), dtype=np.uint8)
        for folder, array in (("images", np.stack([grey] * 3, axis=2)), ("masks", grey // 128)):
            (tmp_path / folder).mkdir(exist_ok=True)
            Image.fromarray(array).save(tmp_path / folder / f"{number}.png")
    (tmp_path / "classes.json").write_text('["dark", "light"]')

    class Threshold(nn.Module):
        def forward(self, images: Tensor) -> Tensor:
            return torch.cat([128 / 255 - images[:, :1], images[:, :1] - 128 / 255], dim=1)

    model = SegmentationPredictor(Threshold(), name="threshold", preprocessing=Preprocessing(source="test"))
    found = evaluate(model, data=f"masks:{tmp_path}", store=tmp_path / "store", disturbances=["gaussian_noise@3"])
    assert found.summary.clean is not None
    assert found.summary.clean.value > 0.98
    true = found.runs[0].observations("clean").columns["true"].sum(axis=1)
    assert true.tolist() == [2400, 2400, 2400]


def test_resamples_are_fewer_where_they_are_dear(measured: Evaluation) -> None:
    from weatherglass.tasks.task import affordable, task_named

    task = task_named("detection")
    assert affordable(task, 8, 81, 1000) == 1000
    assert affordable(task, 5000, 81, 1000) == 197
    assert affordable(task, 40000, 81, 1000) == 100
    assert affordable(task_named("segmentation"), 5000, 81, 1000) == 1000
    assert measured.summary.resamples == 1000


class Written(nn.Module):
    """Returns what it was given."""

    def __init__(self, answer: object) -> None:
        super().__init__()
        self.answer = answer

    def forward(self, images: list[Tensor]) -> object:
        return self.answer


def answering(answer: object) -> DetectionPredictor:
    return DetectionPredictor(Written(answer), name="written", labels=(1, 3), class_names=("disc", "ring"))


def record(labels: list[int], **changes: Tensor) -> list[dict[str, Tensor]]:
    count = len(labels)
    scores = torch.linspace(0.1, 0.9, count) if count else torch.zeros(0)
    return [{"boxes": torch.zeros(count, 4), "labels": torch.tensor(labels), "scores": scores} | changes]


def test_labels_become_classes() -> None:
    found: Objects = answering(record([1, 0, 3, 2]))(torch.zeros(1, 3, 8, 8))[0]
    assert found.classes.tolist() == [1, 0], "best first; background and the unused label 2 are left out"
    with pytest.raises(UserError, match="label 9"):
        answering(record([9]))(torch.zeros(1, 3, 8, 8))


@pytest.mark.parametrize(
    "answer", [torch.zeros(3), [], record([1], boxes=torch.zeros(1, 5)), record([1], masks=torch.zeros(1, 1, 4, 4))]
)
def test_outputs_of_another_form(answer: object) -> None:
    with pytest.raises(UserError, match="a detector returns"):
        answering(answer)(torch.zeros(1, 3, 8, 8))


def test_numbers_that_are_none_fail_the_cell(tmp_path: Path) -> None:
    broken = answering(record([1], scores=torch.tensor([float("nan")])))
    data = f"coco:{photographs(tmp_path, [[5, 5, 20, 20]])}"
    found = evaluate(broken, data=data, store=tmp_path / "store", disturbances=["fog@1"])
    assert len(found.failed) == 2
    assert "NaN" in found.failed[0].reason


def test_user_modules_by_name(tmp_path: Path) -> None:
    model = wg.load_predictor(f"{Path(__file__).parent}/memory_detector.py:steady")
    assert (model.task, model.class_names) == ("detection", ("disc", "square", "triangle", "ring", "cross"))
    data = wg.load_data("scene-objects:2@48x64")
    assert isinstance(data, DetectionData)
    found: Objects = model(data.image(0)[None].float() / 255)[0]  # pyright: ignore[reportAssignmentType]
    assert np.allclose(found.boxes, data.objects(0).boxes)
    nameless = tmp_path / "nameless.py"
    nameless.write_text(
        "import torch\nclass M(torch.nn.Module):\n    task = 'detection'\ndef build():\n    return M()\n"
    )
    with pytest.raises(UserError, match="class_names"):
        wg.load_predictor(f"{nameless}:build")


def test_torchvision_detectors_and_their_91_numbers(tmp_path: Path) -> None:
    name = "torchvision/ssdlite320_mobilenet_v3_large"
    random = wg.load_predictor(name, pretrained=False)
    assert (random.classes, random.class_names) == (90, None)
    assert "at most 300 found" in random.decision
    torch.save(random.module.state_dict(), tmp_path / "weights.pt")  # pyright: ignore[reportAttributeAccessIssue]
    learned = wg.load_predictor(name, checkpoint=tmp_path / "weights.pt")
    assert learned.classes == 80
    assert learned.class_names is not None
    assert (learned.class_names[0], learned.class_names[79]) == ("person", "toothbrush")
    found = learned(torch.rand(1, 3, 64, 96))[0]
    assert isinstance(found, Objects)
    few = wg.load_predictor(name, pretrained=False, classes=5)
    assert (few.classes, few.class_names) == (5, None)
    assert few.digest != random.digest
    with pytest.raises(UserError, match="brings its own preprocessing"):
        wg.load_predictor(name, pretrained=False, preprocessing=PreprocessingOverride.parse("crop 224"))


def test_thresholds_are_part_of_the_digest() -> None:
    from torchvision.models.detection import ssdlite320_mobilenet_v3_large

    def digest(threshold: float) -> str:
        module = ssdlite320_mobilenet_v3_large(
            weights=None, weights_backbone=None, num_classes=3, score_thresh=threshold
        )
        for value in module.state_dict().values():
            value.zero_()
        return DetectionPredictor(module, name="x", labels=(1, 2)).digest

    assert digest(0.1) == digest(0.1)
    assert digest(0.1) != digest(0.2)


def test_bootstrap_intervals_hold_the_estimate(measured: Evaluation) -> None:
    condition = measured.summary.conditions["fog@4"].score
    assert condition.low <= condition.value <= condition.high
    assert Bootstrap(6, 1000).samples == measured.summary.samples
