"""Pixels: every image is decoded and brought to the model's geometry once, for all conditions.

The result is one flat file of uint8 that the operating system pages in and out, so memory stays flat in the
number of images, and a run that was killed goes on without decoding again. Several processes may use one file.
"""

import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass, replace
from itertools import count
from pathlib import Path
from tempfile import TemporaryDirectory

import msgspec
import numpy as np
import torch
from jaxtyping import UInt8
from torch import Tensor

from weatherglass.data.geometry import prepare
from weatherglass.errors import MissingExtra, UnreadableImage, UserError
from weatherglass.evaluation.files import write_aside, write_text
from weatherglass.evaluation.protocol import digest_of
from weatherglass.evaluation.shared_files import Hold, remove_unless_held
from weatherglass.evaluation.versions import library_versions
from weatherglass.types import DetectionData, ImageData, Preprocessing
from weatherglass.unfinished import ENDING

CHUNK = 64
"""Images decoded between two writes: enough for every worker, little memory."""

ABANDONED_SECONDS = 3600.0
"""A file that is being written grows with every chunk; one that did not for so long was left by a killed process."""


@dataclass(frozen=True)
class Layout:
    """What the flat file holds."""

    height: int
    width: int
    """Of every image, or the largest of each where they differ."""
    readable: tuple[int, ...]
    """Indices into the data set of the images in the file, in order."""
    unreadable: tuple[str, ...]
    """One sentence for each image that did not decode."""
    sizes: tuple[tuple[int, int], ...] = ()
    """Height and width of each image in the file where they differ; empty where all are of one size."""

    @property
    def distinct(self) -> tuple[tuple[int, int], ...]:
        """The sizes that occur, the smallest height first."""
        return tuple(sorted(set(self.sizes))) or ((self.height, self.width),)

    @property
    def bytes(self) -> int:
        """Size of the file."""
        sizes = self.sizes or [(self.height, self.width)] * len(self.readable)
        return sum(3 * height * width for height, width in sizes)

    def __str__(self) -> str:
        """E.g. '224x224 pixels' or '37 sizes up to 640x640 pixels'."""
        size = f"{self.width}x{self.height} pixels"
        return f"{len(self.distinct)} sizes up to {size}" if self.sizes else size


class PixelFile:
    """The decoded images of one data set under one geometry. No process removes the file while another has it open."""

    def __init__(self, path: Path, layout: Layout) -> None:
        """Raises `FileNotFoundError` when another process has just removed the file."""
        self.path = path
        self.layout = layout
        self._hold = Hold(path)
        count = len(layout.readable)
        self._sizes = np.array(layout.sizes or [(layout.height, layout.width)] * count, dtype=np.int64)
        self._starts = np.concatenate([[0], np.cumsum(3 * self._sizes.prod(axis=1))])
        self._bytes = np.memmap(path, np.uint8, "r", shape=(int(self._starts[-1]),))

    def __len__(self) -> int:
        return len(self._sizes)

    def let_go(self) -> None:
        """Allow the file to be removed. What this process has of it can still be read."""
        self._hold.let_go()

    def at(self, indices: Sequence[int]) -> UInt8[Tensor, "batch 3 height width"]:
        """A copy of some images, all of one size."""
        height, width = self._sizes[indices[0]]
        copies = [self._bytes[self._starts[index] : self._starts[index + 1]] for index in indices]
        return torch.from_numpy(np.stack(copies).reshape(len(indices), 3, height, width))

    def batches(self, size: int) -> Iterator[Sequence[int]]:
        """All images, `size` at a time and each time of one size: in order, or size after size where they differ."""
        groups: dict[tuple[int, int], list[int]] = {}
        for index, (height, width) in enumerate(self._sizes.tolist()):
            groups.setdefault((height, width), []).append(index)
        for one in sorted(groups):
            yield from chunks(groups[one], size)


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
    Images of different sizes stay so where the task can score each by itself (masks, boxes). Raises `UserError` for
    classifiers that declare no crop for such images, and when the disk is full.
    """
    path = folder / f"{_key(data, preprocessing)}.pixels"
    for last in (False, True):
        try:
            return _opened(path) or _decoded(path, data, preprocessing, workers, progress)
        except FileNotFoundError:  # another process finished, and removed it before we could open it
            if last:
                raise UserError(
                    f"{path} is removed again and again while it is needed: leave {folder} alone."
                ) from None
    raise AssertionError


def clear_pixels(folder: Path, used: Sequence[PixelFile]) -> None:
    """Remove the decoded images of `folder` that no other process uses, and what killed processes left there.

    `used` are those that this process opened; they are let go.
    """
    for pixels in used:
        pixels.let_go()
    own = {pixels.path for pixels in used}
    for path in sorted(folder.glob("*.pixels")):
        if remove_unless_held(path, own=path in own):
            path.with_suffix(".json").unlink(missing_ok=True)
    for part in folder.glob(f".*{ENDING}"):
        with suppress(OSError):
            if time.time() - part.stat().st_mtime > ABANDONED_SECONDS:
                part.unlink()
    with suppress(OSError):  # where another process uses it, it is not empty
        folder.rmdir()


def decode_for_plan(
    data: ImageData,
    preprocessing: Preprocessing,
    folder: Path,
    *,
    keep: int,
    whole: bool,
    workers: int,
    progress: Callable[[int, int], None] = lambda done, total: None,
) -> PixelFile:
    """The layout of all images and the pixels of the first `keep`, for a plan that nobody carries out.

    Nothing is written to `folder`, but what an earlier run decoded there is read. `whole` False decodes the first
    `keep` images alone and takes the others for readable; all images must have one size then.
    """
    if (found := _opened(folder / f"{_key(data, preprocessing)}.pixels")) is not None:
        return found
    shown = data if whole else data.select(range(min(keep, len(data))), "the first")
    places = count()
    with TemporaryDirectory(prefix="weatherglass-", ignore_cleanup_errors=True) as temporary:
        path = Path(temporary) / "pixels"
        with path.open("wb") as handle, ThreadPoolExecutor(workers) as pool:

            def write(image: bytes) -> None:
                if next(places) < keep:
                    handle.write(image)

            layout = _decode_into(write, shown, preprocessing, pool, progress)
        first = replace(layout, readable=layout.readable[:keep], sizes=layout.sizes[:keep])
        pixels = PixelFile(path, first)  # stays readable without a name
    pixels.layout = layout if whole else replace(layout, readable=tuple(range(len(data))))
    return pixels


def _key(data: ImageData, preprocessing: Preprocessing) -> str:
    """Everything that decides the decoded images: also the versions of what decodes and resizes them."""
    wanted = [preprocessing.geometry, preprocessing.padding]
    return digest_of([data.digest, data.selection, len(data), *wanted, library_versions()])


def _opened(path: Path) -> PixelFile | None:
    """What an earlier run, or another process, decoded."""
    notes = path.with_suffix(".json")
    if not (notes.is_file() and path.is_file()):
        return None
    return PixelFile(path, msgspec.json.decode(notes.read_bytes(), type=Layout))


def _decoded(
    path: Path,
    data: ImageData,
    preprocessing: Preprocessing,
    workers: int,
    progress: Callable[[int, int], None],
) -> PixelFile:
    layout: Layout | None = None

    def write(part: Path) -> None:
        nonlocal layout
        with part.open("wb") as handle, ThreadPoolExecutor(workers) as pool:
            layout = _decode_into(handle.write, data, preprocessing, pool, progress)
        # The notes go first: whoever sees the images in place can then read them.
        write_text(path.with_suffix(".json"), msgspec.json.encode(layout).decode())

    # A process that was faster may be reading its file already; equal keys mean equal bytes.
    write_aside(path, write, replace=False)
    assert layout is not None
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
    sizes: list[tuple[int, int]] = []
    for indices in chunks(range(len(data)), CHUNK):
        results = pool.map(lambda index: _decode(data, index, preprocessing), indices)
        for index, image in zip(indices, results, strict=True):
            if isinstance(image, UnreadableImage):
                unreadable.append(str(image))
                continue
            height, width = image.shape[1:]
            sizes.append((height, width))
            if data.task == "classification" and sizes[0] != (height, width):
                raise UserError(
                    f"The images of '{data.name}' differ in size ({sizes[0][1]}x{sizes[0][0]} and {width}x{height}, "
                    f"{data.ids[index]}) and the model declares no crop. Say which it wants, e.g. --size 224."
                )
            write(image.contiguous().numpy().tobytes())
            readable.append(index)
        progress(len(readable) + len(unreadable), len(data))
    if not sizes:
        first = unreadable[0] if unreadable else "it is empty"
        raise UserError(f"No image of '{data.name}' can be read. {first}")
    largest = max(height for height, _ in sizes), max(width for _, width in sizes)
    return Layout(*largest, tuple(readable), tuple(unreadable), tuple(sizes) if len(set(sizes)) > 1 else ())


def _decode(data: ImageData, index: int, preprocessing: Preprocessing) -> Tensor | UnreadableImage:
    try:
        if isinstance(data, DetectionData):
            _check_objects(data, index)
        return prepare(data.image(index), preprocessing)
    except UnreadableImage as error:
        return error


def _check_objects(data: DetectionData, index: int) -> None:
    """Raise `UnusableAnnotation` before anything is measured; masks that nothing can read are not asked for."""
    try:
        data.objects(index)
    except MissingExtra:
        data.boxes(index)


def chunks(items: Sequence[int], size: int) -> Iterator[Sequence[int]]:
    """Consecutive pieces of `items` of at most `size`."""
    return (items[start : start + size] for start in range(0, len(items), size))
