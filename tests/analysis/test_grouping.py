"""Eigenvalues with known answers, clusters against scikit-learn."""

import numpy as np
import pytest
import torch
from sklearn.cluster import KMeans, SpectralClustering
from sklearn.metrics import adjusted_rand_score

from weatherglass.analysis.grouping import (
    NORMALISATIONS,
    adjusted_rand,
    affinity_eigenvalues,
    best_overlap,
    effective_rank,
    kmeans,
    ordered_by_size,
    significant,
    spatial_coherence,
    spectral_clusters,
    token_affinity,
)
from weatherglass.randomness import Draws

DRAWS = Draws(0, ("a", "b", "c"), "test")


@pytest.mark.parametrize("width", [8, 64])
@pytest.mark.parametrize("normalisation", NORMALISATIONS)
def test_identical_tokens_have_one_significant_eigenvalue(normalisation: str, width: int) -> None:
    tokens = torch.randn(3, 1, width).expand(3, 16, width)
    values = affinity_eigenvalues(tokens, normalisation)
    assert significant(values).tolist() == [1, 1, 1]
    assert torch.allclose(effective_rank(values), torch.ones(3, dtype=torch.float64))


def test_orthonormal_tokens_have_all_eigenvalues_one() -> None:
    tokens = torch.linalg.qr(torch.randn(2, 32, 16, dtype=torch.float64)).Q.transpose(1, 2)
    values = affinity_eigenvalues(tokens)
    assert torch.allclose(values, torch.ones_like(values))
    assert significant(values).tolist() == [16, 16]
    assert torch.allclose(effective_rank(values), torch.full((2,), 16.0, dtype=torch.float64))


def test_eigenvalues_do_not_change_under_rotation_and_whichever_side_is_solved() -> None:
    tokens = torch.randn(3, 20, 12, dtype=torch.float64)
    rotation = torch.linalg.qr(torch.randn(12, 12, dtype=torch.float64)).Q
    values = affinity_eigenvalues(tokens)
    assert torch.allclose(values, affinity_eigenvalues(tokens @ rotation), atol=1e-9)
    wide = torch.cat([tokens, torch.zeros(3, 20, 20)], dim=2)
    assert torch.allclose(values, affinity_eigenvalues(wide), atol=1e-9)
    assert torch.allclose(values.mean(1), torch.ones(3, dtype=torch.float64))


def test_two_constant_regions_are_two_clusters_exactly() -> None:
    truth = torch.zeros(3, 8, 8, dtype=torch.long)
    truth[:, 2:5, 3:7] = 1
    tokens = torch.randn(3, 2, 6)[torch.arange(3)[:, None], truth.flatten(1)]
    labels = spectral_clusters(tokens, 2, DRAWS)
    assert torch.equal(labels, truth.flatten(1))
    assert best_overlap(labels, truth.flatten(1) == 1).tolist() == [1, 1, 1]


def test_spectral_clusters_agree_with_scikit_learn() -> None:
    generator = torch.Generator().manual_seed(0)
    centres = 4 * torch.eye(10)[:4].expand(3, 4, 10)
    truth = torch.arange(60) % 4
    tokens = centres[:, truth] + 0.3 * torch.randn(3, 60, 10, generator=generator)
    mine = spectral_clusters(tokens, 4, DRAWS)
    for labels, affinity in zip(mine, token_affinity(tokens), strict=True):
        other = SpectralClustering(4, affinity="precomputed", assign_labels="kmeans", random_state=0, n_init=10)
        assert adjusted_rand_score(other.fit_predict(affinity.numpy()), labels.numpy()) == 1


def test_kmeans_finds_what_scikit_learn_finds() -> None:
    points = torch.randn(3, 50, 3, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    labels = kmeans(points, 3, DRAWS, restarts=30)
    for mine, rows in zip(labels, points, strict=True):
        other = KMeans(3, n_init=30, random_state=0).fit(rows.numpy())
        means = torch.stack([rows[mine == k].mean(0) for k in range(3)])
        assert float((rows - means[mine]).square().sum()) <= other.inertia_ * 1.001


def test_clusters_belong_to_the_sample() -> None:
    tokens = torch.randn(3, 30, 8)
    together = spectral_clusters(tokens, 3, DRAWS)
    alone = spectral_clusters(tokens[1:2], 3, Draws(0, ("b",), "test"))
    assert torch.equal(together[1:2], alone)


def test_adjusted_rand_is_scikit_learns_and_ignores_names() -> None:
    rng = np.random.default_rng(0)
    first, second = rng.integers(0, 4, (5, 40)), rng.integers(0, 3, (5, 40))
    mine = adjusted_rand(torch.from_numpy(first), torch.from_numpy(second))
    assert mine.tolist() == pytest.approx([adjusted_rand_score(a, b) for a, b in zip(first, second, strict=True)])
    permuted = torch.tensor([2, 0, 3, 1])[torch.from_numpy(first)]
    assert adjusted_rand(torch.from_numpy(first), permuted).tolist() == pytest.approx([1] * 5)
    one = torch.zeros(1, 10, dtype=torch.long)
    assert adjusted_rand(one, one).item() == 1


def test_order_by_size_and_coherence() -> None:
    labels = torch.tensor([[2, 2, 2, 0, 0, 1]])
    assert ordered_by_size(labels, 3).tolist() == [[0, 0, 0, 1, 1, 2]]
    assert spatial_coherence(torch.tensor([[0, 0, 1, 1]]), (2, 2)).item() == 0.5
    assert spatial_coherence(torch.zeros(1, 6, dtype=torch.long), (2, 3)).item() == 1
