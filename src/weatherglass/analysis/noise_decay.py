"""What becomes of input noise on its way through a network, beside the grouping of tokens (FAN, figure 3).

The noise of a layer is the change of its output in relation to the output: r_l = ||Z_l(x + noise) - Z_l(x)|| /
||Z_l(x)||, Frobenius norms over an image, averaged over draws. It applies to transformers and to CNNs alike.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Float

from weatherglass.analysis.grouping import (
    NORMALISATIONS,
    THRESHOLDS,
    affinity_eigenvalues,
    effective_rank,
    significant,
)
from weatherglass.analysis.recording import Layer, Recorder, image_batches
from weatherglass.errors import UserError
from weatherglass.randomness import Draws
from weatherglass.types import ImageData, Predictor

SIGMAS = (0.08, 0.12, 0.18, 0.26, 0.38)
"""Severities 1 to 5 of Gaussian noise at 224 pixels; severity 3 is the default."""


def check_noise(sigma: float, draws: int, mode: str) -> None:
    """Raise `UserError` where nothing could be measured with such noise."""
    if mode not in ("difference", "pure"):
        raise UserError(f"The mode is 'difference' or 'pure', not '{mode}'.")
    if not 0 < sigma < math.inf:
        raise UserError(
            f"The standard deviation of the noise is above 0, got {sigma:g}; on pixels in [0, 1], e.g. 0.18."
        )
    if draws < 1:
        raise UserError(f"The noise is drawn at least once for each image, got {draws} draws.")


@dataclass(frozen=True)
class NoiseDecay:
    """The noise at every layer and for every image."""

    model: str
    layers: tuple[Layer, ...]
    noise: Float[np.ndarray, "images layers"]
    sigma: float
    mode: str

    @property
    def decay(self) -> Float[np.ndarray, " layers"]:
        """Mean over images of the noise in relation to that of the embedding."""
        return (self.noise / np.maximum(self.noise[:, :1], 1e-30)).mean(axis=0)


def noise_decay(
    predictor: Predictor,
    data: ImageData,
    *,
    sigma: float = 0.18,
    draws: int = 5,
    mode: str = "difference",
    seed: int = 0,
    batch_size: int = 32,
) -> NoiseDecay:
    """Noise of standard deviation `sigma` on pixels in [0, 1], not clipped; `draws` draws an image, keyed by its id.

    `mode` 'difference' is the definition above; 'pure' takes noise around grey as the only input and reports the
    norm of its features in relation to those of the image, the other reading of the paper's sentence. Raises
    `UserError` for noise that is none.
    """
    check_noise(sigma, draws, mode)
    recorder: Recorder | None = None
    rows = []
    for batch in image_batches(data, predictor, batch_size):
        recorder = recorder or Recorder(predictor, (batch.images.shape[2], batch.images.shape[3]))
        keyed = Draws(seed, batch.ids, f"noise decay {sigma:g}")
        with torch.no_grad():
            clean = recorder(batch.images)
            totals = torch.zeros(len(batch.ids), len(recorder.layers), dtype=torch.float64)
            for draw in range(draws):
                noise = sigma * keyed.normal(f"draw {draw}", *batch.images.shape[1:]).to(batch.images)
                noisy = recorder(batch.images + noise if mode == "difference" else 0.5 + noise)
                for column, layer in enumerate(recorder.layers):
                    before, after = clean.patches(layer).double(), noisy.patches(layer).double()
                    changed = after - before if mode == "difference" else after
                    totals[:, column] += (changed.flatten(1).norm(dim=1) / before.flatten(1).norm(dim=1)).cpu()
        rows.append(totals / draws)
    assert recorder is not None
    return NoiseDecay(predictor.name, recorder.layers, torch.cat(rows).numpy(), sigma, mode)


@dataclass(frozen=True)
class Spectrum:
    """Eigenvalues of the token affinity at every layer, in numbers per image."""

    model: str
    layers: tuple[Layer, ...]
    normalisation: str
    significant: dict[float, Float[np.ndarray, "images layers"]]
    """By threshold."""
    zero: Float[np.ndarray, "images layers"]
    """Eigenvalues below 1/1000 of the mean."""
    effective_rank: Float[np.ndarray, "images layers"]


def spectra(
    predictor: Predictor, data: ImageData, *, normalisations: Sequence[str] = NORMALISATIONS, batch_size: int = 32
) -> dict[str, Spectrum]:
    """Eigenvalues of the token affinity after every block, for every normalisation: one pass over the images."""
    recorder: Recorder | None = None
    counted: dict[str, list[_Counted]] = {name: [] for name in normalisations}
    for batch in image_batches(data, predictor, batch_size):
        recorder = recorder or Recorder(predictor, (batch.images.shape[2], batch.images.shape[3]))
        with torch.no_grad():
            recording = recorder(batch.images)
            for name, parts in counted.items():
                parts.append(_counted([recording.patches(layer) for layer in recorder.layers], name))
    assert recorder is not None
    return {name: _spectrum(predictor.name, recorder.layers, name, parts) for name, parts in counted.items()}


def spectrum(predictor: Predictor, data: ImageData, *, normalisation: str = "l2", batch_size: int = 32) -> Spectrum:
    """`spectra` with one normalisation."""
    return spectra(predictor, data, normalisations=(normalisation,), batch_size=batch_size)[normalisation]


@dataclass(frozen=True)
class _Counted:
    """The counts of one batch, each of shape (images, layers)."""

    significant: dict[float, torch.Tensor]
    zero: torch.Tensor
    effective_rank: torch.Tensor


def _counted(layers: list[torch.Tensor], normalisation: str) -> _Counted:
    values = [affinity_eigenvalues(tokens, normalisation) for tokens in layers]
    return _Counted(
        {threshold: torch.stack([significant(one, threshold) for one in values], 1).cpu() for threshold in THRESHOLDS},
        torch.stack([(one < 1e-3).sum(1) for one in values], 1).cpu(),
        torch.stack([effective_rank(one) for one in values], 1).cpu(),
    )


def _spectrum(model: str, layers: tuple[Layer, ...], normalisation: str, parts: list[_Counted]) -> Spectrum:
    return Spectrum(
        model,
        layers,
        normalisation,
        {t: torch.cat([part.significant[t] for part in parts]).double().numpy() for t in THRESHOLDS},
        torch.cat([part.zero for part in parts]).double().numpy(),
        torch.cat([part.effective_rank for part in parts]).numpy(),
    )


def middle_correlation(
    spectrum: Spectrum, noise: NoiseDecay, *, threshold: float = 1.0, resamples: int = 1000
) -> tuple[float, float, float]:
    """Spearman correlation of grouping and noise over the middle half of the blocks, with a 95 % bootstrap interval.

    Images are resampled; each time medians (counts) and means (noise) over images are correlated over blocks.
    """
    blocks = len(noise.layers) - 1
    middle = slice(1 + blocks // 4, 1 + blocks - blocks // 4)
    counts, noises = spectrum.significant[threshold][:, middle], noise.noise[:, middle]
    chosen = Draws(0, ("images",), "middle correlation").integers("images", len(counts), resamples, len(counts))[0]

    resampled = _spearman(
        np.stack([np.median(counts[rows], axis=0) for rows in chosen.numpy()]),
        np.stack([noises[rows].mean(axis=0) for rows in chosen.numpy()]),
    )
    whole = float(_spearman(np.median(counts, axis=0)[None], noises.mean(axis=0)[None])[0])
    if np.isnan(resampled).all():
        return whole, float("nan"), float("nan")
    low, high = np.nanquantile(resampled, [0.025, 0.975])
    return whole, float(low), float(high)


def _spearman(
    first: Float[np.ndarray, "rows blocks"], second: Float[np.ndarray, "rows blocks"]
) -> Float[np.ndarray, " rows"]:
    """Spearman's correlation over the blocks, row by row; NaN for a constant row or fewer than three blocks."""
    from scipy.stats import rankdata

    if first.shape[1] < 3:
        return np.full(len(first), np.nan)
    one, two = (ranks - ranks.mean(axis=1, keepdims=True) for ranks in (rankdata(v, axis=1) for v in (first, second)))
    scale = np.sqrt((one**2).sum(axis=1) * (two**2).sum(axis=1))
    return np.divide((one * two).sum(axis=1), scale, out=np.full(len(one), np.nan), where=scale > 0)
