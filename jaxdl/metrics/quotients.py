"""Quotients of counts, and means of them that leave out what is undefined."""

import numpy as np


def quotient(part: np.ndarray, whole: np.ndarray, undefined: float = np.nan) -> np.ndarray:
    """Return part / whole, and `undefined` where whole is 0.

    >>> quotient(np.array([1, 0]), np.array([2, 0])).tolist()
    [0.5, nan]
    """
    return np.divide(part, whole, out=np.full(np.shape(whole), float(undefined)), where=np.asarray(whole) > 0)


def mean_defined(values: np.ndarray) -> float:
    """Return the mean of the values that are not NaN; NaN if there are none, without NumPy's warning."""
    defined = values[~np.isnan(values)]
    return float(defined.mean()) if defined.size else float("nan")
