"""How alike the layers of a network are, and those of two networks (Bhojanapalli et al., ICCV 2021, section 4).

Three measures, because they answer differently: cosine keeps what all tokens share (the residual stream), Pearson
removes the mean of every feature first, linear CKA is blind to rotations of the channels. What holds should hold in
all of them.
"""

from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from weatherglass.analysis.recording import Layer, Recorder, Recording, image_batches
from weatherglass.errors import UserError
from weatherglass.types import Batch, ImageData, Predictor

MEASURES = ("cosine", "pearson", "cka")
TOKENS = ("patches", "class", "all")


@dataclass(frozen=True)
class Similarity:
    """Similarity of every layer with every other."""

    measure: str
    tokens: str
    rows: tuple[str, ...]
    """Layers of the first network."""
    columns: tuple[str, ...]
    """Layers of the second, or again of the first."""
    matrix: Float[np.ndarray, "rows columns"]
    """NaN where the measure is not defined: layers of different widths have no cosine."""

    @property
    def adjacent(self) -> Float[np.ndarray, " rows-1"]:
        """Similarity of each layer with the next, within one network."""
        return np.diagonal(self.matrix, offset=1)


def layer_similarity(
    first: Predictor,
    data: ImageData,
    *,
    second: Predictor | None = None,
    measures: tuple[str, ...] = MEASURES,
    tokens: str = "patches",
    batch_size: int = 32,
) -> list[Similarity]:
    """Mean similarity over the images of `data`; between networks (`second`) by CKA alone.

    `tokens` is 'patches', 'class' (class and register tokens) or 'all'. Pearson takes off the mean of every feature
    over all images and tokens, found in a pass of its own, so that neither it nor the cosine depends on `batch_size`.
    CKA takes images as examples and all their chosen tokens as features, with the unbiased minibatch estimate of
    Nguyen, Raghu and Kornblith (ICLR 2021, equation 3); batches of fewer than 4 images are left out of it.
    """
    if tokens not in TOKENS:
        raise UserError(f"Tokens are {', '.join(TOKENS)}, not '{tokens}'.")
    measures = ("cka",) if second is not None else measures
    means = _feature_means(first, data, tokens, batch_size) if "pearson" in measures else []
    recorders: list[Recorder] = []
    sums: dict[str, Tensor] = {}
    counts = dict.fromkeys(measures, 0)
    for batch in image_batches(data, first, batch_size):
        recorders = recorders or [Recorder(one, _size(batch)) for one in (first, second or first)]
        mine = _read(recorders[0], batch, tokens)
        others = _read(recorders[1], batch, tokens) if second is not None else mine
        for measure in measures:
            if measure == "cka" and len(batch.ids) < 4:
                continue
            if measure == "cka":
                found, count = _cka_terms(mine, others), 1
            else:
                found, count = _cosines(mine, means if measure == "pearson" else None), len(batch.ids)
            sums[measure] = sums[measure] + found if measure in sums else found
            counts[measure] += count
    if not all(counts.values()):
        raise UserError(f"CKA needs at least 4 images in a batch; {data.name} has {len(data)}.")
    names = [tuple(layer.name for layer in _layers(recorder, tokens)) for recorder in recorders]
    return [
        Similarity(measure, tokens, names[0], names[1], _finished(measure, total, counts[measure]))
        for measure, total in sums.items()
    ]


def block_structure(matrix: Float[np.ndarray, "layers layers"]) -> tuple[float, tuple[int, ...]]:
    """How far the layers form groups: a score, 0 for none, and where the groups begin.

    Over all ways to cut the layers into two or three runs of at least two, the largest difference between the mean
    similarity within runs and that between runs, less the same difference for a matrix in which similarity depends on
    the distance of two layers alone. So a similarity that merely fades with distance scores 0. NaN where an entry is
    not defined or there are fewer than four layers.
    """
    layers = len(matrix)
    if layers < 4 or not np.isfinite(matrix).all():
        return float("nan"), ()
    excess = matrix - _faded(matrix)
    cuts = [(cut,) for cut in range(2, layers - 1)]
    cuts += [(first, second) for first in range(2, layers - 3) for second in range(first + 2, layers - 1)]
    scores = [_contrast(excess, cut) for cut in cuts]
    best = int(np.argmax(scores))
    return scores[best], cuts[best]


def _faded(matrix: np.ndarray) -> np.ndarray:
    """The matrix in which every pair of layers has the mean similarity of all pairs as far apart."""
    layers = len(matrix)
    means = np.array([np.diagonal(matrix, offset=gap).mean() for gap in range(layers)])
    return means[np.abs(np.subtract.outer(np.arange(layers), np.arange(layers)))]


def _contrast(matrix: np.ndarray, cuts: tuple[int, ...]) -> float:
    """Mean within the groups, without the diagonal, less the mean between them."""
    group = np.searchsorted(cuts, np.arange(len(matrix)), side="right")
    together = group[:, None] == group[None, :]
    return float(matrix[together & ~np.eye(len(matrix), dtype=bool)].mean() - matrix[~together].mean())


def chosen_tokens(recording: Recording, tokens: str) -> list[Float[Tensor, "batch tokens channels"]]:
    """The wanted tokens of every layer that has them."""
    layers = [layer for layer in recording.layers if tokens != "class" or layer.layout.prefix]
    if not layers:
        raise UserError("No layer of this network carries a class token: compare its patches.")
    if tokens == "class":
        return [recording.class_tokens(layer).float() for layer in layers]
    patches = [recording.patches(layer).float() for layer in layers]
    if tokens == "patches":
        return patches
    return [
        torch.cat([recording.class_tokens(layer).float(), one], 1) if layer.layout.prefix else one
        for layer, one in zip(layers, patches, strict=True)
    ]


def _layers(recorder: Recorder, tokens: str) -> list[Layer]:
    return [layer for layer in recorder.layers if tokens != "class" or layer.layout.prefix]


def _size(batch: Batch) -> tuple[int, int]:
    return batch.images.shape[2], batch.images.shape[3]


def _read(recorder: Recorder, batch: Batch, tokens: str) -> list[Float[Tensor, "batch tokens channels"]]:
    with torch.no_grad():
        return chosen_tokens(recorder(batch.images), tokens)


def _feature_means(
    predictor: Predictor, data: ImageData, tokens: str, batch_size: int
) -> list[Float[Tensor, " channels"]]:
    """The mean of every feature of every layer over the images and tokens."""
    recorder: Recorder | None = None
    sums: list[Tensor] = []
    for batch in image_batches(data, predictor, batch_size):
        recorder = recorder or Recorder(predictor, _size(batch))
        means = [one.mean(dim=1, dtype=torch.float64).sum(dim=0) for one in _read(recorder, batch, tokens)]
        sums = [total + mean for total, mean in zip(sums, means, strict=True)] if sums else means
    return [total / len(data) for total in sums]


def _cosines(layers: list[Tensor], means: list[Tensor] | None) -> Float[Tensor, "layers layers"]:
    """Sum over images of the mean over tokens of the cosine between layers; NaN between layers of different shapes.

    With `means` these are taken off first. A token that is the mean but for rounding has no direction and counts 0.
    """
    units = []
    for index, one in enumerate(layers):
        moved = one if means is None else one - means[index].to(one.dtype)
        length = moved.norm(dim=2, keepdim=True)
        directed = length > 1e-6 * one.norm(dim=2, keepdim=True)
        units.append(torch.where(directed, moved / length, 0.0))
    found = torch.full((len(layers), len(layers)), torch.nan, dtype=torch.float64)
    for i, mine in enumerate(units):
        for j, other in enumerate(units[: i + 1]):
            if mine.shape == other.shape:
                found[i, j] = found[j, i] = (mine * other).sum(2).mean(dim=1, dtype=torch.float64).sum()
    return found


def _cka_terms(first: list[Tensor], second: list[Tensor]) -> Float[Tensor, "3 rows columns"]:
    """Unbiased HSIC between all pairs, and of each layer with itself: what is summed over batches."""
    mine, others = (torch.stack([linear_gram(one.flatten(1)) for one in layers]) for layers in (first, second))
    cross, own, its = unbiased_hsic(mine, others), unbiased_hsic(mine, mine), unbiased_hsic(others, others)
    own_column = own.diagonal()[:, None].expand_as(cross)
    its_row = its.diagonal()[None, :].expand_as(cross)
    return torch.stack([cross, own_column, its_row])


def linear_gram(examples: Float[Tensor, "examples features"]) -> Float[Tensor, "examples examples"]:
    """Products of all pairs of examples, with a zero diagonal."""
    wide = examples.double()
    return (wide @ wide.T).fill_diagonal_(0)


def unbiased_hsic(
    first: Float[Tensor, "rows examples examples"], second: Float[Tensor, "columns examples examples"]
) -> Float[Tensor, "rows columns"]:
    """HSIC_1 of Song et al. (JMLR 2012, equation 5) for Gram matrices with zero diagonals."""
    count = first.shape[1]
    traces = first.flatten(1) @ second.flatten(1).T
    sums = first.sum((1, 2))[:, None] * second.sum((1, 2))[None, :] / ((count - 1) * (count - 2))
    crossed = first.sum(1) @ second.sum(1).T * 2 / (count - 2)
    return (traces + sums - crossed) / (count * (count - 3))


def _finished(measure: str, total: Tensor, count: int) -> Float[np.ndarray, "rows columns"]:
    if measure != "cka":
        return (total / count).numpy()
    cross, own, its = total
    return (cross / (own.clamp_min(1e-150) * its.clamp_min(1e-150)).sqrt()).numpy()
