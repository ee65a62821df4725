"""Compiled blurs."""

import numpy as np
from numba import njit

from weatherglass.corruptions.compiled.bits import fill_bits
from weatherglass.corruptions.compiled.filters import blur_plane, shift_sum, store


@njit(nogil=True, cache=True, fastmath=True, error_model="numpy")
def gaussian_blur(pixels, result, start, stop, taps):
    """See `blur.gaussian_blur`."""
    height, width = pixels.shape[-2:]
    plane, blurred = np.empty((height, width), np.float32), np.empty((height, width), np.float32)
    padded, line = np.empty(width + taps.size, np.float32), np.empty(width, np.float32)
    for image in range(start, stop):
        for channel in range(3):
            _load(pixels[image, channel], plane)
            blur_plane(plane, blurred, taps, taps, False, padded, line)
            for y in range(height):
                store(blurred[y], result[image, channel, y])


@njit(nogil=True, cache=True, error_model="numpy")
def _load(source, plane):
    for y in range(plane.shape[0]):
        row, out = source[y], plane[y]
        for x in range(row.size):
            out[x] = row[x]


@njit(nogil=True, cache=True, fastmath=True, error_model="numpy")
def symmetric_filter(pixels, result, start, stop, quadrant):
    """A kernel with both mirror symmetries, `quadrant[dy, dx]` from 0 on; borders mirror at the pixel."""
    height, width = pixels.shape[-2:]
    down, right = quadrant.shape[0] - 1, quadrant.shape[1] - 1
    reach = np.zeros(down + 1, np.int64)
    for k in range(down + 1):
        for j in range(right + 1):
            if quadrant[k, j] != 0:
                reach[k] = j + 1
    padded = np.empty((height + 2 * down, width + 2 * right), np.float32)
    pair, line = np.empty(width + 2 * right, np.float32), np.empty(width, np.float32)
    for image in range(start, stop):
        for channel in range(3):
            _mirrored(pixels[image, channel], padded, down, right)
            for y in range(height):
                line[:] = 0
                for k in range(down + 1):
                    above, below = padded[y + down - k], padded[y + down + k]
                    share = np.float32(0.5) if k == 0 else np.float32(1)
                    for x in range(width + 2 * right):
                        pair[x] = (above[x] + below[x]) * share
                    _add_row(pair, quadrant[k], reach[k], right, line)
                store(line, result[image, channel, y])


@njit(nogil=True, cache=True, fastmath=True, error_model="numpy")
def _add_row(pair, weights, reach, right, line):
    """line += the symmetric row filter `weights` of `pair`, two taps at a time."""
    width = line.size
    if reach == 0:
        return
    middle, weight = pair[right : right + width], weights[0]
    for x in range(width):
        line[x] += weight * middle[x]
    j = 1
    while j + 1 < reach:
        left, far_left = pair[right - j :][:width], pair[right - j - 1 :][:width]
        near, far = pair[right + j :][:width], pair[right + j + 1 :][:width]
        weight, other = weights[j], weights[j + 1]
        for x in range(width):
            line[x] += weight * (left[x] + near[x]) + other * (far_left[x] + far[x])
        j += 2
    if j < reach:
        left, near, weight = pair[right - j :][:width], pair[right + j :][:width], weights[j]
        for x in range(width):
            line[x] += weight * (left[x] + near[x])


@njit(nogil=True, cache=True, error_model="numpy")
def _mirrored(source, padded, down, right):
    height, width = source.shape
    for y in range(padded.shape[0]):
        row, out = source[_whole(y - down, height)], padded[y]
        inner = out[right : right + width]
        for x in range(width):
            inner[x] = row[x]
        for k in range(1, right + 1):
            out[right - k] = row[_whole(-k, width)]
            out[right + width - 1 + k] = row[_whole(width - 1 + k, width)]


@njit(nogil=True, cache=True, error_model="numpy")
def _whole(position, size):
    folded = position % (2 * size - 2)
    return folded if folded < size else 2 * size - 2 - folded


@njit(nogil=True, cache=True, error_model="numpy")
def motion_blur(pixels, result, start, stop, rights, downs, weights, counts):
    """See `blur.motion_blur`; row i of `rights`, `downs`, `weights` holds the `counts[i]` taps of image i."""
    height, width = pixels.shape[-2:]
    plane, blurred = np.empty((height, width), np.float32), np.empty((height, width), np.float32)
    padded = np.empty((height, width + rights.max() - min(0, rights.min())), np.float32)
    for image in range(start, stop):
        taps = counts[image]
        for channel in range(3):
            _load(pixels[image, channel], plane)
            shift_sum(plane, blurred, rights[image, :taps], downs[image, :taps], weights[image, :taps], padded)
            for y in range(height):
                store(blurred[y], result[image, channel, y])


@njit(nogil=True, cache=True, fastmath=True, error_model="numpy")
def zoom_blur(pixels, result, start, stop, down, across):
    """See `blur.zoom_blur`; factor k reads rows tops[k] + rows[k, y] and the next of a crop of crop_rows[k] rows."""
    tops, crop_rows, rows, row_parts = down
    lefts, crop_columns, columns, column_parts = across
    height, width = pixels.shape[-2:]
    factors = tops.size
    plane, line = np.empty((height, width), np.float32), np.empty(width + 1, np.float32)
    total = np.empty((height, width), np.float32)
    for image in range(start, stop):
        for channel in range(3):
            _load(pixels[image, channel], plane)
            for y in range(height):
                row, out = plane[y], total[y]
                for x in range(width):
                    out[x] = 2 * row[x]
                for k in range(factors):
                    top = tops[k] + rows[k, y]
                    upper = plane[top][lefts[k] :]
                    lower = plane[min(top + 1, tops[k] + crop_rows[k] - 1)][lefts[k] :]
                    _zoomed_row(upper, lower, row_parts[k, y], crop_columns[k], columns[k], column_parts[k], line, out)
                store(out * np.float32(1 / (factors + 2)), result[image, channel, y])


@njit(nogil=True, cache=True, fastmath=True, error_model="numpy")
def _zoomed_row(upper, lower, part, length, columns, column_parts, line, out):
    for x in range(length):
        line[x] = upper[x] + part * (lower[x] - upper[x])
    line[length] = line[length - 1]
    after = line[1:]
    for x in range(out.size):
        left = line[columns[x]]
        out[x] += left + column_parts[x] * (after[columns[x]] - left)


@njit(nogil=True, cache=True, fastmath=True, error_model="numpy")
def glass_blur(pixels, result, start, stop, keys, taps, reach, passes):
    """See `blur.glass_blur`. The channels travel in one word; destinations come from the last pixel back."""
    height, width = pixels.shape[-2:]
    plane, blurred = np.empty((height, width), np.float32), np.empty((height, width), np.float32)
    padded, line = np.empty(width + taps.size, np.float32), np.empty(width, np.float32)
    words = np.empty((height, width), np.uint32)
    hashes = np.empty((passes * height * width + 3) // 4, np.uint64)
    bits = hashes.view(np.uint16)
    for image in range(start, stop):
        words[:] = 0
        for channel in range(3):
            _load(pixels[image, channel], plane)
            blur_plane(plane, blurred, taps, taps, False, padded, line)
            _pack(blurred, words, np.uint32(8 * channel))
        fill_bits(keys[image], 0, hashes)
        for index in range(passes):
            _shuffle(words, bits[index * height * width :], reach)
        for channel in range(3):
            _unpack(words, plane, np.uint32(8 * channel))
            blur_plane(plane, blurred, taps, taps, False, padded, line)
            for y in range(height):
                store(blurred[y], result[image, channel, y])


@njit(nogil=True, cache=True, fastmath=True, error_model="numpy")
def _pack(plane, words, shift):
    for y in range(plane.shape[0]):
        row, out = plane[y], words[y]
        for x in range(row.size):
            level = np.uint32(min(max(row[x], np.float32(0)), np.float32(255)) + np.float32(1e-3))
            out[x] |= level << shift


@njit(nogil=True, cache=True, error_model="numpy")
def _unpack(words, plane, shift):
    for y in range(plane.shape[0]):
        row, out = words[y], plane[y]
        for x in range(row.size):
            out[x] = (row[x] >> shift) & np.uint32(255)


@njit(nogil=True, cache=True, error_model="numpy")
def _shuffle(words, bits, reach):
    height, width = words.shape
    flat = words.ravel()
    steps = 2 * reach
    for y in range(height - reach, reach, -1):
        for x in range(width - reach, reach, -1):
            place = y * width + x
            offset = (np.int64(bits[place]) * (steps * steps)) >> 16
            down = offset // steps
            flat[place] = flat[place + (down - reach) * width + (offset - down * steps) - reach]
