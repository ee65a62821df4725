"""Named sets of corruptions and severities: what a benchmark means by its name."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from weatherglass.catalog import Catalog

NOISE = ("gaussian_noise", "shot_noise", "impulse_noise")
BLUR = ("defocus_blur", "glass_blur", "motion_blur", "zoom_blur")
WEATHER = ("snow", "frost", "fog", "brightness")
DIGITAL = ("contrast", "elastic_transform", "pixelate", "jpeg_compression")
COMMON = (*NOISE, *BLUR, *WEATHER, *DIGITAL)
EXTRA = ("speckle_noise", "gaussian_blur", "spatter", "saturate")
ALL = (*COMMON, *EXTRA)

HELD_OUT = (
    *("blue_noise", "brown_noise", "checkerboard", "cocentric_waves", "single_frequency"),
    *("plasma_overlay", "chromatic_aberration", "pinch_and_twirl", "sparkles", "inverse_sparkles"),
)
CAMERA = ("low_light", "disk_defocus", "dead_pixels", "rain", "recompression", "resize_chain")

FAN = (
    *("motion_blur", "defocus_blur", "glass_blur", "gaussian_blur"),
    *("gaussian_noise", "impulse_noise", "shot_noise", "speckle_noise"),
    *("contrast", "saturate", "jpeg_compression", "pixelate"),
    *("brightness", "snow", "fog", "frost"),
)
DRIVING = (
    *("motion_blur", "defocus_blur", "glass_blur", "gaussian_blur"),
    *("gaussian_noise", "impulse_noise", "shot_noise", "speckle_noise"),
    *("brightness", "contrast", "saturate", "jpeg_compression"),
    *("snow", "spatter", "fog", "frost"),
)
"""The grouping of Kamann and Rother, "Benchmarking the Robustness of Semantic Segmentation Models" (2020)."""

EVERY_SEVERITY = (1.0, 2.0, 3.0, 4.0, 5.0)


@dataclass(frozen=True)
class Suite:
    """A list of conditions under one name."""

    name: str
    description: str
    """One line, with the source."""
    corruptions: tuple[str, ...]
    severities: Mapping[str, tuple[float, ...]]
    """Severities per corruption."""

    @property
    def conditions(self) -> tuple[tuple[str, float], ...]:
        """Every (corruption, severity), corruption by corruption."""
        return tuple((name, severity) for name in self.corruptions for severity in self.severities[name])


def _suite(name: str, description: str, corruptions: Iterable[str], weaker: Iterable[str] = ()) -> Suite:
    """Severities 1..5, but 1..3 for the corruptions in `weaker`."""
    corruptions, weaker = tuple(corruptions), tuple(weaker)
    severities = {c: EVERY_SEVERITY[:3] if c in weaker else EVERY_SEVERITY for c in corruptions}
    return Suite(name, description, corruptions, severities)


SUITES: Catalog[Suite] = Catalog(
    "suite",
    {
        suite.name: suite
        for suite in (
            _suite("imagenet-c", "the 15 common corruptions, 5 severities (Hendrycks and Dietterich 2019)", COMMON),
            _suite("imagenet-c-extra", "the 4 validation corruptions (Hendrycks and Dietterich 2019)", EXTRA),
            _suite("fan16", "the 16 corruptions listed in table 12 of the FAN paper (Zhou et al. 2022)", FAN),
            _suite("fan17", "fan16 and spatter: what the averages of that table are made of", (*FAN, "spatter")),
            _suite(
                "cityscapes-c",
                "16 corruptions, noise at severities 1-3: 72 conditions (Kamann and Rother 2020, Xie et al. 2021)",
                DRIVING,
                weaker=("gaussian_noise", "impulse_noise", "shot_noise", "speckle_noise"),
            ),
            _suite("coco-c", "the 16 corruptions of cityscapes-c at all 5 severities (Zhou et al. 2022)", DRIVING),
            _suite("held-out", "10 corruptions unlike the 15, after ImageNet-C-bar (Mintun et al. 2021)", HELD_OUT),
            _suite("camera", "6 conditions of cameras and delivery, ours", CAMERA),
            _suite("all", "all 19 published corruptions, 5 severities", ALL),
        )
    },
)
"""Every suite by name."""
