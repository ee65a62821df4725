"""The words every part shares: images, batches, preprocessing, predictors, data sets, disturbances.

Everything Weatherglass measures is a cell: a model (`Predictor`) looks at data (`ImageData`) under one
`Disturbance`. These are the interfaces; the parts that implement them never import each other.
"""

from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace

import numpy as np
import torch
from jaxtyping import Bool, Float, Int, UInt8
from torch import Tensor

from weatherglass.errors import UserError

Images = Float[Tensor, "batch 3 height width"]
"""RGB in [0, 1], never normalised."""

Pixels = UInt8[Tensor, "batch 3 height width"]
"""RGB as decoded, 0..255."""

Logits = Float[Tensor, "batch classes"]

PixelLogits = Float[Tensor, "batch classes height width"]
"""Of a segmenter, at the size of its images."""

Masks = UInt8[Tensor, "batch height width"]
"""Class index of every pixel; `IGNORE` where the truth is unknown or does not count."""

IGNORE = 255


@dataclass(frozen=True, eq=False)
class Objects:
    """The objects of one image, as they truly are or as a detector found them. All arrays have one row an object."""

    boxes: Float[np.ndarray, "objects 4"]
    """x0, y0, x1, y1 in pixels of the image; x1 and y1 are exclusive, so width is x1 - x0."""
    classes: Int[np.ndarray, " objects"]
    """Index into the classes of the data."""
    scores: Float[np.ndarray, " objects"] | None = None
    """Confidence in [0, 1] of found objects; None for the truth."""
    masks: Bool[np.ndarray, "objects height width"] | None = None
    """The pixels of each object, at the size of the image; None where only boxes are known."""
    crowd: Bool[np.ndarray, " objects"] | None = None
    """True objects that stand for a group: what is found on them counts neither way. None: there are none."""
    areas: Float[np.ndarray, " objects"] | None = None
    """Area in pixels that decides between small, medium and large, where the data state one; None: that of masks, else
    of boxes."""

    def __len__(self) -> int:
        return len(self.boxes)


@dataclass(frozen=True)
class Preprocessing:
    """How a model wants its images: geometry (done once, on uint8) and normalisation (done by the predictor)."""

    size: tuple[int, int] | None = None
    """Height and width of the centre crop in pixels; None leaves every image as it is."""
    resize: int | tuple[int, int] | None = None
    """Length of the shorter side before cropping, or (height, width) reached as `fit` says; None: no resizing."""
    interpolation: str = "bicubic"
    """'nearest', 'bilinear' or 'bicubic', with antialiasing, on uint8."""
    mean: tuple[float, ...] = (0.0, 0.0, 0.0)
    std: tuple[float, ...] = (1.0, 1.0, 1.0)
    """Normalisation of pixels in [0, 1]: (pixel - mean) / std, applied inside the predictor."""
    source: str = "none declared"
    """Where these values come from, for the protocol: 'timm', 'torchvision', 'factory', 'command line' ..."""
    fit: str = "squash"
    """How a (height, width) `resize` is reached: 'squash' stretches to it, 'cover' keeps the aspect and fills both
    sides, 'contain' keeps the aspect, stays inside both sides and pads to the crop with the mean colour."""

    @property
    def geometry(self) -> str:
        """Stable text of the geometric part, e.g. 'resize 256 bicubic, crop 224x224'."""
        steps = []
        if self.resize is not None:
            side = f"{self.resize[0]}x{self.resize[1]}" if isinstance(self.resize, tuple) else str(self.resize)
            fit = f" {self.fit}" if isinstance(self.resize, tuple) and self.fit != "squash" else ""
            steps.append(f"resize {side} {self.interpolation}{fit}")
        if self.size is not None:
            steps.append(f"crop {self.size[0]}x{self.size[1]}")
        return ", ".join(steps) or "none"

    @property
    def padding(self) -> tuple[int, ...]:
        """The colour beside an image that is smaller than the crop, 0..255; with `geometry` it decides the pixels."""
        if self.fit != "contain" or not isinstance(self.resize, tuple):
            return (0, 0, 0)
        return tuple(round(255 * value) for value in self.mean)

    @property
    def normalisation(self) -> str:
        """Stable text of the normalisation, e.g. 'mean 0.485 0.456 0.406, std 0.229 0.224 0.225'."""
        numbers = [" ".join(f"{value:g}" for value in values) for values in (self.mean, self.std)]
        return f"mean {numbers[0]}, std {numbers[1]}"


@dataclass(frozen=True)
class Batch:
    """A few samples on their way to a model."""

    images: Pixels | Images
    labels: Int[Tensor, " batch"]
    ids: tuple[str, ...]
    """Sample ids, unique within the data set; randomness is keyed by them."""


class Predictor(ABC):
    """A model behind the one border that matters: images in [0, 1] in, raw outputs out.

    It owns normalisation, device, precision and evaluation mode, so nothing can normalise twice. It does not
    resize: `preprocessing` says which geometry the images must already have.
    """

    name: str
    """As the user wrote it, e.g. 'timm/resnet50.a1_in1k' or 'model.py:resnet20'."""
    digest: str
    """Digest of weights, parts, settings and own code: two predictors with equal digests compute the same function."""
    preprocessing: Preprocessing
    classes: int
    """Number of outputs."""
    class_names: tuple[str, ...] | None
    """Names of the outputs where the model knows them, in output order."""
    device: torch.device
    precision: str
    """'float32', 'bfloat16' or 'float16' (autocast)."""
    differentiable: bool
    """Whether gradients reach the images."""
    parameters: int
    """Number of learned parameters; 0 where it cannot be known."""
    task: str = "classification"
    """What its outputs are: 'classification', 'segmentation' or 'detection'; decides how they are scored."""

    @property
    def decision(self) -> str:
        """Which outputs compete for the prediction, for the protocol: 'all 1000', or a mask or grouping by name."""
        return f"all {self.classes}"

    @abstractmethod
    def __call__(self, images: Images) -> Logits | PixelLogits:
        """Raw outputs in float32 for images in [0, 1] on `device`: one row an image, or (segmentation) a map."""


class ImageData(ABC):
    """Labelled images that are decoded one at a time, on demand. Instances are immutable."""

    name: str
    """As the user wrote it, e.g. 'imagefolder:photos/val'."""
    classes: tuple[str, ...]
    """Class names in label order."""
    ids: tuple[str, ...]
    """One id a sample, unique and stable across machines (a path relative to the root, or 'test/00017')."""
    labels: np.ndarray
    """int64, shape (samples,), indices into `classes`."""
    digest: str
    """Digest of ids, labels and stored bytes (or of what identifies them): equal digests mean equal data."""
    accepted: tuple[tuple[int, ...], ...] | None = None
    """For each sample all labels that count as right, where there may be several; None: `labels` alone."""
    selection: str = "all"
    """Which part of the whole this is, e.g. 'stratified 500 of 10000, seed 0'."""
    task: str = "classification"
    """What its truth is for: 'classification' (labels), 'segmentation' (masks) or 'detection' (objects)."""

    def __len__(self) -> int:
        return len(self.ids)

    @abstractmethod
    def image(self, index: int) -> UInt8[Tensor, "3 height width"]:
        """Decode one image to RGB. Raises `UnreadableImage` when the file does not decode."""

    @abstractmethod
    def select(self, indices: Sequence[int], selection: str) -> "ImageData":
        """The samples at `indices`, in that order; `selection` says how they were chosen."""


class Disturbance(ABC):
    """One thing done to the input or to the model before it predicts: a frozen record with a stable text form.

    `str(disturbance)` names it in cells, tables and commands ('clean', 'fog@3'). An input disturbance overrides
    `of_input`, a model disturbance `of_model`; the other stays the identity.
    """

    @abstractmethod
    def __str__(self) -> str: ...

    @property
    @abstractmethod
    def family(self) -> str:
        """The heading it stands under in reports: 'clean', 'noise', 'blur', 'weather', 'digital', 'attack' ..."""

    @property
    def severity(self) -> float | None:
        """Position on the disturbance's own scale (1..5 for corruptions); None where there is none."""
        return None

    @property
    def kind(self) -> str:
        """The text form without the severity: 'fog' for 'fog@3'. Conditions of one kind form one curve."""
        return str(self).split("@")[0]

    @property
    def keeps_layout(self) -> bool:
        """Whether everything stays where it is in the picture, so that masks of the clean image remain true."""
        return False

    def protocol(self, height: int, width: int) -> dict[str, str]:
        """What, besides the text form, decides the disturbed pixels at this size: backend, definition, constants."""
        return {}

    @property
    def passes(self) -> float | None:
        """Forward passes that disturbing one image costs (a gradient counts three); None: no model is asked."""
        return None

    @property
    def needs_labels(self) -> bool:
        """Whether it looks for a wrong answer: the labels of a batch must then be indices into the outputs."""
        return False

    def chunk(self, predictor: Predictor) -> int:
        """Images that are worked on together. Batches are whole multiples of it, so that no number depends on their
        size; 1 where the images do not meet."""
        return 1

    def check(self, predictor: Predictor) -> None:  # noqa: B027 - most disturbances suit every predictor
        """Raise `UserError` where this predictor cannot be disturbed so; asked before anything is measured."""

    def of_input(self, batch: Batch, predictor: Predictor, *, seed: int) -> Pixels | Images:
        """The disturbed images; pure, and row i depends on (seed, ids[i]) and the image alone."""
        return batch.images

    def check_masks(self, height: int, width: int) -> None:
        """Raise `UserError` where masks of this size would not be true of the disturbed images."""
        if not self.keeps_layout:
            raise UserError(
                f"{self} cannot be measured on masks: it moves pixels or asks for class labels. Use corruptions "
                "(elastic_transform moves the masks along)."
            )

    def of_masks(self, masks: Masks, ids: tuple[str, ...], *, seed: int) -> Masks:
        """The masks of the disturbed images; `check_masks` comes first."""
        return masks

    @contextmanager
    def of_model(self, predictor: Predictor) -> Iterator[Predictor]:
        """The disturbed model, for the time of the `with` block; the model is bit-identical afterwards."""
        yield predictor


class FrameSequence(Disturbance):
    """Several slightly different versions of each image: what is measured is how the prediction changes among them."""

    @property
    def family(self) -> str:
        return SEQUENCES

    @property
    @abstractmethod
    def noise(self) -> bool:
        """Whether the frames have no order: each is then compared with the first, else with the one before it."""

    @abstractmethod
    def frames_of_input(self, batch: Batch, *, seed: int) -> Iterator[Pixels | Images]:
        """The frames of the batch, one after the other; row i depends on (seed, ids[i]) and the image alone."""

    def of_input(self, batch: Batch, predictor: Predictor, *, seed: int) -> Pixels | Images:
        raise UserError(f"'{self}' makes many images of one, and only `weatherglass evaluate` measures such sequences.")


SEQUENCES = "sequence"
"""The family of every `FrameSequence`: tables of accuracies leave it out."""


@dataclass(frozen=True)
class Clean(Disturbance):
    """No disturbance: the baseline that every other condition is compared with."""

    def __str__(self) -> str:
        return "clean"

    @property
    def family(self) -> str:
        return "clean"

    @property
    def keeps_layout(self) -> bool:
        return True


class SegmentationData(ImageData):
    """Images with a mask each. `classes` are those of the pixels; `labels` are all 0, since no image has a class."""

    task = "segmentation"

    @abstractmethod
    def mask(self, index: int) -> UInt8[Tensor, "height width"]:
        """Class index of every pixel, `IGNORE` where it does not count. Raises `UserError` for a mask that is
        missing, of another size than its image, or holds an id that is no class."""

    @abstractmethod
    def select(self, indices: Sequence[int], selection: str) -> "SegmentationData": ...


class DetectionData(ImageData):
    """Images with boxes, and often masks, of the objects in them. `labels` are all 0, since no image has a class."""

    task = "detection"
    has_masks: bool
    """Whether every object has a mask."""

    @abstractmethod
    def objects(self, index: int) -> Objects:
        """What is in one image, in the pixels of `image(index)`. Raises `UnusableAnnotation` for a box without area or
        beside the image, and for a mask that does not decode or has another size."""

    def boxes(self, index: int) -> Objects:
        """The same without masks, for detectors that find none; masks need not be decoded for it."""
        return replace(self.objects(index), masks=None)

    @abstractmethod
    def select(self, indices: Sequence[int], selection: str) -> "DetectionData": ...
