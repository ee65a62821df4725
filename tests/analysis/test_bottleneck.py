"""The information bottleneck step: limits with known answers, and that the exact one descends its objective."""

import pytest
import torch
from sklearn.cluster import KMeans
from sklearn.mixture import GaussianMixture

from weatherglass.analysis.bottleneck import (
    State,
    assignments,
    attention_step,
    bottleneck_step,
    distinct,
    gaussian_mixture,
    iterate,
    noise_filtering,
    objective,
)

POINTS, TRUTH = gaussian_mixture(count=80)


def start(count: int) -> State:
    return State(POINTS[:count].clone(), torch.full((count,), 1 / count, dtype=torch.float64))


def test_rows_of_assignments_sum_to_one() -> None:
    for prior in ("n_c/n", "none"):
        share = assignments(POINTS, start(10), prior=prior)
        assert torch.allclose(share.sum(1), torch.ones(80, dtype=torch.float64))


def test_infinite_beta_is_kmeans() -> None:
    state = start(4)
    for _ in range(30):
        state = bottleneck_step(POINTS, state, beta=float("inf"))
    lloyd = KMeans(4, init=POINTS[:4].numpy(), n_init=1, algorithm="lloyd", tol=0).fit(POINTS.numpy())
    assert torch.allclose(state.centres, torch.from_numpy(lloyd.cluster_centers_))
    soft = start(4)
    for _ in range(30):
        soft = bottleneck_step(POINTS, soft, beta=1e6)
    assert torch.allclose(state.centres, soft.centres)


def test_assignments_are_the_expectation_step_of_a_gaussian_mixture() -> None:
    state = State(POINTS[:5].clone(), torch.tensor([0.1, 0.3, 0.2, 0.25, 0.15], dtype=torch.float64))
    mixture = GaussianMixture(5, covariance_type="spherical")
    mixture.weights_, mixture.means_ = state.weights.numpy(), state.centres.numpy()
    mixture.covariances_ = torch.full((5,), 1.7).double().numpy()
    mixture.precisions_cholesky_ = 1 / mixture.covariances_**0.5
    expected = torch.from_numpy(mixture.predict_proba(POINTS.numpy()))
    assert torch.allclose(assignments(POINTS, state, beta=1.0, variance=1.7), expected)


@pytest.mark.parametrize("beta", [0.5, 1, 2, 5, 10])
def test_the_exact_step_never_increases_the_objective(beta: float) -> None:
    state, before = start(80), float("inf")
    for _ in range(25):
        now = objective(POINTS, state, beta=beta)
        assert now <= before + 1e-6
        state, before = bottleneck_step(POINTS, state, beta=beta), now


def test_centres_merge_to_the_generating_groups() -> None:
    rows = iterate(POINTS, TRUTH, step="bottleneck", iterations=400, every=100, beta=1)
    assert [row.iteration for row in rows] == [0, 100, 200, 300, 400]
    assert rows[0].distinct == 80
    assert rows[-1].agreement == 1
    assert rows[-1].distinct == 4


def test_attention_contracts_and_every_step_filters_noise() -> None:
    assert distinct(attention_step(attention_step(POINTS))) < 40
    response = {(step, scale): value for step, scale, value in noise_filtering(POINTS, scales=(0.1,))}
    assert response["bottleneck", 0.1] < 1


def test_the_printed_prior_is_available_and_negative() -> None:
    exact = bottleneck_step(POINTS, start(4), prior="none")
    printed = bottleneck_step(POINTS, start(4), prior="log")
    assert torch.allclose(printed.centres, exact.centres * exact.weights.log()[:, None])
