"""Metrics of codes of lower dimension over a whole set, and PCA as a baseline. NumPy on the host.

`trustworthiness` measures whether neighbours in the code are neighbours in the input, `knn_accuracy` whether they are of one
class. Both compare pairs, so they use a fixed draw of at most `ROWS` examples.
"""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Int

from jaxdl.counts import check_count
from jaxdl.types import UserError

Set = Float[np.ndarray, "n *shape"]
ROWS = 1000

DIRECTIONS = {"mse": "min", "trustworthiness": "max", "knn_accuracy": "max"}
"""Whether more or less of each number of `report` is better."""


@dataclass(frozen=True)
class PCA:
    """Principal component analysis: `x ≈ mean + code·components`, with orthonormal rows `components` `(width, values)`."""

    mean: Float[np.ndarray, "values"]
    components: Float[np.ndarray, "width values"]

    def encode(self, x: Set) -> Float[np.ndarray, "n width"]:
        return (flat_rows(x) - self.mean) @ self.components.T

    def decode(self, code: Float[np.ndarray, "n width"]) -> Float[np.ndarray, "n values"]:
        return self.mean + code @ self.components


def pca(x: Set, width: int) -> PCA:
    """Fit PCA: the `width` eigenvectors of the covariance with the largest eigenvalues.

    >>> fitted = pca(np.array([[0.0, 0.0], [1.0, 2.0], [2.0, 4.0]]), 1)
    >>> fitted.decode(fitted.encode(np.array([[3.0, 6.0]]))).round(6).tolist()
    [[3.0, 6.0]]
    """
    x = flat_rows(x)
    check_count("width", width)
    if width > x.shape[1]:
        raise UserError(f"width = {width} must be at most {x.shape[1]}, the number of values of an example")
    mean = x.mean(0)
    centred = x - mean
    _, vectors = np.linalg.eigh(centred.T @ centred)
    return PCA(mean, vectors[:, ::-1][:, :width].T)


def report(
    x: Set, code: Set, reconstruction: Set, labels: np.ndarray | None, *, neighbours: int = 5
) -> dict[str, float]:
    """Return `mse` of the reconstruction, `trustworthiness`, and `knn_accuracy` if there are labels.

    The accuracy is that of five-fold cross-validation within the set, for comparisons of codes of the same examples.
    """
    numbers = {"mse": float(np.mean((flat_rows(x) - flat_rows(reconstruction)) ** 2))}
    few = some(len(x), ROWS)
    x, code = flat_rows(x)[few], flat_rows(code)[few]
    k = min(neighbours, (len(x) - 1) // 2)
    if k:
        numbers["trustworthiness"] = trustworthiness(x, code, neighbours=k)
    labels = None if labels is None else np.asarray(labels)[few]
    if labels is not None and labels.ndim == 1 and labels.dtype.kind in "ui" and len(x) >= 10:
        numbers["knn_accuracy"] = knn_accuracy(code, labels, neighbours=k)
    return numbers


def trustworthiness(x: Set, code: Set, *, neighbours: int = 5) -> float:
    """Return the trustworthiness of a code: 1 if all nearest neighbours in the code are nearest neighbours in the input.

        1 - 2 / (n·k·(2n - 3k - 1)) · Σ_i Σ_j max(0, r(i, j) - k)

    j runs over the k nearest neighbours of i in the code, and is the r(i, j)-th nearest in the input.
    Source: Venna and Kaski 2001.

    >>> line = np.arange(6.0)[:, None]
    >>> trustworthiness(line, -line, neighbours=2), round(trustworthiness(line, line % 3, neighbours=2), 6)
    (1.0, 0.4)
    """
    check_count("neighbours", neighbours)
    n, k = len(x), neighbours
    if k >= n / 2:
        raise UserError(f"neighbours = {k} must be less than half of the {n} examples")
    order = _by_distance(x, x, itself=False)
    rank = np.empty_like(order)
    np.put_along_axis(rank, order, np.arange(1, n + 1)[None], 1)
    near = _by_distance(code, code, itself=False)[:, :k]
    too_far = np.maximum(np.take_along_axis(rank, near, 1) - k, 0).sum()
    return float(1 - 2 / (n * k * (2 * n - 3 * k - 1)) * too_far)


def knn_accuracy(code: Set, labels: np.ndarray, *, neighbours: int = 5, folds: int = 5) -> float:
    """Return the accuracy of k-nearest-neighbour classification, by cross-validation over shuffled folds of a fixed draw.

    Of classes with equally many votes the first one wins.
    """
    check_count("neighbours", neighbours)
    check_count("folds", folds, 2)
    classes, y = np.unique(np.asarray(labels), return_inverse=True)
    shares = []
    for test in np.array_split(np.random.RandomState(0).permutation(len(y)), folds):  # as scikit-learn's KFold draws
        train = np.setdiff1d(np.arange(len(y)), test)
        near = train[_by_distance(flat_rows(code)[test], flat_rows(code)[train])[:, :neighbours]]
        votes = (y[near][..., None] == np.arange(len(classes))).sum(1)
        shares.append(np.mean(votes.argmax(1) == y[test]))
    return float(np.mean(shares))


def _by_distance(a: Set, b: Set, *, itself: bool = True) -> Int[np.ndarray, "n m"]:
    """Row numbers of `b` for each row of `a`, the nearest first; without `itself`, row i is last for row i."""
    from scipy.spatial.distance import cdist  # heavy, and only reports need it

    distance = cdist(flat_rows(a), flat_rows(b), "sqeuclidean")
    if not itself:
        np.fill_diagonal(distance, np.inf)
    return distance.argsort(1, kind="stable")


def plane(code: Set) -> tuple[Float[np.ndarray, "n 2"], tuple[str, str]]:
    """Return codes as points of a plane, by PCA if they have more than two values, and the names of its axes."""
    code = flat_rows(code)
    if code.shape[1] == 1:
        return np.concatenate([code, np.zeros_like(code)], 1), ("z1", "")
    if code.shape[1] == 2:
        return code, ("z1", "z2")
    return pca(code, 2).encode(code), ("first component of the codes", "second component")


def independent_nll(x: Set) -> float:
    """Return the negative log-likelihood, in nats per example, of independent pixels with the frequencies of this set.

    It is the optimum without a latent variable: a baseline for models of binary images.

    >>> print(f"{independent_nll(np.array([[0.0, 1.0], [1.0, 1.0]])):.4f}")  # log 2 + 0
    0.6931
    """
    p = flat_rows(x).mean(0)
    p = p[(p > 0) & (p < 1)]
    return float(-(p * np.log(p) + (1 - p) * np.log(1 - p)).sum())


def some(n: int, most: int) -> Int[np.ndarray, "rows"]:
    """Return the row numbers, in order, of a fixed random draw of at most `most` of n examples.

    >>> some(3, 5).tolist(), len(some(10, 4))
    ([0, 1, 2], 4)
    """
    return np.sort(np.random.RandomState(0).permutation(n)[:most])


def flat_rows(x: Set) -> Float[np.ndarray, "n values"]:
    return np.asarray(x, np.float64).reshape(len(x), -1)
