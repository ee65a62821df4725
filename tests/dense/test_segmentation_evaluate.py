"""Segmentation through the verbs: measured once, kept, resumed, compared, judged, reported."""

import re
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor, nn

import weatherglass as wg
from weatherglass.corruptions.disturbance import Corrupted
from weatherglass.corruptions.suites import SUITES
from weatherglass.errors import UserError
from weatherglass.evaluation.comparison import compare
from weatherglass.evaluation.conditions import conditions_of
from weatherglass.evaluation.evaluate import Evaluation, EvaluationSettings, evaluate
from weatherglass.evaluation.gate import gate
from weatherglass.evaluation.rules import Rule, Rules
from weatherglass.evaluation.store import Store
from weatherglass.models.segmentation_predictor import SegmentationPredictor
from weatherglass.types import Batch, Preprocessing


class ByBrightness(nn.Module):
    """Scores of six classes from brightness alone: quick, and sensitive to every disturbance."""

    def __init__(self, sharpness: float = 10.0) -> None:
        super().__init__()
        self.levels = nn.Parameter(torch.linspace(0.1, 0.9, 6))
        self.sharpness = sharpness

    def forward(self, images: Tensor) -> Tensor:
        grey = images.mean(dim=1, keepdim=True)
        return -self.sharpness * (grey - self.levels.view(1, -1, 1, 1)).abs()

    def extra_repr(self) -> str:
        return f"{self.sharpness}"


def predictor(name: str = "brightness", module: nn.Module | None = None) -> SegmentationPredictor:
    return SegmentationPredictor(module or ByBrightness(), name=name, preprocessing=Preprocessing(source="test"))


CONDITIONS = ("fog@1", "fog@2", "gaussian_noise@1", "gaussian_noise@2", "elastic_transform@1", "elastic_transform@2")


def run(store: Path, data: str = "scenes:6@48", model: SegmentationPredictor | None = None) -> Evaluation:
    return evaluate(model or predictor(), data=data, store=store, disturbances=CONDITIONS)


@pytest.fixture(scope="module")
def measured(tmp_path_factory: pytest.TempPathFactory) -> Evaluation:
    return run(tmp_path_factory.mktemp("dense") / "store")


def test_summary(measured: Evaluation) -> None:
    summary = measured.summary
    assert (summary.task, summary.headline, summary.measure) == ("segmentation", "miou", "mIoU")
    assert summary.clean is not None and summary.corrupted is not None and summary.retention is not None
    assert 0 < summary.corrupted.low <= summary.corrupted.value <= summary.corrupted.high < 1
    kinds = [np.mean([summary.conditions[f"{kind}@{s}"].score.value for s in (1, 2)]) for kind in summary.grid.kinds]
    assert summary.corrupted.value == pytest.approx(np.mean(kinds))
    assert summary.retention.value == pytest.approx(summary.corrupted.value / summary.clean.value)
    assert {"miou", "pixel_accuracy", "class_accuracy_corrupted", "fog@1", "drop.fog@1"} <= summary.metrics.keys()
    assert summary.mce is None and "errors of images" in summary.absent["mce"]
    assert summary.first_failure is None
    assert [one.name for one in summary.classes] == ["ground", "disc", "square", "triangle", "ring", "cross"]
    with pytest.raises(AttributeError):
        _ = summary.ece


def test_only_what_is_missing_is_measured(measured: Evaluation) -> None:
    again = run(measured.store.path)
    assert (again.measured, again.reused) == (0, 7)


def test_batches_change_nothing(measured: Evaluation, tmp_path: Path) -> None:
    settings = EvaluationSettings(batch_size=1, workers=1)
    other = evaluate(predictor(), data="scenes:6@48", store=tmp_path, disturbances=["fog@2"], settings=settings)
    for text in ("clean", "fog@2"):
        a, b = measured.runs[0].observations(text), other.runs[0].observations(text)
        for column in ("found", "predicted", "true", "iou"):
            assert np.array_equal(a.columns[column], b.columns[column])


def test_counts_are_those_of_the_masks(measured: Evaluation) -> None:
    data = wg.load_data("scenes:6@48")
    true = measured.runs[0].observations("fog@1").columns["true"]
    masks = torch.stack([data.mask(i) for i in range(6)])  # type: ignore[attr-defined]
    expected = torch.stack([(masks == k).sum((1, 2)) for k in range(6)], 1)
    assert np.array_equal(true, expected.numpy())
    moved = measured.runs[0].observations("elastic_transform@2").columns["true"]
    assert not np.array_equal(moved, true)
    assert np.array_equal(moved.sum(axis=1), true.sum(axis=1))


def test_elastic_masks_follow_the_pixels() -> None:
    """A picture of two colours and its mask, moved alike: they still agree but for the seam."""
    mask = torch.zeros(1, 96, 96, dtype=torch.uint8)
    mask[:, 20:70, 30:60] = 1
    images = (mask * 255)[:, None].expand(1, 3, 96, 96).contiguous()
    for size in (1, 5):
        elastic = Corrupted("elastic_transform", size)
        disturbed = elastic.of_input(Batch(images, torch.zeros(1), ("a",)), predictor(), seed=3)
        moved = elastic.of_masks(mask, ("a",), seed=3)
        assert not torch.equal(moved, mask)
        disagree = ((disturbed[:, 0] > 127) != moved.bool()).float().mean()
        assert disagree < 0.02
        still = ((disturbed[:, 0] > 127) != mask.bool()).float().mean()
        assert still > 2 * disagree


def test_protocol_says_what_becomes_of_masks(measured: Evaluation) -> None:
    records = measured.runs[0].records
    assert records["fog@1"].protocol.disturbance["masks"] == "unmoved"
    assert records["elastic_transform@1"].protocol.disturbance["masks"].startswith("moved")
    assert records["clean"].protocol.classes == "all 6, whole images"


@pytest.mark.parametrize("text", ["fgsm@2/255", "moved:angle=15,down=0,right=0", "pinch_and_twirl@1"])
def test_what_masks_cannot_follow_is_refused(tmp_path: Path, text: str) -> None:
    with pytest.raises(UserError, match="cannot be measured on masks"):
        evaluate(predictor(), data="scenes:2@48", store=tmp_path / "store", disturbances=[text])
    assert not (tmp_path / "store").exists()


def test_tasks_must_agree(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="does segmentation, digits:test has the truth for classification"):
        evaluate(predictor(), data="digits:test", store=tmp_path / "a")
    with pytest.raises(UserError, match="does classification"):
        evaluate("digits_cnn", data="scenes:2@48", store=tmp_path / "b")


def test_numbers_of_classes_must_agree(tmp_path: Path) -> None:
    class TwoClasses(nn.Module):
        def forward(self, images: Tensor) -> Tensor:
            return images[:, :2]

    with pytest.raises(UserError, match="6 classes"):
        evaluate(predictor("two", TwoClasses()), data="scenes:2@48", store=tmp_path)


def test_compare(measured: Evaluation, tmp_path: Path) -> None:
    class Blind(ByBrightness):
        def forward(self, images: Tensor) -> Tensor:
            return super().forward(torch.ones_like(images))

    other = run(tmp_path, model=predictor("blind", Blind()))
    found = compare(measured.runs[0], other.runs[0])
    assert found.task == "segmentation"
    assert found.aggregates["miou"].difference.value < 0
    clean = found.conditions["clean"]
    assert clean.only_first + clean.only_second <= 6
    assert 1 / 64 <= clean.p_value <= 1
    assert "randomisation test of paired images" in found.sentences[-1]
    assert any("mIoU" in sentence for sentence in found.sentences)
    alike = compare(measured.runs[0], measured.runs[0])
    assert all(one.p_value == 1 for one in alike.conditions.values())


def test_gate(measured: Evaluation) -> None:
    rules = (
        Rule(name="clean", metric="miou", minimum=0.01, by="estimate"),
        Rule(name="classes", metric="classes", minimum=0.99, by="estimate"),
        Rule(name="mce", metric="mce", maximum=1, by="estimate"),
    )
    result = gate(measured.runs[0], Rules(rules=rules))
    assert [one.passed for one in result.results] == [True, False, False]
    worse = Rule(name="no worse", metric="corrupted", maximum_regression=0.0, by="low")
    assert gate(measured.runs[0], Rules(rules=(worse,)), baseline=measured.runs[0]).passed


def test_overlays_are_kept_and_drawn(measured: Evaluation) -> None:
    store = Store(measured.store.path)
    overlays = [one for record in measured.runs[0].disturbed.values() for one in store.overlays(record.key)]
    assert overlays
    assert all(one.clean_score > one.score for one in overlays)
    assert store.pictures(measured.runs[0].records["fog@1"].key) == []
    page = wg.report(measured.store.path).html
    assert "What it saw and what it made of it" in page
    findings = page.split("<body", 1)[1].split('id="gaps"')[0]
    assert "Clean mIoU" in findings
    assert not re.search(r"\baccuracy\b|images right", findings)


def test_query(measured: Evaluation) -> None:
    found = measured.store.query("select avg(iou) as mean from samples where disturbance = 'clean'")
    iou = measured.runs[0].observations("clean").columns["iou"]
    assert found.to_pylist()[0]["mean"] == pytest.approx(float(iou.mean()), rel=1e-6)


@pytest.mark.parametrize(("suite", "conditions"), [("cityscapes-c", 72), ("coco-c", 80)])
def test_suites_have_their_published_sizes(suite: str, conditions: int) -> None:
    data = wg.load_data("scenes:1@48")
    listed = conditions_of(data, suite=suite)
    assert len(listed) == conditions + 1
    assert len(SUITES[suite].corruptions) == 16
    noise = [str(one) for one in listed if one.family == "noise"]
    assert len(noise) == (12 if suite == "cityscapes-c" else 20)


def test_the_rule_of_averaging_is_told(tmp_path: Path) -> None:
    """In cityscapes-c noise is averaged over severities 1 to 3; every corruption weighs the same."""
    summary = evaluate(predictor(), data="scenes:1@48", store=tmp_path, suite="cityscapes-c").summary
    assert not summary.partial
    assert "72 conditions: severities 1, 2, 3 of" in summary.grid.description
    assert len(summary.grid.cells("shot_noise")) == 3
    means = [summary.kinds[kind].score.value for kind in summary.grid.kinds]
    assert len(means) == 16
    assert summary.corrupted is not None and summary.corrupted.value == pytest.approx(np.mean(means))
    assert "cityscapes-c" in summary.suites
