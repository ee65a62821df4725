"""How this process holds memory that tensors gave back.

glibc returns freed blocks of some MiB to the system at once. A network frees and asks for the same blocks in every
forward pass, and the system hands out each page anew, zeroed: for a ResNet-50 at 224 pixels a third of the time of a
processor (docs/performance.md).
"""

import ctypes
import os

LARGEST_KEPT = 2**30
"""Bytes: larger blocks go back to the system when they are freed."""

_TRIM_THRESHOLD, _MMAP_THRESHOLD = -1, -3  # of malloc.h
_LARGEST_INT = 2**31 - 1


def keep_freed_memory() -> bool:
    """Let glibc keep up to 2 GiB of freed memory for the next tensors; False where there is no glibc.

    Does nothing where the environment (MALLOC_TRIM_THRESHOLD_, MALLOC_MMAP_THRESHOLD_, GLIBC_TUNABLES) says how
    memory is to be held.
    """
    if any(name.startswith("MALLOC_") for name in os.environ) or "malloc" in os.environ.get("GLIBC_TUNABLES", ""):
        return False
    try:
        set_option = ctypes.CDLL(None).mallopt
    except (AttributeError, OSError, TypeError):  # macOS, musl; Windows
        return False
    return bool(set_option(_MMAP_THRESHOLD, LARGEST_KEPT) and set_option(_TRIM_THRESHOLD, _LARGEST_INT))
