"""Trainings that take a second, how they are broken off, and whether two are the same."""

import os
import subprocess
import time
from multiprocessing import active_children
from pathlib import Path

import torch
from torch import Tensor

from weatherglass.data.load import load_data
from weatherglass.training.classification import Classification
from weatherglass.training.distributed import Group
from weatherglass.training.loop import train
from weatherglass.training.progress import Listener, Pace
from weatherglass.training.recipe import Recipe
from weatherglass.training.training import Training

ALONE = Group(0, 1, torch.device("cpu"))
DATA, HELD_OUT = load_data("digits:train", limit=70), load_data("digits:test", limit=50)


def run(recipe: Recipe, folder: Path, *, workers: int = 0, listener: Listener | None = None) -> Training:
    objective = Classification(recipe, DATA, HELD_OUT)
    return train(recipe, objective, folder, group=ALONE, workers=workers, listener=listener)


class Breaks(Listener):
    """Raises an error, or asks the process to stop, after so many steps."""

    def __init__(self, step: int, how: str) -> None:
        self.step, self.how = step, how

    def stepped(self, training: Training, pace: Pace) -> None:
        if training.step == self.step and self.how == "SIGTERM":
            # As when a scheduler stops a whole group. Not by this process: loaders forgive their parent.
            group = [*(child.pid for child in active_children()), os.getpid()]
            subprocess.run(["kill", "-TERM", *map(str, group)], check=True)
            time.sleep(0.2)  # the death of a loader would be heard here
        elif training.step == self.step:
            raise RuntimeError("the machine went away")


def weights(training: Training) -> dict[str, Tensor]:
    averaged = {} if training.average is None else training.average.module.state_dict()
    return training.model.state_dict() | {f"average {name}": tensor for name, tensor in averaged.items()}


def assert_equal(first: Training, second: Training) -> None:
    assert weights(first).keys() == weights(second).keys()
    for name, tensor in weights(first).items():
        assert torch.equal(tensor, weights(second)[name]), name
    for one, other in zip(first.history, second.history, strict=True):
        assert {**one, "seconds": 0, "samples/s": 0, "waiting": 0} == {
            **other,
            "seconds": 0,
            "samples/s": 0,
            "waiting": 0,
        }
