"""One training in progress: its networks, its step, its checkpoint.

Nothing random has a state: what is drawn for a step follows from (seed, step), so the step number is all that a
checkpoint needs of it, and a run that was interrupted anywhere equals one that was not.
"""

from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, ExitStack, nullcontext
from dataclasses import dataclass, field
from typing import Any, NoReturn

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn.attention import SDPBackend, sdpa_kernel

from weatherglass.errors import UserError
from weatherglass.models.predictor import PRECISIONS
from weatherglass.randomness import Draws
from weatherglass.training.distributed import Group
from weatherglass.training.files import Folder, write_weights
from weatherglass.training.objective import Objective
from weatherglass.training.optimisation import make_average, make_optimiser, make_schedule
from weatherglass.training.recipe import Recipe
from weatherglass.training.samples import Place, dealt, epoch_length, epoch_order


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
    unscored: bool = False
    """Whether the last row of the history still waits for its scores."""

    def __post_init__(self) -> None:
        recipe, device = self.recipe, self.group.device
        self.parts = self.group.size * recipe.accumulate
        if recipe.batch % self.parts:
            raise UserError(
                f"A batch of {recipe.batch} cannot be dealt to {self.group.size} processes in "
                f"{recipe.accumulate} parts: change batch or accumulate."
            )
        if recipe.batch // self.parts % 2 and (recipe.mixing.mixup or recipe.mixing.cutmix):
            raise UserError(
                f"Mixup and CutMix mix pairs, and a batch of {recipe.batch} leaves {recipe.batch // self.parts} images "
                f"to each of {self.parts} parts: take an even number (batch, accumulate, processes), or "
                "--set mixing.mixup=0 --set mixing.cutmix=0."
            )
        samples = epoch_length(self.objective.samples, recipe.augmentation.repeats)
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
        """Write the state, after a look at losses and weights: a broken network never replaces a good one."""
        losses = self.checked_losses()
        self._check_weights()
        if self.group.leads:
            content = {
                "model": self.model.state_dict(),
                "model_ema": None if self.average is None else self.average.module.state_dict(),
                "optimiser": self.optimiser.state_dict(),
                "scaler": self.scaler.state_dict(),
                "step": self.step,
                "losses": losses,
                "history": self.history,
                "unscored": self.unscored,
            }
            self.folder.save_state(content, self.recipe, self.objective.data)
        self.group.wait()

    def resume(self) -> bool:
        """Go on from the folder's state, if there is one."""
        content = self.folder.load_state(self.recipe, self.objective.data)
        if not self.group.agrees(0 if content is None else content["step"]):
            raise UserError(
                f"The processes would go on from different steps: {self.folder.path} holds different checkpoints on "
                "different machines, or none on some. Give an --output that all of them share."
            )
        if content is None:
            return False
        self.model.load_state_dict(content["model"])
        if self.average is not None:
            self.average.module.load_state_dict(content["model_ema"])
        try:
            self.optimiser.load_state_dict(content["optimiser"])
        except ValueError:
            raise UserError(
                f"{self.folder.state} is of a version that decayed other weights: go on with that, or begin in another "
                "--output."
            ) from None
        self.scaler.load_state_dict(content["scaler"])
        self.step = content["step"]
        self.losses = content["losses"].to(self.group.device)
        self.history = content["history"]
        self.unscored = content.get("unscored", False)  # checkpoints of before had their scores
        if broken := broken_tensors(self.model):
            raise Diverged(
                f"{self.folder.state} holds weights that are no numbers ({broken[0]}): give another --output."
            )
        return True

    def checked_losses(self) -> Float[Tensor, " steps"]:
        """The losses of this epoch's steps, means over all processes, which call this together.

        Raises `Diverged`, in every process, at the first that is no number. What is kept and told of an epoch are these
        means, so that it is the same after a stop.
        """
        losses = self.group.mean(self.losses.double()).float()
        broken = (~torch.isfinite(losses)).nonzero()
        if len(broken):
            step = self.epoch_start + int(broken[0])
            value, epoch = float(losses[broken[0]]), step // self.steps_an_epoch + 1
            self._diverged(f"The loss is {value} at step {step} (epoch {epoch})")
        return losses

    def _check_weights(self) -> None:
        """Raise `Diverged`, in every process, where the weights or their average are no numbers in one.

        The gradient of a loss that is a number need not be one.
        """
        broken = [name for network in dict.fromkeys((self.model, self.result)) for name in broken_tensors(network)]
        if self.group.any(bool(broken)):
            named = f" ({broken[0]})" if broken else ""
            self._diverged(f"After {self.step} steps there are weights that are no numbers{named}, unlike the loss")

    def _diverged(self, what: str) -> NoReturn:
        good = (
            f"the last good checkpoint is {self.folder.state}"
            if self.folder.state.exists()
            else "no checkpoint was made"
        )
        raise Diverged(
            f"{what}; {good}. Try a lower optimiser.rate, optimiser.clip=1, or another precision, with a new --output."
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

    def scores(self, workers: int, before_each: Callable[[], None]) -> dict[str, float]:
        """Of the average, where there is one, and of the weights themselves.

        `before_each` batch is called, and may raise an error to give up.
        """
        networks = {"": self.result} | ({} if self.average is None else {"raw ": self.model})
        found: dict[str, float] = {}
        for prefix, network in networks.items():
            training = network.training
            network.eval()
            handle = network.register_forward_pre_hook(lambda *_: before_each())
            try:
                with torch.inference_mode(), self._autocast():
                    scores = self.objective.score(network, self.group.device, workers=workers)
            finally:
                handle.remove()
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
            # On a CPU in bfloat16 a step of a small ViT takes 2.4 times as long with the fused attention kernel.
            stack.enter_context(sdpa_kernel(SDPBackend.MATH))
        return stack

    def _gradients_kept_here(self, wanted: bool) -> AbstractContextManager[Any]:
        """Gradients are averaged over processes with the last part only."""
        if wanted and isinstance(self.network, nn.parallel.DistributedDataParallel):
            return self.network.no_sync()
        return nullcontext()


def broken_tensors(network: nn.Module) -> list[str]:
    """Names of the parameters, and of the running statistics, that hold a value which is no finite number."""
    running = {name: each for name, each in network.named_buffers() if name.endswith(("running_mean", "running_var"))}
    tensors = dict(network.named_parameters()) | running
    sound = torch.stack([tensor.detach().isfinite().all() for tensor in tensors.values()]).tolist()
    return [name for name, each in zip(tensors, sound, strict=True) if not each]
