"""Areas under curves of one score and a binary label, exact with ties. NumPy on the host."""

import numpy as np
from jaxtyping import Float, Int, Num

from jaxdl.types import UserError

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
    return float((ranks.sum() - n * (n + 1) / 2) / (n * (total - n)))


def average_precision(scores: Float[np.ndarray, "n"], targets: Num[np.ndarray, "n"]) -> float:
    """Return the average precision, the area under the precision-recall curve, as scikit-learn's `average_precision_score`.

        AP = Σ_k (R_k - R_(k-1))·P_k        precision P and recall R at each distinct score, from the highest down

    `targets` are 0 or 1, higher `scores` mean 1. NaN without a positive target (scikit-learn gives 0).

    >>> round(average_precision(np.array([0.9, 0.8, 0.7]), np.array([1, 0, 1])), 4)  # 1/2·1 + 1/2·2/3
    0.8333
    """
    scores, targets = np.asarray(scores), np.asarray(targets)
    if scores.ndim != 1 or scores.shape != targets.shape:
        raise UserError(f"scores {scores.shape} and targets {targets.shape} must both be (n,)")
    order = np.argsort(-scores, kind="stable")
    ordered, hits = scores[order], np.cumsum(targets[order] > 0)
    last = np.flatnonzero(np.diff(ordered, append=np.nan))  # of each group of equal scores
    hits = hits[last]
    if not hits.size or not hits[-1]:
        return float("nan")
    return float((np.diff(hits, prepend=0) * hits / (last + 1)).sum() / hits[-1])
