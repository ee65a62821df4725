"""Attacks in the engine: planned, kept, resumed, independent of batch size; mistakes are said in one line."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from networks import TemplateNetwork

from weatherglass.data.images import ArrayImages
from weatherglass.errors import UserError
from weatherglass.evaluation.conditions import conditions_of, parse_disturbance
from weatherglass.evaluation.evaluate import EvaluationSettings, evaluate
from weatherglass.types import Predictor

CONDITIONS = ["fgsm@1/255", "pgd-5@1/255", "pgd-5:start=random@2/255", "random_sign@1/255", "contrast@2"]


class Curved(TemplateNetwork):
    """The template network with a bend, so that attacks take several steps."""

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        return super().forward(torch.sin(3 * images))


def test_attacks_are_cells_like_any_other(
    tmp_path: Path, make_predictor: Callable[..., Predictor], photographs: ArrayImages
) -> None:
    done = evaluate(make_predictor(), data=photographs, store=tmp_path / "run", disturbances=CONDITIONS)
    run = done.runs[0]
    assert done.measured == 6
    assert run.records["clean"].scores["top1"] == 1
    assert run.records["pgd-5@1/255"].scores["top1"] < run.records["random_sign@1/255"].scores["top1"]
    assert run.records["pgd-5@1/255"].family == "attack"
    assert run.records["pgd-5@1/255"].severity == pytest.approx(1 / 255)
    assert run.protocol.common["classes"] == "all 10"
    again = evaluate(make_predictor(), data=photographs, store=tmp_path / "run", disturbances=CONDITIONS)
    assert (again.measured, again.reused) == (0, 6)
    # Radii are no severities: the mean over corruptions counts contrast alone.
    assert done.summary.corrupted is not None
    assert done.summary.corrupted.value == run.records["contrast@2"].scores["top1"]


def test_numbers_do_not_depend_on_the_batch_size(
    tmp_path: Path, make_predictor: Callable[..., Predictor], photographs: ArrayImages
) -> None:
    seen = []
    for batch_size, forward_batch in ((1, 7), (64, 7), (500, 7)):
        done = evaluate(
            make_predictor(Curved()),
            data=photographs,
            store=tmp_path / f"{batch_size}",
            disturbances=["pgd-5:start=random@2/255", "pgd_l2-5@0.5"],
            settings=EvaluationSettings(batch_size=batch_size, forward_batch=forward_batch),
        )
        run = done.runs[0]
        seen.append([run.observations(text).columns["nll"] for text in run.disturbed])
    for other in seen[1:]:
        assert all(np.array_equal(a, b) for a, b in zip(seen[0], other, strict=True))


def test_a_bare_attack_is_a_sweep_of_radii(photographs: ArrayImages) -> None:
    texts = [str(one) for one in conditions_of(photographs, suite=None, disturbances=["pgd-5"])]
    assert texts == ["clean", *(f"pgd-5@{radius}/255" for radius in ("0.25", "0.5", "1", "2", "4", "8"))]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("pgd@8", "write 8/255"),
        ("pgd@-1/255", "at least 0"),
        ("pgd@nan", "no number for the radius"),
        ("pgd@x", "no number for the radius"),
        ("pgd@1/0", "no number for the radius"),
        ("pgd", "needs a radius"),
        ("pgd:step=0@1/255", "positive share"),
        ("pgd:steps=0@1/255", "at least 1"),
        ("pgd:start=there@1/255", "image, random"),
        ("pgd:norm=l7@1/255", "no option 'norm'"),
        ("pgd:restarts@1/255", "name=value"),
        ("fgsm-3@1/255", "no option 'steps'"),
        ("autoattack:version=x@1/255", "standard, apgd"),
        ("pdg@1/255", "Did you mean pgd"),
    ],
)
def test_mistakes_in_the_text_are_answered(text: str, message: str) -> None:
    with pytest.raises(UserError, match=message):
        parse_disturbance(text)


def test_a_model_without_gradients_stops_before_anything_is_measured(
    tmp_path: Path, make_predictor: Callable[..., Predictor], photographs: ArrayImages
) -> None:
    predictor = make_predictor(name="exported.onnx")
    predictor.differentiable = False
    with pytest.raises(UserError, match=r"exported\.onnx gives no gradients"):
        evaluate(predictor, data=photographs, store=tmp_path / "run", disturbances=["pgd@1/255"])
    assert not (tmp_path / "run").exists()
    done = evaluate(predictor, data=photographs, store=tmp_path / "run", disturbances=["random_sign@1/255"])
    assert done.measured == 2
