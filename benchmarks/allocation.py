"""What it saves that the command line lets glibc keep freed memory (`weatherglass.cli.allocation`). Linux with glibc.

The choice holds for a whole process, so every call runs in one of its own, with and without in turns: CPU time of one
thread (the system's share included, which is where new pages cost), best of the rounds, and the peak memory.

Run: python -m benchmarks allocation [--rounds N]
"""

import argparse
import subprocess
import sys
from collections.abc import Callable, Sequence

MIB = 2**20
REPEATS = 4


def main(arguments: Sequence[str]) -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks allocation")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--only", choices=CASES, help="one case, in this process (what the rounds call)")
    parser.add_argument("--keep", action="store_true", help="with --only: keep freed memory")
    options = parser.parse_args(arguments)
    if options.only:
        print(*_measured(options.only, keep=options.keep))
        return
    print("| case | as glibc is, CPU ms | kept / as it is | page faults | peak MiB, as it is | kept |")
    print("|---|---:|---:|---:|---:|---:|")
    for case in CASES:
        usual, kept = [], []
        for _ in range(options.rounds):
            usual.append(_in_own_process(case))
            kept.append(_in_own_process(case, "--keep"))
        slow, fast = min(one[0] for one in usual), min(one[0] for one in kept)
        faults = f"{min(one[1] for one in usual):,.0f} to {min(one[1] for one in kept):,.0f}"
        memory = f"{min(one[2] for one in usual):.0f} | {min(one[2] for one in kept):.0f}"
        print(f"| {case} | {slow:.0f} | {fast / slow:.2f} | {faults} | {memory} |", flush=True)


def _in_own_process(case: str, *options: str) -> tuple[float, ...]:
    command = [sys.executable, "-m", "benchmarks", "allocation", "--only", case, *options]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    return tuple(map(float, done.stdout.split()))


def _measured(case: str, *, keep: bool) -> tuple[float, float, float]:
    """CPU milliseconds and page faults of a call, and the peak memory of the process in MiB."""
    import resource

    import torch

    from weatherglass.cli.allocation import keep_freed_memory

    if keep and not keep_freed_memory():
        sys.exit("This system's C library does not take the choice, or the environment makes it.")
    torch.set_num_threads(1)
    call = CASES[case]()
    call()
    call()
    before = resource.getrusage(resource.RUSAGE_SELF)
    for _ in range(REPEATS):
        call()
    after = resource.getrusage(resource.RUSAGE_SELF)
    seconds = after.ru_utime - before.ru_utime + after.ru_stime - before.ru_stime
    return 1000 * seconds / REPEATS, (after.ru_minflt - before.ru_minflt) / REPEATS, after.ru_maxrss * 1024 / MIB


def _inference(name: str) -> Callable[[], object]:
    import timm
    import torch

    network = timm.create_model(name).eval().to(memory_format=torch.channels_last)
    images = torch.rand(32, 3, 224, 224).to(memory_format=torch.channels_last)

    def call() -> None:
        with torch.inference_mode():
            network(images)

    return call


def _training(name: str) -> Callable[[], object]:
    from benchmarks.training import first_batch, images, our_step
    from weatherglass.training.classification import Classification
    from weatherglass.training.recipes import RECIPES

    objective = Classification(RECIPES[name], images(32), None)
    return our_step(RECIPES[name], objective, first_batch(objective))


def _corruption(name: str) -> Callable[[], object]:
    import torch

    from weatherglass.corruptions.engine import corrupt

    images = torch.randint(0, 256, (32, 3, 224, 224), dtype=torch.uint8)
    return lambda: corrupt(images, name, 3)


CASES: dict[str, Callable[[], Callable[[], object]]] = {
    "resnet50, 32 images of 224 px": lambda: _inference("resnet50"),
    "convnext_tiny, 32 images of 224 px": lambda: _inference("convnext_tiny"),
    "vit_small_patch16_224, 32 images": lambda: _inference("vit_small_patch16_224"),
    "step of fan-vit-micro, 128 images of 32 px": lambda: _training("fan-vit-micro"),
    "step of resnet-micro, 128 images of 32 px": lambda: _training("resnet-micro"),
    "fog, 32 images of 224 px": lambda: _corruption("fog"),
    "gaussian_noise, 32 images of 224 px": lambda: _corruption("gaussian_noise"),
}
