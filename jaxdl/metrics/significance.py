"""Comparisons of two settings over seeds: the difference, its interval and a p-value. NumPy and SciPy on the host.

A difference of means says little without the spread over seeds. Where both settings saw the same data split and order in every
seed, the seeds are pairs and `paired_difference` applies; else `difference`.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float

from jaxdl.types import UserError

LEVEL = 0.95
DRAWS = 10_000
EXACT = 13
"""Differences up to which the signed-rank test enumerates all signs, as SciPy does."""


@dataclass(frozen=True)
class Difference:
    """The mean of one setting minus that of another.

    Args:
        mean: the difference, in the units of the metric.
        low, high: its 95 % interval.
        p: two-sided p-value of no difference.
        n: seeds of the smaller setting.
        test: the name of the test.
    """

    mean: float
    low: float
    high: float
    p: float
    n: int
    test: str

    def __str__(self) -> str:
        return f"{self.mean:+.4g} [{self.low:+.4g}, {self.high:+.4g}], p = {self.p:.2g}, n = {self.n}"


def paired_difference(a: Sequence[float], b: Sequence[float]) -> Difference:
    """Compare settings whose seeds are pairs: Wilcoxon's signed-rank test, and an interval by bootstrap over the pairs.

    With n pairs the exact p-value is at least 2/2ⁿ: 0.002 for 10 seeds. Source: Wilcoxon 1945; Efron 1979.

    >>> paired_difference([1.0, 2.0, 3.0, 4.0, 5.0, 6.0], [0.5, 1.0, 2.5, 2.0, 4.5, 5.0]).p
    0.03125
    """
    x, y = _checked(a), _checked(b)
    if len(x) != len(y):
        raise UserError(f"paired_difference needs as many values of each setting, got {len(x)} and {len(y)}")
    apart = x - y
    low, high = _interval(_means(apart))
    return Difference(float(apart.mean()), low, high, signed_rank(apart), len(x), "Wilcoxon's signed-rank test")


def difference(a: Sequence[float], b: Sequence[float]) -> Difference:
    """Compare settings whose seeds are no pairs: Welch's t-test, and an interval by bootstrap of each setting.

    Source: Welch 1947; Efron 1979.
    """
    x, y = _checked(a), _checked(b)
    from scipy.stats import ttest_ind

    same = np.ptp(x) == 0 == np.ptp(y)
    p = float(x[0] == y[0]) if same else float(np.asarray(ttest_ind(x, y, equal_var=False))[1])
    low, high = _interval(_means(x) - _means(y, seed=1))
    return Difference(float(x.mean() - y.mean()), low, high, p, min(len(x), len(y)), "Welch's t-test")


def holm(p: Sequence[float]) -> list[float]:
    """Adjust the p-values of comparisons that were made together, so that a false one among them stays as rare as one alone.

        p'_(i) = max over j ≤ i of min(1, (m - j + 1) · p_(j)),    p_(1) ≤ … ≤ p_(m)

    Source: Holm 1979.

    >>> [round(q, 3) for q in holm([0.01, 0.04, 0.03])]
    [0.03, 0.06, 0.06]
    """
    order = np.argsort(p)
    adjusted = np.maximum.accumulate(np.minimum(1, np.sort(p) * np.arange(len(p), 0, -1)))
    return [float(adjusted[place]) for place in np.argsort(order)]


def signed_rank(apart: Float[np.ndarray, "n"]) -> float:
    """Two-sided p-value of Wilcoxon's signed-rank test; zeros take part in the ranking only (Pratt 1959).

    Up to 13 differences are exact also with ties: all 2ⁿ signs are enumerated at once, where SciPy calls Python for each.
    """
    from scipy.stats import rankdata, wilcoxon  # heavy, and only comparisons need it

    count = np.count_nonzero(apart)
    if count == 0 or count > EXACT:
        return 1.0 if count == 0 else float(np.asarray(wilcoxon(apart, zero_method="pratt"))[1])
    ranks = rankdata(np.abs(apart))[apart != 0]
    signs = (np.arange(2**count)[:, None] >> np.arange(count)) & 1
    sums, found = signs @ ranks, ranks[apart[apart != 0] > 0].sum()
    return float(min(1, 2 * min(np.mean(sums >= found - 1e-9), np.mean(sums <= found + 1e-9))))


def _checked(values: Sequence[float]) -> Float[np.ndarray, "n"]:
    x = np.asarray(values, np.float64)
    if x.ndim != 1 or len(x) < 2 or not np.isfinite(x).all():
        raise UserError(f"a comparison needs two or more finite values of each setting, got {values!r:.200}")
    return x


def _means(x: Float[np.ndarray, "n"], seed: int = 0) -> Float[np.ndarray, "draws"]:
    return np.random.default_rng(seed).choice(x, (DRAWS, len(x))).mean(1)


def _interval(draws: Float[np.ndarray, "draws"]) -> tuple[float, float]:
    low, high = np.quantile(draws, [(1 - LEVEL) / 2, (1 + LEVEL) / 2])
    return float(low), float(high)
