"""Studies: the numbers that findings rest on, and that a study is kept once."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from click.testing import CliRunner
from torch import Tensor, nn

from weatherglass.analysis.lesions import parse_lesion
from weatherglass.analysis.masks import VOID, mask_agreement, token_classes
from weatherglass.analysis.similarity import block_structure
from weatherglass.analysis.structure import find_structure
from weatherglass.cli.analyse import command
from weatherglass.data.load import load_data
from weatherglass.errors import UserError
from weatherglass.evaluation.store import Store
from weatherglass.evaluation.studies import Study, keep_study, studies_of
from weatherglass.models.predictor import TorchPredictor
from weatherglass.studies import distance, lesions, redundancy
from weatherglass.studies.bench import Bench
from weatherglass.studies.bottleneck import CARD
from weatherglass.studies.evidence import beyond, graded, mean_estimate, rank_correlation
from weatherglass.studies.grouping import GroupingSettings
from weatherglass.types import Preprocessing


def test_drawing_no_item_is_the_baseline(vit: nn.Module, images: Tensor) -> None:
    none = parse_lesion("lesion:random-0-blocks")
    assert none.branches(find_structure(vit)) == ()
    predictor = TorchPredictor(vit, name="vit", preprocessing=Preprocessing(size=(32, 32)), classes=10, device="cpu")
    with torch.no_grad(), none.of_model(predictor) as lesioned:
        assert torch.equal(lesioned(images), predictor(images))


def test_block_structure_finds_groups_and_ignores_fading() -> None:
    grouped = np.full((7, 7), 0.2)
    grouped[:3, :3] = grouped[3:, 3:] = 0.9
    np.fill_diagonal(grouped, 1)
    score, cuts = block_structure(grouped)
    assert cuts == (3,)
    assert score > 0.2
    gaps = np.abs(np.subtract.outer(np.arange(7), np.arange(7)))
    assert block_structure(0.9**gaps)[0] == pytest.approx(0)
    assert np.isnan(block_structure(np.eye(3))[0])
    three = np.full((9, 9), 0.1)
    for start in (0, 3, 6):
        three[start : start + 3, start : start + 3] = 1
    assert block_structure(three)[1] == (3, 6)


def test_verdicts_follow_their_rules() -> None:
    positive = mean_estimate(np.array([0.4, 0.5, 0.6, 0.5]))
    assert beyond(positive) == "agrees"
    assert beyond(positive, 0.9) == "disagrees"
    assert beyond(mean_estimate(np.array([-1.0, 1.0, -1.0, 1.0]))) == "open"
    assert [graded(v, agrees=0.8, disagrees=0.5) for v in (0.9, 0.6, 0.5, float("nan"))] == [
        "agrees",
        "open",
        "disagrees",
        "open",
    ]
    assert graded(-0.7, agrees=-0.5, disagrees=0) == "agrees"
    assert rank_correlation(np.arange(4.0), np.array([1.0, 4, 9, 16])) == pytest.approx(1)
    assert np.isnan(rank_correlation(np.arange(4.0), np.ones(4)))


def test_a_study_is_kept_once_and_another_beside_it(tmp_path: Path) -> None:
    store = Store(tmp_path / "store", create=True)
    rows = [{"x": 1, "y": 0.5}]
    study = Study(card=CARD, models={"m": "1f"}, data="d", protocol={"seed": "0"}, tables={"bottleneck": rows})
    assert keep_study(store, study) == keep_study(store, replace(study, created="later"))
    keep_study(store, replace(study, protocol={"seed": "1"}))
    assert len(studies_of(store)) == 2
    assert studies_of(store)[0].tables == {"bottleneck": rows}
    (store.path / "studies" / "bad.json").write_text("{")
    with pytest.raises(UserError, match="damaged"):
        studies_of(store)


def test_masks_follow_the_geometry_of_the_model() -> None:
    mask = torch.zeros(40, 40, dtype=torch.uint8)
    mask[10:30, 20:30] = 3
    centre = token_classes(mask, Preprocessing(size=(20, 20)), (2, 2))  # the middle: rows and columns 10 to 30
    assert centre.tolist() == [0, 3, 0, 3]
    padded = token_classes(mask, Preprocessing(size=(80, 80)), (4, 4)).unflatten(0, (4, 4))
    assert (padded[0] == VOID).all() and (padded[:, 0] == VOID).all()
    halved = token_classes(mask, Preprocessing(resize=(20, 20), size=(20, 20), fit="squash"), (4, 4))
    assert (halved == 3).sum() == 2


def test_agreement_with_masks_by_hand() -> None:
    classes = torch.tensor([0, 0, 0, 1, 1, VOID])
    assert mask_agreement(torch.tensor([1, 1, 1, 0, 0, 1]), classes, background=0) == (1, 1)
    overlap, rand = mask_agreement(torch.tensor([0, 0, 0, 0, 1, 1]), classes, background=0)
    assert overlap == pytest.approx(0.5)
    assert rand < 1
    assert np.isnan(mask_agreement(torch.zeros(6).long(), torch.full((6,), VOID), background=None)[0])
    with pytest.raises(UserError, match="uint8 map"):
        token_classes(torch.zeros(4, 4), Preprocessing(), (2, 2))  # pyright: ignore[reportArgumentType]


@pytest.mark.parametrize("study", [lesions.study, distance.study, redundancy.study])
def test_what_is_no_classification_is_refused_before_it_is_measured(study, vit: nn.Module, tmp_path: Path) -> None:
    predictor = TorchPredictor(vit, name="vit", preprocessing=Preprocessing(size=(32, 32)), classes=10, device="cpu")
    store = tmp_path / "store"
    with pytest.raises(UserError, match="scenes:2@32 is for segmentation"):
        study(Bench((predictor,), load_data("scenes:2@32"), store))
    segmenter = TorchPredictor(vit, name="seg", preprocessing=Preprocessing(size=(32, 32)), classes=10, device="cpu")
    segmenter.task = "segmentation"
    with pytest.raises(UserError, match="seg is for segmentation"):
        study(Bench((predictor, segmenter), load_data("digits:test", limit=2), store))
    assert not store.exists()


def test_a_model_that_needs_all_of_its_attention_has_a_finding_too() -> None:
    common = {"baseline": 0.9, "kept_pairs": 0.5}
    rows = [common | {"study": "within", "x": d, "distance": d, "top1": 0.1} for d in range(4)]
    rows[-1]["kept_pairs"] = 1.0
    rows.append(common | {"study": "late", "x": 1, "top1": 0.5})
    local, _ = distance._findings("m", rows, 3)
    assert local.verdict == "disagrees" and "distance 3 of 3, 100% of the pairs" in local.evidence


@pytest.mark.parametrize("sigma", [0.0, -1.0, float("nan"), float("inf")])
def test_noise_that_is_none_is_refused(sigma: float) -> None:
    with pytest.raises(UserError, match="above 0"):
        GroupingSettings(sigma=sigma)
    done = CliRunner().invoke(command, ["grouping", "m", "--data", "digits:test", "--sigma", str(sigma)])
    assert "'--sigma'" in done.output or "above 0" in str(done.exception)
