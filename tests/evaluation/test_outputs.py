"""Masks of outputs and categories: who competes, which images are left, what the protocol says."""

from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from weatherglass.data.imagenet import imagenet_wnids
from weatherglass.data.images import ArrayImages
from weatherglass.data.masks import CATEGORIES16, MASKS
from weatherglass.data.several_labels import SeveralLabels
from weatherglass.errors import UserError
from weatherglass.evaluation.evaluate import EvaluationSettings, evaluate
from weatherglass.evaluation.outputs import decide
from weatherglass.evaluation.texture import texture_summary
from weatherglass.models.predictor import TorchPredictor
from weatherglass.types import Preprocessing


class Coded(nn.Module):
    """Reads class number and distractor from the first two pixels: 3 for the class, 5 for the distractor."""

    def forward(self, images: Tensor) -> Tensor:
        levels = (images * 255).round().long()[:, :, 0, :2]  # (batch, 3, 2)
        number = levels[:, 0] * 100 + levels[:, 1]
        logits = torch.zeros(len(images), 1000)
        logits.scatter_(1, number[:, :1], 3.0)
        return logits.scatter_(1, number[:, 1:], 5.0)


def coded(names: list[str], classes: tuple[str, ...], labels: list[int], pairs: list[tuple[int, int]]) -> ArrayImages:
    pixels = np.zeros((len(pairs), 4, 4, 3), np.uint8)
    for row, pair in enumerate(pairs):
        for place, number in enumerate(pair):
            pixels[row, 0, place, :2] = divmod(number, 100)
    return ArrayImages("imagenet-a:made", pixels, np.array(labels), classes, tuple(names))


@pytest.fixture
def predictor() -> TorchPredictor:
    return TorchPredictor(Coded(), name="coded", preprocessing=Preprocessing(source="test"), classes=1000, device="cpu")


def test_a_mask_scores_the_best_class_inside_it(tmp_path: Path, predictor: TorchPredictor) -> None:
    inside, outside = MASKS["imagenet-a"][:40], 0
    assert outside not in inside
    pairs = [(number, outside) for number in inside]
    data = coded([f"{n}" for n in inside], imagenet_wnids(), list(inside), pairs)
    found = {}
    for outputs in ("auto", "all"):
        settings = EvaluationSettings(outputs=outputs)
        done = evaluate(predictor, data=data, store=tmp_path, disturbances=["clean"], settings=settings)
        found[outputs] = done.runs[0].records["clean"] if outputs == "all" else done.runs[-1].records["clean"]
    top1 = {record.protocol.classes: record.scores["top1"] for record in found.values()}
    assert top1 == {"imagenet-a: 200 of 1000": 1.0, "all 1000": 0.0}


@pytest.mark.parametrize("mask", ["imagenet-a", "imagenet-r"])
def test_the_clean_set_is_cut_to_the_same_classes(predictor: TorchPredictor, mask: str) -> None:
    pairs = [(number, (number + 1) % 1000) for number in range(1000)]
    data = coded([f"{n}" for n in range(1000)], imagenet_wnids(), list(range(1000)), pairs)
    decided, kept = decide(predictor, data, mask)
    assert (decided.classes, len(kept)) == (200, 200)
    assert "the 200 of 1000 in" in kept.selection
    assert [int(sample) for sample in kept.ids] == list(MASKS[mask])
    assert kept.classes == tuple(imagenet_wnids()[output] for output in MASKS[mask])
    assert kept.labels.tolist() == list(range(200))
    images = torch.stack([kept.image(index) for index in range(200)]) / 255
    expected = [number + 1 not in MASKS[mask] for number in MASKS[mask]]
    assert (decided(images).argmax(dim=1).numpy() == kept.labels).tolist() == expected


def test_categories_are_decided_by_mean_probability(predictor: TorchPredictor) -> None:
    names = tuple(CATEGORIES16)
    dog, knife = CATEGORIES16["dog"][0], CATEGORIES16["knife"][0]
    data = coded(["a"], names, [names.index("knife")], [(knife, dog)])
    decided, shown = decide(predictor, data, "categories16")
    probability = torch.zeros(1000)
    probability[knife], probability[dog] = 3.0, 5.0
    probability = probability.softmax(0)
    expected = torch.stack([probability[list(group)].mean() for group in CATEGORIES16.values()]).log()
    output = decided(shown.image(0)[None] / 255)
    assert torch.allclose(output[0], expected, atol=1e-5)
    # 110 kinds of dog share their category's mean, a single knife has its own.
    assert names[int(output.argmax())] == "knife"


def test_photographs_of_imagenet_classes_fall_into_categories(predictor: TorchPredictor) -> None:
    elephant, toaster = 385, 859
    data = coded(["a", "b"], imagenet_wnids(), [elephant, toaster], [(elephant, 0), (toaster, 0)])
    _, shown = decide(predictor, data, "categories16")
    assert shown.ids == ("a",)
    assert shown.classes[int(shown.labels[0])] == "elephant"


def test_any_accepted_label_is_right_and_objectnet_is_a_mask(tmp_path: Path, predictor: TorchPredictor) -> None:
    # Output 5 is largest, then 3; image b accepts neither first choice nor second within all, but within 7 and 8.
    inner = coded(["a", "b", "c"], imagenet_wnids(), [0, 0, 0], [(3, 5), (7, 9), (1, 2)])
    data = SeveralLabels(inner, ((4, 5), (7, 8), (1,)), imagenet_wnids(), (1, 4, 5, 7, 8))
    top1 = {}
    for outputs in ("all", "objectnet"):
        settings = EvaluationSettings(outputs=outputs)
        done = evaluate(predictor, data=data, store=tmp_path / outputs, disturbances=["clean"], settings=settings)
        run = done.runs[0]
        top1[run.protocol.classes] = run.correct(["clean"])[0].tolist()
    assert top1 == {"all 1000": [True, False, False], "objectnet: 5 of 1000": [True, True, True]}
    with pytest.raises(UserError, match="several right labels each"):
        decide(predictor, data, "imagenet-a")
    with pytest.raises(UserError, match="the data is imagenet-a:made"):
        decide(predictor, inner, "objectnet")
    with pytest.raises(UserError, match="one label an image"):
        evaluate(
            predictor,
            data=data,
            store=tmp_path / "attack",
            disturbances=["fgsm@1/255"],
            settings=EvaluationSettings(outputs="all"),
        )


def test_oracles_of_shape_and_texture(tmp_path: Path, predictor: TorchPredictor) -> None:
    names = tuple(CATEGORIES16)
    cues = [(s, t) for s in names for t in names if s != t]
    ids = [f"{s}/{s}1-{t}2.png" for s, t in cues]
    first = {name: CATEGORIES16[name][0] for name in names}
    for oracle, expected in ((0, 1.0), (1, 0.0)):
        pairs = [(first[pair[oracle]],) * 2 for pair in cues]
        data = coded(ids, names, [names.index(s) for s, _ in cues], pairs)
        settings = EvaluationSettings(outputs="categories16")
        done = evaluate(predictor, data=data, store=tmp_path / str(oracle), disturbances=["clean"], settings=settings)
        summary = texture_summary(done.runs[0])
        decided = summary.overall.bias
        assert decided is not None
        assert decided.value == expected
        assert set(summary.categories) == set(names)


def test_what_does_not_fit_is_said(tmp_path: Path, predictor: TorchPredictor) -> None:
    small = TorchPredictor(nn.Sequential(nn.Flatten(), nn.Linear(48, 10)), name="small", classes=10, device="cpu")
    data = coded(["a"], imagenet_wnids(), [0], [(0, 0)])
    with pytest.raises(UserError, match="small has 10"):
        decide(small, data, "imagenet-r")
    with pytest.raises(UserError, match="no image of the classes"):
        decide(predictor, data, "imagenet-a")
    with pytest.raises(UserError, match="Did you mean imagenet-r or imagenet-a"):
        decide(predictor, data, "imagenet-b")
    done = evaluate(
        predictor, data=data, store=tmp_path, disturbances=["clean"], settings=EvaluationSettings(outputs="all")
    )
    with pytest.raises(UserError, match="not with the 16 categories"):
        texture_summary(done.runs[0])
