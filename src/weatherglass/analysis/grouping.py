"""Do tokens group? Eigenvalues of their affinity, and spectral clusters (Zhou et al., ICML 2022, figures 3 and 4).

The count of significant eigenvalues falls as tokens gather in groups: identical tokens have one, orthonormal tokens as
many as there are. All images of a batch go through one batched eigensolver.
"""

import math

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from weatherglass.errors import UserError
from weatherglass.randomness import Draws

NORMALISATIONS = ("l2", "softmax", "none")
THRESHOLDS = (0.1, 0.5, 1.0, 2.0, 5.0)
"""Of an eigenvalue, where the mean eigenvalue is 1; the paper's threshold is not known, 1 is the default."""


def normalised_tokens(tokens: Float[Tensor, "*batch n d"], normalisation: str) -> Float[Tensor, "*batch n d"]:
    """Tokens of unit length ('l2'), as distributions over channels ('softmax'), or as they are ('none'); float64."""
    tokens = tokens.double()
    match normalisation:
        case "l2":
            return tokens / tokens.norm(dim=-1, keepdim=True).clamp_min(1e-30)
        case "softmax":
            return tokens.softmax(dim=-1)
        case "none":
            return tokens
    raise UserError(f"The normalisation is {', '.join(NORMALISATIONS)}, not '{normalisation}'.")


def affinity_eigenvalues(tokens: Float[Tensor, "batch n d"], normalisation: str = "l2") -> Float[Tensor, "batch n"]:
    """Eigenvalues of the n x n affinity U U^T in ascending order, scaled to mean 1 (section 2.2).

    With fewer channels than tokens they are taken from the d x d matrix U^T U, which has the same ones but for zeros.
    """
    rows = normalised_tokens(tokens, normalisation)
    count, width = rows.shape[1:]
    small = rows @ rows.transpose(1, 2) if count <= width else rows.transpose(1, 2) @ rows
    values = torch.linalg.eigvalsh(small).clamp_min(0)
    if width < count:
        values = torch.cat([values.new_zeros(len(values), count - width), values], dim=1)
    return values * count / values.sum(dim=1, keepdim=True).clamp_min(1e-30)


def significant(eigenvalues: Float[Tensor, "batch n"], threshold: float = 1.0) -> Int[Tensor, " batch"]:
    """How many eigenvalues exceed `threshold` (the mean is 1); n equal ones all count at the threshold 1."""
    return (eigenvalues > threshold - 1e-9).sum(dim=1)


def effective_rank(eigenvalues: Float[Tensor, "batch n"]) -> Float[Tensor, " batch"]:
    """exp of the entropy of the normalised spectrum, 1..n (Roy and Vetterli, EUSIPCO 2007)."""
    shares = eigenvalues / eigenvalues.sum(dim=1, keepdim=True)
    return torch.special.entr(shares).sum(dim=1).exp()


def spectral_clusters(
    tokens: Float[Tensor, "batch n d"],
    clusters: int,
    draws: Draws,
    *,
    affinity: str = "product",
    normalisation: str = "softmax",
    restarts: int = 10,
) -> Int[Tensor, "batch n"]:
    """Cluster the tokens of every image as appendix A.6 does (Ng, Jordan and Weiss, NIPS 2001); label 0 is largest.

    `affinity` is 'product' of normalised tokens or 'pearson', the correlation of tokens clipped at zero.
    """
    if not 1 <= clusters <= tokens.shape[1]:
        raise UserError(f"{tokens.shape[1]} tokens cannot form {clusters} clusters.")
    graph = token_affinity(tokens, affinity, normalisation)
    scale = graph.sum(dim=2).clamp_min(1e-30).rsqrt()
    laplacian = scale[:, :, None] * graph * scale[:, None, :]
    vectors = torch.linalg.eigh(laplacian).eigenvectors[:, :, -clusters:]
    rows = vectors / vectors.norm(dim=2, keepdim=True).clamp_min(1e-30)
    return ordered_by_size(kmeans(rows, clusters, draws, restarts=restarts), clusters)


def token_affinity(
    tokens: Float[Tensor, "batch n d"], affinity: str = "product", normalisation: str = "softmax"
) -> Float[Tensor, "batch n n"]:
    """Non-negative affinities of all pairs of tokens."""
    if affinity == "pearson":
        moved = tokens.double() - tokens.double().mean(dim=2, keepdim=True)
        rows = moved / moved.norm(dim=2, keepdim=True).clamp_min(1e-30)
    elif affinity == "product":
        rows = normalised_tokens(tokens, normalisation)
    else:
        raise UserError(f"The affinity is 'product' or 'pearson', not '{affinity}'.")
    return (rows @ rows.transpose(1, 2)).clamp_min(0)


def kmeans(
    points: Float[Tensor, "batch n d"], clusters: int, draws: Draws, *, restarts: int = 10, steps: int = 100
) -> Int[Tensor, "batch n"]:
    """Lloyd's algorithm for every row of a batch at once, best of several k-means++ starts; keyed by sample."""
    batch, count, width = points.shape
    uniform = draws.uniform("k-means++", restarts, clusters).to(points)
    repeated = points[:, None].expand(batch, restarts, count, width).reshape(batch * restarts, count, width)
    centres = _spread_out_starts(repeated, uniform.reshape(batch * restarts, clusters))
    labels = torch.full((len(repeated), count), -1, device=points.device)
    for _ in range(steps):
        nearest = torch.cdist(repeated, centres).argmin(dim=2)
        if torch.equal(nearest, labels):
            break
        labels = nearest
        member = torch.nn.functional.one_hot(labels, clusters).to(points)
        sizes = member.sum(dim=1)
        means = member.transpose(1, 2) @ repeated / sizes.clamp_min(1)[:, :, None]
        centres = torch.where(sizes[:, :, None] > 0, means, centres)
    inertia = torch.cdist(repeated, centres).amin(dim=2).square().sum(dim=1).reshape(batch, restarts)
    # Rounding must not decide between starts that found the same clusters.
    best = (inertia <= inertia.amin(dim=1, keepdim=True) * (1 + 1e-9) + 1e-12).int().argmax(dim=1)
    return labels.reshape(batch, restarts, count)[torch.arange(batch), best]


def _spread_out_starts(points: Tensor, uniform: Tensor) -> Tensor:
    """k-means++ (Arthur and Vassilvitskii, SODA 2007): each further centre drawn by squared distance to the others."""
    rows = torch.arange(len(points))
    first = (uniform[:, 0] * points.shape[1]).long().clamp_max(points.shape[1] - 1)
    centres = [points[rows, first]]
    gaps = (points - centres[0][:, None]).square().sum(dim=2)
    for step in range(1, uniform.shape[1]):
        cumulative = gaps.cumsum(dim=1)
        target = uniform[:, step, None] * cumulative[:, -1:]
        chosen = torch.searchsorted(cumulative, target, right=True).squeeze(1).clamp_max(points.shape[1] - 1)
        centres.append(points[rows, chosen])
        gaps = torch.minimum(gaps, (points - centres[-1][:, None]).square().sum(dim=2))
    return torch.stack(centres, dim=1)


def ordered_by_size(labels: Int[Tensor, "batch n"], clusters: int) -> Int[Tensor, "batch n"]:
    """The same partition with the largest cluster called 0."""
    sizes = torch.nn.functional.one_hot(labels, clusters).sum(dim=1)
    rank = sizes.argsort(dim=1, descending=True, stable=True).argsort(dim=1)
    return rank.gather(1, labels)


def adjusted_rand(first: Int[Tensor, "batch n"], second: Int[Tensor, "batch n"]) -> Float[Tensor, " batch"]:
    """Agreement of two partitions, 1 for equal ones and about 0 for unrelated ones (Hubert and Arabie, 1985)."""
    count = first.shape[1]
    one = torch.nn.functional.one_hot(first, int(first.max()) + 1).double()
    two = torch.nn.functional.one_hot(second, int(second.max()) + 1).double()
    table = one.transpose(1, 2) @ two
    together = _pairs(table).sum(dim=(1, 2))
    rows, columns = _pairs(table.sum(2)).sum(1), _pairs(table.sum(1)).sum(1)
    expected = rows * columns / math.comb(count, 2)
    most = (rows + columns) / 2
    same = most == expected  # both put everything together, or everything apart
    return torch.where(same, torch.ones_like(most), (together - expected) / (most - expected).where(~same, 1.0))


def _pairs(counts: Tensor) -> Tensor:
    return counts * (counts - 1) / 2


def spatial_coherence(labels: Int[Tensor, "batch n"], grid: tuple[int, int]) -> Float[Tensor, " batch"]:
    """Share of neighbours on the grid (above, below, beside) with equal labels."""
    maps = labels.unflatten(1, grid)
    down, right = maps[:, 1:] == maps[:, :-1], maps[:, :, 1:] == maps[:, :, :-1]
    return torch.cat([down.flatten(1), right.flatten(1)], dim=1).double().mean(dim=1)


def best_overlap(labels: Int[Tensor, "batch n"], mask: Bool[Tensor, "batch n"]) -> Float[Tensor, " batch"]:
    """Intersection over union of a mask with the cluster that fits it best."""
    member = torch.nn.functional.one_hot(labels, int(labels.max()) + 1).bool()
    inside = (member & mask[:, :, None]).sum(dim=1).double()
    either = (member | mask[:, :, None]).sum(dim=1).double()
    return (inside / either.clamp_min(1)).amax(dim=1)
