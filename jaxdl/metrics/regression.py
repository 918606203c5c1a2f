"""Metrics of regression over a whole set: errors in the units of the target, and R². NumPy on the host.

`predictions` and `targets` are (n,) or (n, outputs) arrays of one shape. Targets that are NaN (not measured) are left out. With
several outputs, errors are means over all values, and R² is the unweighted mean over outputs.
"""

import math

import numpy as np
from jaxtyping import Float

from jaxdl.types import UserError

Values = Float[np.ndarray, "n outputs"]

DIRECTIONS = {
    "r2": "max",
    "pearson": "max",
    "mse": "min",
    "rmse": "min",
    "mae": "min",
    "median_absolute_error": "min",
    "max_error": "min",
}
"""Whether more or less of each number is better; numbers with an optimum in between, such as a bias, are left out."""


def report(predictions: np.ndarray, targets: np.ndarray) -> dict[str, float]:
    """Return all metrics of a regression on one set.

    `examples`, `mse`, `rmse`, `mae`, `median_absolute_error`, `max_error` and `bias` (mean of prediction - target) in the
    units of the target (`mse` in their square), `r2` and `pearson` without units.

    >>> numbers = report(np.array([1.0, 2.0, 5.0]), np.array([1.0, 2.0, 3.0]))
    >>> numbers["mae"], numbers["max_error"], numbers["r2"]
    (0.6666666666666666, 2.0, -1.0)
    """
    p, t = paired(predictions, targets)
    error = (p - t)[~np.isnan(t)]
    return {
        "examples": len(t),
        "mse": float((error**2).mean()),
        "rmse": float(np.sqrt((error**2).mean())),
        "mae": float(np.abs(error).mean()),
        "median_absolute_error": float(np.median(np.abs(error))),
        "max_error": float(np.abs(error).max()),
        "bias": float(error.mean()),
        "r2": r2(p, t),
        "pearson": pearson(p, t),
    }


def paired(predictions: np.ndarray, targets: np.ndarray) -> tuple[Values, Values]:
    """Convert both arrays to (n, outputs) in float64; (n,) is one column.

    Raises `UserError` if the shapes differ otherwise, which would broadcast, if no target is measured, or if a prediction is
    not finite.
    """
    p, t = (np.atleast_1d(np.asarray(a, np.float64)) for a in (predictions, targets))
    shapes = f"predictions {p.shape} and targets {t.shape} must have the same shape"
    p, t = (a.reshape(len(a), math.prod(a.shape[1:])) for a in (p, t))
    if p.shape != t.shape:
        raise UserError(shapes)
    if not np.isfinite(p).all():
        raise UserError(f"predictions must be finite, {(~np.isfinite(p).all(-1)).sum()} of {len(p)} are not")
    kept = ~np.isnan(t).all(-1)
    if not kept.any():
        raise UserError("there is no measured target to report on")
    return p[kept], t[kept]


def r2(predictions: Values, targets: Values) -> float:
    """Return the coefficient of determination: 1 is perfect, 0 is as good as the mean of the targets.

        R² = 1 - Σ (t - p)² / Σ (t - mean t)²

    Outputs whose targets are all equal are left out of the mean; NaN if there is no other.
    """
    residual = np.nansum((targets - predictions) ** 2, axis=0)
    total = np.nansum((targets - np.nanmean(targets, axis=0, keepdims=True)) ** 2, axis=0)
    varied = total > 0
    return float(np.mean(1 - residual[varied] / total[varied])) if varied.any() else float("nan")


def pearson(predictions: Values, targets: Values) -> float:
    """Return Pearson's correlation, the unweighted mean over outputs that are not constant; NaN if all are."""
    p = np.where(np.isnan(targets), np.nan, predictions)
    p, t = (a - np.nanmean(a, axis=0, keepdims=True) for a in (p, targets))
    norm = np.sqrt(np.nansum(p**2, axis=0) * np.nansum(t**2, axis=0))
    varied = norm > 0
    return float(np.mean(np.nansum(p * t, axis=0)[varied] / norm[varied])) if varied.any() else float("nan")
