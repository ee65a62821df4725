"""Runs compiled kernels on a batch, split over threads once, over images.

Threads are a plain pool rather than numba's parallel loops: those share OpenMP with torch, which must not be used
after a fork (data loading workers) nor from several threads at once. The limit is `torch.set_num_threads`, which
data loading workers set to 1, and NUMBA_NUM_THREADS. Ranges never share a number, so the count changes nothing.
"""

import os
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import lru_cache
from itertools import count

import numpy as np
import torch
from numba import config

from weatherglass.corruptions.compiled.parts import PARTS, Batch, Part, frost
from weatherglass.corruptions.frost import Textures
from weatherglass.corruptions.level import Level
from weatherglass.randomness import Draws

SMALL_WORK = 100_000
"""Pixels below which a second thread costs more than it brings."""

RANGES_A_THREAD = 4
"""A thread that is done takes the next range, so that one slowed down by other work does not hold up the batch."""


def run(name: str, pixels: Batch, level: Level, draws: Draws, textures: Callable[[], Textures]) -> Batch:
    """Corrupt a batch; `supports` must hold."""
    result = np.empty_like(pixels)
    if name == "frost":
        part = frost(pixels, result, level, draws, textures())
    else:
        part = PARTS[name](pixels, result, level, draws)
    over_threads(part, len(pixels), pixels.shape[-2] * pixels.shape[-1])
    return result


def supports(name: str, level: Level) -> bool:
    """Whether a compiled kernel exists; the affine map of Hendrycks's elastic transform has none."""
    if name == "elastic_transform":
        return level["corner_jitter_of_side"] == 0
    return name in PARTS or name == "frost"


def over_threads(part: Part, images: int, pixels: int) -> None:
    """Call `part` on ranges of images, a thread taking the next one when it is done with its last, and wait."""
    threads = min(
        images,
        torch.get_num_threads(),
        config.NUMBA_NUM_THREADS,  # pyright: ignore[reportAttributeAccessIssue]
        os.cpu_count() or 1,
    )
    if threads <= 1 or images * pixels < SMALL_WORK:
        part(0, images)
        return
    size = -(-images // (threads * RANGES_A_THREAD))
    taken = count(0, size)

    def work() -> None:
        while (start := next(taken)) < images:
            part(start, min(start + size, images))

    rest = [_pool(os.getpid(), threads).submit(work) for _ in range(1, threads)]
    work()
    for future in rest:
        future.result()


@lru_cache(maxsize=4)
def _pool(process: int, threads: int) -> ThreadPoolExecutor:
    # Keyed by process: threads do not survive a fork.
    return ThreadPoolExecutor(threads - 1, thread_name_prefix="weatherglass")
