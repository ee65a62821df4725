"""Compiled noise: random bits in blocks that stay in the first-level cache, then one pass over the values."""

import numpy as np
from numba import njit

from weatherglass.corruptions.compiled.bits import fill_bits

BLOCK = 1024
"""Hashes a block: 4096 values."""


@njit(nogil=True, cache=True, fastmath=True, error_model="numpy")
def normal_noise(pixels, result, start, stop, keys, table, constant, proportional):
    """x + n (constant + proportional x), in levels; `table` turns 16 bits into a normal number."""
    hashes = np.empty(BLOCK, np.uint64)
    bits = hashes.view(np.uint16)
    for image in range(start, stop):
        source, target = pixels[image], result[image]
        for first in range(0, source.size, 4 * BLOCK):
            fill_bits(keys[image], first // 4, hashes)
            piece, out = source[first : first + 4 * BLOCK], target[first : first + 4 * BLOCK]
            for index in range(piece.size):
                value = np.float32(piece[index])
                value += table[bits[index]] * (constant + proportional * value)
                out[index] = np.uint8(min(max(value, np.float32(0)), np.float32(255)) + np.float32(1e-3))


@njit(nogil=True, cache=True, error_model="numpy")
def impulse_noise(pixels, result, start, stop, keys, pepper, salt):
    """0 where the draw is below `pepper`, 255 from `salt` on."""
    hashes = np.empty(BLOCK, np.uint64)
    bits = hashes.view(np.uint16)
    for image in range(start, stop):
        source, target = pixels[image], result[image]
        for first in range(0, source.size, 4 * BLOCK):
            fill_bits(keys[image], first // 4, hashes)
            piece, out = source[first : first + 4 * BLOCK], target[first : first + 4 * BLOCK]
            for index in range(piece.size):
                value = piece[index]
                value = np.uint8(0) if bits[index] < pepper else value
                out[index] = np.uint8(255) if bits[index] >= salt else value


@njit(nogil=True, cache=True, error_model="numpy")
def shot_noise(pixels, result, start, stop, keys, table, column_bits):
    """Alias tables: `table[level << column_bits | column]` = own level << 24 | alias level << 16 | threshold."""
    hashes = np.empty(BLOCK, np.uint64)
    bits = hashes.view(np.uint16)
    shift = 16 - column_bits
    mask = (1 << shift) - 1
    for image in range(start, stop):
        source, target = pixels[image], result[image]
        for first in range(0, source.size, 4 * BLOCK):
            fill_bits(keys[image], first // 4, hashes)
            piece, out = source[first : first + 4 * BLOCK], target[first : first + 4 * BLOCK]
            for index in range(piece.size):
                draw = np.uint32(bits[index])
                entry = table[(np.uint32(piece[index]) << column_bits) + (draw >> shift)]
                own, alias = entry >> np.uint32(24), (entry >> np.uint32(16)) & np.uint32(255)
                out[index] = np.uint8(own if (draw & mask) < (entry & np.uint32(0xFFFF)) else alias)
