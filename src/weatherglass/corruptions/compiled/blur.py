"""Compiled blurs."""

import numpy as np
from numba import njit

from weatherglass.corruptions.compiled.bits import fill_bits
from weatherglass.corruptions.compiled.filters import add_pair, blur_plane, shift_sum, store


@njit(nogil=True, cache=True, fastmath=True, error_model="numpy")
def gaussian_blur(pixels, result, start, stop, taps):
    """See `blur.gaussian_blur`."""
    height, width = pixels.shape[-2:]
    plane, blurred = np.empty((height, width), np.float32), np.empty((height, width), np.float32)
    padded = np.empty(width + 2 * taps.size, np.float32)
    for image in range(start, stop):
        for channel in range(3):
            _load(pixels[image, channel], plane)
            blur_plane(plane, blurred, taps, taps, False, padded)
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
    """A kernel with both mirror symmetries, `quadrant[dy, dx]` from 0 on; borders mirror at the pixel.

    The quadrant has as many rows as columns, then rows of zeros up to a multiple of four.
    """
    height, width = pixels.shape[-2:]
    right = quadrant.shape[1] - 1
    down = right
    heights = np.zeros(right + 1, np.int64)
    for k in range(down + 1):
        for j in range(right + 1):
            if quadrant[k, j] != 0:
                heights[j] = k + 1
    padded = np.empty((height + 2 * down, width + 2 * right), np.float32)
    pairs = np.zeros((quadrant.shape[0], width + 2 * right), np.float32)
    column, line = np.empty(width + 2 * right, np.float32), np.empty(width, np.float32)
    for image in range(start, stop):
        for channel in range(3):
            _mirrored(pixels[image, channel], padded, down, right)
            for y in range(height):
                pairs[0] = padded[y + down]
                for k in range(1, down + 1):
                    above, below, out = padded[y + down - k], padded[y + down + k], pairs[k]
                    for x in range(out.size):
                        out[x] = above[x] + below[x]
                for j in range(right + 1):
                    _column_sum(pairs, quadrant[:, j], heights[j], column)
                    if j == 0:
                        line[:] = column[right : right + width]
                    else:
                        add_pair(column[right - j :], column[right + j :], np.float32(1), line)
                store(line, result[image, channel, y])


@njit(nogil=True, cache=True, fastmath=True, error_model="numpy", inline="always")
def _column_sum(pairs, weights, count, out):
    """out = the rows of `pairs`, weighted, in groups of four as long as they hold one of the first `count`."""
    a, b, c, d = pairs[0], pairs[1], pairs[2], pairs[3]
    first, second, third, fourth = weights[0], weights[1], weights[2], weights[3]
    for x in range(out.size):
        out[x] = (first * a[x] + second * b[x]) + (third * c[x] + fourth * d[x])
    for k in range(4, count, 4):
        a, b, c, d = pairs[k], pairs[k + 1], pairs[k + 2], pairs[k + 3]
        first, second, third, fourth = weights[k], weights[k + 1], weights[k + 2], weights[k + 3]
        for x in range(out.size):
            out[x] += (first * a[x] + second * b[x]) + (third * c[x] + fourth * d[x])


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
    """See `blur.zoom_blur`; factor k reads rows tops[k] + rows[k, y] and the next of a crop of crop_rows[k] rows.

    The columns are interpolated first, three channels to a word, once for each row of the crop; each output row is
    then a mixture of two of these rows.
    """
    tops, crop_rows, rows, row_parts = down
    lefts, _, columns, column_parts = across
    height, width = pixels.shape[-2:]
    words = np.empty((height, width + 1), np.int32)
    total = np.empty((3, height, width), np.float32)
    upper, lower = np.empty((3, width), np.float32), np.empty((3, width), np.float32)
    near, far = np.empty(width, np.int32), np.empty(width, np.int32)
    share = np.float32(1 / (tops.size + 2))
    for image in range(start, stop):
        _words(pixels[image], words)
        for channel in range(3):
            for y in range(height):
                row, out = pixels[image, channel, y], total[channel, y]
                for x in range(width):
                    out[x] = np.float32(2) * np.float32(row[x])
        for k in range(tops.size):
            below = -1
            for y in range(height):
                above = rows[k, y]
                if above + 1 != below:
                    if above == below:
                        upper, lower = lower, upper
                    else:
                        _zoomed_row(words[tops[k] + above][lefts[k] :], columns[k], column_parts[k], near, far, upper)
                    below = above + 1
                    last = min(below, crop_rows[k] - 1)
                    _zoomed_row(words[tops[k] + last][lefts[k] :], columns[k], column_parts[k], near, far, lower)
                part = row_parts[k, y]
                for channel in range(3):
                    first, second, out = upper[channel], lower[channel], total[channel, y]
                    for x in range(width):
                        out[x] += first[x] + part * (second[x] - first[x])
        for channel in range(3):
            for y in range(height):
                out = total[channel, y]
                for x in range(width):
                    out[x] *= share
                store(out, result[image, channel, y])


@njit(nogil=True, cache=True, error_model="numpy")
def _words(picture, words):
    """Red, green and blue in the lower three bytes; one more column repeats the last."""
    for y in range(words.shape[0]):
        red, green, blue, out = picture[0, y], picture[1, y], picture[2, y], words[y]
        for x in range(red.size):
            out[x] = np.int32(red[x]) | (np.int32(green[x]) << 8) | (np.int32(blue[x]) << 16)
        out[red.size] = out[red.size - 1]


@njit(nogil=True, cache=True, fastmath=True, error_model="numpy", inline="always")
def _zoomed_row(row, columns, parts, near, far, out):
    """One row of each channel at fractional columns."""
    after = row[1:]
    for x in range(near.size):
        near[x] = row[columns[x]]
        far[x] = after[columns[x]]
    red, green, blue = out[0], out[1], out[2]
    for x in range(near.size):
        left, right = np.float32(near[x] & 255), np.float32(far[x] & 255)
        red[x] = left + parts[x] * (right - left)
    for x in range(near.size):
        left, right = np.float32((near[x] >> 8) & 255), np.float32((far[x] >> 8) & 255)
        green[x] = left + parts[x] * (right - left)
    for x in range(near.size):
        left, right = np.float32(near[x] >> 16), np.float32(far[x] >> 16)
        blue[x] = left + parts[x] * (right - left)


@njit(nogil=True, cache=True, fastmath=True, error_model="numpy")
def glass_blur(pixels, result, start, stop, keys, taps, reach, passes):
    """See `blur.glass_blur`. The channels travel in one word; destinations come from the last pixel back."""
    height, width = pixels.shape[-2:]
    plane, blurred = np.empty((height, width), np.float32), np.empty((height, width), np.float32)
    padded = np.empty(width + 2 * taps.size, np.float32)
    words = np.empty((height, width), np.uint32)
    hashes = np.empty((passes * height * width + 3) // 4, np.uint64)
    bits = hashes.view(np.uint16)
    for image in range(start, stop):
        words[:] = 0
        for channel in range(3):
            _load(pixels[image, channel], plane)
            blur_plane(plane, blurred, taps, taps, False, padded)
            _pack(blurred, words, np.uint32(8 * channel))
        fill_bits(keys[image], 0, hashes)
        for index in range(passes):
            _shuffle(words, bits[index * height * width :], reach)
        for channel in range(3):
            _unpack(words, plane, np.uint32(8 * channel))
            blur_plane(plane, blurred, taps, taps, False, padded)
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
    targets = np.empty(steps * steps, np.int64)
    for offset in range(targets.size):
        targets[offset] = (offset // steps - reach) * width + offset % steps - reach
    for y in range(height - reach, reach, -1):
        for place in range(y * width + width - reach, y * width + reach, -1):
            flat[place] = flat[place + targets[(np.int64(bits[place]) * targets.size) >> 16]]
