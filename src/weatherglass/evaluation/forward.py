"""Forward passes: of one fixed size, in repeatable arithmetic, timed, their outputs checked."""

import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field

import torch
from torch import Tensor

from weatherglass.evaluation.memory import is_out_of_memory
from weatherglass.evaluation.pixels import PixelFile
from weatherglass.tasks.task import InvalidOutput, Task
from weatherglass.types import Batch, ImageData, Objects, Predictor


@dataclass
class Forward:
    """Forward passes of one fixed size. Out of memory halves the size, and that is noted."""

    size: int
    notes: list[str] = field(default_factory=list)

    def __call__(self, predictor: Predictor, images: Tensor) -> Tensor:
        """Raw outputs for any number of images, uint8 or float in [0, 1]."""
        while True:
            try:
                return torch.cat([self._one_pass(predictor, part) for part in images.split(self.size)])
            except (torch.OutOfMemoryError, MemoryError, RuntimeError) as error:
                if self.size == 1 or not is_out_of_memory(error):
                    raise
                self.size //= 2
                self.notes.append(f"out of memory: forward batch halved to {self.size}")
                if torch.cuda.is_available():
                    torch.cuda.empty_cache()

    def _one_pass(self, predictor: Predictor, part: Tensor) -> Tensor:
        count = len(part)
        if count < self.size:
            part = torch.cat([part, part[-1:].expand(self.size - count, -1, -1, -1)])
        with torch.no_grad():
            return predictor(_in_unit_range(part, predictor))[:count]


def find_objects(predictor: Predictor, images: Tensor) -> list[Objects]:
    """What a detector finds in each image, uint8 or float in [0, 1]; it takes them one at a time."""
    with torch.no_grad():
        return list(predictor(_in_unit_range(images, predictor)))  # pyright: ignore[reportReturnType]


def _in_unit_range(images: Tensor, predictor: Predictor) -> Tensor:
    images = images.to(predictor.device)
    return images.float() / 255 if images.dtype == torch.uint8 else images


@contextmanager
def exact_arithmetic() -> Iterator[None]:
    """Repeatable float32 on CUDA: no TF32 in convolutions, no run-time choice of algorithm. No effect on CPU."""
    cudnn = torch.backends.cudnn
    before = (cudnn.allow_tf32, cudnn.benchmark, cudnn.deterministic)
    cudnn.allow_tf32, cudnn.benchmark, cudnn.deterministic = False, False, True
    try:
        yield
    finally:
        cudnn.allow_tf32, cudnn.benchmark, cudnn.deterministic = before


def checked(output: Tensor, images: Tensor, task: Task, predictor: Predictor) -> Tensor:
    """The output itself. Raises `InvalidOutput` for another shape than the task expects."""
    expected = task.output_shape(predictor, images)
    if tuple(output.shape) != expected:
        raise InvalidOutput(
            f"the model returned an output of shape {tuple(output.shape)} where {expected} was expected"
        )
    return output


def batch_of(data: ImageData, pixels: PixelFile, rows: Sequence[int], device: torch.device) -> Batch:
    """Some decoded images of one size on their way to a model."""
    labels = torch.from_numpy(data.labels[list(rows)])
    return Batch(pixels.at(rows).to(device), labels, tuple(data.ids[row] for row in rows))


class Clock:
    """Adds up how long each stage takes; waits for the device where work is queued."""

    def __init__(self, device: torch.device) -> None:
        self.seconds = {"disturb": 0.0, "predict": 0.0}
        self._device = device

    @contextmanager
    def running(self, stage: str) -> Iterator[None]:
        started = time.perf_counter()
        yield
        if self._device.type == "cuda":
            torch.cuda.synchronize(self._device)
        self.seconds[stage] += time.perf_counter() - started
