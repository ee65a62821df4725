"""Several processes on one store: they share cells and decoded images, and none harms the work of another."""

import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch

from weatherglass.data.images import ArrayImages
from weatherglass.errors import UnreadableImage, UserError
from weatherglass.evaluation import claims as claims_module
from weatherglass.evaluation import pixels as pixels_module
from weatherglass.evaluation.claims import Claims
from weatherglass.evaluation.evaluate import EvaluationSettings, Silent, evaluate, plan_evaluation, run_plans
from weatherglass.evaluation.files import write_text
from weatherglass.evaluation.pixels import clear_pixels, decode_once
from weatherglass.evaluation.store import Store
from weatherglass.types import Predictor, Preprocessing
from weatherglass.unfinished import unfinished

MakePredictor = Callable[..., Predictor]
SETTINGS = EvaluationSettings(workers=1)


class Broken(ArrayImages):
    """The last image does not decode."""

    def image(self, index: int) -> torch.Tensor:
        if index == len(self) - 1:
            raise UnreadableImage(self.ids[index], "it is cut off")
        return super().image(index)


def broken(data: ArrayImages) -> Broken:
    return Broken(name="broken", pixels=data.pixels, labels=data.labels, classes=data.classes, ids=data.ids)


def files(folder: Path) -> list[str]:
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file())


# ---------------------------------------------------------------------------------------------- planning and stopping


class MeanwhileAnother(Silent):
    """While one process decodes, another one does something in the same store."""

    def __init__(self, act: Callable[[], object]) -> None:
        self.act = act

    def decoding(self, done: int, total: int) -> None:
        self.act()


@pytest.mark.parametrize("failure", [UserError, KeyboardInterrupt])
def test_a_failed_plan_leaves_the_cells_of_another_process(
    tmp_path: Path, make_predictor: MakePredictor, photographs: ArrayImages, failure: type[BaseException]
) -> None:
    model, store = make_predictor(), tmp_path / "run"

    def another() -> None:
        evaluate(model, data=photographs, store=store, disturbances=["contrast@4"], settings=SETTINGS)
        if failure is KeyboardInterrupt:
            raise KeyboardInterrupt

    with pytest.raises(failure):
        evaluate(
            model,
            data=broken(photographs),
            store=store,
            disturbances=["contrast@4"],
            settings=SETTINGS,
            listener=MeanwhileAnother(another),
        )
    assert len(Store(store).records()) == 2
    assert not list(store.rglob("*.part"))


def test_a_failed_plan_leaves_nothing_of_a_new_store(
    tmp_path: Path, make_predictor: MakePredictor, photographs: ArrayImages
) -> None:
    with pytest.raises(UserError, match="cut off"):
        evaluate(make_predictor(), data=broken(photographs), store=tmp_path / "run", disturbances=["fog@1"])
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize("settings", [SETTINGS, EvaluationSettings(workers=1, skip_unreadable=True)])
def test_a_plan_alone_writes_nothing_and_says_what_a_run_would_do(
    tmp_path: Path, make_predictor: MakePredictor, photographs: ArrayImages, settings: EvaluationSettings
) -> None:
    model, store = make_predictor(), tmp_path / "run"
    model.preprocessing = Preprocessing(size=(32, 32), source="test")

    def plan(data: ArrayImages, *, only: bool) -> tuple:
        (found,), opened = plan_evaluation(
            model,
            data=data,
            store=store,
            disturbances=["contrast@4"],
            settings=settings,
            listener=Silent(),
            only_plan=only,
        )
        return found, opened

    alone, _ = plan(photographs, only=True)
    assert not store.exists()
    real, opened = plan(photographs, only=False)
    assert [one.key for one in alone.cells] == [one.key for one in real.cells]
    assert (len(alone.data), alone.decoded_bytes) == (len(photographs), real.decoded_bytes)
    run_plans([real], opened, settings=settings, listener=Silent())
    before = files(store)
    again, _ = plan(photographs, only=True)
    assert len(again.kept) == 2
    if settings.skip_unreadable:
        assert len(plan(broken(photographs), only=True)[0].data) == len(photographs) - 1
    assert files(store) == before


def test_a_plan_alone_decodes_no_more_than_it_shows(
    tmp_path: Path, make_predictor: MakePredictor, photographs: ArrayImages
) -> None:
    asked = []

    class Counting(ArrayImages):
        def image(self, index: int) -> torch.Tensor:
            asked.append(self.ids[index])
            return super().image(index)

    model = make_predictor()
    model.preprocessing = Preprocessing(size=(32, 32), source="test")
    data = Counting(
        name="counted",
        pixels=np.concatenate([photographs.pixels] * 2),
        labels=np.concatenate([photographs.labels] * 2),
        classes=photographs.classes,
        ids=tuple(f"{number}" for number in range(2 * len(photographs))),
    )
    settings = EvaluationSettings(workers=1, forward_batch=8)
    plan_evaluation(
        model,
        data=data,
        store=tmp_path / "run",
        disturbances=["contrast@4"],
        settings=settings,
        listener=Silent(),
        only_plan=True,
    )
    assert set(asked) <= set(data.ids[:8])


# ---------------------------------------------------------------------------------------------------- decoded images


def test_who_finishes_removes_no_images_that_another_decodes_or_reads(
    tmp_path: Path, make_predictor: MakePredictor, photographs: ArrayImages
) -> None:
    model, store = make_predictor(), tmp_path / "run"
    half = photographs.select(range(20), "half")
    reading = decode_once(half, model.preprocessing, store / "pixels", workers=1)

    def another() -> None:
        evaluate(model, data=photographs.select(range(10), "few"), store=store, disturbances=["contrast@4"])

    decode_once(photographs, model.preprocessing, store / "pixels", workers=1, progress=lambda done, total: another())
    assert reading.path.is_file()
    reading.let_go()
    another()
    assert not (store / "pixels").exists()
    assert len(reading.at([0, 19])) == 2


def test_images_removed_before_they_could_be_opened_are_decoded_again(
    tmp_path: Path, photographs: ArrayImages, monkeypatch: pytest.MonkeyPatch
) -> None:
    wanted = []

    class Vanishing(pixels_module.PixelFile):
        def __init__(self, path: Path, layout: pixels_module.Layout) -> None:
            wanted.append(path)
            if len(wanted) == 1:
                shutil.rmtree(path.parent)
            super().__init__(path, layout)

    monkeypatch.setattr(pixels_module, "PixelFile", Vanishing)
    found = decode_once(photographs, Preprocessing(), tmp_path / "pixels", workers=1)
    assert len(wanted) == 2
    assert found.at([0]).shape == (1, 3, 32, 32)


def test_leftovers_of_killed_processes_are_removed_but_not_what_is_being_written(tmp_path: Path) -> None:
    (tmp_path / "pixels").mkdir()
    old, new = (unfinished(tmp_path / "pixels" / "x.pixels") for _ in range(2))
    for part in (old, new):
        part.touch()
    os.utime(old, (0, 0))
    clear_pixels(tmp_path / "pixels", [])
    assert (old.exists(), new.exists()) == (False, True)


def test_two_that_decode_the_same_keep_the_first_file(tmp_path: Path, photographs: ArrayImages) -> None:
    inodes = []

    def another(done: int, total: int) -> None:
        if not inodes:
            inodes.append(0)
            first = decode_once(photographs, Preprocessing(), tmp_path, workers=1)
            inodes[0] = first.path.stat().st_ino

    second = decode_once(photographs, Preprocessing(), tmp_path, workers=1, progress=another)
    assert second.path.stat().st_ino == inodes[0]
    assert len(files(tmp_path)) == 2


def test_models_that_pad_with_another_colour_do_not_share_images(tmp_path: Path) -> None:
    pixels = np.full((2, 20, 40, 3), 200, np.uint8)
    data = ArrayImages(name="wide", pixels=pixels, labels=np.zeros(2, np.int64), classes=("a",), ids=("0", "1"))
    contain = Preprocessing(size=(32, 32), resize=(32, 32), fit="contain", mean=(0.5, 0.5, 0.5))
    black = Preprocessing(size=(32, 32), resize=(32, 32), fit="contain")
    corners = [decode_once(data, one, tmp_path, workers=1).at([0])[0, 0, 0, 0].item() for one in (contain, black)]
    assert corners == [128, 0]
    # Where nothing is padded with the mean, the normalisation does not matter.
    plain = [Preprocessing(size=(16, 16), mean=(mean,) * 3) for mean in (0.0, 0.5)]
    assert len({decode_once(data, one, tmp_path, workers=1).path for one in plain}) == 1


def test_another_version_of_a_library_decodes_again(
    tmp_path: Path, photographs: ArrayImages, monkeypatch: pytest.MonkeyPatch
) -> None:
    paths = set()
    for version in ("1.0", "1.0", "2.0"):
        monkeypatch.setattr(pixels_module, "library_versions", lambda version=version: {"pillow": version})
        paths.add(decode_once(photographs, Preprocessing(), tmp_path, workers=1).path)
    assert len(paths) == 2


# ------------------------------------------------------------------------------------------------------------- files


def test_writers_with_equal_process_numbers_do_not_meet(tmp_path: Path) -> None:
    path = tmp_path / ("x" * 250)  # with an ending it would be too long
    assert unfinished(path) != unfinished(path)
    write_text(path, "whole")
    assert files(tmp_path) == [path.name]


@pytest.mark.parametrize("name", ["file/store", "x" * 300, "x" * 300 + "/store"])
def test_a_store_that_cannot_be_is_told_in_one_line(
    tmp_path: Path, name: str, make_predictor: MakePredictor, photographs: ArrayImages
) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(UserError, match=r"another folder"):
        evaluate(make_predictor(), data=photographs, store=tmp_path / name, disturbances=["fog@1"])
    with pytest.raises(UserError):
        Store(tmp_path / name, create=True)
    with pytest.raises(UserError):
        write_text(tmp_path / name / "a.json", "{}")


# ------------------------------------------------------------------------------------------------------------ claims


def test_claims_are_respected_while_their_owner_lives(tmp_path: Path) -> None:
    mine, theirs, claim = Claims(tmp_path), Claims(tmp_path), tmp_path / "claims" / "cell"
    assert mine.take("cell")
    assert not theirs.take("cell")
    host, _, space, word = claim.read_text().split()
    sleeper = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"])
    try:
        claim.write_text(f"{host} {sleeper.pid} {space} {word}")
        assert not theirs.take("cell")
    finally:
        sleeper.send_signal(signal.SIGKILL)
        sleeper.wait()
    # In another container the number means another process, even under the same name of the machine.
    claim.write_text(f"{host} {sleeper.pid} elsewhere {word}")
    assert not theirs.take("cell")
    claim.write_text(f"{host} {sleeper.pid} {space} {word}")
    assert theirs.take("cell")
    claim.write_text("another-machine 1")
    assert not mine.take("cell")
    long_ago = time.time() - 3600
    os.utime(claim, (long_ago, long_ago))
    assert mine.take("cell")
    with mine.held("cell"):
        pass
    assert theirs.take("cell")


def test_a_claim_outlives_a_batch_that_is_longer_than_the_lease(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(claims_module, "LEASE_SECONDS", 0.4)
    mine, theirs = Claims(tmp_path), Claims(tmp_path)
    assert mine.take("cell")
    with mine.held("cell"):
        for _ in range(4):
            time.sleep(0.25)
            assert not theirs.take("cell")
    assert theirs.take("cell")


def test_a_lost_claim_is_neither_revived_nor_taken_away(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(claims_module, "LEASE_SECONDS", 0.08)
    mine, claim = Claims(tmp_path), tmp_path / "claims" / "cell"
    assert mine.take("cell")
    with mine.held("cell"):
        claim.unlink()
        time.sleep(0.1)
        assert not claim.exists()
        claim.write_text("another-machine 1")
    assert claim.exists()
