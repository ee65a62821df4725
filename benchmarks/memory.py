"""Peak memory of every corruption: what one call needs besides its input and the libraries.

Each call runs in a process of its own, forked after the imports and a first call on small images, so that compiled code
and tables are there; the kernel's high-water mark is reset before the call. Linux only.

    python -m benchmarks memory                         batch 32 of 224 x 224 and single images of 1024 x 2048
    python -m benchmarks memory --threads 2 --backends numba
"""

import argparse
import multiprocessing
from collections.abc import Sequence
from pathlib import Path

import torch

from weatherglass.corruptions.engine import corrupt
from weatherglass.corruptions.suites import ALL

SHAPES = ((32, 224, 224), (1, 1024, 2048))
MIB = 2**20


def main(arguments: Sequence[str]) -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks memory")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--names", help="comma-separated; default: all 19")
    parser.add_argument("--backends", default="numba,torch")
    parser.add_argument("--severity", type=float, default=5)
    options = parser.parse_args(arguments)
    torch.set_num_threads(1)  # a process that has used several threads must not be forked
    names = options.names.split(",") if options.names else ALL
    columns = [(backend, shape) for shape in SHAPES for backend in options.backends.split(",")]
    print(f"MiB above the input at severity {options.severity:g}, {options.threads} thread(s), the result included\n")
    headings = [f"{backend}, {count} x {height} x {width}" for backend, (count, height, width) in columns]
    print("| corruption | " + " | ".join(headings) + " |\n|---|" + "---:|" * len(columns))
    worst = [0.0] * len(columns)
    for name in names:
        row = [_measured(name, options.severity, options.threads, backend, shape) for backend, shape in columns]
        worst = [max(pair) for pair in zip(worst, row, strict=True)]
        print(f"| {name} | " + " | ".join(f"{found:.0f}" for found in row) + " |", flush=True)
    print("| **largest** | " + " | ".join(f"{found:.0f}" for found in worst) + " |")


def _measured(name: str, severity: float, threads: int, backend: str, shape: tuple[int, int, int]) -> float:
    context = multiprocessing.get_context("fork")
    receiver, sender = context.Pipe(duplex=False)
    process = context.Process(target=_call, args=(sender, name, severity, threads, backend, shape))
    process.start()
    sender.close()
    try:
        return receiver.recv() / MIB
    finally:
        process.join()


def _call(sender, name: str, severity: float, threads: int, backend: str, shape: tuple[int, int, int]) -> None:
    torch.set_num_threads(threads)
    count, height, width = shape
    generator = torch.Generator().manual_seed(0)
    images = torch.randint(0, 256, (count, 3, height, width), dtype=torch.uint8, generator=generator)
    small = images[:2, :, :64, :64].contiguous()
    corrupt(small, name, severity, backend=backend, calibration=224)
    before = _status("VmRSS")
    Path("/proc/self/clear_refs").write_text("5")  # sets the high-water mark to what is resident now
    corrupt(images, name, severity, backend=backend, calibration=224)
    sender.send(_status("VmHWM") - before)
    sender.close()


def _status(field: str) -> int:
    """Bytes of a line of /proc/self/status."""
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith(f"{field}:"):
            return int(line.split()[1]) * 1024
    raise SystemExit(f"/proc/self/status has no {field}: this benchmark needs Linux.")
