"""Shape bias: of the decisions for one of the two cues of a stimulus, the share that follow the shape."""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Int

from weatherglass.metrics.intervals import Bootstrap, Estimate, estimate

Categories = Int[np.ndarray, " stimuli"]


@dataclass(frozen=True)
class ShapeBias:
    """Decisions on stimuli with conflicting cues."""

    stimuli: int
    shape_accuracy: Estimate
    """Share of decisions for the category of the shape."""
    texture_accuracy: Estimate
    """Share of decisions for the category of the texture."""
    bias: Estimate | None
    """Shape decisions among those for either cue; None where there is none."""


def shape_bias(
    decisions: Categories, shapes: Categories, textures: Categories, *, resamples: int = 1000, seed: int = 0
) -> ShapeBias:
    """Geirhos et al., "ImageNet-trained CNNs are biased towards texture" (ICLR 2019), section 3.

    Stimuli whose cues agree are left out. Intervals: 95 %, bootstrap over the stimuli. Raises `ValueError` where no
    stimulus is left.
    """
    conflict = shapes != textures
    if not conflict.any():
        raise ValueError("no stimulus has conflicting cues, so there is no shape bias")
    hits = np.stack([decisions == shapes, decisions == textures])[:, conflict]
    count = hits.shape[1]
    resampled = Bootstrap(count, resamples, seed).means(hits)
    rates = hits.mean(axis=1)
    shape, texture = (estimate(float(rates[k]), resampled[:, k], samples=count) for k in (0, 1))
    assert shape is not None
    assert texture is not None
    either = resampled.sum(axis=1)
    ratios = np.divide(resampled[:, 0], either, out=np.full(resamples, np.nan), where=either > 0)
    value = float(rates[0] / rates.sum()) if rates.sum() else float("nan")
    bias = estimate(value, ratios, samples=max(int(hits.sum()), 1))
    return ShapeBias(count, shape, texture, bias)
