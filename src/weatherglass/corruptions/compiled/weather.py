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
def fog(pixels, result, start, stop, keys, field, hashes, amount, decay):
    """See `weather.fog`; `field` is a square float32 scratch map, `hashes` holds its random bits."""
    height, width = pixels.shape[-2:]
    side = field.shape[0]
    bits = hashes.view(np.uint16)[: side * side].reshape(side, side)
    line = np.empty(width, np.float32)
    for image in range(start, stop):
        fill_bits(keys[image], 0, hashes)
        plasma(bits, decay, field)
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
def plasma(bits, decay, field):
    """See `fields.plasma`; not shifted and scaled yet."""
    side = field.shape[0]
    field[0, 0] = 0
    step, wobble = side, 100.0
    while step > 1:
        half, amplitude = step // 2, np.float32(wobble * wobble)
        for y in range(0, side, step):
            below = (y + step) % side
            for x in range(0, side, step):
                right = (x + step) % side
                corners = (field[y, x] + field[below, x]) + (field[y, right] + field[below, right])
                field[y + half, x + half] = corners * np.float32(0.25) + amplitude * _noise(bits[y + half, x + half])
        for y in range(0, side, step):
            above, below = (y - half) % side, (y + step) % side
            for x in range(0, side, step):
                left, right = (x - half) % side, (x + step) % side
                middle = field[y + half, x + half]
                across = field[y, x] + field[y, right] + middle + field[above, x + half]
                field[y, x + half] = across * np.float32(0.25) + amplitude * _noise(bits[y, x + half])
                upright = field[y, x] + field[below, x] + middle + field[y + half, left]
                field[y + half, x] = upright * np.float32(0.25) + amplitude * _noise(bits[y + half, x])
        step, wobble = half, wobble / decay


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
    padded, line = np.empty(width + taps.size, np.float32), np.empty(width, np.float32)
    for image in range(start, stop):
        fill_bits(keys[image], 0, hashes)
        flat = noise.ravel()
        for index in range(flat.size):
            flat[index] = mean + scale * table[bits[index]]
        blur_plane(noise, layers[image], taps, taps, False, padded, line)
        for y in range(height):
            row = layers[image, y]
            for x in range(width):
                row[x] = row[x] if row[x] >= threshold else np.float32(0)


@njit(nogil=True, cache=True, fastmath=True, error_model="numpy")
def mud(pixels, result, start, stop, layers, threshold, taps, colour):
    """Cover by mud where the blurred mask of the liquid reaches 0.8."""
    height, width = pixels.shape[-2:]
    mask, soft = np.empty((height, width), np.float32), np.empty((height, width), np.float32)
    padded, line = np.empty(width + taps.size, np.float32), np.empty(width, np.float32)
    for image in range(start, stop):
        for y in range(height):
            row, out = layers[image, y], mask[y]
            for x in range(width):
                out[x] = np.float32(1) if row[x] > threshold else np.float32(0)
        blur_plane(mask, soft, taps, taps, False, padded, line)
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
