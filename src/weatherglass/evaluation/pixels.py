"""Pixels: every image is decoded and brought to the model's geometry once, for all conditions.

The result is one flat file of uint8 that the operating system pages in and out, so memory stays flat in the
number of images, and a run that was killed goes on without decoding again.
"""

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import msgspec
import numpy as np
import torch
from jaxtyping import UInt8
from torch import Tensor

from weatherglass.data.geometry import prepare
from weatherglass.errors import UnreadableImage, UserError
from weatherglass.evaluation.files import write_aside, write_text
from weatherglass.evaluation.protocol import digest_of
from weatherglass.types import ImageData, Preprocessing

CHUNK = 64
"""Images decoded between two writes: enough for every worker, little memory."""


@dataclass(frozen=True)
class Layout:
    """What the flat file holds."""

    height: int
    width: int
    readable: tuple[int, ...]
    """Indices into the data set of the images in the file, in order."""
    unreadable: tuple[str, ...]
    """One sentence for each image that did not decode."""


class PixelFile:
    """The decoded images of one data set under one geometry."""

    def __init__(self, path: Path, layout: Layout) -> None:
        self.layout = layout
        shape = (len(layout.readable), 3, layout.height, layout.width)
        self._pixels = np.memmap(path, np.uint8, "r", shape=shape)

    def __len__(self) -> int:
        return len(self._pixels)

    def rows(self, start: int, stop: int) -> UInt8[Tensor, "batch 3 height width"]:
        """A copy of images start..stop."""
        return torch.from_numpy(np.array(self._pixels[start:stop]))


def decode_once(
    data: ImageData,
    preprocessing: Preprocessing,
    folder: Path,
    *,
    workers: int,
    progress: Callable[[int, int], None] = lambda done, total: None,
) -> PixelFile:
    """Decode `data` into `folder`, or find there what an earlier run decoded.

    `progress(done, total)` is called after every chunk. Files that do not decode are noted in the layout.
    Raises `UserError` when the images have different sizes and the model declares no crop, or the disk is full.
    """
    key = digest_of([data.digest, data.selection, len(data), preprocessing.geometry])
    path, notes = folder / f"{key}.pixels", folder / f"{key}.json"
    if notes.is_file() and path.is_file():
        return PixelFile(path, msgspec.json.decode(notes.read_bytes(), type=Layout))
    layout: Layout | None = None

    def write(part: Path) -> None:
        nonlocal layout
        with part.open("wb") as handle, ThreadPoolExecutor(workers) as pool:
            layout = _decode_into(handle.write, data, preprocessing, pool, progress)

    write_aside(path, write)
    assert layout is not None
    write_text(notes, msgspec.json.encode(layout).decode())
    return PixelFile(path, layout)


def _decode_into(
    write: Callable[[bytes], object],
    data: ImageData,
    preprocessing: Preprocessing,
    pool: ThreadPoolExecutor,
    progress: Callable[[int, int], None],
) -> Layout:
    readable: list[int] = []
    unreadable: list[str] = []
    shape: tuple[int, int] | None = None
    for indices in chunks(range(len(data)), CHUNK):
        results = pool.map(lambda index: _decode(data, index, preprocessing), indices)
        for index, image in zip(indices, results, strict=True):
            if isinstance(image, UnreadableImage):
                unreadable.append(str(image))
                continue
            height, width = image.shape[1:]
            shape = shape or (height, width)
            if (height, width) != shape:
                raise UserError(
                    f"The images of '{data.name}' differ in size ({shape[1]}x{shape[0]} and {width}x{height}, "
                    f"{data.ids[index]}) and the model declares no crop. Say which it wants, e.g. --size 224."
                )
            write(image.contiguous().numpy().tobytes())
            readable.append(index)
        progress(len(readable) + len(unreadable), len(data))
    if shape is None:
        first = unreadable[0] if unreadable else "it is empty"
        raise UserError(f"No image of '{data.name}' can be read. {first}")
    return Layout(*shape, tuple(readable), tuple(unreadable))


def _decode(data: ImageData, index: int, preprocessing: Preprocessing) -> Tensor | UnreadableImage:
    try:
        return prepare(data.image(index), preprocessing)
    except UnreadableImage as error:
        return error


def chunks(items: Sequence[int], size: int) -> Iterator[Sequence[int]]:
    """Consecutive pieces of `items` of at most `size`."""
    return (items[start : start + size] for start in range(0, len(items), size))
