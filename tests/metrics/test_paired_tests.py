"""Paired tests and corrections against SciPy and worked examples."""

import numpy as np
import pytest
from scipy.stats import binomtest, false_discovery_control

from weatherglass.metrics.comparison import benjamini_hochberg, holm, mcnemar, unadjusted


@pytest.mark.parametrize(("b", "c"), [(0, 0), (1, 0), (5, 5), (3, 12), (40, 61), (0, 300), (900, 1100)])
def test_mcnemar_is_the_exact_binomial_test(b: int, c: int) -> None:
    expected = binomtest(b, b + c, 0.5).pvalue if b + c else 1.0
    assert mcnemar(b, c) == pytest.approx(expected, rel=1e-9)
    assert mcnemar(c, b) == mcnemar(b, c)


def test_mid_p_published_example() -> None:
    # Fagerland et al. (2013), table 2: 1 and 7 discordant pairs give exact 0.070 and mid-p 0.039.
    assert mcnemar(1, 7) == pytest.approx(0.0703, abs=5e-5)
    assert mcnemar(1, 7, mid_p=True) == pytest.approx(0.0391, abs=5e-5)


def test_holm_worked_example() -> None:
    assert holm(np.array([0.01, 0.04, 0.03, 0.005])) == pytest.approx([0.03, 0.06, 0.06, 0.02])
    assert holm(np.array([0.9, 0.8])).tolist() == [1.0, 1.0]
    assert holm(np.array([])).size == 0


def test_benjamini_hochberg_is_scipys() -> None:
    p_values = np.random.default_rng(0).random(40) ** 3
    assert benjamini_hochberg(p_values) == pytest.approx(false_discovery_control(p_values))
    assert (benjamini_hochberg(p_values) <= holm(p_values) + 1e-12).all()
    assert np.array_equal(unadjusted(p_values), p_values)


def test_false_alarms_stay_below_the_level() -> None:
    generator = np.random.default_rng(1)
    alarms = 0
    for _ in range(200):
        coins = generator.binomial(40, 0.5, size=20)
        alarms += holm(np.array([mcnemar(int(k), 40 - int(k)) for k in coins])).min() < 0.05
    assert alarms <= 20  # at most 5 % of 200, plus three standard deviations
