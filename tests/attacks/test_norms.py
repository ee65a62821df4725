"""Projections against a solver, norms to 1e-6, random points inside their ball."""

import numpy as np
import pytest
import torch
from scipy.optimize import minimize

from weatherglass.attacks.norms import Threat, direction, perturbation_norm, project, random_start
from weatherglass.errors import UserError
from weatherglass.randomness import Draws


@pytest.mark.parametrize("norm", ["linf", "l2"])
def test_norms_are_those_of_numpy(norm: str) -> None:
    rows = torch.randn(5, 3, 4, 4, generator=torch.Generator().manual_seed(0))
    order = {"linf": np.inf, "l2": 2}[norm]
    expected = [np.linalg.norm(row.double().numpy().ravel(), order) for row in rows]
    np.testing.assert_allclose(perturbation_norm(rows, norm).numpy(), expected, rtol=1e-6)


def test_the_max_norm_projection_is_the_nearest_point() -> None:
    generator = torch.Generator().manual_seed(0)
    origin = torch.rand(6, 3, 5, 5, generator=generator)
    images = origin + torch.randn(origin.shape, generator=generator)
    found = project(images, origin, Threat("linf", 0.1))
    low, high = (origin - 0.1).clamp(min=0).numpy(), (origin + 0.1).clamp(max=1).numpy()
    nearest = np.clip(images.numpy(), low, high)
    np.testing.assert_allclose(found, nearest, atol=1e-6)


def test_the_euclidean_projection_is_the_nearest_point_of_the_ball() -> None:
    generator = torch.Generator().manual_seed(1)
    origin = torch.full((1, 3, 2, 2), 0.5)
    images = origin + 0.2 * torch.randn(origin.shape, generator=generator)
    radius = 0.25
    found = project(images, origin, Threat("l2", radius)).double().numpy().ravel()
    start, target = origin.double().numpy().ravel(), images.double().numpy().ravel()
    solved = minimize(
        lambda point: ((point - target) ** 2).sum(),
        start,
        constraints={"type": "ineq", "fun": lambda point: radius**2 - ((point - start) ** 2).sum()},
        options={"ftol": 1e-14, "maxiter": 500},
    )
    np.testing.assert_allclose(found, solved.x, atol=2e-5)
    assert np.linalg.norm(found - start) == pytest.approx(radius, abs=1e-6)


@pytest.mark.parametrize(("norm", "radius"), [("linf", 8 / 255), ("linf", 1.0), ("l2", 0.5), ("l2", 3.0)])
def test_random_starts_lie_in_ball_and_box(norm: str, radius: float) -> None:
    origin = torch.rand(40, 3, 8, 8, generator=torch.Generator().manual_seed(2))
    found = random_start(origin, Threat(norm, radius), Draws(0, tuple(map(str, range(40))), "pgd"))
    length = perturbation_norm(found - origin, norm)
    assert float(length.max()) <= radius + 1e-6
    assert float(found.min()) >= 0
    assert float(found.max()) <= 1
    assert float(length.mean()) > 0.3 * radius
    alone = random_start(origin[7:8], Threat(norm, radius), Draws(0, ("7",), "pgd"))
    assert torch.equal(alone[0], found[7])


def test_tiny_gradients_keep_their_direction() -> None:
    gradient = torch.randn(2, 3, 4, 4, generator=torch.Generator().manual_seed(0)) * 1e-30
    gradient[1] = 0
    unit = direction(gradient, "l2")
    np.testing.assert_allclose(perturbation_norm(unit, "l2"), [1, 0], atol=1e-6)


@pytest.mark.parametrize(
    ("norm", "radius", "message"),
    [
        ("linf", -1.0, "at least 0"),
        ("linf", float("nan"), "finite"),
        ("linf", 8.0, "write 8/255"),
        ("l1", 1.0, "known are linf, l2"),
    ],
)
def test_impossible_threats_say_what_is_possible(norm: str, radius: float, message: str) -> None:
    with pytest.raises(UserError, match=message):
        Threat(norm, radius)
