"""Several processes that train one network: what `torchrun` starts, or one process alone."""

import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass

import torch
import torch.distributed as processes
from torch import Tensor, nn

from weatherglass.errors import UserError
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

    def agrees(self, number: int) -> bool:
        """Whether the number is the same in all processes."""
        if self.size == 1:
            return True
        ends = torch.tensor([number, -number], device=self.device)
        processes.all_reduce(ends, processes.ReduceOp.MAX)
        return int(ends[0]) == -int(ends[1])

    def wait(self) -> None:
        """Until all processes are here."""
        if self.size > 1:
            processes.barrier()


@contextmanager
def joined(device: str = "auto") -> Iterator[Group]:
    """The group that `torchrun` describes in the environment, or a group of one.

    Each process takes the accelerator of its local rank, or the CPU; see `device_of_process`.
    """
    size = int(os.environ.get("WORLD_SIZE", "1"))
    if size == 1:
        yield Group(0, 1, resolve_device(device))
        return
    chosen = device_of_process(device, os.environ)
    if chosen.type == "cuda":
        torch.cuda.set_device(chosen)
    processes.init_process_group("nccl" if chosen.type == "cuda" else "gloo")
    try:
        yield Group(processes.get_rank(), size, chosen)
    finally:
        processes.destroy_process_group()


def device_of_process(device: str, environment: Mapping[str, str]) -> torch.device:
    """The device of one of several processes, from what `torchrun` says of it in its environment.

    'auto' and 'cuda' are the GPU of its local rank, where there is one. Raises `UserError` for a GPU by its index
    where several processes of this machine would share it.
    """
    if device == "auto":
        device = "cuda" if torch.cuda.is_available() else "cpu"
    kind, _, index = device.partition(":")
    beside = int(environment.get("LOCAL_WORLD_SIZE", "1"))
    if kind == "cuda" and index and beside > 1:
        raise UserError(
            f"--device {device} would put all {beside} processes of this machine on one GPU: give --device cuda, with "
            "which each takes its own, and choose GPUs with CUDA_VISIBLE_DEVICES."
        )
    return resolve_device(f"cuda:{environment['LOCAL_RANK']}" if device == "cuda" else device)
