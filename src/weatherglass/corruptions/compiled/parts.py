"""What each compiled kernel needs besides the images: tables, keys and paths from a level, made once a batch."""

from collections.abc import Callable
from functools import lru_cache

import numpy as np
import torch
from jaxtyping import UInt8

from weatherglass.corruptions.compiled import blur, digital, noise, weather
from weatherglass.corruptions.digital import box_windows, nearest_index
from weatherglass.corruptions.fields import map_side
from weatherglass.corruptions.filters import disk_kernel, gaussian_taps, motion_path, zoom_factors, zoom_window
from weatherglass.corruptions.frost import Textures
from weatherglass.corruptions.level import Level
from weatherglass.corruptions.noise import impulse_thresholds, poisson_table
from weatherglass.corruptions.weather import MUD, WATER, water_relief
from weatherglass.randomness import Draws, normal_table

Batch = UInt8[np.ndarray, "batch 3 height width"]
Part = Callable[[int, int], None]
"""Does the images from start to stop; parts of one batch may run at the same time."""


def _flat(batch: Batch) -> np.ndarray:
    return batch.reshape(len(batch), -1)


def _normal_table() -> np.ndarray:
    return normal_table(torch.device("cpu")).numpy()


def _taps(sigma: float, truncate: float = 4.0) -> np.ndarray:
    """The middle tap and one side, padded with zeros to 1 + 4 n."""
    half = gaussian_taps(sigma, truncate)[len(gaussian_taps(sigma, truncate)) // 2 :]
    taps = np.zeros(1 + -(-(len(half) - 1) // 4) * 4, np.float32)
    taps[: len(half)] = half
    return taps


def _gaussian_noise(pixels: Batch, result: Batch, level: Level, draws: Draws) -> Part:
    keys, scale = draws.stream_keys("value"), np.float32(level["scale"] * 255)
    source, target, table = _flat(pixels), _flat(result), _normal_table()
    return lambda a, b: noise.normal_noise(source, target, a, b, keys, table, scale, np.float32(0))


def _speckle_noise(pixels: Batch, result: Batch, level: Level, draws: Draws) -> Part:
    keys, scale = draws.stream_keys("value"), np.float32(level["scale"])
    source, target, table = _flat(pixels), _flat(result), _normal_table()
    return lambda a, b: noise.normal_noise(source, target, a, b, keys, table, np.float32(0), scale)


def _impulse_noise(pixels: Batch, result: Batch, level: Level, draws: Draws) -> Part:
    keys = draws.stream_keys("value")
    pepper, salt = impulse_thresholds(level["amount"])
    source, target = _flat(pixels), _flat(result)
    return lambda a, b: noise.impulse_noise(source, target, a, b, keys, pepper, salt)


def _shot_noise(pixels: Batch, result: Batch, level: Level, draws: Draws) -> Part:
    keys = draws.stream_keys("value")
    table, column_bits = _level_table(float(level["photons"]))
    source, target = _flat(pixels), _flat(result)
    return lambda a, b: noise.shot_noise(source, target, a, b, keys, table, column_bits)


@lru_cache(maxsize=32)
def _level_table(photons: float) -> tuple[np.ndarray, int]:
    """`poisson_table` with the output levels in place of the counts."""
    entries, columns = poisson_table(photons / 255, photons)
    entries = entries[: 256 * columns].astype(np.uint32)
    counts = np.arange(columns).astype(np.float32) / np.float32(photons)
    levels = (np.minimum(counts, 1) * np.float32(255) + np.float32(1e-3)).astype(np.uint32)
    own = np.tile(levels, 256)
    return (own << 24) | (levels[entries >> 16] << 16) | (entries & 0xFFFF), columns.bit_length() - 1


def _gaussian_blur(pixels: Batch, result: Batch, level: Level, draws: Draws) -> Part:
    taps = _taps(level["sigma"])
    return lambda a, b: blur.gaussian_blur(pixels, result, a, b, taps)


def _defocus_blur(pixels: Batch, result: Batch, level: Level, draws: Draws) -> Part:
    kernel = disk_kernel(level["radius"], level["alias_sigma"])
    quadrant = kernel[len(kernel) // 2 :, len(kernel) // 2 :]
    used = int(np.nonzero(quadrant.max(0) > 1e-12)[0].max()) + 1
    padded = np.zeros((-(-used // 4) * 4, used), np.float32)
    padded[:used] = np.where(quadrant > 1e-9, quadrant, 0)[:used, :used]
    return lambda a, b: blur.symmetric_filter(pixels, result, a, b, padded)


def _glass_blur(pixels: Batch, result: Batch, level: Level, draws: Draws) -> Part:
    keys, taps = draws.stream_keys("offset"), _taps(level["sigma"])
    reach, passes = int(level["reach"]), int(level["passes"])
    return lambda a, b: blur.glass_blur(pixels, result, a, b, keys, taps, reach, passes)


def _paths(level: Level, angles: list[float]) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Motion taps of every image in rectangular arrays: rights, downs, weights, counts."""
    paths = [motion_path(int(level["radius"]), level["sigma"], angle) for angle in angles]
    longest = max(len(path) for path in paths)
    rights, downs = np.zeros((2, len(paths), longest), np.int64)
    weights = np.zeros((len(paths), longest), np.float32)
    for row, path in enumerate(paths):
        rights[row, : len(path)], downs[row, : len(path)], weights[row, : len(path)] = zip(*path, strict=True)
    return rights, downs, weights, np.array([len(path) for path in paths])


def _motion_blur(pixels: Batch, result: Batch, level: Level, draws: Draws) -> Part:
    rights, downs, weights, counts = _paths(level, draws.uniform("angle").mul(90).sub(45).tolist())
    return lambda a, b: blur.motion_blur(pixels, result, a, b, rights, downs, weights, counts)


@lru_cache(maxsize=64)
def _interpolation(size: int, smaller: int, larger: int) -> tuple[np.ndarray, np.ndarray]:
    """For the first `size` of `larger` positions spread over `smaller`, corners aligned: index and part."""
    positions = np.arange(min(size, larger)) * ((smaller - 1) / max(larger - 1, 1))
    index = np.minimum(positions.astype(np.int32), smaller - 1)
    return index, (positions - index).astype(np.float32)


@lru_cache(maxsize=16)
def _zoom_tables(size: int, factors: int, step: float) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    windows = [zoom_window(size, factor) for factor in zoom_factors(factors, step)[1:]]
    tables = [_interpolation(size, length, larger) for _, length, larger in windows]
    starts, lengths = np.array([window[0] for window in windows]), np.array([window[1] for window in windows])
    return starts, lengths, np.stack([table[0] for table in tables]), np.stack([table[1] for table in tables])


def _zoom_blur(pixels: Batch, result: Batch, level: Level, draws: Draws) -> Part:
    height, width = pixels.shape[-2:]
    factors, step = int(level["factors"]), float(level["step"])
    down, across = _zoom_tables(height, factors, step), _zoom_tables(width, factors, step)
    return lambda a, b: blur.zoom_blur(pixels, result, a, b, down, across)


def _snow(pixels: Batch, result: Batch, level: Level, draws: Draws) -> Part:
    height, width = pixels.shape[-2:]
    _, rows, new_height = zoom_window(height, level["zoom"])
    _, columns, new_width = zoom_window(width, level["zoom"])
    zoom = (*_interpolation(new_height, rows, new_height), *_interpolation(new_width, columns, new_width))
    paths = _paths(level, draws.uniform("angle").mul(90).sub(135).tolist())
    central = bool(level["central"])
    trim = ((new_height - height) // 2, (new_width - width) // 2, central)
    layer_size = (height, width) if central else (new_height, new_width)
    margin = max(0, int(paths[0].max())) - min(0, int(paths[0].min()))
    keys, normal = draws.stream_keys("flakes"), (np.float32(level["mean"]), np.float32(level["scale"]))
    threshold, weight = np.float32(level["threshold"]), np.float32(level["picture_weight"])

    def part(start: int, stop: int) -> None:
        scratch = (
            np.empty((rows * columns + 3) // 4, np.uint64),
            np.empty((rows, columns), np.float32),
            np.empty((new_height, new_width), np.float32),
            np.empty((layer_size[0], layer_size[1] + margin), np.float32),
        )
        weather.snow(
            pixels, result, start, stop, keys, _normal_table(), normal, threshold, weight, zoom, trim, paths, scratch
        )

    return part


def frost(pixels: Batch, result: Batch, level: Level, draws: Draws, textures: Textures) -> Part:
    height, width = pixels.shape[-2:]
    choices = draws.integers("texture", len(textures.pictures)).tolist()
    corners = draws.uniform("corner", 2).tolist()
    weights = np.float32(level["picture_weight"]), np.float32(level["frost_weight"])

    def part(start: int, stop: int) -> None:
        for image in range(start, stop):
            texture = textures.scaled(choices[image], (height, width), level["texture_scale"]).numpy()
            top = int(corners[image][0] * max(1, texture.shape[-2] - height))
            left = int(corners[image][1] * max(1, texture.shape[-1] - width))
            weather.frost(pixels[image], result[image], texture, top, left, *weights)

    return part


def _fog(pixels: Batch, result: Batch, level: Level, draws: Draws) -> Part:
    side = map_side(pixels.shape[-2], pixels.shape[-1], int(level["smallest_map"]))
    keys, amount, decay = draws.stream_keys("plasma"), np.float32(level["amount"]), float(level["decay"])

    def part(start: int, stop: int) -> None:
        maps, hashes = np.empty((3, side, side), np.float32), np.empty((side * side + 3) // 4, np.uint64)
        weather.fog(pixels, result, start, stop, keys, maps, hashes, amount, decay)

    return part


def _brightness(pixels: Batch, result: Batch, level: Level, draws: Draws) -> Part:
    shift = np.float32(level["shift"] * 255)
    return lambda a, b: weather.brightness(pixels, result, a, b, shift)


def _contrast(pixels: Batch, result: Batch, level: Level, draws: Draws) -> Part:
    return lambda a, b: digital.contrast(pixels, result, a, b, float(level["factor"]))


def _saturate(pixels: Batch, result: Batch, level: Level, draws: Draws) -> Part:
    factor, shift = np.float32(level["factor"]), np.float32(level["shift"])
    return lambda a, b: digital.saturate(pixels, result, a, b, factor, shift)


def _pixelate(pixels: Batch, result: Batch, level: Level, draws: Draws) -> Part:
    height, width = pixels.shape[-2:]
    rows, columns = (max(1, int(size * level["fraction"])) for size in (height, width))
    windows = (*np.array(box_windows(height, rows)).T.copy(), *np.array(box_windows(width, columns)).T.copy())
    nearest = nearest_index(rows, height), nearest_index(columns, width)
    return lambda a, b: digital.pixelate(pixels, result, a, b, windows, nearest, height > 2 * width)


def _elastic_transform(pixels: Batch, result: Batch, level: Level, draws: Draws) -> Part:
    height, width = pixels.shape[-2:]
    keys, amplitude = draws.stream_keys("displacement"), np.float32(level["amplitude_of_height"] * height)
    down_taps, taps = (_taps(level["sigma_of_side"] * size, 3) for size in (height, width))
    return lambda a, b: digital.elastic_transform(pixels, result, a, b, keys, amplitude, down_taps, taps)


def _spatter(pixels: Batch, result: Batch, level: Level, draws: Draws) -> Part:
    layers = np.empty((len(pixels), *pixels.shape[-2:]), np.float32)
    keys, table, taps = draws.stream_keys("liquid"), _normal_table(), _taps(level["sigma"])
    mean, scale, threshold = (np.float32(level[name]) for name in ("mean", "scale", "threshold"))
    strength, mud_taps = np.float32(level["strength"]), _taps(level["strength"])
    colour = (np.array(MUD if level["mud"] else WATER) * 255).astype(np.float32)

    def part(start: int, stop: int) -> None:
        weather.liquid(layers, start, stop, keys, table, mean, scale, threshold, taps)
        if level["mud"]:
            weather.mud(pixels, result, start, stop, layers, threshold, mud_taps, colour)
            return
        for image in range(start, stop):
            relief = water_relief(layers[image])
            weather.water(pixels[image], result[image], layers[image], relief, strength, colour)

    return part


def _jpeg_compression(pixels: Batch, result: Batch, level: Level, draws: Draws) -> Part:
    from weatherglass.corruptions.codecs import jpeg_round_trip

    quality, target = int(level["quality"]), torch.from_numpy(result)
    source = torch.from_numpy(pixels)

    def part(start: int, stop: int) -> None:
        target[start:stop] = jpeg_round_trip(source[start:stop], quality)

    return part


PARTS: dict[str, Callable[[Batch, Batch, Level, Draws], Part]] = {
    "gaussian_noise": _gaussian_noise,
    "speckle_noise": _speckle_noise,
    "impulse_noise": _impulse_noise,
    "shot_noise": _shot_noise,
    "gaussian_blur": _gaussian_blur,
    "defocus_blur": _defocus_blur,
    "glass_blur": _glass_blur,
    "motion_blur": _motion_blur,
    "zoom_blur": _zoom_blur,
    "snow": _snow,
    "fog": _fog,
    "brightness": _brightness,
    "contrast": _contrast,
    "saturate": _saturate,
    "pixelate": _pixelate,
    "elastic_transform": _elastic_transform,
    "spatter": _spatter,
    "jpeg_compression": _jpeg_compression,
}
"""Name -> from (images, result, level, draws) to the work; frost also takes its textures."""
