"""Attacks in the engine: planned, kept, resumed, independent of batch size; mistakes are said in one line."""

import warnings
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from networks import TemplateNetwork

from weatherglass.data.images import ArrayImages
from weatherglass.data.several_labels import SeveralLabels
from weatherglass.errors import UserError
from weatherglass.evaluation.composition import OfBoth
from weatherglass.evaluation.conditions import conditions_of, parse_disturbance
from weatherglass.evaluation.evaluate import EvaluationSettings, evaluate
from weatherglass.types import Clean, Disturbance, Predictor

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


class Neighbourly(TemplateNetwork):
    """What it says of an image depends on the others of its pass, as roundings do, only far more."""

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        places = torch.linspace(0.5, 1.5, len(images))[:, None, None, None]
        return super().forward(images + 0.2 * (images * places).mean(dim=0))


SEARCHES = ["fgsm@2/255", "pgd-3:start=random@2/255", "pgd_l2-3@0.5", "mifgsm-2@2/255", "rotation:angles=3"]


def test_numbers_do_not_depend_on_the_batch_size(
    tmp_path: Path, make_predictor: Callable[..., Predictor], photographs: ArrayImages
) -> None:
    pixels = np.concatenate([photographs.pixels, 255 - photographs.pixels])
    many = ArrayImages(
        "many", pixels, np.tile(photographs.labels, 2), photographs.classes, tuple(map(str, range(len(pixels))))
    )
    predictor, seen = make_predictor(Neighbourly()), []
    assert len(many) > parse_disturbance(SEARCHES[0]).chunk(predictor), "one chunk is whole in every batch"
    conditions = [parse_disturbance(text) for text in SEARCHES]
    conditions += [OfBoth(Clean(), condition) for condition in conditions]
    for batch_size in (1, 130, 500):
        done = evaluate(
            predictor,
            data=many,
            store=tmp_path / f"{batch_size}",
            disturbances=conditions,
            settings=EvaluationSettings(batch_size=batch_size),
        )
        run = done.runs[0]
        seen.append({text: run.observations(text).columns["nll"] for text in run.disturbed})
    assert len(seen[0]) == 2 * len(SEARCHES)
    for other in seen[1:]:
        assert [text for text in other if not np.array_equal(seen[0][text], other[text])] == []


def test_both_passes_on_all_that_its_input_says_of_itself(
    tmp_path: Path, make_predictor: Callable[..., Predictor], photographs: ArrayImages
) -> None:
    public = {name for name in vars(Disturbance) if not name.startswith("_")}
    assert public <= set(vars(OfBoth)), "what is not passed on falls back to the interface's own answer"
    predictor = make_predictor(name="exported.onnx")
    attack = parse_disturbance("pgd@1/255")
    both = OfBoth(Clean(), attack)
    assert (both.passes, both.chunk(predictor), both.needs_labels) == (attack.passes, 128, True)
    several = SeveralLabels(photographs, tuple((int(label),) for label in photographs.labels), photographs.classes)
    with pytest.raises(UserError, match="one label an image"):
        evaluate(predictor, data=several, store=tmp_path / "run", disturbances=[both])
    predictor.differentiable = False
    with pytest.raises(UserError, match="gives no gradients"):
        evaluate(predictor, data=photographs, store=tmp_path / "run", disturbances=[both])


def test_what_needs_no_label_takes_images_with_several(
    tmp_path: Path, make_predictor: Callable[..., Predictor], photographs: ArrayImages
) -> None:
    several = SeveralLabels(photographs, tuple((int(label),) for label in photographs.labels), photographs.classes)
    texts = ["random_sign@1/255", "moved:angle=10"]
    assert evaluate(make_predictor(), data=several, store=tmp_path / "run", disturbances=texts).measured == 3
    with pytest.raises(UserError, match="one label an image"):
        evaluate(make_predictor(), data=several, store=tmp_path / "run", disturbances=["rotation:angles=3"])


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
        ("pgd@1e999", "no number for the radius"),
        ("pgd@1/1e-999", "no number for the radius"),
        ("pgd:step=1e999@1/255", "no number for the step"),
        (f"pgd-{'1' * 5000}@1/255", "at least 1"),
        ("moved:angle=1e400", "no number for the angle"),
        ("rotation:angle=-1e400", "no number for the angle"),
        ("fog@1e999", "from 1 .* to 5"),
        ("fog@", "is not a number"),
        ("attention_distance@1e999", "finite number"),
        (f"attention_distance:from={'1' * 5000}@1", "no option"),
        (f"lesion:random-{'1' * 5000}-blocks", "no random lesion"),
        (f"sequence:shot_noise,difficulty={'1' * 5000}", "1, 2 or 3"),
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


class Forgetful(Curved):
    """Has memory for a few images at a time."""

    fits = 9

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        if len(images) > self.fits:
            raise torch.OutOfMemoryError("out of memory")
        return super().forward(images)


@pytest.mark.parametrize("text", ["pgd-5:start=random@2/255", "rotation:angles=5", "autoattack:version=apgd@1/255"])
def test_out_of_memory_makes_smaller_passes_and_says_so(
    tmp_path: Path, make_predictor: Callable[..., Predictor], photographs: ArrayImages, text: str
) -> None:
    if "autoattack" in text:
        pytest.importorskip("pyautoattack")
    few = photographs.select(range(12), "twelve")
    runs = []
    for name, network, forward_batch in (("short", Forgetful(), 8), ("ample", Curved(), 8)):
        predictor = make_predictor(network)
        settings = EvaluationSettings(forward_batch=forward_batch)
        done = evaluate(predictor, data=few, store=tmp_path / name, disturbances=[text], settings=settings)
        runs.append(done.runs[0])
    short, ample = (run.records[text].provenance.notes for run in runs)
    assert short == ("out of memory: attack passes halved to 16", "out of memory: attack passes halved to 8")
    assert ample == ()
    assert np.array_equal(*(run.correct([text])[0] for run in runs))


def test_an_onnx_file_is_refused_in_one_line(tmp_path: Path, photographs: ArrayImages) -> None:
    pytest.importorskip("onnx", reason="the extra 'onnx' is not installed")
    pytest.importorskip("onnxruntime", reason="the extra 'onnx' is not installed")
    file = tmp_path / "network.onnx"
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        axes = {"input": {0: "batch"}}
        torch.onnx.export(
            TemplateNetwork().eval(), (torch.zeros(2, 3, 32, 32),), str(file), dynamo=False, input_names=["input"],
            dynamic_axes=axes,
        )  # fmt: skip
    for text in ("pgd@1/255", "fgsm@1/255", "autoattack@1/255"):
        with pytest.raises(UserError, match=r"network\.onnx gives no gradients, which \w+ needs") as caught:
            evaluate(str(file), data=photographs, store=tmp_path / "run", disturbances=[text])
        assert "\n" not in str(caught.value)
    assert not (tmp_path / "run").exists()
    few = photographs.select(range(4), "four")
    done = evaluate(
        str(file), data=few, store=tmp_path / "run", disturbances=["translation:shifts=3", "random_sign@1/255"]
    )
    assert done.measured == 3


def test_autoattack_is_never_weaker_than_our_pgd_by_more_than_a_point(
    tmp_path: Path, make_predictor: Callable[..., Predictor], photographs: ArrayImages
) -> None:
    pytest.importorskip("pyautoattack")
    texts = [f"{name}@{radius}/255" for radius in (0.5, 1) for name in ("pgd-20", "autoattack:version=apgd")]
    done = evaluate(make_predictor(Curved()), data=photographs, store=tmp_path / "run", disturbances=texts)
    top1 = {text: record.scores["top1"] for text, record in done.runs[0].records.items()}
    kept = [top1[f"autoattack:version=apgd@{radius}/255"] for radius in (0.5, 1)]
    pgd = [top1[f"pgd-20@{radius}/255"] for radius in (0.5, 1)]
    assert all(strong <= weak + 0.01 for strong, weak in zip(kept, pgd, strict=True))
    assert 0 < pgd[1] < top1["clean"]
