"""Compiled weather: snow, frost, fog, brightness, and the layers of spatter."""

import numpy as np
from numba import njit

from weatherglass.corruptions.compiled.bits import fill_bits
from weatherglass.corruptions.compiled.filters import blur_plane, enlarge_plane, shift_sum, store


@njit(nogil=True, cache=True, fastmath=True, error_model="numpy")
def brightness(pixels, result, start, stop, shift):
    """See `weather.brightness`; `shift` in levels."""
    top = np.float32(255)
    height, width = pixels.shape[-2:]
    factor = np.empty(width, np.float32)
    for image in range(start, stop):
        for y in range(height):
            red, green, blue = pixels[image, 0, y], pixels[image, 1, y], pixels[image, 2, y]
            for x in range(width):
                value = np.float32(max(red[x], green[x], blue[x]))
                factor[x] = min(value + shift, top) / max(value, np.float32(0.5))
            for channel in range(3):
                source, target = pixels[image, channel, y], result[image, channel, y]
                for x in range(width):
                    level = np.float32(source[x]) * factor[x]
                    # Only black pixels have a factor above 255 / 0.5 * shift / 255: they become grey.
                    target[x] = np.uint8(min(level, top) + np.float32(1e-3))
            for x in range(width):
                if max(red[x], green[x], blue[x]) == 0:
                    grey = np.uint8(min(shift, top) + np.float32(1e-3))
                    result[image, 0, y, x] = grey
                    result[image, 1, y, x] = grey
                    result[image, 2, y, x] = grey


@njit(nogil=True, cache=True, fastmath=True, error_model="numpy")
def fog(pixels, result, start, stop, keys, maps, hashes, amount, decay):
    """See `weather.fog`; `maps` are three square float32 scratch maps, `hashes` holds their random bits."""
    height, width = pixels.shape[-2:]
    side = maps.shape[1]
    bits = hashes.view(np.uint16)
    line = np.empty(width, np.float32)
    for image in range(start, stop):
        fill_bits(keys[image], 0, hashes)
        field = plasma(bits, decay, maps)
        low, high = np.float32(np.inf), np.float32(-np.inf)
        for y in range(side):
            row = field[y]
            for x in range(side):
                low, high = min(low, row[x]), max(high, row[x])
        span = amount * np.float32(255) / max(high - low, np.float32(1e-12))
        brightest = np.float32(pixels[image].max())
        share = brightest / (brightest + amount * np.float32(255))
        for y in range(height):
            haze = field[y]
            for channel in range(3):
                source = pixels[image, channel, y]
                for x in range(width):
                    line[x] = (np.float32(source[x]) + span * (haze[x] - low)) * share
                store(line, result[image, channel, y])


@njit(nogil=True, cache=True, fastmath=True, error_model="numpy")
def plasma(bits, decay, maps):
    """See `fields.plasma`; not shifted and scaled yet. Fills one of the two square `maps` and returns it."""
    side = maps.shape[1]
    old, new, middles = maps[0].ravel(), maps[1].ravel(), maps[2].ravel()
    old[0] = 0
    half, wobble = 1, 100.0
    while half < side:
        amplitude = np.float32(wobble * wobble)
        planes = bits[half * half : 4 * half * half]
        for y in range(half):
            here, below = old[y * half :][:half], old[(y + 1) % half * half :][:half]
            _middles(here, below, planes[y * half :], amplitude, middles[y * half :][:half])
        for y in range(half):
            here, below = old[y * half :][:half], old[(y + 1) % half * half :][:half]
            middle, above = middles[y * half :][:half], middles[(y + half - 1) % half * half :][:half]
            across, upright = planes[(half + y) * half :], planes[(2 * half + y) * half :]
            _even_row(here, middle, above, across, amplitude, new[4 * y * half :])
            _odd_row(here, below, middle, upright, amplitude, new[(4 * y + 2) * half :])
        old, new = new, old
        half, wobble = 2 * half, wobble / decay
    return old.reshape(side, side)


@njit(nogil=True, cache=True, fastmath=True, error_model="numpy", inline="always")
def _middles(here, below, bits, amplitude, out):
    last = here.size - 1
    beside, beside_below = here[1:], below[1:]
    quarter = np.float32(0.25)
    for x in range(last):
        corners = (here[x] + below[x]) + (beside[x] + beside_below[x])
        out[x] = corners * quarter + amplitude * _noise(bits[x])
    corners = (here[last] + below[last]) + (here[0] + below[0])
    out[last] = corners * quarter + amplitude * _noise(bits[last])


@njit(nogil=True, cache=True, fastmath=True, error_model="numpy", inline="always")
def _even_row(here, middle, above, bits, amplitude, out):
    last = here.size - 1
    beside, quarter = here[1:], np.float32(0.25)
    for x in range(last):
        across = (here[x] + beside[x]) + (middle[x] + above[x])
        out[2 * x] = here[x]
        out[2 * x + 1] = across * quarter + amplitude * _noise(bits[x])
    out[2 * last] = here[last]
    across = (here[last] + here[0]) + (middle[last] + above[last])
    out[2 * last + 1] = across * quarter + amplitude * _noise(bits[last])


@njit(nogil=True, cache=True, fastmath=True, error_model="numpy", inline="always")
def _odd_row(here, below, middle, bits, amplitude, out):
    last = here.size - 1
    quarter = np.float32(0.25)
    upright = (here[0] + below[0]) + (middle[0] + middle[last])
    out[0] = upright * quarter + amplitude * _noise(bits[0])
    out[1] = middle[0]
    here_on, below_on, middle_on, bits_on, out_on = here[1:], below[1:], middle[1:], bits[1:], out[2:]
    for x in range(last):
        upright = (here_on[x] + below_on[x]) + (middle_on[x] + middle[x])
        out_on[2 * x] = upright * quarter + amplitude * _noise(bits_on[x])
        out_on[2 * x + 1] = middle_on[x]


@njit(nogil=True, cache=True, fastmath=True, error_model="numpy")
def _noise(bits):
    return (np.float32(bits) + np.float32(0.5)) * np.float32(1 / 32768) - np.float32(1)


@njit(nogil=True, cache=True, fastmath=True, error_model="numpy")
def frost(pixels, result, texture, top, left, picture_weight, frost_weight):
    """See `weather.frost`, for one image (3, height, width) and one texture (3, rows, columns)."""
    _, height, width = pixels.shape
    for channel in range(3):
        for y in range(height):
            source, target = pixels[channel, y], result[channel, y]
            ice = texture[channel, top + y][left:]
            for x in range(width):
                level = picture_weight * np.float32(source[x]) + frost_weight * np.float32(ice[x])
                target[x] = np.uint8(min(level, np.float32(255)) + np.float32(1e-3))


@njit(nogil=True, cache=True, fastmath=True, error_model="numpy")
def snow(pixels, result, start, stop, keys, table, normal, threshold, weight, zoom, trim, paths, scratch):
    """See `weather.snow`. normal: (mean, scale); zoom: tables; trim: (top, left, central); paths: taps."""
    height, width = pixels.shape[-2:]
    rows, row_parts, columns, column_parts = zoom
    rights, downs, weights, counts = paths
    hashes, noise, layer, padded = scratch
    top, left, central = trim
    bits = hashes.view(np.uint16)
    flakes = np.empty((height, width), np.float32)
    line = np.empty(noise.shape[1] + 1, np.float32)
    grey = np.empty(width, np.float32)
    for image in range(start, stop):
        fill_bits(keys[image], 0, hashes)
        flat = noise.ravel()
        for index in range(flat.size):
            flat[index] = normal[0] + normal[1] * table[bits[index]]
        enlarge_plane(noise, layer, rows, row_parts, columns, column_parts, line)
        for y in range(layer.shape[0]):
            row = layer[y]
            for x in range(row.size):
                row[x] = min(row[x], np.float32(1)) if row[x] >= threshold else np.float32(0)
                row[x] = max(row[x], np.float32(0))
        source = layer
        if central:
            source = layer[top : top + height, left : left + width]
            for y in range(height):
                row = source[y]
                for x in range(width):
                    row[x] = np.floor(row[x] * np.float32(255) + np.float32(1e-3)) / np.float32(255)
        taps = counts[image]
        shift_sum(source, flakes, rights[image, :taps], downs[image, :taps], weights[image, :taps], padded)
        for y in range(height):
            row = flakes[y]
            for x in range(width):
                row[x] = np.rint(row[x] * np.float32(255))
        for y in range(height):
            here, turned = flakes[y], flakes[height - 1 - y][::-1]
            red, green, blue = pixels[image, 0, y], pixels[image, 1, y], pixels[image, 2, y]
            for x in range(width):
                luma = np.float32(0.299) * red[x] + np.float32(0.587) * green[x] + np.float32(0.114) * blue[x]
                grey[x] = luma * np.float32(1.5) + np.float32(127.5)
            for channel in range(3):
                picture, target = pixels[image, channel, y], result[image, channel, y]
                for x in range(width):
                    level = np.float32(picture[x])
                    level = weight * level + (np.float32(1) - weight) * max(level, grey[x])
                    level += here[x] + turned[x]
                    target[x] = np.uint8(min(level, np.float32(255)) + np.float32(1e-3))


@njit(nogil=True, cache=True, fastmath=True, error_model="numpy")
def liquid(layers, start, stop, keys, table, mean, scale, threshold, taps):
    """The thresholded noise of spatter, (images, height, width) float32."""
    _, height, width = layers.shape
    hashes = np.empty((height * width + 3) // 4, np.uint64)
    bits = hashes.view(np.uint16)
    noise = np.empty((height, width), np.float32)
    padded = np.empty(width + 2 * taps.size, np.float32)
    for image in range(start, stop):
        fill_bits(keys[image], 0, hashes)
        flat = noise.ravel()
        for index in range(flat.size):
            flat[index] = mean + scale * table[bits[index]]
        blur_plane(noise, layers[image], taps, taps, False, padded)
        for y in range(height):
            row = layers[image, y]
            for x in range(width):
                row[x] = row[x] if row[x] >= threshold else np.float32(0)


@njit(nogil=True, cache=True, fastmath=True, error_model="numpy")
def mud(pixels, result, start, stop, layers, threshold, taps, colour):
    """Cover by mud where the blurred mask of the liquid reaches 0.8."""
    height, width = pixels.shape[-2:]
    mask, soft = np.empty((height, width), np.float32), np.empty((height, width), np.float32)
    padded = np.empty(width + 2 * taps.size, np.float32)
    for image in range(start, stop):
        for y in range(height):
            row, out = layers[image, y], mask[y]
            for x in range(width):
                out[x] = np.float32(1) if row[x] > threshold else np.float32(0)
        blur_plane(mask, soft, taps, taps, False, padded)
        for channel in range(3):
            for y in range(height):
                source, cover, target = pixels[image, channel, y], soft[y], result[image, channel, y]
                for x in range(width):
                    share = cover[x] if cover[x] >= np.float32(0.8) else np.float32(0)
                    level = np.float32(source[x]) * (np.float32(1) - share) + share * colour[channel]
                    target[x] = np.uint8(min(max(level, np.float32(0)), np.float32(255)) + np.float32(1e-3))


@njit(nogil=True, cache=True, fastmath=True, error_model="numpy")
def water(pixels, result, layer, relief, strength, colour):
    """Add the film of water to one image (3, height, width)."""
    _, height, width = pixels.shape
    deepest = np.float32(0)
    for y in range(height):
        row, light = layer[y], relief[y]
        for x in range(width):
            row[x] *= np.float32(light[x])
            deepest = max(deepest, row[x])
    share = strength / max(deepest, np.float32(1e-12))
    for channel in range(3):
        for y in range(height):
            source, film, target = pixels[channel, y], layer[y], result[channel, y]
            for x in range(width):
                level = np.float32(source[x]) + film[x] * (share * colour[channel])
                target[x] = np.uint8(min(level, np.float32(255)) + np.float32(1e-3))
