"""The counter-based generator of `weatherglass.randomness`, compiled: the same bits for the same keys."""

import numpy as np
from numba import njit

from weatherglass.randomness import FIRST_MULTIPLIER, GOLDEN, SECOND_MULTIPLIER

_GOLDEN, _FIRST, _SECOND = np.uint64(GOLDEN), np.uint64(FIRST_MULTIPLIER), np.uint64(SECOND_MULTIPLIER)
_30, _27, _31 = np.uint64(30), np.uint64(27), np.uint64(31)


@njit(nogil=True, cache=True, error_model="numpy")
def fill_bits(key, first, hashes):
    """hashes[i] = hash of (key, first + i); seen as uint16 these are `Draws.bits16` from number 4 * first on."""
    for index in range(hashes.size):
        bits = key ^ (np.uint64(first + index) * _GOLDEN)
        bits = (bits ^ (bits >> _30)) * _FIRST
        bits = (bits ^ (bits >> _27)) * _SECOND
        hashes[index] = bits ^ (bits >> _31)
