"""The FAN models against a plain transcription of their equations, interleaved in one process.

    OMP_WAIT_POLICY=PASSIVE python -m benchmarks fan [--device cuda] [--batch 8] [--rounds 8] [--compile] [--train]

Every round times one batch of every contender in turn; ratios are medians of the rounds' quotients against the plain
float32 form, rates are the best round. `--memory` measures the peak memory of one training step in fresh processes.
"""

import argparse
import resource
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import nullcontext
from statistics import median

import timm
import torch
import torch.nn.functional as F
from torch import Tensor, nn

import weatherglass.models.registration  # noqa: F401  (tells timm about our models)
from benchmarks._plain_fan import PlainFan
from weatherglass.models.names import MODELS
from weatherglass.models.table1 import count

MODELS_MEASURED = ("fan_tiny_12_p16_224", "fan_small_12_p16_224", "fan_tiny_8_p4_hybrid", "fan_small_12_p4_hybrid")
PEERS = ("deit_small_patch16_224", "xcit_small_12_p16_224")


def main(arguments: list[str] | None = None) -> None:
    """Measure and print; see the head of this file."""
    parser = argparse.ArgumentParser(prog="benchmarks fan", description=__doc__.splitlines()[0])
    parser.add_argument("models", nargs="*", default=list(MODELS_MEASURED))
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--batch", type=int, default=8)
    parser.add_argument("--rounds", type=int, default=8)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--compile", action="store_true", help="also torch.compile (needs a C++ compiler)")
    parser.add_argument("--train", action="store_true", help="forward and backward instead of inference")
    parser.add_argument("--peers", action="store_true", help="also timm's DeiT-S and XCiT-S12, per GFLOP")
    parser.add_argument("--memory", action="store_true", help="peak memory of a training step instead of time")
    parser.add_argument("--memory-of", nargs=2, help=argparse.SUPPRESS)
    options = parser.parse_args(arguments)
    torch.set_num_threads(options.threads)
    if options.memory_of:
        print(peak_of_training_step(*options.memory_of, options.batch))
        return
    if options.memory:
        report_memory(options)
        return
    for name in options.models:
        report(name, contenders(name, options), options)
    if options.peers:
        names = ("fan_small_12_p16_224", *PEERS)
        models = {name: timm.create_model(name).to(options.device).eval() for name in names}
        images = torch.randn(options.batch, 3, 224, 224, device=options.device)
        times = interleaved({name: inference(model, images, nullcontext) for name, model in models.items()}, options)
        for name in names:
            rate, work = options.batch / min(times[name]), count(name)[1] / 1e9
            print(f"{name:26} {rate:8.1f} images/s  {work:6.2f} G  {rate * work:8.1f} G multiply-adds/s")


def contenders(name: str, options: argparse.Namespace) -> dict[str, Callable[[], None]]:
    """What is timed for one model: plain and ours, float32 and bfloat16, compiled if asked for."""
    torch.manual_seed(0)
    ours = timm.create_model(name).to(options.device)
    plain = PlainFan(MODELS[name].config).to(options.device)
    plain.load_state_dict(ours.state_dict())
    images = torch.randn(options.batch, 3, 224, 224, device=options.device)

    def bfloat16() -> torch.autocast:
        return torch.autocast(options.device.split(":")[0], dtype=torch.bfloat16)

    make = training_step if options.train else inference
    models: dict[str, nn.Module] = {"plain": plain, "ours": ours}
    if options.compile:
        models["ours compiled"] = torch.compile(ours)  # pyright: ignore[reportArgumentType]
    for model in models.values():
        model.train(options.train)
    jobs = {f"{label} float32": make(model, images, nullcontext) for label, model in models.items()}
    jobs |= {f"{label} bfloat16 autocast": make(model, images, bfloat16) for label, model in models.items()}
    if not options.train:
        cast = timm.create_model(name).to(options.device).eval()
        cast.load_state_dict(ours.state_dict())
        cast, images_cast = cast.bfloat16(), images.bfloat16()
        jobs["ours bfloat16 weights"] = inference(cast, images_cast, nullcontext)
        if options.compile:
            jobs["ours compiled bfloat16 weights"] = inference(torch.compile(cast), images_cast, nullcontext)
    return jobs


def inference(model: nn.Module, images: Tensor, precision: Callable) -> Callable[[], None]:
    def run() -> None:
        with torch.inference_mode(), precision():
            model(images)

    return run


def training_step(model: nn.Module, images: Tensor, precision: Callable) -> Callable[[], None]:
    targets = torch.arange(len(images), device=images.device)

    def run() -> None:
        model.zero_grad(set_to_none=True)
        with precision():
            loss = F.cross_entropy(model(images), targets)
        loss.backward()

    return run


def interleaved(jobs: dict[str, Callable[[], None]], options: argparse.Namespace) -> dict[str, list[float]]:
    """Seconds of every job in every round, after one untimed run of each."""
    for job in jobs.values():
        job()
    times: dict[str, list[float]] = {label: [] for label in jobs}
    for _ in range(options.rounds):
        for label, job in jobs.items():
            wait(options.device)
            start = time.perf_counter()
            job()
            wait(options.device)
            times[label].append(time.perf_counter() - start)
    return times


def wait(device: str) -> None:
    if device.startswith("cuda"):
        torch.cuda.synchronize(device)


def report(name: str, jobs: dict[str, Callable[[], None]], options: argparse.Namespace) -> None:
    times = interleaved(jobs, options)
    baseline = times["plain float32"]
    print(f"{name}, batch {options.batch}, {'training step' if options.train else 'inference'}")
    for label, seconds in times.items():
        ratio = median(first / second for first, second in zip(baseline, seconds, strict=True))
        print(f"  {label:34} {options.batch / min(seconds):8.1f} images/s  {ratio:5.2f}x plain float32", flush=True)


def report_memory(options: argparse.Namespace) -> None:
    """Growth of the peak resident memory over the loaded model, one fresh process each."""
    for name in options.models:
        for form in ("plain", "ours", "checkpointed"):
            command = [sys.executable, "-m", "benchmarks", "fan", "--memory-of", name, form]
            command += ["--batch", str(options.batch), "--threads", str(options.threads)]
            output = subprocess.run(command, check=True, capture_output=True, text=True).stdout
            print(f"{name:26} {form:14} {output.strip()} MiB", flush=True)


def peak_of_training_step(name: str, form: str, batch: int) -> int:
    """MiB that one float32 training step adds to the resident memory of a loaded model."""
    model = timm.create_model(name).train()
    if form == "plain":
        state = model.state_dict()
        model = PlainFan(MODELS[name].config).train()
        model.load_state_dict(state)
        del state
    if form == "checkpointed":
        model.set_grad_checkpointing()
    step = training_step(model, torch.randn(batch, 3, 224, 224), nullcontext)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    step()
    return (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) // 1024


if __name__ == "__main__":
    main()
