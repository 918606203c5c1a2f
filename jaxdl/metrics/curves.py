"""Areas under curves of one score and a binary label, exact with ties. NumPy on the host."""

import numpy as np
from jaxtyping import Float, Int

FEW = 64
"""Positives up to which counting their ranks is quicker than sorting."""


def binary_roc_auc(scores: Float[np.ndarray, "n"], positives: Int[np.ndarray, "positives"]) -> float:
    """Return the area under the ROC curve, from the scores and the rows that are positive: the Mann-Whitney statistic.

        AUC = (Σ rank of the positives - n·(n + 1)/2) / (n·(N - n))        n positives of N; ties share their mean rank

    The rank of a score is one more than the number of scores below it, plus half the number of its equals. These are counted
    for few positives, as of one class of many; sorting would take longer. Scores below all positives, of a good classifier
    most, are left out of both.
    """
    own, n, total = scores[positives], len(positives), len(scores)
    scores = scores[scores >= own.min()]
    if n <= FEW:
        below, until = ([np.count_nonzero(is_less(scores, one)) for one in own] for is_less in (np.less, np.less_equal))
    else:
        scores = np.sort(scores)
        below, until = (np.searchsorted(scores, own, side) for side in ("left", "right"))
    ranks = total - len(scores) + (np.add(below, until) + 1) / 2
    return (ranks.sum() - n * (n + 1) / 2) / (n * (total - n))
