"""The perturbation sequences of ImageNet-P: what changes from frame to frame, as rows of data, nothing else.

Hendrycks and Dietterich, "Benchmarking Neural Network Robustness to Common Corruptions and Perturbations" (ICLR 2019),
and the constants of its published generators for 224, 64 (Tiny ImageNet-P) and 32 pixels (CIFAR-10-P).
"""

from collections.abc import Mapping
from dataclasses import dataclass, field

from weatherglass.catalog import Catalog


@dataclass(frozen=True)
class Ramp:
    """What changes along a sequence: frame i = 0, 1, ... has the value first + i * step."""

    frames: int
    first: float
    step: float
    constants: Mapping[str, float] = field(default_factory=dict)
    """What stays the same."""

    def __iter__(self):
        return (self.first + index * self.step for index in range(self.frames))


@dataclass(frozen=True)
class Grain:
    """Noise: the clean image, then `frames` - 1 independent draws of the corruption of this name."""

    parameter: str
    values: tuple[float, float, float]
    """The parameter at difficulty 1, 2 and 3."""
    frames: int = 31


@dataclass(frozen=True)
class Perturbation:
    """One family of sequences."""

    name: str
    description: str
    levels: Mapping[int, Ramp | Grain]
    """Calibration (224, 64 or 32 pixels) -> its frames."""

    @property
    def noise(self) -> bool:
        """Whether the frames have no order, so that each is compared with the first."""
        return isinstance(self.levels[224], Grain)

    def level(self, calibration: int) -> Ramp | Grain:
        """The frames at a calibration; those for 224 pixels where it has none of its own."""
        return self.levels.get(calibration, self.levels[224])


def _snow(mean: float, scale: float, zoom: float, radius: int, sigma: float) -> Ramp:
    constants = {"mean": mean, "scale": scale, "zoom": zoom, "threshold": 0.5, "radius": radius, "sigma": sigma}
    return Ramp(31, -150, 4, constants | {"picture_weight": 0.85})


def _spatter(mean: float, scale: float, sigma: float, threshold: float) -> Ramp:
    return Ramp(31, 0, 1, {"mean": mean, "scale": scale, "sigma": sigma, "threshold": threshold, "strength": 0.6})


# fmt: off
PERTURBATIONS: Catalog[Perturbation] = Catalog(
    "perturbation",
    {
        row.name: row
        for row in (
            Perturbation("gaussian_noise", "normal noise, new in every frame", {
                224: Grain("scale", (0.03, 0.05, 0.08)),
                64: Grain("scale", (0.025, 0.05, 0.075)),
                32: Grain("scale", (0.02, 0.04, 0.06)),
            }),
            Perturbation("shot_noise", "photons counted anew in every frame", {
                224: Grain("photons", (300, 120, 60)),
                64: Grain("photons", (500, 250, 125)),
                32: Grain("photons", (700, 400, 200)),
            }),
            Perturbation("motion_blur", "a streak that turns; degrees", {
                224: Ramp(31, -120, 4, {"radius": 10, "sigma": 3}),
                # Tiny ImageNet-P blurs before it shrinks, which cannot be done to small images: the streak for 32.
                64: Ramp(31, -150, 5, {"radius": 6, "sigma": 1.8}),
                32: Ramp(21, -180, 9, {"radius": 6, "sigma": 1.8}),
            }),
            Perturbation("zoom_blur", "an exposure during which the lens zooms in; the largest enlargement so far", {
                224: Ramp(31, 1, 0.004),
            }),
            Perturbation("snow", "the same flakes, falling in a turning direction; degrees", {
                224: _snow(0.05, 0.3, 3, 14, 4),
                64: _snow(0.05, 0.28, 2, 10, 2.5),
                32: _snow(0.05, 0.3, 2, 10, 2),
            }),
            Perturbation("brightness", "from dark to bright; added to the value of HSV", {
                224: Ramp(31, -0.3, 0.02),
                32: Ramp(31, -0.225, 0.015),
            }),
            Perturbation("translate", "moved to the right; pixels", {
                224: Ramp(41, -20, 1), 64: Ramp(31, -15, 1), 32: Ramp(16, -7, 1),
            }),
            Perturbation("rotate", "turned clockwise; degrees", {224: Ramp(31, -15, 1)}),
            Perturbation("tilt", "turned out of the plane about both axes; degrees", {
                224: Ramp(31, -15, 1), 32: Ramp(31, -11.25, 0.75),
            }),
            Perturbation("scale", "shrunk, then enlarged; the factor", {
                224: Ramp(31, 0.4, 0.025), 32: Ramp(31, 0.7, 0.02),
            }),
            Perturbation("speckle_noise", "noise in proportion to the light, new in every frame", {
                224: Grain("scale", (0.05, 0.1, 0.15)), 32: Grain("scale", (0.05, 0.07, 0.1)),
            }),
            Perturbation("gaussian_blur", "blurred more and more; sigma in pixels", {
                224: Ramp(31, 0.25, 0.035), 64: Ramp(31, 0.35, 0.014), 32: Ramp(31, 0.3, 0.015),
            }),
            Perturbation("spatter", "drops of water that run down; frames", {
                224: _spatter(0.65, 0.27, 3.7, 0.69),
                64: _spatter(0.6, 0.25, 1.75, 0.7),
                32: _spatter(0.6, 0.265, 1.75, 0.7),
            }),
            Perturbation("shear", "sheared along the rows; degrees", {224: Ramp(31, -15, 1)}),
        )
    },
)
# fmt: on
"""Every family of sequences by name: the ten of ImageNet-P, then its four for validation."""

RUNNING = {224: (0.05, 0.1, 0.15, 0.7), 64: (0.2, 0.8), 32: (0.2, 0.8)}
"""How spatter runs down from one frame to the next: weights of the rows from just below (or here) upwards."""


@dataclass(frozen=True)
class PerturbationSuite:
    """Sequences under one name."""

    description: str
    names: tuple[str, ...]


_ALL = tuple(PERTURBATIONS)

PERTURBATION_SUITES: Catalog[PerturbationSuite] = Catalog(
    "suite",
    {
        "imagenet-p": PerturbationSuite(
            "10 perturbation sequences: flips and top-5 distance (Hendrycks and Dietterich 2019)", _ALL[:10]
        ),
        "imagenet-p-extra": PerturbationSuite("the 4 validation sequences of ImageNet-P", _ALL[10:]),
        "cifar10-p": PerturbationSuite(
            "the 10 sequences of CIFAR-10-P: spatter in place of snow",
            tuple("spatter" if name == "snow" else name for name in _ALL[:10]),
        ),
    },
)
"""Every suite of sequences by name."""
