"""The published corruptions and their severities: constants as rows of data, nothing else.

Sources: Hendrycks and Dietterich, "Benchmarking Neural Network Robustness to Common Corruptions and Perturbations"
(ICLR 2019) and its code for 224, 64 (Tiny ImageNet-C) and 32 pixels (CIFAR-10-C); Michaelis et al., "Benchmarking
Robustness in Object Detection" (2019), whose package `imagecorruptions` carries the 224-pixel constants to any size.
"""

from weatherglass.catalog import Catalog
from weatherglass.corruptions.level import Corruption, columns, same

HENDRYCKS = "Hendrycks and Dietterich 2019"
MINTUN = "after Mintun et al. 2021, parameters ours"

# Lengths are in pixels, weights and noise in parts of the full range, `*_of_height` and `*_of_side` in parts of the
# image. Where 64 pixels has no row of its own, the source uses the 224-pixel row.
_SNOW_32 = {
    "mean": (0.1, 0.1, 0.15, 0.25, 0.3),
    "scale": (0.2, 0.2, 0.3, 0.3, 0.3),
    "zoom": (1.0, 1.0, 1.75, 2.25, 1.25),
    "threshold": (0.6, 0.5, 0.55, 0.6, 0.65),
    "radius": (8, 10, 10, 12, 14),
    "sigma": (3.0, 4.0, 4.0, 6.0, 12.0),
}
_SNOW_224 = {
    "mean": (0.1, 0.2, 0.55, 0.55, 0.55),
    "scale": (0.3, 0.3, 0.3, 0.3, 0.3),
    "zoom": (3.0, 2.0, 4.0, 4.5, 2.5),
    "threshold": (0.5, 0.5, 0.9, 0.85, 0.85),
    "radius": (10, 12, 12, 12, 12),
    "sigma": (4.0, 4.0, 8.0, 8.0, 12.0),
    "picture_weight": (0.8, 0.7, 0.7, 0.65, 0.55),
}
_FROST_224 = {"picture_weight": (1.0, 0.8, 0.7, 0.65, 0.6), "frost_weight": (0.4, 0.6, 0.7, 0.7, 0.75)}
_FOG_224 = {"amount": (1.5, 2.0, 2.5, 2.5, 3.0), "decay": (2.0, 2.0, 1.7, 1.5, 1.4)}
_ELASTIC_32 = columns(
    amplitude_of_height=(0.0, 0.05, 0.08, 0.1, 0.1),
    sigma_of_side=(0.0, 0.2, 0.06, 0.04, 0.03),
    corner_jitter_of_side=(0.08, 0.07, 0.06, 0.05, 0.03),
)

# fmt: off
CORRUPTIONS: Catalog[Corruption] = Catalog(
    "corruption",
    {
        corruption.name: corruption
        for corruption in (
            Corruption(
                "gaussian_noise", "noise", "Gaussian noise, each channel on its own", HENDRYCKS, True,
                {
                    224: columns(scale=(0.08, 0.12, 0.18, 0.26, 0.38)),
                    64: columns(scale=(0.04, 0.08, 0.12, 0.15, 0.18)),
                    32: columns(scale=(0.04, 0.06, 0.08, 0.09, 0.10)),
                },
            ),
            Corruption(
                "shot_noise", "noise", "Poisson noise of few photons", HENDRYCKS, True,
                {
                    224: columns(photons=(60.0, 25.0, 12.0, 5.0, 3.0)),
                    64: columns(photons=(250.0, 100.0, 50.0, 30.0, 15.0)),
                    32: columns(photons=(500.0, 250.0, 100.0, 75.0, 50.0)),
                },
            ),
            Corruption(
                "impulse_noise", "noise", "salt and pepper, each channel on its own", HENDRYCKS, True,
                {
                    224: columns(amount=(0.03, 0.06, 0.09, 0.17, 0.27)),
                    64: columns(amount=(0.01, 0.02, 0.05, 0.08, 0.14)),
                    32: columns(amount=(0.01, 0.02, 0.03, 0.05, 0.07)),
                },
            ),
            Corruption(
                "defocus_blur", "blur", "a lens out of focus: a disk kernel", HENDRYCKS, False,
                {
                    224: columns(radius=(3.0, 4.0, 6.0, 8.0, 10.0), alias_sigma=(0.1, 0.5, 0.5, 0.5, 0.5)),
                    64: columns(radius=(0.5, 1.0, 1.5, 2.5, 3.0), alias_sigma=(0.6, 0.1, 0.1, 0.01, 0.1)),
                    32: columns(radius=(0.3, 0.4, 0.5, 1.0, 1.5), alias_sigma=(0.4, 0.5, 0.6, 0.2, 0.1)),
                },
            ),
            Corruption(
                "glass_blur", "blur", "frosted glass: blur, local shuffling, blur", HENDRYCKS, True,
                {
                    224: columns(sigma=(0.7, 0.9, 1.0, 1.1, 1.5), reach=(1, 2, 2, 3, 4), passes=(2, 1, 3, 2, 2)),
                    64: columns(sigma=(0.1, 0.5, 0.6, 0.7, 0.9), reach=(1, 1, 1, 2, 2), passes=(1, 1, 2, 1, 2)),
                    32: columns(sigma=(0.05, 0.25, 0.4, 0.25, 0.4), reach=(1, 1, 1, 1, 1), passes=(1, 1, 1, 2, 2)),
                },
            ),
            Corruption(
                "motion_blur", "blur", "a moving camera: one-sided streak at -45..45 degrees", HENDRYCKS, True,
                {
                    224: columns(radius=(10, 15, 15, 15, 20), sigma=(3.0, 5.0, 8.0, 12.0, 15.0)),
                    64: columns(radius=(10, 10, 10, 10, 12), sigma=(1.0, 1.5, 2.0, 2.5, 3.0)),
                    32: columns(radius=(6, 6, 6, 8, 9), sigma=(1.0, 1.5, 2.0, 2.0, 2.5)),
                },
            ),
            Corruption(
                "zoom_blur", "blur", "a moving zoom: the mean of enlarged copies", HENDRYCKS, False,
                {
                    # The counts are those of arange(1, stop, step), whose rounding includes 1.11 at severity 1.
                    224: columns(factors=(12, 16, 11, 13, 11), step=(0.01, 0.01, 0.02, 0.02, 0.03)),
                    64: columns(factors=(7, 12, 16, 21, 26), step=(0.01, 0.01, 0.01, 0.01, 0.01)),
                    32: columns(factors=(7, 12, 16, 21, 26), step=(0.01, 0.01, 0.01, 0.01, 0.01)),
                },
            ),
            Corruption(
                "snow", "weather", "falling flakes and a whitened picture", HENDRYCKS, True,
                {
                    224: columns(**_SNOW_224, **same(central=False)),
                    64: columns(**_SNOW_32, picture_weight=(0.8, 0.8, 0.7, 0.65, 0.6), **same(central=True)),
                    32: columns(**_SNOW_32, picture_weight=(0.95, 0.9, 0.9, 0.85, 0.8), **same(central=True)),
                },
                {224: columns(**_SNOW_224, **same(central=True))},
            ),
            Corruption(
                "frost", "weather", "ice on the window: a texture is added", HENDRYCKS, True,
                {
                    224: columns(**_FROST_224, **same(texture_scale=1.1)),
                    64: columns(
                        picture_weight=(1.0, 0.9, 0.8, 0.75, 0.7), frost_weight=(0.3, 0.4, 0.45, 0.5, 0.55),
                        **same(texture_scale=0.3),
                    ),
                    32: columns(
                        picture_weight=(1.0, 1.0, 0.9, 0.85, 0.75), frost_weight=(0.2, 0.3, 0.4, 0.4, 0.45),
                        **same(texture_scale=0.2),
                    ),
                },
                {224: columns(**_FROST_224, **same(texture_scale=1.0))},
            ),
            Corruption(
                "fog", "weather", "a plasma-fractal haze", HENDRYCKS, True,
                {
                    224: columns(**_FOG_224, **same(smallest_map=1)),
                    64: columns(
                        amount=(0.4, 0.7, 1.0, 1.5, 2.0), decay=(3.0, 3.0, 2.5, 2.0, 1.75), **same(smallest_map=1)
                    ),
                    32: columns(
                        amount=(0.2, 0.5, 0.75, 1.0, 1.5), decay=(3.0, 3.0, 2.5, 2.0, 1.75), **same(smallest_map=1)
                    ),
                },
                {224: columns(**_FOG_224, **same(smallest_map=256))},
            ),
            Corruption(
                "brightness", "weather", "more light: a constant added to the value of HSV", HENDRYCKS, False,
                {
                    224: columns(shift=(0.1, 0.2, 0.3, 0.4, 0.5)),
                    32: columns(shift=(0.05, 0.1, 0.15, 0.2, 0.3)),
                },
            ),
            Corruption(
                "contrast", "digital", "less contrast around the mean of each channel", HENDRYCKS, False,
                {
                    224: columns(factor=(0.4, 0.3, 0.2, 0.1, 0.05)),
                    32: columns(factor=(0.75, 0.5, 0.4, 0.3, 0.15)),
                },
            ),
            Corruption(
                "elastic_transform", "digital", "smooth local displacements", HENDRYCKS, True,
                {
                    # 250 times the published alphas, times the half-range 0.005 H of the noise.
                    224: columns(
                        amplitude_of_height=(0.0625, 0.08125, 0.10625, 0.125, 0.15),
                        **same(sigma_of_side=0.01, corner_jitter_of_side=0.0),
                    ),
                    64: _ELASTIC_32,
                    32: _ELASTIC_32,
                },
                {
                    # The published code writes 244 where the side is 224.
                    224: columns(
                        amplitude_of_height=tuple(244 / 224 * value for value in (2.0, 2.0, 0.05, 0.07, 0.12)),
                        sigma_of_side=tuple(244 / 224 * value for value in (0.7, 0.08, 0.01, 0.01, 0.01)),
                        corner_jitter_of_side=tuple(244 / 224 * value for value in (0.1, 0.2, 0.02, 0.02, 0.02)),
                    )
                },
            ),
            Corruption(
                "pixelate", "digital", "low resolution: box shrinking, nearest enlarging", HENDRYCKS, False,
                {
                    224: columns(fraction=(0.6, 0.5, 0.4, 0.3, 0.25)),
                    64: columns(fraction=(0.9, 0.8, 0.7, 0.6, 0.5)),
                    32: columns(fraction=(0.95, 0.9, 0.85, 0.75, 0.65)),
                },
            ),
            Corruption(
                "jpeg_compression", "digital", "JPEG, 4:2:0", HENDRYCKS, False,
                {
                    224: columns(quality=(25, 18, 15, 10, 7)),
                    64: columns(quality=(65, 58, 50, 40, 25)),
                    32: columns(quality=(80, 65, 58, 50, 40)),
                },
            ),
            Corruption(
                "speckle_noise", "noise", "Gaussian noise in proportion to the light", HENDRYCKS, True,
                {
                    224: columns(scale=(0.15, 0.2, 0.35, 0.45, 0.6)),
                    64: columns(scale=(0.15, 0.2, 0.25, 0.3, 0.35)),
                    32: columns(scale=(0.06, 0.1, 0.12, 0.16, 0.2)),
                },
            ),
            Corruption(
                "gaussian_blur", "blur", "a Gaussian kernel", HENDRYCKS, False,
                {
                    224: columns(sigma=(1.0, 2.0, 3.0, 4.0, 6.0)),
                    64: columns(sigma=(0.5, 0.75, 1.0, 1.25, 1.5)),
                    32: columns(sigma=(0.4, 0.6, 0.7, 0.8, 1.0)),
                },
            ),
            Corruption(
                "spatter", "weather", "water drops (1-3) or mud (4-5) on the lens", HENDRYCKS, True,
                {
                    224: columns(
                        mean=(0.65, 0.65, 0.65, 0.65, 0.67), scale=(0.3, 0.3, 0.3, 0.3, 0.4),
                        sigma=(4.0, 3.0, 2.0, 1.0, 1.0), threshold=(0.69, 0.68, 0.68, 0.65, 0.65),
                        strength=(0.6, 0.6, 0.5, 1.5, 1.5), mud=(False, False, False, True, True),
                    ),
                    64: columns(
                        mean=(0.62, 0.65, 0.65, 0.65, 0.65), scale=(0.1, 0.1, 0.3, 0.1, 0.1),
                        sigma=(0.7, 0.8, 1.0, 0.7, 0.5), threshold=(0.7, 0.7, 0.69, 0.68, 0.67),
                        strength=(0.6, 0.6, 0.6, 0.6, 0.6), mud=(False, False, False, True, True),
                    ),
                    32: columns(
                        mean=(0.62, 0.65, 0.65, 0.65, 0.65), scale=(0.1, 0.1, 0.3, 0.1, 0.1),
                        sigma=(0.7, 0.8, 1.0, 0.7, 0.5), threshold=(0.7, 0.7, 0.69, 0.69, 0.68),
                        strength=(0.5, 0.5, 0.5, 0.6, 0.6), mud=(False, False, False, True, True),
                    ),
                },
            ),
            Corruption(
                "saturate", "digital", "paler (1-2) or louder (3-5) colours", HENDRYCKS, False,
                {
                    224: columns(factor=(0.3, 0.1, 2.0, 5.0, 20.0), shift=(0.0, 0.0, 0.0, 0.1, 0.2)),
                    64: columns(factor=(0.3, 0.1, 2.0, 5.0, 30.0), shift=(0.0, 0.0, 0.0, 0.1, 0.2)),
                    32: columns(factor=(0.3, 0.1, 1.5, 2.0, 2.5), shift=(0.0, 0.0, 0.0, 0.1, 0.2)),
                },
            ),
            Corruption(
                "blue_noise", "held-out", "noise of fine grain", MINTUN, True,
                {224: columns(scale=(0.08, 0.12, 0.18, 0.26, 0.38))},
            ),
            Corruption(
                "brown_noise", "held-out", "noise of coarse clouds", MINTUN, True,
                {224: columns(scale=(0.08, 0.12, 0.18, 0.26, 0.38))},
            ),
            Corruption(
                "checkerboard", "held-out", "squares of a board hide the picture", MINTUN, True,
                {224: columns(share=(0.2, 0.35, 0.5, 0.7, 0.9), cells=(12, 12, 12, 12, 12))},
            ),
            Corruption(
                "cocentric_waves", "held-out", "rings of light around a point", MINTUN, True,
                {
                    224: columns(amplitude=(0.08, 0.14, 0.2, 0.28, 0.36), **same(wavelength=14.0)),
                    64: columns(amplitude=(0.08, 0.14, 0.2, 0.28, 0.36), **same(wavelength=6.0)),
                    32: columns(amplitude=(0.08, 0.14, 0.2, 0.28, 0.36), **same(wavelength=4.0)),
                },
            ),
            Corruption(
                "single_frequency", "held-out", "a coloured grating", MINTUN, True,
                {
                    224: columns(amplitude=(0.08, 0.14, 0.2, 0.28, 0.36), **same(wavelength=10.0)),
                    64: columns(amplitude=(0.08, 0.14, 0.2, 0.28, 0.36), **same(wavelength=5.0)),
                    32: columns(amplitude=(0.08, 0.14, 0.2, 0.28, 0.36), **same(wavelength=3.5)),
                },
            ),
            Corruption(
                "plasma_overlay", "held-out", "a coloured plasma fractal over the picture", MINTUN, True,
                {224: columns(weight=(0.2, 0.3, 0.4, 0.5, 0.6), **same(decay=1.8))},
            ),
            Corruption(
                "chromatic_aberration", "held-out", "red and blue of different size", MINTUN, False,
                {
                    224: columns(spread=(0.01, 0.02, 0.03, 0.045, 0.06)),
                    64: columns(spread=(0.02, 0.035, 0.05, 0.07, 0.09)),
                    32: columns(spread=(0.03, 0.05, 0.07, 0.1, 0.13)),
                },
            ),
            Corruption(
                "pinch_and_twirl", "held-out", "a whirl around a point", MINTUN, True,
                {224: columns(twirl=(0.6, 1.0, 1.5, 2.1, 2.8), **same(radius_of_side=0.6))},
            ),
            Corruption(
                "sparkles", "held-out", "stars of light", MINTUN, True,
                {
                    224: columns(count=(4, 8, 14, 22, 32), size=(10.0, 12.0, 14.0, 17.0, 20.0)),
                    64: columns(count=(3, 5, 8, 12, 16), size=(4.0, 5.0, 6.0, 7.0, 8.0)),
                    32: columns(count=(2, 3, 4, 6, 8), size=(2.0, 2.5, 3.0, 3.5, 4.0)),
                },
            ),
            Corruption(
                "inverse_sparkles", "held-out", "dark stars", MINTUN, True,
                {
                    224: columns(count=(4, 8, 14, 22, 32), size=(10.0, 12.0, 14.0, 17.0, 20.0)),
                    64: columns(count=(3, 5, 8, 12, 16), size=(4.0, 5.0, 6.0, 7.0, 8.0)),
                    32: columns(count=(2, 3, 4, 6, 8), size=(2.0, 2.5, 3.0, 3.5, 4.0)),
                },
            ),
            Corruption(
                "low_light", "camera", "dusk: few photons, read noise, gained up", "ours, after Foi et al. 2008", True,
                {
                    224: columns(
                        exposure=(0.4, 0.25, 0.15, 0.08, 0.04), photons=(1000.0, 600.0, 400.0, 250.0, 150.0),
                        read_noise=(2.0, 2.0, 3.0, 3.0, 4.0),
                    )
                },
            ),
            Corruption(
                "disk_defocus", "camera", "out of focus in linear light, smooth rim", "ours", False,
                {
                    224: columns(radius=(1.5, 2.5, 4.0, 6.0, 8.0)),
                    64: columns(radius=(0.7, 1.0, 1.5, 2.2, 3.0)),
                    32: columns(radius=(0.4, 0.6, 0.8, 1.1, 1.5)),
                },
            ),
            Corruption(
                "recompression", "delivery", "passed on: JPEG and WebP in turns", "ours", False,
                {224: columns(quality=(60, 45, 35, 25, 15), times=(2, 3, 4, 5, 6))},
            ),
            Corruption(
                "resize_chain", "delivery", "shrunk without antialiasing and enlarged again", "ours", False,
                {
                    224: columns(fraction=(0.7, 0.55, 0.45, 0.35, 0.25), times=(1, 1, 2, 2, 2)),
                    32: columns(fraction=(0.9, 0.8, 0.7, 0.6, 0.5), times=(1, 1, 2, 2, 2)),
                },
            ),
            Corruption(
                "dead_pixels", "camera", "stuck places of the sensor", "ours", True,
                {224: columns(share=(0.002, 0.005, 0.01, 0.03, 0.06))},
            ),
            Corruption(
                "rain", "camera", "streaks of rain", "ours", True,
                {
                    224: columns(
                        drops=(8.0, 14.0, 22.0, 32.0, 45.0), length=(12.0, 15.0, 18.0, 22.0, 26.0),
                        opacity=(0.35, 0.42, 0.5, 0.6, 0.7),
                    ),
                    32: columns(
                        drops=(40.0, 60.0, 80.0, 110.0, 150.0), length=(4.0, 5.0, 6.0, 7.0, 8.0),
                        opacity=(0.35, 0.42, 0.5, 0.6, 0.7),
                    ),
                },
            ),
        )
    },
)
# fmt: on
"""Every corruption by name."""
