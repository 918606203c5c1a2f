"""What a code of fewer numbers is good for, over a whole set, in NumPy on the host; and PCA, which any code must beat.

`trustworthiness` asks whether neighbours in the code were neighbours before, `knn_accuracy` whether they are of one class.
Both look at pairs: of a large set they take `ROWS` examples, the same ones every time.
"""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Int

from jaxdl.types import UserError

Set = Float[np.ndarray, "n *shape"]
ROWS = 1000

DIRECTIONS = {"mse": "min", "trustworthiness": "max", "knn_accuracy": "max"}
"""Whether more or less of each number of `report` is better."""


@dataclass(frozen=True)
class PCA:
    """The best linear code: `x ≈ mean + code·components`, with `components` `(width, values)` orthonormal rows."""

    mean: Float[np.ndarray, "values"]
    components: Float[np.ndarray, "width values"]

    def encode(self, x: Set) -> Float[np.ndarray, "n width"]:
        return (flat_rows(x) - self.mean) @ self.components.T

    def decode(self, code: Float[np.ndarray, "n width"]) -> Float[np.ndarray, "n values"]:
        return self.mean + code @ self.components


def pca(x: Set, width: int) -> PCA:
    """The `width` directions in which the examples vary most, from the eigenvectors of their covariance.

    >>> fitted = pca(np.array([[0.0, 0.0], [1.0, 2.0], [2.0, 4.0]]), 1)
    >>> fitted.decode(fitted.encode(np.array([[3.0, 6.0]]))).round(6).tolist()
    [[3.0, 6.0]]
    """
    x = flat_rows(x)
    if not 1 <= width <= x.shape[1]:
        raise UserError(f"width = {width} must lie between 1 and {x.shape[1]}, the values of an example")
    mean = x.mean(0)
    centred = x - mean
    _, vectors = np.linalg.eigh(centred.T @ centred)
    return PCA(mean, vectors[:, ::-1][:, :width].T)


def report(
    x: Set, code: Set, reconstruction: Set, labels: np.ndarray | None, *, neighbours: int = 5
) -> dict[str, float]:
    """`mse` of a value of the input, `trustworthiness`, and `knn_accuracy` where there are labels.

    k-NN is judged by five-fold cross-validation inside the set: a number for comparing codes of the same examples.
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
    """1 where the nearest neighbours in the code are nearest neighbours in the input, less the further they were.

    `1 - 2 / (n k (2n - 3k - 1)) · Σ_i Σ_j max(0, r(i, j) - k)` over the `k` nearest `j` of `i` in the code, of which `j` is the
    `r(i, j)`-th nearest in the input. Source: Venna and Kaski 2001.

    >>> line = np.arange(6.0)[:, None]
    >>> trustworthiness(line, -line, neighbours=2), round(trustworthiness(line, line % 3, neighbours=2), 6)
    (1.0, 0.4)
    """
    n, k = len(x), neighbours
    if not 1 <= k < n / 2:
        raise UserError(f"neighbours = {k} must lie between 1 and {(n - 1) // 2}, less than half of the {n} examples")
    order = _by_distance(x, x, itself=False)
    rank = np.empty_like(order)
    np.put_along_axis(rank, order, np.arange(1, n + 1)[None], 1)
    near = _by_distance(code, code, itself=False)[:, :k]
    too_far = np.maximum(np.take_along_axis(rank, near, 1) - k, 0).sum()
    return float(1 - 2 / (n * k * (2 * n - 3 * k - 1)) * too_far)


def knn_accuracy(code: Set, labels: np.ndarray, *, neighbours: int = 5, folds: int = 5) -> float:
    """How often the classes of an example's nearest neighbours vote for its own; over shuffled folds with a fixed draw.

    Between classes with as many votes the first one wins.
    """
    classes, y = np.unique(np.asarray(labels), return_inverse=True)
    shares = []
    for test in np.array_split(np.random.RandomState(0).permutation(len(y)), folds):  # as scikit-learn's KFold draws
        train = np.setdiff1d(np.arange(len(y)), test)
        near = train[_by_distance(flat_rows(code)[test], flat_rows(code)[train])[:, :neighbours]]
        votes = (y[near][..., None] == np.arange(len(classes))).sum(1)
        shares.append(np.mean(votes.argmax(1) == y[test]))
    return float(np.mean(shares))


def _by_distance(a: Set, b: Set, *, itself: bool = True) -> Int[np.ndarray, "n m"]:
    """Row numbers of `b`, the nearest to each row of `a` first; without `itself`, row i comes last for row i."""
    from scipy.spatial.distance import cdist  # heavy, and only reports need it

    distance = cdist(flat_rows(a), flat_rows(b), "sqeuclidean")
    if not itself:
        np.fill_diagonal(distance, np.inf)
    return distance.argsort(1, kind="stable")


def plane(code: Set) -> tuple[Float[np.ndarray, "n 2"], tuple[str, str]]:
    """Codes as points of a plane, and the names of its axes: as they are, or the two directions in which they vary most."""
    code = flat_rows(code)
    if code.shape[1] == 1:
        return np.concatenate([code, np.zeros_like(code)], 1), ("z1", "")
    if code.shape[1] == 2:
        return code, ("z1", "z2")
    return pca(code, 2).encode(code), ("first component of the codes", "second component")


def independent_nll(x: Set) -> float:
    """Nats per example of pixels that are on with the share they have in this very set, each for itself: no model without a
    latent can do better. A baseline for binary images.

    >>> print(f"{independent_nll(np.array([[0.0, 1.0], [1.0, 1.0]])):.4f}")  # log 2 + 0
    0.6931
    """
    p = flat_rows(x).mean(0)
    p = p[(p > 0) & (p < 1)]
    return float(-(p * np.log(p) + (1 - p) * np.log(1 - p)).sum())


def some(n: int, most: int) -> Int[np.ndarray, "rows"]:
    """Row numbers of at most `most` of n examples, in order: a fixed draw, since sets are often sorted by class.

    >>> some(3, 5).tolist(), len(some(10, 4))
    ([0, 1, 2], 4)
    """
    return np.sort(np.random.RandomState(0).permutation(n)[:most])


def flat_rows(x: Set) -> Float[np.ndarray, "n values"]:
    return np.asarray(x, np.float64).reshape(len(x), -1)
