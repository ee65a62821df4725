"""Peak memory of one training step of a network, in a process of its own. Linux only."""

from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path

IMAGES = 128
MIB = 2**20
_RESET = Path("/proc/self/clear_refs")


def training_memory(model: str, *, images: int = IMAGES) -> float | None:
    """MiB that a forward and a backward pass of `images` images need beyond the network and its gradients, on a CPU.

    `model` as `weatherglass evaluate` takes it. None where the system does not tell (it must have /proc).
    """
    if not _RESET.exists():
        return None
    # A process of its own, spawned: what this one has freed before would hide part of the step.
    with ProcessPoolExecutor(1, get_context("spawn")) as pool:
        return pool.submit(_peak, model, images).result() / MIB


def _peak(model: str, images: int) -> int:
    import torch

    from weatherglass.models.load import load_predictor
    from weatherglass.models.predictor import TorchPredictor

    torch.set_num_threads(1)
    predictor = load_predictor(model, device="cpu")
    assert isinstance(predictor, TorchPredictor)
    side = predictor.preprocessing.size or (32, 32)
    network = predictor.module.train().requires_grad_(True)
    generator = torch.Generator().manual_seed(0)
    batch = torch.rand(images, 3, *side, generator=generator)

    def step(part: torch.Tensor) -> None:
        output = network(part)
        (output[0] if isinstance(output, tuple) else output).square().mean().backward()

    step(batch[:2])  # gradients exist from here on, and so do the libraries' own buffers
    before = _status("VmRSS")
    _RESET.write_text("5")  # sets the high-water mark to what is resident now
    step(batch)
    return _status("VmHWM") - before


def _status(field: str) -> int:
    """Bytes of a line of /proc/self/status."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) * 1024 for line in lines if line.startswith(f"{field}:"))
