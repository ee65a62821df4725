"""A segmenter behind the border: images in [0, 1] in, a score for every class and pixel out; whole or by windows."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from jaxtyping import Int
from torch import Tensor, nn

from weatherglass.errors import UserError
from weatherglass.models.predictor import TorchPredictor
from weatherglass.types import Images, PixelLogits, Preprocessing


@dataclass(frozen=True)
class Windows:
    """Inference by overlapping windows of one size; the scores of overlapping windows are averaged."""

    height: int
    width: int
    stride_down: int
    stride_right: int

    def __post_init__(self) -> None:
        if min(self.height, self.width, self.stride_down, self.stride_right) < 1:
            raise UserError("Windows and strides have at least 1 pixel.")
        if self.stride_down > self.height or self.stride_right > self.width:
            raise UserError(f"With the stride {self.stride} the windows {self.size} would leave gaps between them.")

    @classmethod
    def parse(cls, text: str) -> "Windows":
        """'1024/768' or '512x1024/384x768': height x width of the window, then of the stride."""
        try:
            size, _, stride = text.partition("/")
            (height, width), (down, right) = _two(size), _two(stride)
        except ValueError:
            raise UserError(f"The window '{text}' is not understood: write SIZE/STRIDE, e.g. 1024/768.") from None
        return cls(height, width, down, right)

    @property
    def size(self) -> str:
        return f"{self.height}x{self.width}"

    @property
    def stride(self) -> str:
        return f"{self.stride_down}x{self.stride_right}"

    def __str__(self) -> str:
        return f"windows {self.size}, stride {self.stride}"

    def places(self, height: int, width: int) -> Iterator[tuple[int, int]]:
        """Top and left of every window over an image: a last window that would stick out is moved inside."""
        for top in _starts(height, self.height, self.stride_down):
            for left in _starts(width, self.width, self.stride_right):
                yield top, left


def _two(text: str) -> tuple[int, int]:
    first, _, second = text.partition("x")
    return int(first), int(second or first)


def _starts(length: int, window: int, stride: int) -> list[int]:
    count = max(length - window + stride - 1, 0) // stride + 1
    return [max(min(i * stride, length - window), 0) for i in range(count)]


class SegmentationPredictor(TorchPredictor):
    """A module whose outputs are maps of class scores, at any stride; they are brought to the size of the images."""

    task = "segmentation"

    def __init__(
        self,
        module: nn.Module,
        *,
        name: str,
        preprocessing: Preprocessing | None = None,
        class_names: tuple[str, ...] | None = None,
        windows: Windows | None = None,
        device: str | torch.device = "auto",
        precision: str = "float32",
        classes: int | None = None,
        digest: str | None = None,
    ) -> None:
        self.windows = windows
        super().__init__(
            module,
            name=name,
            preprocessing=preprocessing,
            class_names=class_names,
            device=device,
            precision=precision,
            classes=classes,
            digest=digest,
        )

    @property
    def decision(self) -> str:
        """All classes compete in every pixel; by windows or on the whole image."""
        return f"all {self.classes}, {self.windows or 'whole images'}"

    def __call__(self, images: Images) -> PixelLogits:  # pyright: ignore[reportIncompatibleMethodOverride]
        """Scores in float32 at the size of the images."""
        if self.windows is None:
            return self._scores(images)
        return slide(self._scores, images, self.windows)

    def _scores(self, images: Images) -> PixelLogits:
        normalised = ((images - self._mean) / self._std).contiguous(memory_format=self._layout)
        with self._autocast():
            output = self.module(normalised)
        scores = maps_of(output, self.name).float()
        if scores.shape[2:] != images.shape[2:]:
            scores = F.interpolate(scores, size=images.shape[2:], mode="bilinear", align_corners=False)
        return scores


def slide(scores: Callable[[Images], PixelLogits], images: Images, windows: Windows) -> PixelLogits:
    """The average of `scores` over all windows that hold a pixel; images smaller than a window are seen whole."""
    height, width = images.shape[2:]
    total = images.new_zeros(0)
    count: Int[Tensor, "height width"] = torch.zeros(height, width, dtype=torch.int32, device=images.device)
    for top, left in windows.places(height, width):
        down, right = slice(top, top + windows.height), slice(left, left + windows.width)
        part = scores(images[:, :, down, right])
        if not len(total):
            total = part.new_zeros(len(images), part.shape[1], height, width)
        total[:, :, down, right] += part
        count[down, right] += 1
    return total / count


def maps_of(output: object, name: str) -> PixelLogits:
    """The scores in what a segmenter returned: a tensor, the first of a tuple, 'out' of a dict, or `.logits`."""
    if isinstance(output, dict):
        output = output.get("out", output.get("logits"))
    if isinstance(output, tuple | list) and output:
        output = output[0]
    scores = getattr(output, "logits", output)
    if not isinstance(scores, Tensor) or scores.ndim != 4:
        shape = tuple(scores.shape) if isinstance(scores, Tensor) else type(scores).__name__
        raise UserError(
            f"{name} returned {shape}; a segmenter returns scores of shape (batch, classes, height, width)."
        )
    return scores
