"""Linear models fitted to a training split: what a network has to beat."""

import numpy as np
from jaxtyping import Float, Int, Num
from scipy.optimize import minimize
from scipy.special import log_softmax, softmax

Set = Num[np.ndarray, "n ..."]


def logistic_regression(
    x: Set, y: Int[np.ndarray, "n"], new: Set, *, classes: int, penalty: float = 1.0
) -> Float[np.ndarray, "m classes"]:
    """Fit multinomial logistic regression to (x, y) and return the probabilities of the classes for `new`.

        minimise  -Σᵢ log softmax(W xᵢ + b)[yᵢ] + penalty/2 · |W|²      as scikit-learn's LogisticRegression(C=1/penalty)

    Rows are flattened; their scale matters to the penalty. L-BFGS takes at most 100 steps, as there.

    >>> x = np.array([[-3.0], [-1.0], [1.0], [3.0]])
    >>> logistic_regression(x, np.array([0, 0, 1, 1]), np.array([[0.0]]), classes=2).round(3).tolist()
    [[0.5, 0.5]]
    """
    a, b = with_ones(x), with_ones(new)
    hot = np.eye(classes)[y]

    def objective(flat: np.ndarray) -> tuple[float, np.ndarray]:
        w = flat.reshape(-1, classes)
        z = a @ w
        gradient = a.T @ (softmax(z, 1) - hot)
        gradient[1:] += penalty * w[1:]
        return penalty / 2 * float((w[1:] ** 2).sum()) - float((hot * log_softmax(z, 1)).sum()), gradient.ravel()

    start = np.zeros(a.shape[1] * classes)
    found = minimize(objective, start, jac=True, method="L-BFGS-B", options={"maxiter": 100})
    return softmax(b @ found.x.reshape(-1, classes), 1)


def least_squares(x: Set, y: Float[np.ndarray, "n ..."], new: Set) -> Float[np.ndarray, "m ..."]:
    """Fit ordinary least squares with an intercept to (x, y) and return its values for `new`.

    >>> least_squares(np.array([[0.0], [1.0], [2.0]]), np.array([1.0, 3.0, 5.0]), np.array([[4.0]])).round(6).tolist()
    [9.0]
    """
    a, b = with_ones(x), with_ones(new)
    return b @ np.linalg.lstsq(a, np.asarray(y, np.float64), rcond=None)[0]


def with_ones(x: Set) -> np.ndarray:
    """Flat rows in float64 after a first column of ones."""
    rows = np.asarray(x, np.float64).reshape(len(x), -1)
    return np.column_stack([np.ones(len(rows)), rows])
