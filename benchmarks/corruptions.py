"""Speed of the corruptions against `imagecorruptions-imaug`, the installable fork of the reference package.

Both run in this process, on the same photographs, in turns; the figure is the best of the rounds, because other work
on the machine only ever adds time. Time is that of this process's CPU on one thread, else of the clock.

    python -m benchmarks corruptions                                        224 pixels, batch 32, one thread
    python -m benchmarks corruptions --backend torch                        the plain path
    python -m benchmarks corruptions --size 1024x2048 --batch 1 --severities 3
    python -m benchmarks corruptions --threads 2 --no-reference --compare-threads
    python -m benchmarks corruptions --device cuda --no-reference
"""

import argparse
import io
import json
import multiprocessing
import os
import time
import zipfile
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import torch

from weatherglass.corruptions.engine import corrupt
from weatherglass.corruptions.suites import ALL, COMMON


@dataclass(frozen=True)
class Timing:
    """Milliseconds an image, mean over the severities."""

    name: str
    ours: float
    reference: float | None

    @property
    def ratio(self) -> float:
        return self.reference / self.ours if self.reference else float("nan")


def main(arguments: Sequence[str]) -> None:
    options = _options(arguments)
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
    torch.set_num_threads(options.threads)
    if options.device.startswith("cuda") and not torch.cuda.is_available():
        raise SystemExit("There is no CUDA device here; this benchmark runs on one, or on the CPU without --device.")
    height, width = (int(side) for side in options.size.split("x"))
    images = photographs(options.images, height, width, options.batch).to(options.device)
    severities = [float(text) for text in options.severities.split(",")]
    reference = None if options.no_reference else _reference()
    print(
        f"{options.batch} images of {height}x{width}, {options.threads} thread(s), {options.device}, backend "
        f"{options.backend}, severities {options.severities}: ms an image, best of {options.rounds} rounds\n"
    )
    names = options.names.split(",") if options.names else ALL
    if options.compare_threads:
        _print_ceiling(options)
        _compare_threads(images, names, severities, options)
        return
    timings = [_timing(name, images, severities, reference, options) for name in names]
    _print(timings)
    if options.json:
        Path(options.json).write_text(json.dumps([asdict(timing) for timing in timings], indent=1))


def _options(arguments: Sequence[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m benchmarks corruptions")
    parser.add_argument("--size", default="224x224", help="height x width")
    parser.add_argument("--batch", type=int, default=32)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--backend", default="auto", choices=("auto", "torch", "numba"))
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--severities", default="1,2,3,4,5")
    parser.add_argument("--names", help="comma-separated; default: all 19")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--images", help="folder or zip of photographs; default: synthetic pictures")
    parser.add_argument("--reference-images", type=int, default=4, help="images a round for the reference")
    parser.add_argument("--no-reference", action="store_true")
    parser.add_argument("--compare-threads", action="store_true", help="one thread against --threads, in turns")
    parser.add_argument("--json", help="also write the figures here")
    return parser.parse_args(arguments)


def photographs(source: str | None, height: int, width: int, count: int) -> torch.Tensor:
    """(count, 3, height, width) uint8: pictures scaled to cover the size and cropped at the centre."""
    from PIL import Image

    if source is None:
        return _synthetic(height, width, count)
    path = Path(source)
    if path.suffix == ".zip":
        with zipfile.ZipFile(path) as archive:
            names = [name for name in sorted(archive.namelist()) if name.lower().endswith((".jpg", ".png"))]
            files = [io.BytesIO(archive.read(name)) for name in names[:count]]
    else:
        files = sorted(file for file in path.rglob("*") if file.suffix.lower() in (".jpg", ".jpeg", ".png"))[:count]
    if not files:
        raise SystemExit(f"{path} holds no photographs; give a folder or a zip file with .jpg or .png files.")
    pictures = []
    for file in files:
        picture = Image.open(file).convert("RGB")
        scale = max(height / picture.height, width / picture.width)
        size = max(width, round(picture.width * scale)), max(height, round(picture.height * scale))
        left, top = (size[0] - width) // 2, (size[1] - height) // 2
        box = (left, top, left + width, top + height)
        pictures.append(np.asarray(picture.resize(size, Image.Resampling.BILINEAR).crop(box)).transpose(2, 0, 1))
    return torch.from_numpy(np.stack([pictures[index % len(pictures)] for index in range(count)]))


def _synthetic(height: int, width: int, count: int) -> torch.Tensor:
    """Coloured noise with the 1/f spectrum of photographs."""
    generator = np.random.default_rng(0)
    frequency = np.hypot(np.fft.fftfreq(height)[:, None], np.fft.rfftfreq(width)[None, :])
    shape = 1 / np.maximum(frequency, 1 / max(height, width))
    fields = np.fft.irfft2(np.fft.rfft2(generator.standard_normal((count, 3, height, width))) * shape, (height, width))
    fields /= fields.std((2, 3), keepdims=True)
    return torch.from_numpy(np.clip(fields * 55 + 118, 0, 255).astype(np.uint8))


def _reference() -> Callable[[np.ndarray, int, str], np.ndarray]:
    import warnings

    import cv2

    try:
        import imagecorruptions
    except ImportError as error:
        raise SystemExit(
            f"The reference package does not import ({error}). It asks for an OpenCV with windows, so install it "
            "without dependencies: pip install --no-deps imagecorruptions-imaug==1.1.5; or use --no-reference."
        ) from error
    cv2.setNumThreads(1)
    warnings.simplefilter("ignore")
    return imagecorruptions.corrupt


def _timing(
    name: str,
    images: torch.Tensor,
    severities: Sequence[float],
    reference: Callable[[np.ndarray, int, str], np.ndarray] | None,
    options: argparse.Namespace,
) -> Timing:
    clock = time.process_time if options.threads == 1 and options.device == "cpu" else time.perf_counter
    rows = np.ascontiguousarray(images[: options.reference_images].permute(0, 2, 3, 1).cpu().numpy())
    best = np.full((2, len(severities)), np.inf)
    for index, severity in enumerate(severities):
        for number in range(options.rounds):
            own = _best_of_a_stretch(lambda: _ours(images, name, severity, number, options), clock)  # noqa: B023
            best[0, index] = min(best[0, index], own / len(images) * 1e3)
            if reference:
                theirs = _best_of_a_stretch(lambda: _theirs(rows, name, severity, reference), clock)  # noqa: B023
                best[1, index] = min(best[1, index], theirs / len(rows) * 1e3)
    ours, theirs = best.mean(axis=1).tolist()
    return Timing(name, ours, theirs if reference else None)


def _best_of_a_stretch(call: Callable[[], None], clock: Callable[[], float], seconds: float = 0.1) -> float:
    """The shortest of many calls in a row, at least one after the first, which may compile or read tables.

    In a row, as in an evaluation: caches are warm, and a virtual processor that was idle has come back.
    """
    call()
    shortest, end = np.inf, time.perf_counter() + seconds
    while shortest == np.inf or time.perf_counter() < end:
        start = clock()
        call()
        shortest = min(shortest, clock() - start)
    return shortest


def _theirs(
    rows: np.ndarray, name: str, severity: float, reference: Callable[[np.ndarray, int, str], np.ndarray]
) -> None:
    for row in rows:
        reference(row, int(severity), name)


def _ours(images: torch.Tensor, name: str, severity: float, seed: int, options: argparse.Namespace) -> None:
    corrupt(images, name, severity, seed=seed, backend=options.backend)
    if options.device.startswith("cuda"):
        torch.cuda.synchronize()


def _print_ceiling(options: argparse.Namespace, seconds: float = 5.0) -> None:
    """What this machine gives at most: the work of several processes, one thread each, over that of one alone."""
    for what in (_busy_loop, _common_corruptions):
        alone = _work_done(what, 1, seconds)
        together = _work_done(what, options.threads, seconds)
        print(f"ceiling: {options.threads} processes do {together / alone:.2f}x the work of one ({what.__name__[1:]})")


def _work_done(what: Callable[[float], float], processes: int, seconds: float) -> float:
    with multiprocessing.get_context("spawn").Pool(processes) as pool:
        pool.map(what, [0.5] * processes, chunksize=1)  # imports, compiled code, pages
        return sum(pool.map(what, [seconds] * processes, chunksize=1))


def _busy_loop(seconds: float) -> float:
    """Rounds a second of arithmetic that needs no memory."""
    rounds, start = 0, time.perf_counter()
    while time.perf_counter() - start < seconds:
        sum(range(100_000))
        rounds += 1
    return rounds / (time.perf_counter() - start)


def _common_corruptions(seconds: float) -> float:
    """Passes a second over the common corruptions, batch 32 at 224 pixels, severity 3, one thread."""
    torch.set_num_threads(1)
    images, passes, start = _synthetic(224, 224, 32), 0, time.perf_counter()
    while time.perf_counter() - start < seconds:
        for name in COMMON:
            corrupt(images, name, 3)
        passes += 1
    return passes / (time.perf_counter() - start)


def _compare_threads(
    images: torch.Tensor, names: Sequence[str], severities: Sequence[float], options: argparse.Namespace
) -> None:
    """One thread and `--threads` in turns: the clock's time, and the CPU time of the calling thread.

    The clock tells the truth on a machine that is otherwise idle. On a busy one, the CPU time of the calling thread
    still tells how much of the work the other threads took over.
    """
    totals = np.zeros(4)
    print(f"{'ms an image':18s} {'clock 1':>9s} {f'clock {options.threads}':>9s} {'gain':>6s} | {'CPU 1':>7s} "
          f"{f'CPU {options.threads}':>7s} {'gain':>6s}")  # fmt: skip
    for name in names:
        best = np.full((4, len(severities)), np.inf)
        for number in range(options.rounds):
            for index, severity in enumerate(severities):
                for column, threads in enumerate((1, options.threads)):
                    torch.set_num_threads(threads)
                    for row, clock in ((column, time.perf_counter), (column + 2, time.thread_time)):
                        call = lambda: _ours(images, name, severity, number, options)  # noqa: B023, E731
                        shortest = _best_of_a_stretch(call, clock) / len(images) * 1e3
                        best[row, index] = min(best[row, index], shortest)
        means = best.mean(1)
        totals += means if name in COMMON else 0
        _print_gain(name, means)
    _print_gain("sum of the common", totals)


def _print_gain(title: str, means: np.ndarray) -> None:
    clock, clock_several, cpu, cpu_several = np.maximum(means, 1e-9)
    print(
        f"{title:18s} {clock:9.3f} {clock_several:9.3f} {clock / clock_several:5.2f}x | {cpu:7.3f} "
        f"{cpu_several:7.3f} {cpu / cpu_several:5.2f}x",
        flush=True,
    )


def _print(timings: Sequence[Timing]) -> None:
    print("| corruption | reference | ours | ratio |\n|---|---:|---:|---:|")
    for timing in timings:
        reference = f"{timing.reference:.3f}" if timing.reference else "-"
        print(f"| {timing.name} | {reference} | {timing.ours:.3f} | {timing.ratio:.1f}x |")
    for title, names in (
        ("sum of the 15 common", COMMON),
        ("the same without glass_blur", [name for name in COMMON if name != "glass_blur"]),
        ("sum of all", ALL),
    ):
        chosen = [timing for timing in timings if timing.name in names]
        ours, reference = sum(t.ours for t in chosen), sum(t.reference or 0 for t in chosen)
        if len(chosen) > 1:
            print(f"| **{title}** ({len(chosen)}) | {reference:.2f} | {ours:.2f} | {reference / ours:.1f}x |")
    if timings[0].reference:
        mean = float(np.exp(np.mean([np.log(timing.ratio) for timing in timings])))
        print(f"\nGeometric mean of the {len(timings)} ratios: {mean:.1f}x. Weakest: ", end="")
        print(", ".join(f"{t.name} {t.ratio:.2f}x" for t in sorted(timings, key=lambda t: t.ratio)[:3]))
