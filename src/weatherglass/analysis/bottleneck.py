"""The iterative information bottleneck beside self-attention (Zhou et al., ICML 2022, proposition 2.1 and appendix).

Data points are clustered; each point is assigned softly to centres, centres become weighted means. With a shared
covariance Sigma = variance * I the step of equations 12 to 14 is

    A[i, c] = softmax over c of  beta * (x_i . mu_c - |mu_c|^2 / 2) / variance + log p(c),   p(c) = n_c / n
    mu_c = sum_i A[i, c] x_i / n_c,   n_c = sum_i A[i, c]

The paper's equation 4 drops |mu_c|^2 (by its normalisation) and prints log(n_c / n) as a factor where the derivation
gives n_c / n; both are switches here. Standard attention takes the softmax over keys for every query and returns rows;
the bottleneck takes it over centres for every input and averages over inputs, as slot attention does. The two coincide
only for a symmetric A: no identity is claimed.
"""

from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from weatherglass.analysis.grouping import adjusted_rand
from weatherglass.errors import UserError
from weatherglass.randomness import Draws

PRIORS = ("n_c/n", "log", "none")
STEPS = ("bottleneck", "attention", "slot")

Points = Float[Tensor, "n d"]
Centres = Float[Tensor, "m d"]


@dataclass(frozen=True)
class State:
    """Where an iteration stands."""

    centres: Centres
    weights: Float[Tensor, " m"]
    """Share of the points that each centre holds; sums to 1."""


def assignments(
    points: Points,
    state: State,
    *,
    beta: float = 2.0,
    variance: float = 1.0,
    prior: str = "n_c/n",
    centre_norm: bool = True,
) -> Float[Tensor, "n m"]:
    """Soft assignment of every point to the centres; rows sum to 1. `beta` inf assigns to the nearest centre.

    `prior` 'n_c/n' weighs centres by what they hold (the derivation), 'none' ignores it; 'log', the factor as printed,
    acts on the values and not on the assignment (see `bottleneck_step`). `centre_norm` False drops |mu|^2.
    """
    if prior not in PRIORS:
        raise UserError(f"The prior is {', '.join(PRIORS)}, not '{prior}'.")
    agreement = points @ state.centres.T
    if centre_norm:
        agreement = agreement - state.centres.square().sum(dim=1) / 2
    if beta == float("inf"):
        return torch.nn.functional.one_hot(agreement.argmax(dim=1), len(state.centres)).to(points)
    logits = beta * agreement / variance
    if prior == "n_c/n":
        logits = logits + state.weights.clamp_min(1e-300).log()
    return logits.softmax(dim=1)


def bottleneck_step(
    points: Points,
    state: State,
    *,
    beta: float = 2.0,
    variance: float = 1.0,
    prior: str = "n_c/n",
    centre_norm: bool = True,
) -> State:
    """One step of the iterative information bottleneck. A centre that holds nothing stays where it is.

    With `prior` 'log' the new centres are multiplied by log(n_c / n), as equation 4 prints it (a negative number).
    """
    share = assignments(points, state, beta=beta, variance=variance, prior=prior, centre_norm=centre_norm)
    mass = share.sum(dim=0)
    means = share.T @ points / mass.clamp_min(1e-12)[:, None]
    centres = torch.where(mass[:, None] > 1e-9, means, state.centres)
    if prior == "log":
        centres = centres * (mass / len(points)).clamp_min(1e-12).log()[:, None]
    return State(centres, mass / len(points))


def attention_step(points: Points, *, variance: float = 1.0, beta: float = 2.0) -> Points:
    """Self-attention with Q = K = V = the points themselves: row i is the mean of all, weighted by its softmax."""
    return (beta * points @ points.T / variance).softmax(dim=1) @ points


def objective(points: Points, state: State, *, beta: float = 2.0, variance: float = 1.0) -> float:
    """I(i; c) - beta I(x; c) up to a constant: I(i; c) + beta E[|x - mu|^2] / (2 variance), in nats.

    For equal Gaussians the divergence of equation 11 is the squared distance up to a constant. The exact step (prior
    'n_c/n', with the centre's norm) never increases it.
    """
    share = assignments(points, state, beta=beta, variance=variance)
    marginal = share.mean(dim=0)
    information = (share * (share.clamp_min(1e-300).log() - marginal.clamp_min(1e-300).log())).sum(dim=1).mean()
    centres = share.T @ points / (marginal * len(points)).clamp_min(1e-12)[:, None]
    distortion = (share * torch.cdist(points, centres).square()).sum(dim=1).mean()
    return float(information + beta * distortion / (2 * variance))


def distinct(centres: Centres, tolerance: float = 0.05) -> int:
    """Number of centres that lie farther than `tolerance` from every one counted before."""
    near = torch.cdist(centres, centres) <= tolerance
    kept = torch.zeros(len(centres), dtype=torch.bool)
    for index in range(len(centres)):
        kept[index] = not bool((near[index] & kept).any())
    return int(kept.sum())


def gaussian_mixture(
    *, groups: int = 4, count: int = 256, width: int = 8, spread: float = 3.0, noise: float = 0.5, seed: int = 0
) -> tuple[Points, Tensor]:
    """Points around `groups` random means, and the group of each; float64."""
    draws = Draws(seed, ("mixture",), "bottleneck")
    means = spread * draws.normal("means", groups, width)[0].double()
    truth = torch.arange(count) % groups
    return means[truth] + noise * draws.normal("noise", count, width)[0].double(), truth


@dataclass(frozen=True)
class Iteration:
    """One row of the experiment."""

    step: str
    """'bottleneck' (exact), 'slot' (without prior and centre norm), or 'attention'."""
    iteration: int
    objective: float | None
    """Of the exact step; None for the others, which do not descend it."""
    distinct: int
    agreement: float
    """Adjusted Rand index of the groups with the true ones."""


def iterate(
    points: Points, truth: Tensor, *, step: str, iterations: int = 50, every: int = 1, beta: float = 2.0
) -> list[Iteration]:
    """Run one kind of step from centres on the points themselves, and watch them merge, at every so many steps."""
    if step not in STEPS:
        raise UserError(f"The step is {', '.join(STEPS)}, not '{step}'.")
    state = State(points.clone(), torch.full((len(points),), 1 / len(points), dtype=points.dtype))
    rows = []
    for iteration in range(iterations + 1):
        if iteration % every == 0:
            rows.append(_observed(points, truth, state, step, iteration, beta))
        if step == "attention":
            state = State(attention_step(state.centres, beta=beta), state.weights)
        elif step == "slot":
            state = bottleneck_step(points, state, beta=beta, prior="none", centre_norm=False)
        else:
            state = bottleneck_step(points, state, beta=beta)
    return rows


def _observed(points: Points, truth: Tensor, state: State, step: str, iteration: int, beta: float) -> Iteration:
    if step == "attention":
        groups = _grouped(state.centres)
    else:
        groups = _grouped(state.centres)[torch.cdist(points, state.centres).argmin(dim=1)]
    return Iteration(
        step,
        iteration,
        objective(points, state, beta=beta) if step == "bottleneck" else None,
        distinct(state.centres),
        float(adjusted_rand(groups[None], truth[None])[0]),
    )


def _grouped(centres: Centres, tolerance: float = 0.05) -> Tensor:
    """Which centres count as one: the index of the first centre within the tolerance."""
    return (torch.cdist(centres, centres) <= tolerance).int().argmax(dim=1)


def noise_filtering(
    points: Points,
    *,
    scales: tuple[float, ...] = (0.1, 0.2, 0.4, 0.8),
    iterations: int = 20,
    beta: float = 1.0,
    seed: int = 0,
) -> list[tuple[str, float, float]]:
    """(step, scale, response): how much of a change of the input is left in the output of `iterations` steps."""
    noise = Draws(seed, ("noise",), "bottleneck response").normal("input", *points.shape)[0].double()
    rows = []
    for step in STEPS:
        clean = _outputs(points, step, iterations, beta)
        for scale in scales:
            changed = _outputs(points + scale * noise, step, iterations, beta)
            rows.append((step, scale, float((changed - clean).norm() / (scale * noise).norm())))
    return rows


def _outputs(points: Points, step: str, iterations: int, beta: float) -> Points:
    """What stands for every point after some steps: its centre, or its row of attention."""
    state = State(points.clone(), torch.full((len(points),), 1 / len(points), dtype=points.dtype))
    for _ in range(iterations):
        if step == "attention":
            state = State(attention_step(state.centres, beta=beta), state.weights)
        else:
            exact = step == "bottleneck"
            prior = "n_c/n" if exact else "none"
            state = bottleneck_step(points, state, beta=beta, prior=prior, centre_norm=exact)
    return state.centres if step == "attention" else state.centres[torch.cdist(points, state.centres).argmin(dim=1)]
