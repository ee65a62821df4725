"""The training loop: epochs of steps, with samples fetched beside, scores and checkpoints between."""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch

from weatherglass.training.distributed import Group
from weatherglass.training.files import Folder, steps_of_weights, write_metrics
from weatherglass.training.interruption import Interrupted, StopRequest, stop_requests
from weatherglass.training.objective import Objective
from weatherglass.training.progress import Listener, Pace
from weatherglass.training.recipe import Recipe
from weatherglass.training.samples import loader
from weatherglass.training.training import Training

CHECKED_EVERY = 50
"""Steps between two looks at the losses: a look waits for the accelerator."""


def train(
    recipe: Recipe,
    objective: Objective[Any],
    folder: str | Path,
    *,
    group: Group,
    workers: int = 0,
    score_every: int = 1,
    listener: Listener | None = None,
) -> Training:
    """Train to the recipe's end, from the state in `folder` if there is one.

    Args:
        recipe: what decides the weights, beside the data.
        objective: what is learned from what.
        folder: where state, metrics and weights go; see `files.py`.
        group: the processes that train together, from `joined()`.
        workers: processes that load samples; the result does not depend on their number.
        score_every: epochs between two scores; the last epoch is always scored.
        listener: hears of progress.

    Raises:
        Diverged: the loss is no number any more; the last good checkpoint stays.
        Interrupted: by Ctrl-C or SIGTERM; the state is saved and the same call goes on.
        UserError: the folder holds another training, or cannot be written.
    """
    listener = listener or Listener()
    place = Folder(Path(folder))
    training = Training(recipe, objective, group, place)
    training.resume()
    if group.leads:
        place.prepare(recipe)
    listener.started(training)
    with stop_requests() as requested, _own_random_numbers():
        while not training.finished:
            _epoch(training, requested, listener, workers, score_every)
    if group.leads and steps_of_weights(place.weights) != training.step:
        # The process was killed between its last checkpoint and these files.
        write_metrics(place.metrics, training.history)
        training.write_result()
    return training


def _epoch(training: Training, requested: StopRequest, listener: Listener, workers: int, score_every: int) -> None:
    """What is left of the current epoch, its scores, its checkpoint."""
    epoch, pace = training.epoch, Pace()
    training.model.train()
    batches = iter(
        loader(training.objective.dataset, training.places(epoch), training.objective.collate, workers=workers)
    )
    started = time.perf_counter()
    while training.epoch == epoch:
        begun = time.perf_counter()
        parts = [next(batches) for _ in range(training.recipe.accumulate)]
        ready = time.perf_counter()
        training.update(parts)
        pace.samples += training.recipe.batch
        pace.waited += ready - begun
        pace.worked += time.perf_counter() - ready
        listener.stepped(training, pace)
        if training.step % CHECKED_EVERY == 0:
            training.check_losses()
        if training.epoch == epoch and _stops(training, requested):
            training.save()
            raise Interrupted
    training.check_losses()
    row = {
        "epoch": float(epoch + 1),
        "loss": float(training.group.mean(training.losses.double().mean())),
        "rate": training.rate,
        "samples/s": pace.rate,
        "waiting": pace.starved,
        "seconds": time.perf_counter() - started,
    }
    scored = training.finished or (epoch + 1) % score_every == 0
    if scored:
        row |= training.scores(workers)
    training.history.append(row)
    training.save()
    training.losses.zero_()
    if training.group.leads:
        write_metrics(training.folder.metrics, training.history)
        if scored:
            training.write_result()
    listener.epoch_ended(training, row)
    if not training.finished and training.group.any(requested.raised):
        raise Interrupted


def _stops(training: Training, requested: StopRequest) -> bool:
    # Asking all processes costs a message: every ten steps is soon enough.
    return (training.group.size == 1 or training.step % 10 == 0) and training.group.any(requested.raised)


@contextmanager
def _own_random_numbers() -> Iterator[None]:
    """Steps seed torch's global generators, which stochastic depth reads; the caller's are as before afterwards."""
    devices = list(range(torch.cuda.device_count()))
    with torch.random.fork_rng(devices=devices):
        yield
