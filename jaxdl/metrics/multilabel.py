"""Metrics of multi-label classification over a whole set: precision, recall, F1, average precision. NumPy on the host.

Each of `labels` is true or false for an example, independently of the others: `targets` is (n, labels) of 0 and 1,
`probabilities` is (n, labels) in [0, 1]. The numbers are those of scikit-learn.
"""

from typing import Any, Literal

import numpy as np
from jaxtyping import Bool, Float, Num

from jaxdl.counts import check_numbers
from jaxdl.metrics.curves import average_precision, binary_roc_auc
from jaxdl.metrics.quotients import mean_defined, quotient
from jaxdl.reports import Bars
from jaxdl.types import UserError

DIRECTIONS = {
    **{f"{name}_{average}": "max" for name in ("precision", "recall", "f1") for average in ("micro", "macro")},
    **dict.fromkeys(("average_precision_micro", "average_precision", "roc_auc", "subset_accuracy"), "max"),
    "hamming_loss": "min",
}
"""Whether more or less of each number of `report` is better."""

Answers = Bool[np.ndarray, "n labels"] | Num[np.ndarray, "n labels"]


def report(probabilities: Float[np.ndarray, "n labels"], targets: Answers, *, threshold: float = 0.5) -> dict[str, Any]:
    """Return all metrics of a multi-label classifier on one set.

    A label is predicted where its probability is at or above `threshold`. Scalars: `examples`; `precision`, `recall` and `f1`,
    each as `_micro` (over all answers) and `_macro` (mean over labels); `average_precision` (mean over the labels that occur)
    and `average_precision_micro`; `roc_auc` (mean over the labels that have both answers); `subset_accuracy` (share of examples
    with all labels right); `hamming_loss` (share of wrong answers).
    Pictures: `f1_by_label` and `average_precision_by_label`, (labels,).

    Raises `UserError` if the shapes differ, a target is not 0 or 1, or a probability is not in [0, 1].

    >>> numbers = report(np.array([[0.9, 0.2], [0.6, 0.7]]), np.array([[1, 0], [0, 1]]))
    >>> round(numbers["f1_micro"], 3), numbers["average_precision"], numbers["subset_accuracy"]
    (0.8, 1.0, 0.5)
    """
    check_numbers(0, 1, threshold=threshold)
    p, y = np.asarray(probabilities), np.asarray(targets)
    if p.ndim != 2 or p.shape != y.shape or not p.size:
        raise UserError(f"probabilities and targets must both be (n, labels), n > 0, got {p.shape} and {y.shape}")
    if (other := y[(y != 0) & (y != 1)]).size:
        raise UserError(f"targets must be 0 or 1, got {other[0]}")
    if not ((p >= 0) & (p <= 1)).all():
        raise UserError("probabilities must lie in [0, 1]: apply sigmoid first")
    y, said = y.astype(bool), p >= threshold
    averages = [precision_recall_f1(said, y, average=average) for average in ("micro", "macro")]
    found = {
        f"{name}_{average}": float(value)
        for average, values in zip(("micro", "macro"), averages, strict=True)
        for name, value in zip(("precision", "recall", "f1"), values, strict=True)
    }
    ap = np.array([average_precision(scores, truth) for scores, truth in zip(p.T, y.T, strict=True)])
    aucs = [binary_roc_auc(s, np.flatnonzero(t)) for s, t in zip(p.T, y.T, strict=True) if 0 < t.sum() < len(t)]
    return {
        "examples": len(y),
        **found,
        "average_precision": mean_defined(ap),
        "average_precision_micro": average_precision(p.ravel(), y.ravel()),
        "roc_auc": mean_defined(np.array(aucs)),
        "subset_accuracy": float((said == y).all(1).mean()),
        "hamming_loss": float((said != y).mean()),
        "f1_by_label": Bars(precision_recall_f1(said, y, average=None)[2], "F1", title="F1 by label"),
        "average_precision_by_label": Bars(ap, "average precision", title="Average precision by label"),
    }


def precision_recall_f1(
    predictions: Answers,
    targets: Answers,
    *,
    average: Literal["micro", "macro"] | None = None,
    zero_division: float = 0.0,
) -> tuple[Any, Any, Any]:
    """Return precision, recall and F1 of binary answers (n, labels), as scikit-learn's `precision_recall_fscore_support`.

        precision = TP / (TP + FP)    recall = TP / (TP + FN)    F1 = 2·TP / (2·TP + FP + FN)

    Args:
        average: None gives three arrays (labels,), "macro" their unweighted means, "micro" the three numbers of the sums of
            TP, FP and FN over all labels.
        zero_division: the value of 0/0; NaN is left out of a mean.

    >>> precision_recall_f1(np.array([[1, 1], [1, 0]]), np.array([[1, 0], [0, 0]]), average="macro")
    (0.25, 0.5, 0.3333333333333333)
    """
    said, true = np.asarray(predictions, bool), np.asarray(targets, bool)
    if said.ndim != 2 or said.shape != true.shape:
        raise UserError(f"predictions {said.shape} and targets {true.shape} must both be (n, labels)")
    counts = np.stack([(said & true).sum(0), said.sum(0), true.sum(0)])
    if average == "micro":
        counts = counts.sum(1)
    elif average not in ("macro", None):
        raise UserError(f"average = {average!r} must be 'micro', 'macro' or None")
    hits, said, true = counts.astype(np.float64)
    mean = mean_defined if average else np.asarray
    share = lambda part, whole: mean(quotient(part, whole, zero_division))
    return share(hits, said), share(hits, true), share(2 * hits, said + true)
