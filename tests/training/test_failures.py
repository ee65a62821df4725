"""What goes wrong around a training: images, disks, broken weights, a stop at a bad moment, no git."""

import os
import resource
import shutil
import signal
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import fields
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from recipes_small import small
from small_trainings import ALONE, DATA, HELD_OUT, Breaks, assert_equal, run
from torch import Tensor, nn

from weatherglass.data.images import ArrayImages
from weatherglass.errors import UnreadableImage, UserError
from weatherglass.training import distributed, files
from weatherglass.training.classification import Classification
from weatherglass.training.distributed import device_of_process
from weatherglass.training.interruption import Interrupted
from weatherglass.training.loop import train
from weatherglass.training.samples import epoch_order
from weatherglass.training.tensorboard import TensorBoard
from weatherglass.training.training import Diverged, Training

# ------------------------------------------------------------------------------------------------------------ images


class Torn(ArrayImages):
    """Images of which one does not decode."""

    torn: int = -1

    def image(self, index: int) -> Tensor:
        if index == self.torn:
            raise UnreadableImage("photos/3.png", "image file is truncated")
        return super().image(index)


def torn(data: Any, index: int) -> Torn:
    found = Torn(**{field.name: getattr(data, field.name) for field in fields(data)})
    object.__setattr__(found, "torn", index)
    return found


@pytest.mark.parametrize("workers", [0, 2])
def test_an_unreadable_image_gets_one_line_and_costs_no_step(whole: Training, tmp_path: Path, workers: int) -> None:
    recipe = small()
    third_batch = epoch_order(len(DATA), 0, seed=recipe.seed)[2 * recipe.batch : 3 * recipe.batch, 0]
    objective = Classification(recipe, torn(DATA, int(third_batch[5])), HELD_OUT)
    with pytest.raises(UserError, match=r"^Cannot read the image photos/3\.png: [^\n]* after step 2 is kept[^\n]*$"):
        train(recipe, objective, tmp_path, group=ALONE, workers=workers)
    assert torch.load(tmp_path / "last.pt", weights_only=True)["step"] == 2
    if workers == 0:
        assert_equal(run(recipe, tmp_path), whole)


def test_an_unreadable_image_among_those_scored_on_is_named_by_any_process() -> None:
    objective = Classification(small(), DATA, torn(HELD_OUT, 7))
    with pytest.raises(UnreadableImage, match="image file is truncated") as caught:
        objective.score(objective.build().eval(), torch.device("cpu"), workers=1)
    assert caught.value.location == "photos/3.png"


# ----------------------------------------------------------------------------------------------------------- weights


class Overflows(Classification):
    """At one step the loss is a number and its gradient is none."""

    def __init__(self, *given: Any, step: int) -> None:
        super().__init__(*given)
        self.left = step

    def loss(self, model: nn.Module, batch: Any, *, key: int, device: torch.device) -> Tensor:
        loss = super().loss(model, batch, key=key, device=device)
        self.left -= 1
        return loss if self.left else loss + (next(model.parameters()).flatten()[0] * 0).sqrt()


def test_broken_weights_never_replace_good_ones(tmp_path: Path) -> None:
    objective = Overflows(small(), DATA, HELD_OUT, step=8)
    with pytest.raises(Diverged, match=r"^After 8 steps there are weights that are no numbers .*good checkpoint is"):
        train(small(), objective, tmp_path, group=ALONE)
    kept = torch.load(tmp_path / "last.pt", weights_only=True)
    assert kept["step"] == files.steps_of_weights(tmp_path / "model.safetensors") == 4
    assert all(tensor.isfinite().all() for part in ("model", "model_ema") for tensor in kept[part].values())


def test_a_checkpoint_with_broken_weights_is_not_gone_on_from(tmp_path: Path) -> None:
    with pytest.raises(Interrupted):
        run(small(), tmp_path, listener=Breaks(1, "SIGTERM"))
    kept = torch.load(tmp_path / "last.pt", weights_only=True)
    name = next(name for name in kept["model"] if name.endswith("weight"))
    kept["model"][name].fill_(float("nan"))
    torch.save(kept, tmp_path / "last.pt")
    with pytest.raises(Diverged, match=rf"last\.pt holds weights that are no numbers \({name}\)"):
        run(small(), tmp_path)


# ------------------------------------------------------------------------------------------------------------- stops


class StopsInScoring(Classification):
    """Is stopped, or dies, in the first scoring."""

    def __init__(self, *given: Any, how: str) -> None:
        super().__init__(*given)
        self.how = how

    def score(self, model: nn.Module, device: torch.device, *, workers: int) -> dict[str, float]:
        if self.how == "killed":
            raise RuntimeError("the machine went away")
        os.kill(os.getpid(), signal.SIGTERM)
        super().score(model, device, workers=workers)
        raise AssertionError("scored to the end")


@pytest.mark.parametrize("how", ["SIGTERM", "killed"])
def test_a_stop_while_scoring_loses_nothing(whole: Training, tmp_path: Path, how: str) -> None:
    objective = StopsInScoring(small(), DATA, HELD_OUT, how=how)
    with pytest.raises(Interrupted if how == "SIGTERM" else RuntimeError):
        train(small(), objective, tmp_path, group=ALONE)
    kept = torch.load(tmp_path / "last.pt", weights_only=True)
    assert (kept["step"], len(kept["history"]), kept["unscored"]) == (4, 1, True)
    assert_equal(run(small(), tmp_path), whole)
    assert len((tmp_path / "metrics.csv").read_text().splitlines()) == 3


def test_a_checkpoint_that_says_nothing_of_scores_goes_on(whole: Training, tmp_path: Path) -> None:
    """As they were written before scoring could be stopped."""
    with pytest.raises(Interrupted):
        run(small(), tmp_path, listener=Breaks(6, "SIGTERM"))
    kept = torch.load(tmp_path / "last.pt", weights_only=True)
    del kept["unscored"]
    torch.save(kept, tmp_path / "last.pt")
    assert_equal(run(small(), tmp_path), whole)


def test_tensorboard_keeps_every_epoch_when_a_training_goes_on(tmp_path: Path) -> None:
    accumulators = pytest.importorskip("tensorboard.backend.event_processing.event_accumulator")

    def runs(start: int, *epochs: int) -> None:
        training: Any = SimpleNamespace(step=start, folder=SimpleNamespace(path=tmp_path))
        listener = TensorBoard()
        listener.started(training)
        for training.step in epochs:
            listener.epoch_ended(training, {"loss": float(training.step)})

    runs(0, 4, 8, 12)  # killed before the checkpoint of step 12
    runs(8, 12, 16)
    found = accumulators.EventAccumulator(str(tmp_path / "tensorboard"))
    found.Reload()
    assert [event.step for event in found.Scalars("loss")] == [4, 8, 12, 16]


# ------------------------------------------------------------------------------------------------- disks, git, devices


@contextmanager
def disk_of(size: int) -> Iterator[None]:
    """No file can grow beyond so many bytes inside."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


def test_weights_that_do_not_fit_on_the_disk_leave_those_before(tmp_path: Path) -> None:
    path = tmp_path / "model.safetensors"
    files.write_weights(path, nn.Linear(200, 200), small(), {"steps": 4}, {})
    with (
        disk_of(20_000),
        pytest.raises(UserError, match=r"^The weights .* could not be written \([^\n]*make room[^\n]*$"),
    ):
        files.write_weights(path, nn.Linear(200, 200), small(), {"steps": 8}, {})
    assert files.steps_of_weights(path) == 4
    assert list(tmp_path.iterdir()) == [path]


def test_weights_are_written_where_there_is_no_git(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    assert files.versions().keys() == {"weatherglass", "torch", "timm"}


@pytest.mark.skipif(shutil.which("git") is None, reason="needs git")
def test_the_commit_of_somebody_elses_repository_is_not_ours(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def git(*arguments: str) -> None:
        identity = ["-c", "user.name=somebody", "-c", "user.email=somebody@example.org"]
        subprocess.run(["git", "-C", str(tmp_path), *identity, *arguments], check=True, capture_output=True)

    source = tmp_path / "files.py"
    source.touch()
    git("init")
    git("commit", "--allow-empty", "--message", "theirs")
    monkeypatch.setattr(files, "__file__", str(source))
    assert "commit" not in files.versions()
    git("add", "files.py")
    git("commit", "--message", "ours")
    assert len(files.versions()["commit"]) == 12


@pytest.mark.parametrize(
    ("asked", "gpus", "chosen"),
    [("auto", True, "cuda:1"), ("cuda", True, "cuda:1"), ("auto", False, "cpu"), ("cpu", True, "cpu")],
)
def test_each_of_several_processes_takes_its_own_gpu(
    monkeypatch: pytest.MonkeyPatch, asked: str, gpus: bool, chosen: str
) -> None:
    monkeypatch.setattr(distributed, "resolve_device", torch.device)
    monkeypatch.setattr(torch.cuda, "is_available", lambda: gpus)
    several = {"LOCAL_RANK": "1", "LOCAL_WORLD_SIZE": "2"}
    assert device_of_process(asked, several) == torch.device(chosen)
    with pytest.raises(UserError, match="would put all 2 processes of this machine on one GPU: give --device cuda"):
        device_of_process("cuda:0", several)
    assert device_of_process("cuda:3", {"LOCAL_RANK": "0", "LOCAL_WORLD_SIZE": "1"}) == torch.device("cuda:3")
