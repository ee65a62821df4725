"""Compiled linear filters on float32 planes, row by row so that the inner loops are vectorised."""

import numpy as np
from numba import njit


@njit(nogil=True, cache=True, fastmath=True, error_model="numpy")
def blur_plane(source, target, taps, down_taps, mirrored, padded, line):
    """target = source blurred by symmetric `down_taps` vertically and `taps` horizontally.

    `padded` holds a row and the margins, at least width + len(taps) floats; `line` at least width. Borders repeat
    the edge pixel, or mirror between pixels where `mirrored`.
    """
    height, width = source.shape
    radius, down = taps.size // 2, down_taps.size // 2
    middle = padded[radius : radius + width]
    for y in range(height):
        weight = down_taps[down]
        row = source[y]
        for x in range(width):
            middle[x] = weight * row[x]
        for k in range(1, down + 1):
            above, below = source[outside(y - k, height, mirrored)], source[outside(y + k, height, mirrored)]
            weight = down_taps[down + k]
            for x in range(width):
                middle[x] += weight * (above[x] + below[x])
        for k in range(1, radius + 1):
            padded[radius - k] = middle[outside(-k, width, mirrored)]
            padded[radius + width - 1 + k] = middle[outside(width - 1 + k, width, mirrored)]
        weight = taps[radius]
        for x in range(width):
            line[x] = weight * middle[x]
        for k in range(1, radius + 1):
            left, right = padded[radius - k : radius - k + width], padded[radius + k : radius + k + width]
            weight = taps[radius + k]
            for x in range(width):
                line[x] += weight * (left[x] + right[x])
        out = target[y]
        for x in range(width):
            out[x] = line[x]


@njit(nogil=True, cache=True, error_model="numpy")
def outside(position, size, mirrored):
    """The pixel that a position outside the image reads."""
    if not mirrored:
        return min(max(position, 0), size - 1)
    folded = position % (2 * size)
    return folded if folded < size else 2 * size - 1 - folded


@njit(nogil=True, cache=True, fastmath=True, error_model="numpy")
def shift_sum(source, target, rights, downs, weights, padded):
    """target = the weighted sum of shifted copies of `source`, edge pixels repeated (see `motion_blur_2d`).

    `padded` is (rows of source, width + margins); target may have fewer rows and columns than source.
    """
    height, width = source.shape
    left = max(0, -rights.min())
    for y in range(height):
        row, wide = source[y], padded[y]
        wide[:left] = row[0]
        wide[left + width :] = row[width - 1]
        inner = wide[left : left + width]
        for x in range(width):
            inner[x] = row[x]
    taps = weights.size
    for tap in range(weights.size):
        if abs(rights[tap]) >= width or abs(downs[tap]) >= height:
            taps = tap
            break
    columns = target.shape[1]
    for y in range(target.shape[0]):
        out = target[y]
        out[:] = 0
        tap = 0
        while tap + 1 < taps:
            first = padded[min(max(y + downs[tap], 0), height - 1)][left + rights[tap] :][:columns]
            second = padded[min(max(y + downs[tap + 1], 0), height - 1)][left + rights[tap + 1] :][:columns]
            weight, other = weights[tap], weights[tap + 1]
            for x in range(columns):
                out[x] += weight * first[x] + other * second[x]
            tap += 2
        if tap < taps:
            first = padded[min(max(y + downs[tap], 0), height - 1)][left + rights[tap] :][:columns]
            weight = weights[tap]
            for x in range(columns):
                out[x] += weight * first[x]


@njit(nogil=True, cache=True, fastmath=True, error_model="numpy")
def enlarge_plane(source, target, rows, row_parts, columns, column_parts, line):
    """Bilinear: target[y, x] from source rows `rows[y]`, `rows[y] + 1` and columns alike; `line` one source row."""
    last_row, last_column = source.shape[0] - 1, source.shape[1] - 1
    for y in range(target.shape[0]):
        upper, lower, part = source[rows[y]], source[min(rows[y] + 1, last_row)], row_parts[y]
        for x in range(source.shape[1]):
            line[x] = upper[x] + part * (lower[x] - upper[x])
        line[last_column + 1] = line[last_column]
        out = target[y]
        for x in range(target.shape[1]):
            left = line[columns[x]]
            out[x] = left + column_parts[x] * (line[columns[x] + 1] - left)


@njit(nogil=True, cache=True, fastmath=True, error_model="numpy")
def store(line, out):
    """Clip levels to 0..255 and truncate, as the engine does."""
    for x in range(out.size):
        out[x] = np.uint8(min(max(line[x], np.float32(0)), np.float32(255)) + np.float32(1e-3))
