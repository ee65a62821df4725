"""Spectral clusters of tokens on real images: per block, and clean beside corrupted (FAN, figures 4 and 9)."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Float, Int, UInt8
from torch import Tensor

from weatherglass.analysis.grouping import adjusted_rand, spatial_coherence, spectral_clusters
from weatherglass.analysis.labels import labelled_for
from weatherglass.analysis.masks import HasMasks, mask_agreement, token_classes
from weatherglass.analysis.recording import Layer, Recorder, image_batches
from weatherglass.errors import UserError
from weatherglass.randomness import Draws
from weatherglass.types import Disturbance, ImageData, Predictor

COLOURS = (
    (11, 111, 164),
    (200, 88, 28),
    (42, 140, 110),
    (138, 91, 166),
    (161, 122, 5),
    (194, 72, 127),
    (90, 90, 90),
    (230, 200, 60),
)
"""Of the clusters, largest first."""


@dataclass(frozen=True)
class ClusterMaps:
    """The clusters of every layer for every image, clean and under disturbances."""

    model: str
    layers: tuple[Layer, ...]
    ids: tuple[str, ...]
    images: UInt8[np.ndarray, "shown height width 3"]
    """The first few, to paint on."""
    labels: tuple[Int[Tensor, "images tokens"], ...]
    """Clean, one tensor a layer; label 0 is the largest cluster."""
    coherence: tuple[float, ...]
    """Mean share of neighbours with equal labels, one a layer."""
    stability: dict[str, Float[np.ndarray, "images layers"]]
    """Disturbance -> adjusted Rand index with the clean clusters."""
    overlap: Float[np.ndarray, "images layers"] | None
    """Mean over the objects of an image of the best cluster's intersection over union; NaN without objects. None where
    the data has no masks (`weatherglass.analysis.masks`)."""
    rand: Float[np.ndarray, "images layers"] | None
    """Adjusted Rand index of the clusters with the classes of the mask; None likewise."""


def cluster_maps(
    predictor: Predictor,
    data: ImageData,
    *,
    clusters: int = 4,
    disturbances: Sequence[Disturbance] = (),
    affinity: str = "product",
    layers: Sequence[int] | None = None,
    seed: int = 0,
    pictures: int = 8,
    batch_size: int = 16,
) -> ClusterMaps:
    """Cluster the tokens of some layers (positions among all; None: all), clean and under input disturbances.

    Where `data` has masks, clusters are compared with them. The first `pictures` images are kept to be shown. Raises
    `UserError` as `labelled_for` does.
    """
    recorder: Recorder | None = None
    chosen: tuple[Layer, ...] = ()
    kept: list[list[Tensor]] = []
    scores: dict[str, list[list[Tensor]]] = {str(one): [] for one in disturbances}
    coherences: list[list[Tensor]] = []
    shown, agreements = [], []
    for batch in image_batches(labelled_for(data, predictor, disturbances), predictor, batch_size):
        if recorder is None:
            recorder = Recorder(predictor, (batch.images.shape[2], batch.images.shape[3]))
            chosen = _chosen(recorder.layers, layers, clusters)
        wanted = max(0, pictures - sum(map(len, shown)))
        shown.append((batch.images[:wanted] * 255).round().byte().permute(0, 2, 3, 1).cpu())
        draws = Draws(seed, batch.ids, "clusters")
        clean = _clustered(recorder, chosen, batch.images, draws, clusters, affinity)
        kept.append(clean)
        coherences.append([spatial_coherence(one, layer.layout.grid) for one, layer in zip(clean, chosen, strict=True)])
        if isinstance(data, HasMasks):
            start = sum(len(rows) for rows in agreements)
            rows = range(start, start + len(batch.ids))
            agreements.append(_agreements(data, rows, predictor, chosen, clean))
        for one in disturbances:
            disturbed = one.of_input(batch, predictor, seed=seed)
            images = disturbed.float() / 255 if disturbed.dtype == torch.uint8 else disturbed
            pairs = zip(clean, _clustered(recorder, chosen, images, draws, clusters, affinity), strict=True)
            scores[str(one)].append([adjusted_rand(first, second) for first, second in pairs])
    scored = np.concatenate(agreements) if agreements else None
    return ClusterMaps(
        predictor.name,
        chosen,
        data.ids,
        torch.cat(shown).numpy(),
        tuple(torch.cat(parts) for parts in zip(*kept, strict=True)),
        tuple(float(torch.cat(parts).mean()) for parts in zip(*coherences, strict=True)),
        {text: torch.cat([torch.stack(row, 1) for row in rows]).numpy() for text, rows in scores.items()},
        None if scored is None else scored[:, :, 0],
        None if scored is None else scored[:, :, 1],
    )


def _agreements(
    data: HasMasks, rows: range, predictor: Predictor, layers: tuple[Layer, ...], labels: list[Tensor]
) -> Float[np.ndarray, "images layers 2"]:
    """Overlap and adjusted Rand index with the masks of some images."""
    found = np.empty((len(rows), len(layers), 2))
    for position, row in enumerate(rows):
        mask = data.mask(row)
        for column, layer in enumerate(layers):
            classes = token_classes(mask, predictor.preprocessing, layer.layout.grid)
            found[position, column] = mask_agreement(labels[column][position], classes, data.background)
    return found


def _clustered(
    recorder: Recorder, layers: tuple[Layer, ...], images: Tensor, draws: Draws, clusters: int, affinity: str
) -> list[Tensor]:
    with torch.no_grad():
        recording = recorder(images)
    return [spectral_clusters(recording.patches(one).cpu(), clusters, draws, affinity=affinity) for one in layers]


def overlay(image: UInt8[np.ndarray, "height width 3"], labels: Int[Tensor, " n"], grid: tuple[int, int]) -> np.ndarray:
    """The image under half-transparent colours of its clusters, uint8."""
    height, width = image.shape[:2]
    rows = (np.arange(height) * grid[0] // height)[:, None]
    columns = (np.arange(width) * grid[1] // width)[None, :]
    painted = np.array(COLOURS)[labels.numpy().reshape(grid) % len(COLOURS)][rows, columns]
    return (0.5 * image + 0.5 * painted).round().astype(np.uint8)


def contact_sheet(maps: ClusterMaps, *, side: int = 96) -> UInt8[np.ndarray, "height width 3"]:
    """One row an image, one column a layer, the image itself first; every picture `side` pixels wide."""
    from PIL import Image

    rows = []
    for index, image in enumerate(maps.images):
        pairs = zip(maps.labels, maps.layers, strict=True)
        parts = [image, *(overlay(image, labels[index], layer.layout.grid) for labels, layer in pairs)]
        resized = [np.array(Image.fromarray(part).resize((side, side), Image.Resampling.NEAREST)) for part in parts]
        framed = [np.pad(part, ((2, 2), (2, 2), (0, 0)), constant_values=255) for part in resized]
        rows.append(np.concatenate(framed, axis=1))
    return np.concatenate(rows)


def _chosen(layers: tuple[Layer, ...], wanted: Sequence[int] | None, clusters: int) -> tuple[Layer, ...]:
    usable = [layer for layer in layers if layer.layout.tokens > clusters and layer.layout.tokens <= 1024]
    if not usable:
        raise UserError(f"No layer has between {clusters + 1} and 1024 tokens, which {clusters} clusters need.")
    if wanted is None:
        return tuple(usable)
    try:
        return tuple(layers[position] for position in wanted)
    except IndexError:
        raise UserError(f"The layers are 0 (embedding) to {len(layers) - 1}.") from None
