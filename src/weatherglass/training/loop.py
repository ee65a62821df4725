"""The training loop: steps, epochs, checkpoints.

Nothing random has a state: what is drawn for a step follows from (seed, step), so the step number is all that a
checkpoint needs of it, and a run that was interrupted anywhere equals one that was not.
"""

import time
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, ExitStack, contextmanager, nullcontext
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from torch import nn
from torch.nn.attention import SDPBackend, sdpa_kernel

from weatherglass.errors import UserError
from weatherglass.models.predictor import PRECISIONS
from weatherglass.randomness import Draws
from weatherglass.training.distributed import Group
from weatherglass.training.files import Folder, steps_of_weights, write_metrics, write_weights
from weatherglass.training.interruption import Interrupted, StopRequest, stop_requests
from weatherglass.training.objective import Objective
from weatherglass.training.optimisation import make_average, make_optimiser, make_schedule
from weatherglass.training.progress import Listener, Pace
from weatherglass.training.recipe import Recipe
from weatherglass.training.samples import Place, dealt, epoch_order, loader

CHECKED_EVERY = 50
"""Steps between two looks at the losses: a look waits for the accelerator."""


class Diverged(UserError):
    """The loss is no number any more."""


@dataclass
class Training:
    """One training in progress: all that changes while it runs."""

    recipe: Recipe
    objective: Objective[Any]
    group: Group
    folder: Folder
    step: int = 0
    """Updates made so far."""
    history: list[dict[str, float]] = field(default_factory=list)
    """One row a finished epoch."""

    def __post_init__(self) -> None:
        recipe, device = self.recipe, self.group.device
        self.parts = self.group.size * recipe.accumulate
        if recipe.batch % self.parts:
            raise UserError(
                f"A batch of {recipe.batch} cannot be dealt to {self.group.size} processes in "
                f"{recipe.accumulate} parts: change batch or accumulate."
            )
        samples = len(epoch_order(self.objective.samples, 0, seed=0, repeats=recipe.augmentation.repeats))
        self.steps_an_epoch = samples // recipe.batch
        if not self.steps_an_epoch:
            raise UserError(f"A batch of {recipe.batch} is larger than the epoch of {samples} samples: --set batch=...")
        self.model = self.objective.build().to(device)
        self.average = make_average(self.model, recipe)
        self.optimiser = make_optimiser(self.model, recipe)
        self.schedule = make_schedule(self.optimiser, recipe, self.steps_an_epoch)
        self.scaler = torch.amp.GradScaler(device.type, enabled=recipe.precision == "float16")  # pyright: ignore[reportPrivateImportUsage]
        parallel = self.group.parallel(self.model)
        self.network: Any = torch.compile(parallel) if recipe.compile else parallel
        self.losses = torch.zeros(self.steps_an_epoch, device=device)
        """Of the epoch's steps so far; zero behind them."""

    @property
    def epoch(self) -> int:
        """Finished epochs."""
        return self.step // self.steps_an_epoch

    @property
    def finished(self) -> bool:
        return self.epoch >= self.recipe.epochs

    @property
    def rate(self) -> float:
        """The largest learning rate in use."""
        return max(group["lr"] for group in self.optimiser.param_groups)

    @property
    def result(self) -> nn.Module:
        """The network to use: the average, where there is one."""
        return self.model if self.average is None else self.average.module

    # -------------------------------------------------------------------------------------------------- state

    def save(self) -> None:
        """Write the state, after a look at the losses: a broken network never replaces a good one."""
        self.check_losses()
        if self.group.leads:
            content = {
                "model": self.model.state_dict(),
                "model_ema": None if self.average is None else self.average.module.state_dict(),
                "optimiser": self.optimiser.state_dict(),
                "scaler": self.scaler.state_dict(),
                "step": self.step,
                "losses": self.losses,
                "history": self.history,
            }
            self.folder.save_state(content, self.recipe, self.objective.data)
        self.group.wait()

    def resume(self) -> bool:
        """Go on from the folder's state, if there is one."""
        content = self.folder.load_state(self.recipe, self.objective.data)
        if content is None:
            return False
        self.model.load_state_dict(content["model"])
        if self.average is not None:
            self.average.module.load_state_dict(content["model_ema"])
        self.optimiser.load_state_dict(content["optimiser"])
        self.scaler.load_state_dict(content["scaler"])
        self.step = content["step"]
        self.losses = content["losses"].to(self.group.device)
        self.history = content["history"]
        return True

    def check_losses(self) -> None:
        """Raise `Diverged` at the first loss of this epoch that is no number."""
        broken = (~torch.isfinite(self.losses)).nonzero()
        if not len(broken):
            return
        step = self.epoch_start + int(broken[0])
        good = (
            f"the last good checkpoint is {self.folder.state}"
            if self.folder.state.exists()
            else "no checkpoint was made"
        )
        raise Diverged(
            f"The loss is {float(self.losses[broken[0]])} at step {step} (epoch {step // self.steps_an_epoch + 1}); "
            f"{good}. Try a lower optimiser.rate, optimiser.clip=1, or another precision, with a new --output."
        )

    @property
    def epoch_start(self) -> int:
        """The first step of the epoch whose losses are kept: of the one that just ended, at its end."""
        return (self.step - 1) // self.steps_an_epoch * self.steps_an_epoch if self.step else 0

    # ------------------------------------------------------------------------------------------------- working

    def places(self, epoch: int) -> list[list[Place]]:
        """What this process takes of an epoch's batches: `accumulate` parts a step, from the current step on."""
        recipe, rank = self.recipe, self.group.rank
        order = epoch_order(self.objective.samples, epoch, seed=recipe.seed, repeats=recipe.augmentation.repeats)
        places = [Place(int(index), epoch, int(copy)) for index, copy in order]
        parts = range(rank * recipe.accumulate, (rank + 1) * recipe.accumulate)
        return [
            dealt(places[step * recipe.batch : (step + 1) * recipe.batch], part, self.parts)
            for step in range(self.step - epoch * self.steps_an_epoch, self.steps_an_epoch)
            for part in parts
        ]

    def update(self, parts: Sequence[Any]) -> None:
        """One step: gradients of all parts of this process's share, one update of weights and average."""
        recipe = self.recipe
        self.schedule.step_update(self.step)
        self.optimiser.zero_grad()
        key = int(Draws(recipe.seed, (self.step,), "training step").stream_keys("batch")[0])
        total = torch.zeros((), device=self.group.device)
        for part, batch in enumerate(parts):
            torch.manual_seed((key + 1 + self.group.rank * recipe.accumulate + part) & (2**63 - 1))
            last = part == recipe.accumulate - 1
            with self._gradients_kept_here(not last), self._autocast():
                loss = self.objective.loss(self.network, batch, key=key, device=self.group.device)
                self.scaler.scale(loss / recipe.accumulate).backward()
            total += loss.detach() / recipe.accumulate
        if recipe.optimiser.clip:
            self.scaler.unscale_(self.optimiser)
            nn.utils.clip_grad_norm_(self.model.parameters(), recipe.optimiser.clip)
        self.scaler.step(self.optimiser)
        self.scaler.update()
        if self.average is not None:
            self.average.update(self.model)
        self.losses[self.step % self.steps_an_epoch] = total
        self.step += 1

    def scores(self, workers: int) -> dict[str, float]:
        """Of the average, where there is one, and of the weights themselves."""
        networks = {"": self.result} | ({} if self.average is None else {"raw ": self.model})
        found: dict[str, float] = {}
        for prefix, network in networks.items():
            training = network.training
            network.eval()
            with torch.inference_mode(), self._autocast():
                scores = self.objective.score(network, self.group.device, workers=workers)
            network.train(training)
            found |= {f"{prefix}{name}": value for name, value in scores.items()}
        return found

    def write_result(self) -> None:
        """The weights to use, with the last scores."""
        if not self.group.leads:
            return
        scores = {key: value for row in self.history for key, value in row.items() if key in self._score_names()}
        facts = {**self.objective.data, "epochs": self.epoch, "steps": self.step, "of epochs": self.recipe.epochs}
        description = self.objective.description(scores)
        write_weights(self.folder.weights, self.result, self.recipe, facts, description)

    def _score_names(self) -> set[str]:
        return {key for row in self.history for key in row} - {
            "epoch",
            "loss",
            "rate",
            "samples/s",
            "waiting",
            "seconds",
        }

    def _autocast(self) -> AbstractContextManager[Any]:
        if self.recipe.precision == "float32":
            return nullcontext()
        stack = ExitStack()
        stack.enter_context(torch.autocast(self.group.device.type, dtype=PRECISIONS[self.recipe.precision]))
        if self.group.device.type == "cpu":
            # On a CPU the fused attention kernel is up to three times slower in bfloat16 than its parts.
            stack.enter_context(sdpa_kernel(SDPBackend.MATH))
        return stack

    def _gradients_kept_here(self, wanted: bool) -> AbstractContextManager[Any]:
        """Gradients are averaged over processes with the last part only."""
        if wanted and isinstance(self.network, nn.parallel.DistributedDataParallel):
            return self.network.no_sync()
        return nullcontext()


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
        parts = _fetched(batches, training, requested)
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


def _fetched(batches: Iterator[Any], training: Training, requested: StopRequest) -> list[Any]:
    """The parts of the next step. Who stops a whole group of processes ends the loading ones too: state is saved."""
    try:
        return [next(batches) for _ in range(training.recipe.accumulate)]
    except RuntimeError:
        time.sleep(0.1)  # our own signal may be on its way
        if not requested.raised:
            raise
        training.save()
        raise Interrupted from None


def _stops(training: Training, requested: StopRequest) -> bool:
    # Asking all processes costs a message: every ten steps is soon enough.
    return (training.group.size == 1 or training.step % 10 == 0) and training.group.any(requested.raised)


@contextmanager
def _own_random_numbers() -> Iterator[None]:
    """Steps seed torch's global generators, which stochastic depth reads; the caller's are as before afterwards."""
    devices = list(range(torch.cuda.device_count()))
    with torch.random.fork_rng(devices=devices):
        yield
