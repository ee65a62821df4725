"""Several processes that train one network: what `torchrun` starts, or one process alone."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import torch
import torch.distributed as processes
from torch import Tensor, nn

from weatherglass.models.predictor import resolve_device


@dataclass(frozen=True)
class Group:
    """This process among those that train together."""

    rank: int
    size: int
    device: torch.device

    @property
    def leads(self) -> bool:
        """Whether this process writes files and speaks to the user."""
        return self.rank == 0

    def parallel(self, model: nn.Module) -> nn.Module:
        """The network whose gradients are averaged over all processes in the backward pass."""
        if self.size == 1:
            return model
        devices = [self.device] if self.device.type == "cuda" else None
        return nn.parallel.DistributedDataParallel(model, device_ids=devices)

    def mean(self, value: Tensor) -> Tensor:
        """The mean over all processes."""
        if self.size > 1:
            value = value.clone()
            processes.all_reduce(value)
            value /= self.size
        return value

    def any(self, flag: bool) -> bool:
        """Whether the flag is up in any process: all of them then do the same."""
        if self.size == 1:
            return flag
        raised = torch.tensor(float(flag), device=self.device)
        processes.all_reduce(raised, processes.ReduceOp.MAX)
        return bool(raised)

    def wait(self) -> None:
        """Until all processes are here."""
        if self.size > 1:
            processes.barrier()


@contextmanager
def joined(device: str = "auto") -> Iterator[Group]:
    """The group that `torchrun` describes in the environment, or a group of one.

    Each process takes the accelerator of its local rank, or the CPU.
    """
    size = int(os.environ.get("WORLD_SIZE", "1"))
    if size == 1:
        yield Group(0, 1, resolve_device(device))
        return
    if device == "auto" and torch.cuda.is_available():
        device = f"cuda:{os.environ['LOCAL_RANK']}"
    chosen = resolve_device("cpu" if device == "auto" else device)
    if chosen.type == "cuda":
        torch.cuda.set_device(chosen)
    processes.init_process_group("nccl" if chosen.type == "cuda" else "gloo")
    try:
        yield Group(processes.get_rank(), size, chosen)
    finally:
        processes.destroy_process_group()
