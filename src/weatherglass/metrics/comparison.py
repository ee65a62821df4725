"""Is one model better than another on the same images? Paired tests, and corrections for asking many times."""

import math
from collections.abc import Callable

import numpy as np
from jaxtyping import Float


def mcnemar(only_first: int, only_second: int, *, mid_p: bool = False) -> float:
    """Two-sided p-value of McNemar's exact test from the images that only one of two models gets right.

    Under the null hypothesis each of them falls to either side with probability 1/2 (McNemar 1947). `mid_p` counts
    the observed table half, which is less conservative (Fagerland, Lydersen & Laake 2013). 1.0 where they never differ.
    """
    total, smaller = only_first + only_second, min(only_first, only_second)
    if total == 0:
        return 1.0
    observed = tail = _coin_probability(smaller, total)
    for heads in range(smaller - 1, -1, -1):
        term = _coin_probability(heads, total)
        tail += term
        if term < 1e-17 * tail:  # The terms fall faster and faster; the rest cannot change the sum.
            break
    return min(1.0, 2 * tail - (observed if mid_p else 0.0))


def exchange_test(
    first: Float[np.ndarray, "samples counts"],
    second: Float[np.ndarray, "samples counts"],
    score: Callable[[Float[np.ndarray, "rows counts"]], Float[np.ndarray, " rows"]],
    *,
    exchanges: int = 20_000,
    seed: int = 0,
) -> float:
    """Two-sided p-value of a paired randomisation test for a score of sums over images, such as mIoU.

    If the models were equal, exchanging their outputs on any image would change nothing but luck (Fisher 1935); so the
    difference of the scores is held against those after exchanging on random halves of the images. The smallest
    value it can give is 1 / (exchanges + 1).
    """
    both, apart = (first + second).sum(axis=0), first - second  # exchanged on an image: its `apart` changes sign
    observed = abs(float(np.subtract(*score(np.stack([first.sum(axis=0), second.sum(axis=0)])))))
    generator = np.random.Generator(np.random.PCG64([seed, len(first)]))
    extreme = done = 0
    while done < exchanges:
        rows = min(2_000, exchanges - done)
        signs = generator.integers(0, 2, (rows, len(first))) * 2.0 - 1.0
        moved = signs @ apart
        difference = score((both + moved) / 2) - score((both - moved) / 2)
        # A hair of tolerance: the same exchange reached by other sums must count as equally extreme.
        extreme += int((abs(difference) >= observed - 1e-12).sum())
        done += rows
    return (extreme + 1) / (exchanges + 1)


def holm(p_values: Float[np.ndarray, " tests"]) -> Float[np.ndarray, " tests"]:
    """Adjusted p-values that keep the chance of any false alarm below the level (Holm 1979)."""
    p_values, count = np.asarray(p_values, dtype=np.float64), len(p_values)
    order = np.argsort(p_values, kind="stable")
    steps = np.maximum.accumulate(p_values[order] * np.arange(count, 0, -1))
    return _unsorted(np.minimum(steps, 1.0), order)


def benjamini_hochberg(p_values: Float[np.ndarray, " tests"]) -> Float[np.ndarray, " tests"]:
    """Adjusted p-values that keep the expected share of false alarms among all alarms below the level
    (Benjamini & Hochberg 1995)."""
    p_values, count = np.asarray(p_values, dtype=np.float64), len(p_values)
    order = np.argsort(p_values, kind="stable")
    steps = p_values[order] * count / np.arange(1, count + 1)
    return _unsorted(np.minimum(np.minimum.accumulate(steps[::-1])[::-1], 1.0), order)


def unadjusted(p_values: Float[np.ndarray, " tests"]) -> Float[np.ndarray, " tests"]:
    """The p-values as they are: one false alarm in twenty conditions is to be expected at 5 %."""
    return np.asarray(p_values, dtype=np.float64)


def _coin_probability(heads: int, tosses: int) -> float:
    logarithm = math.lgamma(tosses + 1) - math.lgamma(heads + 1) - math.lgamma(tosses - heads + 1)
    return math.exp(logarithm - tosses * math.log(2))


def _unsorted(values: np.ndarray, order: np.ndarray) -> np.ndarray:
    result = np.empty_like(values)
    result[order] = values
    return result
