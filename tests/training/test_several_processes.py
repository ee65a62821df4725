"""Several processes that train together: what one of them meets, all of them deal with."""

import multiprocessing
import os
import shutil
import signal
import socket
from pathlib import Path
from typing import Any

import pytest
import torch
from recipes_small import small
from small_trainings import DATA, HELD_OUT, assert_equal
from torch import Tensor, nn

from weatherglass.errors import UserError
from weatherglass.training.classification import Classification
from weatherglass.training.distributed import joined
from weatherglass.training.interruption import Interrupted
from weatherglass.training.loop import train
from weatherglass.training.progress import Listener, Pace
from weatherglass.training.recipe import Network, Schedule
from weatherglass.training.training import Diverged, Training

RECIPE = small(
    network=Network("resnet_micro_32", {"widths": [4, 4, 4, 4]}),  # with BatchNorm
    batch=4,
    schedule=Schedule(epochs=1, warmup=0),
)


class StopsTheOther(Listener):
    """Process 1, which writes nothing, is asked to stop."""

    def stepped(self, training: Training, pace: Pace) -> None:
        if training.step == 10 and training.group.rank == 1:
            os.kill(os.getpid(), signal.SIGTERM)


class StopsTheOtherInScoring(Classification):
    """Process 1 is asked to stop while the network is scored."""

    def score(self, model: nn.Module, device: torch.device, *, workers: int) -> dict[str, float]:
        if os.environ["RANK"] == "1":
            os.kill(os.getpid(), signal.SIGTERM)
        return super().score(model, device, workers=workers)


class BreaksInTheOther(Classification):
    """Process 1 has a last loss that is no number."""

    steps = 0

    def loss(self, model: nn.Module, batch: Any, *, key: int, device: torch.device) -> Tensor:
        loss = super().loss(model, batch, key=key, device=device)
        self.steps += 1
        return loss * float("nan") if self.steps == 17 and os.environ["RANK"] == "1" else loss


def going_on(whole: Training, folder: Path) -> None:
    group = whole.group
    with pytest.raises(Interrupted):
        train(RECIPE, Classification(RECIPE, DATA, HELD_OUT), folder / "parts", group=group, listener=StopsTheOther())
    parts = train(RECIPE, Classification(RECIPE, DATA, HELD_OUT), folder / "parts", group=group)
    if group.leads:  # what is written
        assert_equal(parts, whole)


def stopping_while_scoring(whole: Training, folder: Path) -> None:
    group = whole.group
    with pytest.raises(Interrupted):
        train(RECIPE, StopsTheOtherInScoring(RECIPE, DATA, HELD_OUT), folder / "unscored", group=group)
    assert not (folder / "unscored" / "metrics.csv").exists()
    scored = train(RECIPE, Classification(RECIPE, DATA, HELD_OUT), folder / "unscored", group=group)
    if group.leads:
        assert_equal(scored, whole)


def breaking(whole: Training, folder: Path) -> None:
    with pytest.raises(Diverged, match="The loss is nan at step 16"):
        train(RECIPE, BreaksInTheOther(RECIPE, DATA, HELD_OUT), folder / "broken", group=whole.group)
    assert not (folder / "broken" / "last.pt").exists()


def folders_of_their_own(whole: Training, folder: Path) -> None:
    group = whole.group
    mine = folder / f"machine {group.rank}"
    if group.leads:
        shutil.copytree(folder / "whole", mine)
    with pytest.raises(UserError, match="Give an --output that all of them share"):
        train(RECIPE, Classification(RECIPE, DATA, HELD_OUT), mine, group=group)


def process(rank: int, port: int, folder: Path) -> None:
    """One of two, as `torchrun` would start it."""
    os.environ |= {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(port), "WORLD_SIZE": "2", "RANK": str(rank)}
    torch.set_num_threads(1)
    with joined("cpu") as group:
        whole = train(RECIPE, Classification(RECIPE, DATA, HELD_OUT), folder / "whole", group=group)
        assert whole.steps_an_epoch == 17
        for each in (going_on, stopping_while_scoring, breaking, folders_of_their_own):
            each(whole, folder)


def test_two_processes_stop_go_on_and_fail_together(tmp_path: Path) -> None:
    """BatchNorm, a stop that only one hears, a loss that is no number in one, a folder that they do not share."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    forking = multiprocessing.get_context("fork")  # which spares them the imports
    both = [forking.Process(target=process, args=(rank, port, tmp_path), daemon=True) for rank in (0, 1)]
    for one in both:
        one.start()
    for one in both:
        one.join(timeout=120)
    codes = [one.exitcode for one in both]
    for one in both:
        one.kill()
    assert codes == [0, 0]
