"""Comparisons over seeds beside SciPy's tests and what is known of their intervals."""

import numpy as np
import pytest
from scipy import stats

from jaxdl.metrics.significance import difference, holm, paired_difference
from jaxdl.types import UserError

RANDOM = np.random.default_rng(3)
A, B = RANDOM.normal(1.0, 1.0, 14), RANDOM.normal(0.0, 2.0, 14)


def test_p_values_are_scipys():
    assert paired_difference(A, B).p == pytest.approx(stats.wilcoxon(A, B).pvalue, rel=1e-12)
    assert difference(A, B[:9]).p == pytest.approx(stats.ttest_ind(A, B[:9], equal_var=False).pvalue, rel=1e-12)


@pytest.mark.parametrize(
    "apart",
    [[0.0, 0.5, -0.5, 1.0, 2.0], [1.0, 1.0, 1.0, -2.0, -2.0, 3.0], [0.0, 0.0, 1.0], [0.3, -0.1, 0.2, -0.4], [0.0, 0.0]],
)
def test_ties_and_zeros_have_scipys_exact_p(apart):
    """SciPy's own exact test of tied differences is a permutation test in Python; that of no difference at all is nan."""
    exact = stats.PermutationMethod(n_resamples=np.inf)
    wanted = stats.wilcoxon(apart, zero_method="pratt", method=exact).pvalue if any(apart) else 1.0
    assert paired_difference(apart, np.zeros(len(apart))).p == pytest.approx(wanted, rel=1e-12)


def test_the_interval_is_scipys_bootstrap():
    theirs = stats.bootstrap((A - B,), np.mean, method="percentile", n_resamples=20_000, rng=np.random.default_rng(1))
    found = paired_difference(A, B)
    limits = theirs.confidence_interval
    np.testing.assert_allclose((found.low, found.high), (limits.low, limits.high), atol=0.05)
    assert found.mean == pytest.approx((A - B).mean(), rel=1e-12)


def test_an_interval_of_95_percent_covers_in_about_95_of_100():
    hits = sum(
        d.low < 0.3 < d.high for d in (difference(*RANDOM.normal([[0.3], [0.0]], 1, (2, 20))) for _ in range(200))
    )
    assert 176 <= hits <= 199  # binomial, 200 draws of 0.93 (a bootstrap of 20 is a little short): five deviations


def test_equal_settings_differ_by_nothing():
    for compare in (paired_difference, difference):
        same = compare([0.5] * 5, [0.5] * 5)
        assert (same.mean, same.low, same.high, same.p, same.n) == (0, 0, 0, 1, 5)
    assert difference([0.5] * 3, [0.25] * 3).p == 0


def test_holm_by_hand_and_in_any_order():
    p = [0.03, 0.001, 0.2, 0.02]
    assert holm(p) == pytest.approx([0.06, 0.004, 0.2, 0.06])  # 2·0.03, 4·0.001, 1·0.2, 3·0.02
    assert holm(p[::-1]) == pytest.approx(holm(p)[::-1])


@pytest.mark.parametrize(("a", "b"), [([1.0], [2.0]), ([1.0, np.nan], [1.0, 2.0]), ([1.0, 2.0, 3.0], [1.0, 2.0])])
def test_what_cannot_be_compared_is_refused(a, b):
    with pytest.raises(UserError):
        paired_difference(a, b)
