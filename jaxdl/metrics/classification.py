"""Metrics of a classifier over a whole set: accuracy, F1, ROC-AUC, calibration. NumPy on the host.

`report` is what a task returns; the other functions are its parts. `probabilities` is (n, classes), each row a distribution;
`labels` is (n,), the class numbers; `report` also takes what `labelled` converts. Where a class has no examples, a share of them
is NaN.

Memory grows with the number of examples, not with classes². With more than `SHOWN_CLASSES` classes a report shows the `WORST`
ones only; with more than `MOST_CLASSES`, the task keeps `scores` of each example in place of its probabilities, and the
report has no ROC-AUC.
"""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Float, Int

from jaxdl.counts import check_count
from jaxdl.metrics.curves import binary_roc_auc
from jaxdl.metrics.quotients import mean_defined, quotient
from jaxdl.reports import Bars, Matrix, Notes, Reliability
from jaxdl.types import UserError

DIRECTIONS = {
    **dict.fromkeys(("accuracy", "top5", "balanced_accuracy", "f1", "roc_auc"), "max"),
    **dict.fromkeys(("log_loss", "brier", "calibration_error"), "min"),
}
"""Whether more or less of each number of `report` is better."""

Probabilities = Float[np.ndarray, "n classes"]
Labels = Int[np.ndarray, "n"]
Scores = dict[str, Any]
"""The result of `scores`: arrays `(n,)` by name."""

MOST_CLASSES = 1000
"""Most classes for which all probabilities are kept, and ROC-AUC is computed."""
SHOWN_CLASSES = 100
"""Most classes for which the confusion matrix and the accuracy by class are complete."""
WORST = 25
"""Number of classes shown where there are more than `SHOWN_CLASSES`."""
BLOCK = 2**15
"""Probabilities that are worked on at a time, so that they stay in the processor's cache."""


def report(probabilities: np.ndarray, labels: np.ndarray, *, bins: int = 15) -> dict[str, Any]:
    """Return all metrics of a classifier on one set.

    Scalars: `examples`, `accuracy`, `top5` (with more than five classes), `balanced_accuracy`, `f1` (of class 1 where there
    are two classes, else the mean over classes), `roc_auc`, `log_loss`, `brier`, `calibration_error`.
    Pictures: `confusion_matrix` (classes, classes), `per_class_accuracy` (classes,), `reliability` (bins, 3).

    >>> numbers = report(np.array([0.9, 0.8, 0.3, 0.4]), np.array([1, 0, 0, 1]))
    >>> numbers["accuracy"], numbers["roc_auc"], numbers["f1"]
    (0.5, 0.75, 0.5)
    >>> numbers["confusion_matrix"].counts
    array([[1, 1],
           [1, 1]])
    """
    p, y = labelled(probabilities, labels)
    auc = roc_auc(p, y) if p.shape[1] <= MOST_CLASSES else None
    return report_of_scores(scores(p, y), y, bins=bins, auc=auc)


def report_of_scores(scored: Scores, labels: Labels, *, bins: int = 15, auc: float | None = None) -> dict[str, Any]:
    """Return the metrics of `report` from `scores` and labels in [0, classes); without `auc`, a note says that it is missing."""
    check_count("bins", bins)
    classes = int(scored["classes"][0])
    label, confidence, rank = (np.asarray(scored[name]) for name in ("label", "confidence", "rank"))
    hit = label == labels
    recall = per_class_accuracy(label, labels, classes=classes)
    shown = _worst(recall, labels) if classes > SHOWN_CLASSES else None
    matrix = confusion_matrix(label, labels, classes=classes, rows=shown)
    of = "" if shown is None else f": the {len(shown)} of {classes:,} classes with the lowest accuracy"
    table = _reliability(confidence, hit, bins)
    return {
        "examples": len(labels),
        "accuracy": float(hit.mean()),
        **({"top5": float((rank < 5).mean())} if classes > 5 else {}),
        "balanced_accuracy": mean_defined(recall),
        "f1": f1(label, labels, classes=classes),
        **({} if auc is None else {"roc_auc": auc}),
        "log_loss": _log_loss(scored["own"]),
        "brier": float(np.mean(scored["squared_error"], dtype=np.float64)),
        "calibration_error": _calibration_error(table),
        "confusion_matrix": Matrix(matrix, shown, title=f"Confusion matrix{of}"),
        "per_class_accuracy": Bars(
            recall[... if shown is None else shown], classes=shown, title=f"Accuracy by class{of}"
        ),
        "reliability": Reliability(table),
        **({} if auc is not None else {"notes": Notes((f"ROC-AUC is not computed for {classes:,} classes.",))}),
    }


def labelled(probabilities: np.ndarray, labels: np.ndarray) -> tuple[Probabilities, Labels]:
    """Convert both arrays to the form that the other functions take: (n, classes) and (n,), without unlabelled rows.

    Args:
        probabilities: (n, classes); (n,) or (n, 1) for the probability of class 1 of two.
        labels: (n,) or (n, 1) class numbers, negative for an example that is left out; or (n, classes) distributions, of
            which the most probable class counts.

    Raises `UserError` if the lengths differ, no example is labelled, a label is not a class, or a row is not a distribution:
    not finite, outside [0, 1] or with another sum than 1 (logits were given).
    """
    p, y = np.asarray(probabilities), np.asarray(labels)
    if p.dtype != np.float32:
        p = p.astype(np.float64)
    if p.ndim == 1 or (p.ndim == 2 and p.shape[1] == 1):
        p = np.stack([1 - p.reshape(-1), p.reshape(-1)], -1)
    if p.ndim != 2:
        raise UserError(f"probabilities must have the shape (n, classes), got {np.shape(probabilities)}")
    if y.ndim == 2 and y.shape[1] == 1:
        y = y[:, 0]
    if y.ndim == 2:
        if y.shape[1] != p.shape[1]:
            raise UserError(f"labels have {y.shape[1]} classes, probabilities have {p.shape[1]}")
        y = y.argmax(-1)
    if len(p) != len(y):
        raise UserError(f"got {len(p)} rows of probabilities and {len(y)} labels")
    if (broken := y[y != np.floor(y)]).size:
        raise UserError(f"labels must be whole numbers, got {broken[0]}")
    kept = y >= 0
    p, y = (p if kept.all() else p[kept]), y[kept].astype(np.int64)
    if not len(y):
        raise UserError("there is no labelled example to report on")
    if y.max() >= p.shape[1]:
        raise UserError(f"label {y.max()} must be less than the number of classes, {p.shape[1]}")
    total = p.sum(-1, dtype=np.float64)
    if not np.isfinite(total).all():
        raise UserError(f"probabilities must be finite, {(~np.isfinite(total)).sum()} of {len(p)} rows are not")
    if p.min() < -1e-6 or p.max() > 1 + 1e-6 or np.abs(total - 1).max() > 2e-2:  # bfloat16 rounds to 8 bits
        raise UserError(
            "each row of probabilities must lie in [0, 1] and have the sum 1: apply softmax or sigmoid first"
        )
    return p, y


def scores(probabilities: Any, labels: Any) -> Scores:
    """Reduce the probabilities of each example to the numbers from which its metrics are computed.

        label           predicted class: the first one of the largest probability
        confidence      probability of the predicted class
        own             probability p_y of the true class
        rank            number of classes before the true one, by falling probability, equal ones by number: 0 is a hit
        squared_error   Σ_c (p_c - [c = y])²
        classes         number of classes, the same for each example

    `probabilities` is (n, classes), `labels` is (n,); all results are (n,). JAX arrays give JAX arrays, also inside a compiled
    function, so that a task does not need to keep the probabilities. A label that is not a class counts as the nearest class.
    """
    if isinstance(probabilities, jax.Array):
        return _scores(jnp, probabilities, labels)
    rows = max(1, BLOCK // probabilities.shape[1])
    starts = range(0, len(labels), rows)
    parts = [_scores(np, probabilities[i : i + rows].astype(np.float64), labels[i : i + rows]) for i in starts]
    return {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}


def _scores(xp: Any, p: Any, labels: Any) -> Scores:
    number = xp.arange(p.shape[1])[None]
    truth = xp.clip(labels, 0, p.shape[1] - 1)[:, None]
    own = xp.take_along_axis(p, truth, axis=-1)
    return {
        "label": p.argmax(-1),
        "confidence": p.max(-1),
        "own": own[:, 0],
        "rank": ((p > own) | ((p == own) & (number < truth))).sum(-1),
        "squared_error": xp.square(p - (number == truth)).sum(-1),
        "classes": xp.full(len(p), p.shape[1]),
    }


def top_k(probabilities: Probabilities, labels: Labels, *, k: int = 1) -> float:
    """Return the share of examples whose class is among the k most probable ones; k = 1 is accuracy.

    Of equally probable classes the lower number comes first, as in `argmax`.
    """
    check_count("k", k)
    return float((scores(probabilities, labels)["rank"] < k).mean())


def confusion_matrix(
    predictions: Labels, labels: Labels, *, classes: int, rows: Labels | None = None
) -> Int[np.ndarray, "rows columns"]:
    """Count the examples of class i (row) that were predicted as class j (column): (classes, classes).

    With `rows`, class numbers, only these are rows and columns, and one more column counts the predictions of all other classes.

    >>> confusion_matrix(np.array([0, 1, 2]), np.array([0, 0, 0]), classes=3, rows=np.array([0]))
    array([[1, 2]])
    """
    if rows is None:
        return np.bincount(labels * classes + predictions, minlength=classes**2).reshape(classes, classes)
    place = np.full(classes, len(rows))
    place[rows] = np.arange(len(rows))
    i, j = place[labels], place[predictions]
    return confusion_matrix(j, i, classes=len(rows) + 1)[:-1]


def per_class_accuracy(predictions: Labels, labels: Labels, *, classes: int) -> Float[np.ndarray, "classes"]:
    """Return the share of correct predictions among the examples of each class (recall); NaN for a class without examples."""
    right, _, actual = _counts(predictions, labels, classes)
    return quotient(right, actual)


def f1(predictions: Labels, labels: Labels, *, classes: int) -> float:
    """Return the F1 score, the harmonic mean of precision and recall.

        F1 = 2·TP / (2·TP + FP + FN)

    Of class 1 where there are two classes; else the unweighted mean over the classes that occur in the labels or in the
    predictions.
    """
    right, predicted, actual = _counts(predictions, labels, classes)
    values = quotient(2 * right, predicted + actual)
    return float(np.nan_to_num(values[1])) if classes == 2 else mean_defined(values)


def roc_auc(probabilities: Probabilities, labels: Labels) -> float:
    """Return the area under the ROC curve: the probability that a random example of a class scores higher for that class than
    a random example of another class.

    With more than two classes, the unweighted mean of one class against the rest, over the classes that occur. NaN if all
    examples are of one class.
    """
    order, classes = np.argsort(labels, kind="stable"), probabilities.shape[1]
    ends = np.searchsorted(labels[order], np.arange(classes + 1))
    aucs = []
    for first in range(0, classes, 16):  # a row of memory holds several columns
        columns = np.ascontiguousarray(probabilities[:, first : first + 16].T)
        for c, scores in enumerate(columns, first):
            positives = order[ends[c] : ends[c + 1]]
            if 0 < len(positives) < len(labels) and (c == 1 or classes > 2):
                aucs.append(binary_roc_auc(scores, positives))
    return float(np.mean(aucs)) if aucs else float("nan")


def log_loss(probabilities: Probabilities, labels: Labels) -> float:
    """Return the mean of -log p_y in nats. p is clipped at float32's epsilon, 1.2e-7, so that one certain mistake costs 15.9."""
    return _log_loss(probabilities[np.arange(len(labels)), labels])


def brier(probabilities: Probabilities, labels: Labels) -> float:
    """Return the Brier score: the mean over examples of Σ_c (p_c - [c = y])², from 0 to 2.

    It is twice the score that is computed from the probability of class 1 alone. Source: Brier 1950.
    """
    return float(scores(probabilities, labels)["squared_error"].mean())


def reliability(probabilities: Probabilities, labels: Labels, *, bins: int = 15) -> Float[np.ndarray, "bins 3"]:
    """Return the reliability diagram: mean confidence, accuracy and number of examples of each bin of confidence.

    Confidence is the largest probability of a row; bin b holds those in (b/bins, (b+1)/bins]. Empty bins are NaN, NaN, 0.
    """
    check_count("bins", bins)
    return _reliability(probabilities.max(-1), probabilities.argmax(-1) == labels, bins)


def calibration_error(probabilities: Probabilities, labels: Labels, *, bins: int = 15) -> float:
    """Return the expected calibration error: the mean difference of confidence and accuracy over bins of equal width.

        ECE = Σ_b n_b/n · |accuracy_b - confidence_b|

    Source: Guo et al. 2017, arXiv:1706.04599, eq. 3.
    """
    return _calibration_error(reliability(probabilities, labels, bins=bins))


def _counts(predictions: Labels, labels: Labels, classes: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Correct predictions, all predictions and examples of each class."""
    count = lambda a: np.bincount(a, minlength=classes)
    return count(labels[predictions == labels]), count(predictions), count(labels)


def _worst(recall: Float[np.ndarray, "classes"], labels: Labels) -> Labels:
    """The classes of lowest recall, worst first; of equal ones the larger comes first."""
    size = np.bincount(labels, minlength=len(recall))
    return np.lexsort((-size, recall))[: min(WORST, np.count_nonzero(size))]  # NaN is last


def _log_loss(own: Any) -> float:
    return float(-np.log(np.clip(np.asarray(own, np.float64), np.finfo(np.float32).eps, 1)).mean())


def _reliability(confidence: np.ndarray, hit: np.ndarray, bins: int) -> Float[np.ndarray, "bins 3"]:
    place = np.clip(np.ceil(confidence * bins).astype(int) - 1, 0, bins - 1)
    count = np.bincount(place, minlength=bins)
    sums = [np.bincount(place, weights=w, minlength=bins) for w in (confidence, hit)]
    return np.stack([*(quotient(s, count) for s in sums), count], -1)


def _calibration_error(table: Float[np.ndarray, "bins 3"]) -> float:
    confidence, accuracy, count = table.T
    return float(np.nansum(count * np.abs(accuracy - confidence)) / count.sum())
