"""Compiled linear filters on float32 planes, row by row so that the inner loops are vectorised."""

import numpy as np
from numba import njit

# Helpers are inlined where numba compiles them: passing slices to a function costs more than the work on one row.


@njit(nogil=True, cache=True, fastmath=True, error_model="numpy")
def blur_plane(source, target, taps, down_taps, mirrored, padded):
    """target = source blurred by `down_taps` vertically and `taps` horizontally.

    Taps are the middle one and those of one side, padded with zeros to 1 + 4 n. `padded` is scratch for a row and its
    margins, at least width + 2 len(taps) floats. Borders repeat the edge pixel, or mirror between pixels.
    """
    height, width = source.shape
    radius = taps.size - 1
    middle = padded[radius : radius + width]
    for y in range(height):
        _weighted(source[y], down_taps[0], middle)
        for k in range(1, down_taps.size, 4):
            add_four_pairs(
                source[outside(y - k, height, mirrored)],
                source[outside(y + k, height, mirrored)],
                source[outside(y - k - 1, height, mirrored)],
                source[outside(y + k + 1, height, mirrored)],
                source[outside(y - k - 2, height, mirrored)],
                source[outside(y + k + 2, height, mirrored)],
                source[outside(y - k - 3, height, mirrored)],
                source[outside(y + k + 3, height, mirrored)],
                down_taps[k : k + 4],
                middle,
            )
        for k in range(1, radius + 1):
            padded[radius - k] = middle[outside(-k, width, mirrored)]
            padded[radius + width - 1 + k] = middle[outside(width - 1 + k, width, mirrored)]
        out = target[y]
        _weighted(middle, taps[0], out)
        for k in range(1, radius + 1, 4):
            add_four_pairs(
                padded[radius - k :],
                padded[radius + k :],
                padded[radius - k - 1 :],
                padded[radius + k + 1 :],
                padded[radius - k - 2 :],
                padded[radius + k + 2 :],
                padded[radius - k - 3 :],
                padded[radius + k + 3 :],
                taps[k : k + 4],
                out,
            )


@njit(nogil=True, cache=True, fastmath=True, error_model="numpy", inline="always")
def _weighted(row, weight, out):
    for x in range(out.size):
        out[x] = weight * row[x]


@njit(nogil=True, cache=True, fastmath=True, error_model="numpy", inline="always")
def add_pair(a, b, weight, out):
    """out += weight (a + b)."""
    for x in range(out.size):
        out[x] += weight * (a[x] + b[x])


@njit(nogil=True, cache=True, fastmath=True, error_model="numpy", inline="always")
def add_four_pairs(a, b, c, d, e, f, g, h, weights, out):
    """Four times `add_pair` in one loop: the sum is read and written once instead of four times."""
    first, second, third, fourth = weights[0], weights[1], weights[2], weights[3]
    for x in range(out.size):
        near = first * (a[x] + b[x]) + second * (c[x] + d[x])
        far = third * (e[x] + f[x]) + fourth * (g[x] + h[x])
        out[x] += near + far


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
        for tap in range(0, taps - taps % 4, 4):
            _add_four(
                padded[min(max(y + downs[tap], 0), height - 1)][left + rights[tap] :],
                padded[min(max(y + downs[tap + 1], 0), height - 1)][left + rights[tap + 1] :],
                padded[min(max(y + downs[tap + 2], 0), height - 1)][left + rights[tap + 2] :],
                padded[min(max(y + downs[tap + 3], 0), height - 1)][left + rights[tap + 3] :],
                weights[tap : tap + 4],
                out,
            )
        for tap in range(taps - taps % 4, taps):
            row, weight = padded[min(max(y + downs[tap], 0), height - 1)][left + rights[tap] :], weights[tap]
            for x in range(columns):
                out[x] += weight * row[x]


@njit(nogil=True, cache=True, fastmath=True, error_model="numpy", inline="always")
def _add_four(a, b, c, d, weights, out):
    first, second, third, fourth = weights[0], weights[1], weights[2], weights[3]
    for x in range(out.size):
        out[x] += (first * a[x] + second * b[x]) + (third * c[x] + fourth * d[x])


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


@njit(nogil=True, cache=True, fastmath=True, error_model="numpy", inline="always")
def store(line, out):
    """Clip levels to 0..255 and truncate, as the engine does."""
    for x in range(out.size):
        out[x] = np.uint8(min(max(line[x], np.float32(0)), np.float32(255)) + np.float32(1e-3))
