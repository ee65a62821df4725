"""The training loop: epochs of steps, with samples fetched beside, scores and checkpoints between."""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch

from weatherglass.errors import UserError
from weatherglass.training.distributed import Group
from weatherglass.training.files import Folder, steps_of_weights, write_metrics
from weatherglass.training.interruption import Interrupted, StopRequest, stop_requests
from weatherglass.training.loading import loaded
from weatherglass.training.objective import Objective
from weatherglass.training.progress import Listener, Pace
from weatherglass.training.recipe import Recipe
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
        Diverged: the loss or a weight is no number any more; the last good checkpoint stays.
        Interrupted: by Ctrl-C or SIGTERM; the state is saved and the same call goes on.
        UserError: the folder holds another training, or cannot be written; or an image cannot be read.
    """
    listener = listener or Listener()
    place = Folder(Path(folder))
    training = Training(recipe, objective, group, place)
    training.resume()
    if group.leads:
        place.prepare(recipe)
    listener.started(training)
    with stop_requests() as requested, _own_random_numbers():
        if training.unscored:  # it was stopped while it was scored
            _end_epoch(training, requested, listener, workers)
        while not training.finished:
            _steps(training, requested, listener, workers)
            training.unscored = training.finished or training.epoch % score_every == 0
            if training.unscored:
                # Scoring can take long, and whoever stops a process need not wait for it.
                training.save()
                _leave_if_asked(training, requested)
            _end_epoch(training, requested, listener, workers)
    if group.leads and steps_of_weights(place.weights) != training.step:
        # The process was killed between its last checkpoint and these files.
        write_metrics(place.metrics, training.history)
        training.write_result()
    return training


def _steps(training: Training, requested: StopRequest, listener: Listener, workers: int) -> None:
    """What is left of the current epoch, and its row in the history."""
    objective, epoch, pace = training.objective, training.epoch, Pace()
    training.model.train()
    batches = loaded(objective.dataset, training.places(epoch), objective.collate, workers=workers)
    started = time.perf_counter()
    while training.epoch == epoch:
        begun = time.perf_counter()
        parts = _next_parts(training, batches)
        ready = time.perf_counter()
        training.update(parts)
        pace.samples += training.recipe.batch
        pace.waited += ready - begun
        pace.worked += time.perf_counter() - ready
        listener.stepped(training, pace)
        if training.step % CHECKED_EVERY == 0:
            training.checked_losses()
        # Asking all processes costs a message: every ten steps is soon enough.
        if training.epoch == epoch and (training.group.size == 1 or training.step % 10 == 0):
            _leave_if_asked(training, requested, save=True)
    row = {
        "epoch": float(epoch + 1),
        "loss": float(training.checked_losses().double().mean()),
        "rate": training.rate,
        "samples/s": pace.rate,
        "waiting": pace.starved,
        "seconds": time.perf_counter() - started,
    }
    training.history.append(row)


def _next_parts(training: Training, batches: Iterator[Any]) -> list[Any]:
    """What the next step learns from. Where it cannot be had, the steps so far are kept."""
    try:
        return [next(batches) for _ in range(training.recipe.accumulate)]
    except Exception as error:
        # Of several processes the others are in their step already, and write nothing with this one.
        if training.group.size > 1 or not training.step:
            raise
        training.save()
        if not isinstance(error, UserError):
            raise
        raise UserError(
            f"{error} The state after step {training.step} is kept: the same command goes on once this can be read; "
            "where the data are changed, train with another --output."
        ) from error


def _end_epoch(training: Training, requested: StopRequest, listener: Listener, workers: int) -> None:
    """The scores of the epoch that ended, where it waits for them, its checkpoint, its files."""
    row, scored = training.history[-1], training.unscored
    if scored:
        row |= training.scores(workers, lambda: _leave_if_asked(training, requested))
        training.unscored = False
    training.save()
    training.losses.zero_()
    if training.group.leads:
        write_metrics(training.folder.metrics, training.history)
        if scored:
            training.write_result()
    listener.epoch_ended(training, row)
    if not training.finished:
        _leave_if_asked(training, requested)


def _leave_if_asked(training: Training, requested: StopRequest, *, save: bool = False) -> None:
    """Raise `Interrupted`, in all processes, where a stop was asked for in one."""
    if training.group.any(requested.raised):
        if save:
            training.save()
        raise Interrupted


@contextmanager
def _own_random_numbers() -> Iterator[None]:
    """Steps seed torch's global generators, which stochastic depth reads; the caller's are as before afterwards."""
    devices = list(range(torch.cuda.device_count()))
    with torch.random.fork_rng(devices=devices):
        yield
