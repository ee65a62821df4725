"""Freed memory is kept for the next tensors, where the allocator is glibc's and nobody said otherwise."""

import os
import subprocess
import sys

import pytest

PROGRAM = """
import resource
import numpy as np
from weatherglass.cli.allocation import keep_freed_memory
kept = keep_freed_memory()
np.ones(2**23)
before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
for _ in range(20):
    np.ones(2**23)  # 64 MiB, more than glibc keeps
print(int(kept), resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before)
"""


def page_faults(**environment: str) -> tuple[bool, int]:
    """Whether freed memory is kept, and how often the system gave new pages to 20 large arrays in a row."""
    others = {name: value for name, value in os.environ.items() if not name.startswith(("MALLOC_", "GLIBC_"))}
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM], capture_output=True, text=True, check=True, env=others | environment
    )
    kept, faults = done.stdout.split()
    return kept == "1", int(faults)


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="only glibc, on Linux, is asked to keep memory")
def test_freed_memory_is_kept_unless_the_environment_decides() -> None:
    kept, faults = page_faults()
    if not kept:
        pytest.skip("this system's C library has no mallopt")
    decided, usual = page_faults(MALLOC_MMAP_THRESHOLD_="33554432")
    assert not decided
    assert faults < 0.1 * usual
