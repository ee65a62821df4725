"""Sequences as conditions: measured once, kept by sample, read with intervals, refused where they cannot be."""

import csv
import io
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from weatherglass.data.images import ArrayImages
from weatherglass.errors import UnknownName, UserError
from weatherglass.evaluation.comparison import compare
from weatherglass.evaluation.conditions import parse_disturbance
from weatherglass.evaluation.evaluate import Evaluation, EvaluationSettings, evaluate
from weatherglass.evaluation.gate import gate
from weatherglass.evaluation.rules import parse_rules
from weatherglass.evaluation.sequences import sequence_summary
from weatherglass.evaluation.store import Store
from weatherglass.evaluation.summary import summarise
from weatherglass.report.document import report
from weatherglass.report.exports import export
from weatherglass.types import FrameSequence, Predictor

SEQUENCES = ["sequence:translate", "sequence:gaussian_noise", "sequence:gaussian_noise,difficulty=2"]


class Alternating(nn.Module):
    """Sees how far the black edge has come: another class at every pixel."""

    def forward(self, images: Tensor) -> Tensor:
        black = (images.sum(dim=1) == 0).all(dim=1).sum(dim=1)  # columns
        return torch.eye(10)[black % 2]


class Constant(nn.Module):
    def forward(self, images: Tensor) -> Tensor:
        return torch.arange(10.0).expand(len(images), 10)


@pytest.fixture
def measured(make_predictor: Callable[..., Predictor], photographs: ArrayImages, tmp_path: Path) -> Evaluation:
    return evaluate(make_predictor(), data=photographs, store=tmp_path / "run", disturbances=SEQUENCES)


def measure(network: nn.Module, make_predictor: Callable[..., Predictor], data: ArrayImages, store: Path) -> Evaluation:
    return evaluate(make_predictor(network, "network"), data=data, store=store, disturbances=SEQUENCES[:1])


def test_models_whose_flips_are_known(
    make_predictor: Callable[..., Predictor], photographs: ArrayImages, tmp_path: Path
) -> None:
    steady = sequence_summary(measure(Constant(), make_predictor, photographs, tmp_path / "a").runs[0])
    assert steady is not None
    assert (steady.flips.value, steady.top5_distance.value) == (0, 0)
    assert steady.flips.high > 0  # 70 images do not prove that it never flips
    shaky = measure(Alternating(), make_predictor, photographs, tmp_path / "b").runs[0]
    found, apart = sequence_summary(shaky), sequence_summary(shaky, difficulty=2)
    assert found is not None
    assert found.flips.value == 1
    # Two classes change places at the top, and the eight others keep theirs.
    assert found.top5_distance.value == 2
    assert apart is not None
    assert apart.flips.value == pytest.approx(0)


def test_what_is_kept_of_each_sample(measured: Evaluation) -> None:
    run = measured.runs[0]
    kept = run.observations("sequence:translate").columns
    assert kept["best"].shape == (70, 16, 5)
    assert kept["best"].dtype == np.int32
    np.testing.assert_allclose(kept["flips"], (np.diff(kept["best"][..., 0], axis=1) != 0).mean(axis=1), rtol=1e-6)
    assert np.array_equal(kept["prediction"], kept["best"][:, -1, 0])
    scores = run.records["sequence:translate"].scores
    assert scores["flips"] == pytest.approx(kept["flips"].mean())
    # The eighth frame of the sequence is the image itself.
    assert np.array_equal(kept["best"][:, 7, 0], run.observations("clean").columns["prediction"])


def test_numbers_do_not_depend_on_batches_and_a_second_call_measures_nothing(
    measured: Evaluation, make_predictor: Callable[..., Predictor], photographs: ArrayImages, tmp_path: Path
) -> None:
    again = evaluate(make_predictor(), data=photographs, store=tmp_path / "run", disturbances=SEQUENCES)
    assert (again.measured, again.reused) == (0, 4)
    settings = EvaluationSettings(batch_size=7)
    other = evaluate(
        make_predictor(), data=photographs, store=tmp_path / "other", disturbances=SEQUENCES, settings=settings
    )
    for text in SEQUENCES:
        first, second = (one.runs[0].observations(text).columns for one in (measured, other))
        assert all(np.array_equal(first[name], second[name]) for name in first)


def test_rates_against_a_reference(
    measured: Evaluation, make_predictor: Callable[..., Predictor], photographs: ArrayImages, tmp_path: Path
) -> None:
    run = measured.runs[0]
    alone = sequence_summary(run)
    assert alone is not None
    assert alone.mean_flip_rate is None
    assert alone.reference is None
    itself = sequence_summary(run, reference=run)
    assert itself is not None
    assert itself.mean_flip_rate is not None
    assert itself.mean_flip_rate.value == itself.results[0].flip_rate.value == 1  # pyright: ignore
    shaky = measure(Alternating(), make_predictor, photographs, tmp_path / "shaky").runs[0]
    against = summarise(shaky, reference=run).sequences
    assert against is not None
    assert against.mean_flip_rate is not None
    translate = next(r for r in alone.results if r.perturbation == "translate")
    assert against.mean_flip_rate.value == pytest.approx(1 / translate.flips.value)
    assert against.mean_flip_rate.low < against.mean_flip_rate.value < against.mean_flip_rate.high
    published = sequence_summary(run, reference="alexnet")
    assert published is not None
    rates = {r.perturbation: r for r in published.results}
    assert rates["translate"].flip_rate.value == pytest.approx(translate.flips.value / 0.11007)  # pyright: ignore
    steady = measure(Constant(), make_predictor, photographs, tmp_path / "steady").runs[0]
    undefined = sequence_summary(run, reference=steady)
    assert undefined is not None
    assert undefined.mean_flip_rate is None


def test_gates_and_exports_hold_sequences(
    make_predictor: Callable[..., Predictor], photographs: ArrayImages, tmp_path: Path
) -> None:
    few = photographs.select(range(10), "10")
    steady = measure(Constant(), make_predictor, few, tmp_path / "steady").runs[0]
    shaky = measure(Alternating(), make_predictor, few, tmp_path / "shaky").runs[0]
    metrics = ("flips", "flips.translate", "mfr", "flips.tilt")
    rules = parse_rules({"rule": [{"metric": name, "maximum_regression": 0.5} for name in metrics], "resamples": 100})
    worse, same = gate(shaky, rules, baseline=steady).results, gate(shaky, rules, baseline=shaky).results
    assert [result.passed for result in worse] == [False] * 4
    assert "0.0 -> 100.0" in worse[0].reason and "reference" in worse[2].reason and "not measured" in worse[3].reason
    assert [result.passed for result in same] == [True, True, False, False]
    rows = list(csv.DictReader(io.StringIO(export(Store(tmp_path / "shaky"), "tidy", reference=shaky) or "")))
    found = {(r["disturbance"], r["metric"]): float(r["value"]) for r in rows if r["scope"] == "sequence"}
    assert found[("sequence:translate", "flips")] == found[("", "mfr")] == 1


def test_difficulty_reads_the_harder_noise(measured: Evaluation) -> None:
    easy, hard = (sequence_summary(measured.runs[0], difficulty=level) for level in (1, 2))
    assert easy is not None
    assert hard is not None
    assert [r.disturbance for r in hard.results] == ["sequence:gaussian_noise,difficulty=2", "sequence:translate"]
    assert hard.results[0].flips.value > easy.results[0].flips.value
    with pytest.raises(UserError, match="1, 2 or 3"):
        sequence_summary(measured.runs[0], difficulty=4)


def test_accuracies_leave_sequences_out(measured: Evaluation, tmp_path: Path) -> None:
    summary = measured.summary
    assert list(summary.conditions) == ["clean"]
    assert summary.notes == ("Only 70 images: the intervals are rough.",)
    assert set(compare(measured.runs[0], measured.runs[0]).conditions) == {"clean"}
    assert {"flips", "flips.translate"} <= summary.metrics.keys()
    page = tmp_path / "page.html"
    report(tmp_path / "run").save(page)
    text = page.read_text()
    assert "How steady it is" in text
    assert "last frame of the sequence" in text or "Images that flipped" not in text


def test_suites_and_mistakes(
    make_predictor: Callable[..., Predictor], photographs: ArrayImages, tmp_path: Path
) -> None:
    with pytest.raises(UnknownName, match="Did you mean imagenet-p"):
        evaluate(make_predictor(), data=photographs, store=tmp_path / "run", suite="imagenet-pp")
    with pytest.raises(UserError, match="without 'lesion"):
        parse_disturbance("lesion:blocks.3+sequence:tilt")
    tilt = parse_disturbance("sequence:tilt")
    assert isinstance(tilt, FrameSequence)
    with pytest.raises(UserError, match="only `weatherglass evaluate`"):
        tilt.of_input(None, None, seed=0)  # pyright: ignore[reportArgumentType]
