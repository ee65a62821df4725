"""The readable definition of every corruption: name -> torch kernel, and what it takes besides its level."""

from collections.abc import Callable
from dataclasses import dataclass

from weatherglass.catalog import Catalog
from weatherglass.corruptions import blur, camera, digital, heldout, noise, weather
from weatherglass.corruptions.frost import Textures
from weatherglass.corruptions.level import Level
from weatherglass.randomness import Draws
from weatherglass.types import Images, Pixels


@dataclass(frozen=True)
class Circumstances:
    """What a kernel may ask for besides the images and its level."""

    draws: Draws
    eight_bit: bool
    """Whether the images came as uint8: some definitions then round between their steps."""
    textures: Callable[[], Textures]
    """Frost textures, read when asked for."""


@dataclass(frozen=True)
class Kernel:
    """A pure function of images with its parameters by keyword; the engine clips what it returns."""

    function: Callable[..., Images | Pixels]
    draws: bool = False
    eight_bit: bool = False
    textures: bool = False
    on_bytes: bool = False
    """Takes and returns uint8 images (codecs) instead of floats in [0, 1]."""

    def __call__(self, images: Images | Pixels, level: Level, around: Circumstances) -> Images | Pixels:
        extra = {}
        if self.draws:
            extra["draws"] = around.draws
        if self.eight_bit:
            extra["eight_bit"] = around.eight_bit
        if self.textures:
            extra["textures"] = around.textures()
        return self.function(images, **level, **extra)


KERNELS: Catalog[Kernel] = Catalog(
    "corruption",
    {
        "gaussian_noise": Kernel(noise.gaussian_noise, draws=True),
        "shot_noise": Kernel(noise.shot_noise, draws=True),
        "impulse_noise": Kernel(noise.impulse_noise, draws=True),
        "defocus_blur": Kernel(blur.defocus_blur),
        "glass_blur": Kernel(blur.glass_blur, draws=True, eight_bit=True),
        "motion_blur": Kernel(blur.motion_blur, draws=True),
        "zoom_blur": Kernel(blur.zoom_blur),
        "snow": Kernel(weather.snow, draws=True),
        "frost": Kernel(weather.frost, draws=True, textures=True),
        "fog": Kernel(weather.fog, draws=True),
        "brightness": Kernel(weather.brightness),
        "contrast": Kernel(digital.contrast),
        "elastic_transform": Kernel(digital.elastic_transform, draws=True),
        "pixelate": Kernel(digital.pixelate, eight_bit=True),
        "jpeg_compression": Kernel(digital.jpeg_compression, on_bytes=True),
        "speckle_noise": Kernel(noise.speckle_noise, draws=True),
        "gaussian_blur": Kernel(blur.gaussian_blur),
        "spatter": Kernel(weather.spatter, draws=True),
        "saturate": Kernel(digital.saturate),
        "blue_noise": Kernel(heldout.blue_noise, draws=True),
        "brown_noise": Kernel(heldout.brown_noise, draws=True),
        "checkerboard": Kernel(heldout.checkerboard, draws=True),
        "cocentric_waves": Kernel(heldout.cocentric_waves, draws=True),
        "single_frequency": Kernel(heldout.single_frequency, draws=True),
        "plasma_overlay": Kernel(heldout.plasma_overlay, draws=True),
        "chromatic_aberration": Kernel(heldout.transverse_chromatic_aberration),
        "pinch_and_twirl": Kernel(heldout.pinch_and_twirl, draws=True),
        "sparkles": Kernel(heldout.sparkles, draws=True),
        "inverse_sparkles": Kernel(heldout.inverse_sparkles, draws=True),
        "low_light": Kernel(camera.low_light, draws=True),
        "disk_defocus": Kernel(camera.disk_defocus),
        "recompression": Kernel(camera.recompression, on_bytes=True),
        "resize_chain": Kernel(camera.resize_chain),
        "dead_pixels": Kernel(camera.dead_pixels, draws=True),
        "rain": Kernel(camera.rain, draws=True),
    },
)
