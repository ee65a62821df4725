"""What is kept of a measured cell: its scores, how they came about, and what was seen of each sample."""

from dataclasses import dataclass, field

import numpy as np

from weatherglass.evaluation.protocol import Cell, Protocol


@dataclass(frozen=True, kw_only=True)
class Provenance:
    """Circumstances of a measurement that do not change its numbers."""

    created: str = ""
    """UTC time at which the cell was finished, ISO 8601."""
    seconds: float = 0.0
    """Wall time of the whole cell."""
    disturb_seconds: float = 0.0
    predict_seconds: float = 0.0
    batch_size: int = 0
    threads: int = 0
    device_name: str = ""
    notes: tuple[str, ...] = ()
    """Anything unusual, e.g. 'out of memory: forward batch halved to 16'."""


@dataclass(frozen=True, kw_only=True)
class CellRecord:
    """One measured cell, without its samples: small enough to hold thousands in memory."""

    key: str
    cell: Cell
    protocol: Protocol
    family: str
    """Heading of the disturbance: 'clean', 'noise', 'blur', 'weather', 'digital' ..."""
    kind: str
    """The disturbance without its severity: 'fog' for 'fog@3'."""
    severity: float | None
    scores: dict[str, float]
    """`Task.summarise` of the samples."""
    parameters: int = 0
    """Learned parameters of the model; 0 where unknown."""
    provenance: Provenance = field(default_factory=Provenance)


@dataclass(frozen=True, kw_only=True)
class FailedCell:
    """A cell that could not be measured, and why. It counts as missing: the next run tries it again."""

    key: str
    cell: Cell
    protocol: Protocol
    reason: str
    created: str = ""


@dataclass(frozen=True, kw_only=True)
class DataManifest:
    """What a store keeps of a data set, so that reports need not find it again."""

    digest: str
    name: str
    selection: str
    classes: tuple[str, ...]
    samples: int
    unreadable: tuple[str, ...] = ()
    """Files that did not decode and were left out, each with its reason."""


@dataclass(frozen=True)
class Observations:
    """What was seen of each sample of a cell, as columns of equal length, in data-set order."""

    ids: tuple[str, ...]
    labels: np.ndarray
    columns: dict[str, np.ndarray]
    """`Task.observe`: for classification `prediction`, `rank`, `confidence`, `nll`, `brier`; for segmentation `found`,
    `predicted`, `true` (samples, classes) and `iou`; for detection lists of one number an object, and `ap`."""

    @property
    def correct(self) -> np.ndarray:
        """bool, shape (samples,): whether the largest output is the true class (classification)."""
        return self.columns["rank"] == 0


@dataclass(frozen=True)
class Picture:
    """A sample kept for the gallery: right when clean, wrong when disturbed."""

    id: str
    label: int
    clean_prediction: int
    prediction: int
    confidence: float
    clean: bytes
    """Encoded image (PNG or JPEG) as the model saw it, before the disturbance."""
    disturbed: bytes


IMAGE_SCORES = {"segmentation": "iou", "detection": "ap"}
"""Task -> the column that scores each image by itself."""


@dataclass(frozen=True)
class Overlay:
    """A sample kept for the gallery: picture, and masks or objects found in it, side by side, clean and disturbed."""

    id: str
    clean_score: float
    """The image's own mIoU or AP."""
    score: float
    clean: bytes
    """Encoded: the image as the model saw it, and the prediction over it."""
    disturbed: bytes
