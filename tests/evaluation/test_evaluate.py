"""The evaluation as a whole: resume, independence of batches and workers, failures, bad input."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from networks import NotANumber, TemplateNetwork

from weatherglass.data.images import ArrayImages
from weatherglass.errors import UserError
from weatherglass.evaluation.evaluate import EvaluationSettings, Silent, evaluate
from weatherglass.evaluation.plan import PlannedCell
from weatherglass.evaluation.runs import Run
from weatherglass.evaluation.store import Store
from weatherglass.types import Predictor

MakePredictor = Callable[..., Predictor]
CONDITIONS = ("fog@3", "gaussian_noise@1", "gaussian_noise@5", "contrast@4")


def scores(run: Run) -> dict[str, dict[str, float]]:
    return {text: record.scores for text, record in run.records.items()}


def test_clean_and_disturbed_cells_are_kept(
    tmp_path: Path, make_predictor: MakePredictor, photographs: ArrayImages
) -> None:
    done = evaluate(make_predictor(), data=photographs, store=tmp_path / "run", disturbances=CONDITIONS)
    (run,) = done.runs
    assert set(run.records) == {"clean", *CONDITIONS}
    assert run.records["clean"].scores["top1"] == 1.0
    assert run.records["gaussian_noise@5"].scores["top1"] < run.records["gaussian_noise@1"].scores["top1"] <= 1.0
    record = run.records["fog@3"]
    assert (record.family, record.kind, record.severity) == ("weather", "fog", 3)
    assert record.protocol.disturbance["corruption definition"] == "imagecorruptions"
    assert record.protocol.selection == "all"
    assert done.measured == 5
    assert run.observations("fog@3").ids == photographs.ids
    assert not (tmp_path / "run" / "pixels").exists()


def test_numbers_do_not_depend_on_batch_size_or_workers(
    tmp_path: Path, make_predictor: MakePredictor, photographs: ArrayImages
) -> None:
    seen = []
    for number, (batch_size, workers) in enumerate([(64, 1), (7, 3), (1000, 2), (1, 1)]):
        settings = EvaluationSettings(batch_size=batch_size, workers=workers)
        done = evaluate(
            make_predictor(),
            data=photographs,
            store=tmp_path / str(number),
            disturbances=CONDITIONS,
            settings=settings,
        )
        cells = {text: done.runs[0].observations(text).columns for text in done.runs[0].records}
        seen.append((scores(done.runs[0]), cells))
    for other_scores, other_cells in seen[1:]:
        assert other_scores == seen[0][0]
        for text, columns in other_cells.items():
            assert all(np.array_equal(values, seen[0][1][text][name]) for name, values in columns.items())


def test_the_same_call_measures_nothing_twice(
    tmp_path: Path, make_predictor: MakePredictor, photographs: ArrayImages
) -> None:
    first = evaluate(make_predictor(), data=photographs, store=tmp_path / "run", disturbances=CONDITIONS[:1])
    again = evaluate(make_predictor(), data=photographs, store=tmp_path / "run", disturbances=CONDITIONS)
    assert (first.measured, again.measured, again.reused) == (2, 3, 2)
    other = evaluate(
        make_predictor(TemplateNetwork(seed=1)), data=photographs, store=tmp_path / "run", disturbances=CONDITIONS
    )
    assert (other.measured, other.reused) == (5, 0)


def test_seed_and_data_make_other_cells(
    tmp_path: Path, make_predictor: MakePredictor, photographs: ArrayImages
) -> None:
    store = tmp_path / "run"
    evaluate(make_predictor(), data=photographs, store=store, disturbances=["fog@3"])
    reseeded = evaluate(
        make_predictor(), data=photographs, store=store, disturbances=["fog@3"], settings=EvaluationSettings(seed=1)
    )
    fewer = evaluate(make_predictor(), data=photographs.select(range(20), "20"), store=store, disturbances=["fog@3"])
    assert (reseeded.measured, fewer.measured) == (2, 2)


class StopAfter(Silent):
    """Interrupts the evaluation in the middle of a cell, as a Ctrl-C would."""

    def __init__(self, cells: int) -> None:
        self._left = cells

    def images_done(self, count: int) -> None:
        if self._left == 0:
            raise KeyboardInterrupt

    def cell_finished(self, record: object) -> None:
        self._left -= 1


def test_an_interrupted_run_goes_on_and_ends_the_same(
    tmp_path: Path, make_predictor: MakePredictor, photographs: ArrayImages
) -> None:
    whole = evaluate(make_predictor(), data=photographs, store=tmp_path / "whole", disturbances=CONDITIONS)
    for cells in (0, 1, 2):
        with pytest.raises(KeyboardInterrupt):
            evaluate(
                make_predictor(),
                data=photographs,
                store=tmp_path / "cut",
                disturbances=CONDITIONS,
                listener=StopAfter(cells),
            )
    cut = evaluate(make_predictor(), data=photographs, store=tmp_path / "cut", disturbances=CONDITIONS)
    assert scores(cut.runs[0]) == scores(whole.runs[0])
    assert cut.measured == 2


def test_nan_outputs_fail_one_cell_by_name_and_the_others_go_on(
    tmp_path: Path, make_predictor: MakePredictor, photographs: ArrayImages
) -> None:
    done = evaluate(
        make_predictor(NotANumber()), data=photographs, store=tmp_path / "run", disturbances=["impulse_noise@1"]
    )
    assert not done.failed
    dark = ArrayImages(
        name="dark",
        pixels=photographs.pixels // 8,
        labels=photographs.labels,
        classes=photographs.classes,
        ids=photographs.ids,
    )
    done = evaluate(
        make_predictor(NotANumber()), data=dark, store=tmp_path / "dark", disturbances=["brightness@5", "brightness@4"]
    )
    assert [failed.cell.disturbance for failed in done.failed] == ["clean"]
    assert "NaN" in done.failed[0].reason
    assert set(done.runs[0].records) == {"brightness@5", "brightness@4"}
    assert [failed.cell.disturbance for failed in done.runs[0].failures] == ["clean"]


def test_pictures_show_samples_that_flipped(
    tmp_path: Path, make_predictor: MakePredictor, photographs: ArrayImages
) -> None:
    done = evaluate(make_predictor(), data=photographs, store=tmp_path / "run", disturbances=["gaussian_noise@5"])
    (run,) = done.runs
    pictures = run.store.pictures(run.records["gaussian_noise@5"].key)
    assert 0 < len(pictures) <= 2
    for picture in pictures:
        assert picture.clean_prediction == picture.label != picture.prediction
        assert picture.clean.startswith(b"\x89PNG")
        assert picture.clean != picture.disturbed


def test_out_of_memory_halves_the_forward_batch(
    tmp_path: Path, make_predictor: MakePredictor, photographs: ArrayImages
) -> None:
    class Hungry(TemplateNetwork):
        def forward(self, images: torch.Tensor) -> torch.Tensor:
            if len(images) > 8:
                raise torch.OutOfMemoryError("CUDA out of memory")
            return super().forward(images)

    done = evaluate(make_predictor(Hungry()), data=photographs, store=tmp_path / "run", disturbances=["fog@3"])
    assert done.runs[0].records["clean"].scores["top1"] == 1.0
    assert "halved to 8" in done.runs[0].records["fog@3"].provenance.notes[-1]


def test_a_model_that_cannot_take_the_images_stops_before_anything_is_measured(
    tmp_path: Path, make_predictor: MakePredictor, photographs: ArrayImages
) -> None:
    small = ArrayImages(
        name="small",
        pixels=photographs.pixels[:, :16, :16],
        labels=photographs.labels,
        classes=photographs.classes,
        ids=photographs.ids,
    )
    with pytest.raises(UserError, match="fails on images of 16x16"):
        evaluate(make_predictor(), data=small, store=tmp_path / "run", disturbances=["fog@3"])
    assert not (tmp_path / "run").exists()


def test_unknown_names_have_suggestions(
    tmp_path: Path, make_predictor: MakePredictor, photographs: ArrayImages
) -> None:
    with pytest.raises(UserError, match="Did you mean fog"):
        evaluate(make_predictor(), data=photographs, store=tmp_path / "run", disturbances=["fogg@3"])
    with pytest.raises(UserError, match="imagenet-c"):
        evaluate(make_predictor(), data=photographs, store=tmp_path / "run", suite="imagenet-d")
    assert not (tmp_path / "run").exists()


def test_a_full_disk_keeps_what_was_finished(
    tmp_path: Path, make_predictor: MakePredictor, photographs: ArrayImages, monkeypatch: pytest.MonkeyPatch
) -> None:
    class FillDisk(Silent):
        def cell_started(self, planned: PlannedCell) -> None:
            if planned.cell.disturbance == "contrast@4":
                monkeypatch.setattr("pyarrow.parquet.write_table", no_space)

    def no_space(*arguments: object, **options: object) -> None:
        raise OSError(28, "No space left on device")

    with pytest.raises(UserError, match="No space left"):
        evaluate(
            make_predictor(), data=photographs, store=tmp_path / "run", disturbances=CONDITIONS, listener=FillDisk()
        )
    store = Store(tmp_path / "run")
    assert len(store.records()) == 4
    assert not list(store.path.rglob("*.part"))
