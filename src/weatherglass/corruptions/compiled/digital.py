"""Compiled contrast, saturation, pixelation and elastic maps."""

import numpy as np
from numba import njit

from weatherglass.corruptions.compiled.bits import fill_bits
from weatherglass.corruptions.compiled.filters import blur_plane, outside


@njit(nogil=True, cache=True, fastmath=True, error_model="numpy")
def contrast(pixels, result, start, stop, factor):
    """See `digital.contrast`: a table of 256 levels an image and channel."""
    table = np.empty(256, np.uint8)
    for image in range(start, stop):
        for channel in range(3):
            source, target = pixels[image, channel].ravel(), result[image, channel].ravel()
            total = np.int64(0)
            for index in range(source.size):
                total += source[index]
            mean = total / source.size
            for level in range(256):
                table[level] = np.uint8(min(max((level - mean) * factor + mean, 0.0), 255.0) + 1e-3)
            for index in range(source.size):
                target[index] = table[source[index]]


@njit(nogil=True, cache=True, fastmath=True, error_model="numpy")
def saturate(pixels, result, start, stop, factor, shift):
    """See `digital.saturate`."""
    height, width = pixels.shape[-2:]
    for image in range(start, stop):
        for y in range(height):
            red, green, blue = pixels[image, 0, y], pixels[image, 1, y], pixels[image, 2, y]
            for channel in range(3):
                source, target = pixels[image, channel, y], result[image, channel, y]
                grey_share = np.float32(0) if channel == 0 else np.float32(1)
                for x in range(width):
                    value = np.float32(max(red[x], green[x], blue[x]))
                    chroma = value - np.float32(min(red[x], green[x], blue[x]))
                    wanted = factor * chroma / max(value, np.float32(1)) + shift
                    wanted = min(max(wanted, np.float32(0)), np.float32(1)) * value
                    # The part of the chroma that this channel lies below the largest; grey has hue 0, which is red.
                    depth = (value - np.float32(source[x])) / max(chroma, np.float32(1))
                    depth = grey_share if chroma == 0 else depth
                    target[x] = np.uint8(max(value - depth * wanted, np.float32(0)) + np.float32(1e-3))


@njit(nogil=True, cache=True, fastmath=True, error_model="numpy")
def pixelate(pixels, result, start, stop, windows, nearest, rows_first):
    """See `digital.pixelate`. windows: (first rows, ends, first columns, ends); nearest: (rows, columns)."""
    height, width = pixels.shape[-2:]
    first_rows, end_rows, first_columns, end_columns = windows
    down, right = nearest
    rows, columns = first_rows.size, first_columns.size
    line, small = np.empty(width, np.float32), np.empty(columns, np.uint8)
    sums = np.empty(width + 1, np.int32)
    half = np.empty((rows, width) if rows_first else (height, columns), np.uint8)
    for image in range(start, stop):
        for channel in range(3):
            source, target = pixels[image, channel], result[image, channel]
            if rows_first:
                for y in range(rows):
                    _mean_of_rows(source, first_rows[y], end_rows[y], line, half[y])
            else:
                for y in range(height):
                    _mean_of_columns(source[y], first_columns, end_columns, sums, half[y])
            shown = -1
            for y in range(height):
                if down[y] == shown:
                    target[y] = target[y - 1]
                    continue
                shown = down[y]
                if rows_first:
                    _mean_of_columns(half[shown], first_columns, end_columns, sums, small)
                else:
                    _mean_of_rows(half, first_rows[shown], end_rows[shown], line, small)
                out = target[y]
                for x in range(width):
                    out[x] = small[right[x]]


@njit(nogil=True, cache=True, fastmath=True, error_model="numpy")
def _mean_of_rows(source, first, end, line, out):
    for x in range(out.size):
        line[x] = np.float32(source[first, x])
    for y in range(first + 1, end):
        row = source[y]
        for x in range(out.size):
            line[x] += np.float32(row[x])
    share = np.float32(1 / (end - first))
    for x in range(out.size):
        out[x] = np.uint8(line[x] * share + np.float32(0.501))


@njit(nogil=True, cache=True, fastmath=True, error_model="numpy")
def _mean_of_columns(row, firsts, ends, sums, out):
    """Means of windows of a row as differences of running sums."""
    total = np.int32(0)
    sums[0] = 0
    for x in range(row.size):
        total += np.int32(row[x])
        sums[x + 1] = total
    for x in range(out.size):
        inside = np.float32(sums[ends[x]] - sums[firsts[x]])
        out[x] = np.uint8(inside / np.float32(ends[x] - firsts[x]) + np.float32(0.501))


@njit(nogil=True, cache=True, fastmath=True, error_model="numpy")
def elastic_transform(pixels, result, start, stop, keys, amplitude, down_taps, taps):
    """See `digital.elastic_transform`, without the affine map. The three channels are gathered as one word."""
    height, width = pixels.shape[-2:]
    hashes = np.empty((2 * height * width + 3) // 4, np.uint64)
    bits = hashes.view(np.uint16)
    noise, across = np.empty((height, width), np.float32), np.empty((height, width), np.float32)
    down = np.empty((height, width), np.float32)
    padded = np.empty(width + 2 * taps.size, np.float32)
    # One more column and row on every side holds the mirrored border.
    words = np.empty((height + 2, width + 2), np.int32)
    places, corners = np.empty(width, np.int32), np.empty((4, width), np.int32)
    lows, rights = np.empty(width, np.float32), np.empty(width, np.float32)
    for image in range(start, stop):
        fill_bits(keys[image], 0, hashes)
        for direction in range(2):
            flat, offset = noise.ravel(), direction * height * width
            for index in range(flat.size):
                flat[index] = (np.float32(bits[offset + index]) + np.float32(0.5)) * np.float32(1 / 32768) - np.float32(
                    1
                )
            blur_plane(noise, across if direction == 0 else down, taps, down_taps, True, padded)
        _framed_words(pixels[image], words)
        for y in range(height):
            _sampled_row(words, across[y], down[y], y, amplitude, result[image], places, lows, rights, corners)


@njit(nogil=True, cache=True, error_model="numpy")
def _framed_words(picture, words):
    _, height, width = picture.shape
    for y in range(height + 2):
        row = outside(y - 1, height, False)
        red, green, blue, out = picture[0, row], picture[1, row], picture[2, row], words[y]
        inner = out[1 : width + 1]
        for x in range(width):
            inner[x] = np.int32(red[x]) | (np.int32(green[x]) << 8) | (np.int32(blue[x]) << 16)
        out[0], out[width + 1] = out[1], out[width]


@njit(nogil=True, cache=True, fastmath=True, error_model="numpy")
def _sampled_row(words, across, down, y, amplitude, result, places, lows, rights, corners):
    """One output row: where to read, then the four neighbours, then the mixtures; short loops are vectorised."""
    _, height, width = result.shape
    flat, pitch = words.ravel(), np.int32(words.shape[1])
    tall, wide, one = np.float32(height), np.float32(width), np.float32(1)
    for x in range(width):
        # Mirrored, both lie in -0.5 .. size - 0.5, so that shifted by one they index the framed picture.
        row = _mirror(np.float32(y) + amplitude * down[x], tall) + one
        column = _mirror(np.float32(x) + amplitude * across[x], wide) + one
        top, left = np.int32(row), np.int32(column)
        lows[x], rights[x] = row - np.float32(top), column - np.float32(left)
        places[x] = top * pitch + left
    a, b, c, d = corners[0], corners[1], corners[2], corners[3]
    for x in range(width):
        place = places[x]
        a[x], b[x], c[x], d[x] = flat[place], flat[place + 1], flat[place + pitch], flat[place + pitch + 1]
    for channel in range(3):
        out, shift = result[channel, y], np.int32(8 * channel)
        for x in range(width):
            upper_left, lower_left = np.float32((a[x] >> shift) & 255), np.float32((c[x] >> shift) & 255)
            upper = upper_left + rights[x] * (np.float32((b[x] >> shift) & 255) - upper_left)
            lower = lower_left + rights[x] * (np.float32((d[x] >> shift) & 255) - lower_left)
            out[x] = np.uint8(upper + lows[x] * (lower - upper) + np.float32(1e-3))


@njit(nogil=True, cache=True, fastmath=True, error_model="numpy")
def _mirror(position, size):
    period = np.float32(2) * size
    position = position + np.float32(0.5)
    position = position - period * np.floor(position * (np.float32(1) / period))
    return min(position, period - position) - np.float32(0.5)
