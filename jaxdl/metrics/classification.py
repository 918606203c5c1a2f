"""Reports over a whole set of classified examples: accuracy, F1, ROC-AUC, calibration.

Everything here is NumPy on the host, over the gathered, unpadded set: a mean of batch means is not the mean, and an AUC
is no mean at all. `report` is what a task returns; the functions below it are its parts.

Shapes: `probabilities` is (n, classes), rows adding up to 1; a binary classifier may give (n,) or (n, 1), the
probability of class 1. `labels` is (n,) integers or (n, classes) distributions, of which the most probable class counts.
Rows with a negative label are left out. A class without examples has NaN where a share of its examples is asked for.
"""

from typing import Any

import numpy as np
from jaxtyping import Float, Int

from jaxdl.reports import Bars, Matrix, Reliability
from jaxdl.types import UserError

DIRECTIONS = {
    "accuracy": "max",
    "top5": "max",
    "balanced_accuracy": "max",
    "f1": "max",
    "roc_auc": "max",
    "log_loss": "min",
    "brier": "min",
    "calibration_error": "min",
}
"""Whether more or less of each number of `report` is better."""

Probabilities = Float[np.ndarray, "n classes"]
Labels = Int[np.ndarray, "n"]
FEW = 32
"""Positives up to which counting their ranks is quicker than sorting."""


def report(probabilities: np.ndarray, labels: np.ndarray, *, bins: int = 15) -> dict[str, Any]:
    """All the numbers that describe a classifier on one set.

    Scalars: `examples`, `accuracy`, `top5` (only with more than five classes), `balanced_accuracy`, `f1` (of class 1
    where there are two classes, else the mean over classes), `roc_auc`, `log_loss`, `brier`, `calibration_error`.
    Pictures, in their order: `confusion_matrix` (classes, classes), `per_class_accuracy` (classes,), `reliability` (bins, 3).

    >>> numbers = report(np.array([0.9, 0.8, 0.3, 0.4]), np.array([1, 0, 0, 1]))
    >>> numbers["accuracy"], numbers["roc_auc"], numbers["f1"]
    (0.5, 0.75, 0.5)
    >>> numbers["confusion_matrix"].counts
    array([[1, 1],
           [1, 1]])
    """
    p, y = labelled(probabilities, labels)
    matrix = confusion_matrix(p.argmax(-1), y, classes=p.shape[1])
    per_class = per_class_accuracy(matrix)
    top5 = {"top5": top_k(p, y, k=5)} if p.shape[1] > 5 else {}
    return {
        "examples": len(y),
        "accuracy": top_k(p, y, k=1),
        **top5,
        "balanced_accuracy": float(np.nanmean(per_class)),
        "f1": f1(matrix),
        "roc_auc": roc_auc(p, y),
        "log_loss": log_loss(p, y),
        "brier": brier(p, y),
        "calibration_error": calibration_error(p, y, bins=bins),
        "confusion_matrix": Matrix(matrix),
        "per_class_accuracy": Bars(per_class),
        "reliability": Reliability(reliability(p, y, bins=bins)),
    }


def labelled(probabilities: np.ndarray, labels: np.ndarray) -> tuple[Probabilities, Labels]:
    """The two arrays in the one form that the functions below take: (n, classes) and (n,), without unlabelled rows.

    Errors: `ValueError` if the lengths differ, nothing is labelled, a label is no class, a probability is not finite
    or lies outside [0, 1], or a row does not add up to 1 (logits were given).
    """
    p, y = np.asarray(probabilities, np.float64), np.asarray(labels)
    if p.ndim == 1 or (p.ndim == 2 and p.shape[1] == 1):
        p = np.stack([1 - p.reshape(-1), p.reshape(-1)], -1)
    if p.ndim != 2:
        raise UserError(f"probabilities must have the shape (n, classes), got {np.shape(probabilities)}")
    if y.ndim == 2 and y.shape[1] == 1:
        y = y[:, 0]
    if y.ndim == 2:
        if y.shape[1] != p.shape[1]:
            raise UserError(f"soft labels are for {y.shape[1]} classes, the probabilities for {p.shape[1]}")
        y = y.argmax(-1)
    if len(p) != len(y):
        raise UserError(f"{len(p)} rows of probabilities for {len(y)} labels")
    if y.size and not np.all(y == np.floor(y)):
        raise UserError("labels must be whole numbers")
    kept = y >= 0
    p, y = (p if kept.all() else p[kept]), y[kept].astype(np.int64)
    if not len(y):
        raise UserError("no labelled example to report on")
    if y.max() >= p.shape[1]:
        raise UserError(f"label {y.max()} is out of range: the probabilities are for {p.shape[1]} classes")
    if not np.isfinite(p).all():
        raise UserError(f"{(~np.isfinite(p).all(-1)).sum()} of {len(p)} rows of probabilities are not finite")
    if p.min() < -1e-6 or p.max() > 1 + 1e-6 or np.abs(p.sum(-1) - 1).max() > 2e-2:  # bfloat16 rounds to 8 bits
        raise UserError(
            "probabilities must lie in [0, 1] and add up to 1 along each row; apply softmax or sigmoid first"
        )
    return p, y


def top_k(probabilities: Probabilities, labels: Labels, *, k: int = 1) -> float:
    """The share of examples whose class is among the k most probable ones; k = 1 is accuracy.

    Ties are broken as `argmax` does, in favour of the lower class, so that k = 1 agrees with the confusion matrix.
    """
    own = np.take_along_axis(probabilities, labels[:, None], axis=-1)
    before = (probabilities > own).sum(-1)
    tied = np.flatnonzero((probabilities == own).sum(-1) > 1)  # of equal ones the lower class comes first
    lower = np.arange(probabilities.shape[1]) < labels[tied, None]
    before[tied] += ((probabilities[tied] == own[tied]) & lower).sum(-1)
    return float((before < k).mean())


def confusion_matrix(predictions: Labels, labels: Labels, *, classes: int) -> Int[np.ndarray, "classes classes"]:
    """How many examples of class i (row) were taken for class j (column)."""
    return np.bincount(labels * classes + predictions, minlength=classes**2).reshape(classes, classes)


def per_class_accuracy(matrix: Int[np.ndarray, "classes classes"]) -> Float[np.ndarray, "classes"]:
    """The share of each class's examples that were recognised (its recall); NaN for a class without examples."""
    return _share(np.diag(matrix), matrix.sum(1))


def f1(matrix: Int[np.ndarray, "classes classes"]) -> float:
    """The harmonic mean of precision and recall, from the confusion matrix.

        F1 = 2·TP / (2·TP + FP + FN)

    Of class 1 where there are two classes; else the unweighted mean over the classes that occur, in the labels or in the
    predictions.
    """
    scores = _share(2 * np.diag(matrix), matrix.sum(0) + matrix.sum(1))
    return float(np.nan_to_num(scores[1])) if len(matrix) == 2 else float(np.nanmean(scores))


def roc_auc(probabilities: Probabilities, labels: Labels) -> float:
    """The probability that a random example of a class scores higher for that class than one of another class.

    With more than two classes, the unweighted mean of one class against the rest, over the classes that occur. NaN if all
    examples are of one class.
    """
    order = np.argsort(labels, kind="stable")
    ends = np.searchsorted(labels[order], np.arange(probabilities.shape[1] + 1))
    classes = [1] if probabilities.shape[1] == 2 else np.flatnonzero(np.diff(ends))
    members = [(c, order[ends[c] : ends[c + 1]]) for c in classes]
    aucs = [_auc(probabilities[:, c], rows) for c, rows in members if 0 < len(rows) < len(labels)]
    return float(np.mean(aucs)) if aucs else float("nan")


def log_loss(probabilities: Probabilities, labels: Labels) -> float:
    """Mean of -log p_y in nats; p is clipped at float32's epsilon, 1.2e-7, so that one certain mistake costs 15.9."""
    p = probabilities[np.arange(len(labels)), labels]
    return float(-np.log(np.clip(p, np.finfo(np.float32).eps, 1)).mean())


def brier(probabilities: Probabilities, labels: Labels) -> float:
    """Mean over examples of Σ_c (p_c - [c = y])², from 0 to 2 (Brier 1950); twice the one-column score of two classes."""
    error = probabilities.copy()
    error[np.arange(len(labels)), labels] -= 1
    return float(np.einsum("nc,nc->n", error, error).mean())


def reliability(probabilities: Probabilities, labels: Labels, *, bins: int = 15) -> Float[np.ndarray, "bins 3"]:
    """The reliability diagram: mean confidence, accuracy and number of examples of each bin of confidence.

    Confidence is the largest probability of a row; bin b holds those in (b/bins, (b+1)/bins]. Empty bins are NaN, NaN, 0.
    """
    confidence, right = probabilities.max(-1), probabilities.argmax(-1) == labels
    place = np.clip(np.ceil(confidence * bins).astype(int) - 1, 0, bins - 1)
    count = np.bincount(place, minlength=bins)
    sums = [np.bincount(place, weights=w, minlength=bins) for w in (confidence, right)]
    return np.stack([*(_share(s, count) for s in sums), count], -1)


def calibration_error(probabilities: Probabilities, labels: Labels, *, bins: int = 15) -> float:
    """Expected calibration error: how far confidence and accuracy lie apart, averaged over equally wide bins.

        ECE = Σ_b n_b/n · |accuracy_b - confidence_b|

    Source: Guo et al. 2017, arXiv:1706.04599, eq. 3.
    """
    confidence, accuracy, count = reliability(probabilities, labels, bins=bins).T
    return float(np.nansum(count * np.abs(accuracy - confidence)) / count.sum())


def _share(part: np.ndarray, whole: np.ndarray) -> np.ndarray:
    """part / whole, NaN where whole is 0."""
    return np.divide(part, whole, out=np.full(np.shape(whole), np.nan), where=np.asarray(whole) > 0)


def _auc(scores: Float[np.ndarray, "n"], positives: Int[np.ndarray, "positives"]) -> float:
    """Mann-Whitney: (Σ ranks of the positives - the least they could be) / number of pairs; ties share their mean rank.

    The rank of a score is one more than what lies below it, plus half of what equals it. Of a few positives, one class of
    many, this is counted; sorting all scores would take longer.
    """
    scores = np.ascontiguousarray(scores)
    own, n = scores[positives], len(positives)
    if n <= FEW:
        below = np.array([np.count_nonzero(scores < one) for one in own])
        until = np.array([np.count_nonzero(scores <= one) for one in own])
    else:
        ordered = np.sort(scores)
        below, until = (np.searchsorted(ordered, own, side) for side in ("left", "right"))
    ranks = (below + until + 1) / 2
    return (ranks.sum() - n * (n + 1) / 2) / (n * (len(scores) - n))
