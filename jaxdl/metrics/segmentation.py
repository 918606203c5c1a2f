"""Metrics of semantic segmentation over a whole set: IoU, Dice and accuracy, from a confusion matrix of all pixels.

Counts are added up over the set before they are divided, so that an example counts by its pixels, and neither the batch size
nor the order changes a number. A class that is neither in the labels nor in the predictions has NaN and is left out of means.
"""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int

from jaxdl.counts import check_count
from jaxdl.metrics.quotients import mean_defined, quotient
from jaxdl.reports import Bars, Matrix

DIRECTIONS: dict[str, str] = dict.fromkeys(("pixel_accuracy", "mean_accuracy", "mean_iou", "mean_dice"), "max")
"""Whether more or less of each number of `report` is better."""

Confusion = Int[np.ndarray, "classes classes"]


def pixel_confusion(
    predictions: Int[Array, "batch *space"], labels: Int[Array, "batch *space"], *, classes: int, ignore: int = -100
) -> Int[Array, "batch classes classes"]:
    """Count the pixels of class i (row) that were predicted as class j (column), for each example.

    Pixels labelled `ignore`, or with a label that is not a class, are left out. It can be compiled; the sum over examples is the
    argument of the other functions.

    >>> pixel_confusion(jnp.array([[0, 1, 1]]), jnp.array([[0, 0, -100]]), classes=2).tolist()
    [[[1, 1], [0, 0]]]
    """
    check_count("classes", classes)
    known = (labels != ignore) & (labels >= 0) & (labels < classes)
    place = jnp.where(known, labels * classes + predictions, classes**2)
    count = jax.vmap(lambda row: jnp.bincount(row, length=classes**2 + 1))(place.reshape(len(place), -1))
    return count[:, :-1].reshape(-1, classes, classes)


def report(confusion: Confusion) -> dict[str, Any]:
    """Return the metrics of `pixel_confusion`, summed over a set.

    Scalars: `pixel_accuracy` (share of correct pixels), `mean_accuracy`, `mean_iou`, `mean_dice` (means over classes).
    Pictures: `iou_by_class`, `dice_by_class` and `confusion_matrix`.

    >>> numbers = report(np.array([[3, 1], [0, 4]]))
    >>> numbers["pixel_accuracy"], round(numbers["mean_iou"], 4), round(numbers["mean_dice"], 4)
    (0.875, 0.775, 0.873)
    """
    confusion = np.asarray(confusion, np.int64)
    hits, actual = np.diag(confusion), confusion.sum(1)
    overlap, dice = iou(confusion), dice_score(confusion)
    return {
        "pixel_accuracy": float(hits.sum() / max(confusion.sum(), 1)),
        "mean_accuracy": mean_defined(quotient(hits, actual)),
        "mean_iou": mean_defined(overlap),
        "mean_dice": mean_defined(dice),
        "iou_by_class": Bars(overlap, "IoU", title="IoU by class"),
        "dice_by_class": Bars(dice, "Dice", title="Dice by class"),
        "confusion_matrix": Matrix(confusion, title="Confusion matrix of pixels"),
    }


def iou(confusion: Confusion) -> Float[np.ndarray, "classes"]:
    """Return the intersection over union (Jaccard index) of each class: TP / (TP + FP + FN)."""
    confusion, hits = np.asarray(confusion), np.diag(confusion)
    return quotient(hits, confusion.sum(0) + confusion.sum(1) - hits)


def dice_score(confusion: Confusion) -> Float[np.ndarray, "classes"]:
    """Return the Dice coefficient (the F1 of pixels) of each class: 2·TP / (2·TP + FP + FN)."""
    confusion = np.asarray(confusion)
    return quotient(2 * np.diag(confusion), confusion.sum(0) + confusion.sum(1))
