"""What becomes of input noise on its way through a network, beside the grouping of tokens (FAN, figure 3).

The noise of a layer is the change of its output in relation to the output: r_l = ||Z_l(x + noise) - Z_l(x)|| /
||Z_l(x)||, Frobenius norms over an image, averaged over draws. It applies to transformers and to CNNs alike.
"""

from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Float

from weatherglass.analysis.grouping import THRESHOLDS, affinity_eigenvalues, effective_rank, significant
from weatherglass.analysis.recording import Layer, Recorder, image_batches
from weatherglass.errors import UserError
from weatherglass.randomness import Draws
from weatherglass.types import ImageData, Predictor

SIGMAS = (0.08, 0.12, 0.18, 0.26, 0.38)
"""Severities 1 to 5 of Gaussian noise at 224 pixels; severity 3 is the default."""


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
    norm of its features in relation to those of the image, the other reading of the paper's sentence.
    """
    if mode not in ("difference", "pure"):
        raise UserError(f"The mode is 'difference' or 'pure', not '{mode}'.")
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


def spectrum(predictor: Predictor, data: ImageData, *, normalisation: str = "l2", batch_size: int = 32) -> Spectrum:
    """Significant eigenvalues of the token affinity after every block, for every image and threshold."""
    recorder: Recorder | None = None
    counts: dict[float, list[torch.Tensor]] = {threshold: [] for threshold in THRESHOLDS}
    zeros, ranks = [], []
    for batch in image_batches(data, predictor, batch_size):
        recorder = recorder or Recorder(predictor, (batch.images.shape[2], batch.images.shape[3]))
        with torch.no_grad():
            recording = recorder(batch.images)
            values = [affinity_eigenvalues(recording.patches(layer), normalisation) for layer in recorder.layers]
        for threshold, rows in counts.items():
            rows.append(torch.stack([significant(one, threshold) for one in values], 1))
        zeros.append(torch.stack([(one < 1e-3).sum(1) for one in values], 1))
        ranks.append(torch.stack([effective_rank(one) for one in values], 1))
    assert recorder is not None
    return Spectrum(
        predictor.name,
        recorder.layers,
        normalisation,
        {threshold: torch.cat(rows).double().cpu().numpy() for threshold, rows in counts.items()},
        torch.cat(zeros).double().cpu().numpy(),
        torch.cat(ranks).cpu().numpy(),
    )


def middle_correlation(
    spectrum: Spectrum, noise: NoiseDecay, *, threshold: float = 1.0, resamples: int = 1000
) -> tuple[float, float, float]:
    """Spearman correlation of grouping and noise over the middle half of the blocks, with a 95 % bootstrap interval.

    Images are resampled; each time medians (counts) and means (noise) over images are correlated over blocks.
    """
    from scipy.stats import spearmanr

    blocks = len(noise.layers) - 1
    middle = slice(1 + blocks // 4, 1 + blocks - blocks // 4)
    counts, noises = spectrum.significant[threshold][:, middle], noise.noise[:, middle]
    chosen = Draws(0, ("images",), "middle correlation").integers("images", len(counts), resamples, len(counts))[0]

    def correlation(rows: np.ndarray) -> float:
        medians, means = np.median(counts[rows], axis=0), noises[rows].mean(axis=0)
        if len(medians) < 3 or np.ptp(medians) == 0 or np.ptp(means) == 0:
            return float("nan")
        return float(np.asarray(spearmanr(medians, means))[0])

    resampled = np.array([correlation(rows) for rows in chosen.numpy()])
    whole = correlation(np.arange(len(counts)))
    if np.isnan(resampled).all():
        return whole, float("nan"), float("nan")
    low, high = np.nanquantile(resampled, [0.025, 0.975])
    return whole, float(low), float(high)
