"""How good made examples are, beside real ones: FID, KID, precision and recall, modes; NumPy on the host.

Everything compares two sets of vectors `(n, dim)`: points, or the features that a frozen classifier sees in images. Its name
belongs to the number: an FID on one network's features says nothing beside one on another's. FID of few examples is biased
upwards (n should be well above dim), KID is not.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
from jaxtyping import Float

from jaxdl.metrics.reduction import some
from jaxdl.types import UserError

Vectors = Float[np.ndarray, "n dim"]

ON_FEATURES = {"fid": "min", "kid": "min", "precision": "max", "recall": "max", "density": "max", "coverage": "max"}
ON_MODES = {"modes": "max", "high_quality": "max", "mode_kl": "min"}
"""Whether more or less of each number is better."""


def fid(real: Vectors, made: Vectors) -> float:
    """Fréchet distance of the Gaussians with the means and covariances of the two sets.

        FID = ‖μ - ν‖² + tr(Σ + T - 2·(Σ·T)^½)

    0 where the moments agree; in squared units of the features. The covariances are unbiased (n - 1), as in the usual
    implementations. The trace of the root is Σ_i √λ_i, λ the eigenvalues of the symmetric √Σ·T·√Σ, which stays real where Σ
    is singular. Source: Heusel et al. 2017, arXiv:1706.08500; Dowson and Landau 1982.

    >>> x = np.array([[0.0], [2.0]])
    >>> fid(x, 3 * x + 1)  # means 1 and 4, deviations √2 and 3·√2: 9 + 2·(3 - 1)²
    17.0
    """
    real, made = _checked(real, made)
    gap = real.mean(0) - made.mean(0)
    return frechet(gap, np.cov(real, rowvar=False), np.cov(made, rowvar=False))


def frechet(
    gap: Float[np.ndarray, "dim"], one: Float[np.ndarray, "dim dim"], two: Float[np.ndarray, "dim dim"]
) -> float:
    """The same of a difference of means and two covariances."""
    one, two = np.atleast_2d(one), np.atleast_2d(two)
    values, vectors = np.linalg.eigh(one)
    root = (vectors * np.sqrt(np.maximum(values, 0))) @ vectors.T
    both = np.sqrt(np.maximum(np.linalg.eigvalsh(root @ two @ root), 0)).sum()
    return float(round(gap @ gap + np.trace(one) + np.trace(two) - 2 * both, 12))


def kid(real: Vectors, made: Vectors, *, subset: int = 1000, subsets: int = 20, seed: int = 0) -> dict[str, float]:
    """The squared maximum mean discrepancy with the kernel (x·y/dim + 1)³: `kid`, the mean over subsets, `kid_sd` over them.

        MMD² = mean_{i≠j} k(x_i, x_j) + mean_{i≠j} k(y_i, y_j) - 2·mean_{i,j} k(x_i, y_j)

    Unbiased at any number of examples, so it may be below 0. Sets no larger than `subset` are taken whole, once.
    Source: Bińkowski et al. 2018, arXiv:1801.01401, section 4.
    """
    real, made = _checked(real, made)
    if subset < 2:
        raise UserError(f"subset={subset}: a pair needs 2 examples or more")
    rng, n = np.random.default_rng(seed), min(subset, len(real), len(made))
    if max(len(real), len(made)) <= subset:
        return {"kid": mmd(real, made), "kid_sd": 0.0}
    values = [mmd(*(x[rng.choice(len(x), n, replace=False)] for x in (real, made))) for _ in range(subsets)]
    return {"kid": float(np.mean(values)), "kid_sd": float(np.std(values))}


def mmd(x: Vectors, y: Vectors) -> float:
    """Unbiased MMD² with the kernel of `kid`.

    >>> round(mmd(np.array([[0.0], [1.0]]), np.array([[0.0], [2.0]])), 6)  # 1 + 1 - (1 + 1 + 1 + 27) / 2
    -13.0
    """

    def kernel(a: Vectors, b: Vectors) -> Float[np.ndarray, "n m"]:
        return (a @ b.T / a.shape[1] + 1) ** 3

    def others(k: Float[np.ndarray, "n n"]) -> float:
        return (k.sum() - np.trace(k)) / (len(k) * (len(k) - 1))

    return float(others(kernel(x, x)) + others(kernel(y, y)) - 2 * kernel(x, y).mean())


def precision_recall(real: Vectors, made: Vectors, *, k: int = 5) -> dict[str, float]:
    """Are made examples like real ones, and is everything real there? By the balls up to each example's k-th neighbour.

        precision   share of made examples inside the ball of any real one (its surface counts)
        recall      share of real examples inside the ball of any made one
        density     how many real balls a made example is in, over k        (robust to an outlier's large ball; may pass 1)
        coverage    share of real balls with a made example in them         (1 - 1/2^k about, of equal sets)

    Memory: n² numbers. Source: Kynkäänniemi et al. 2019, arXiv:1904.06991; density and coverage Naeem et al. 2020,
    arXiv:2002.09797.
    """
    real, made = _checked(real, made)
    if min(len(real), len(made)) <= k:
        raise UserError(f"k = {k} neighbours want more than {k} examples, got {len(real)} real and {len(made)} made")
    across = _distances(real, made)
    in_real = across <= _radii(real, k)[:, None]
    in_made = across <= _radii(made, k)[None]
    return {
        "precision": float(in_real.any(0).mean()),
        "recall": float(in_made.any(1).mean()),
        "density": float(in_real.sum(0).mean() / k),
        "coverage": float(in_real.any(1).mean()),
    }


def mode_coverage(
    made: Vectors, modes: Float[np.ndarray, "modes dim"], *, sd: float, radius: float = 3.0
) -> dict[str, float]:
    """Of a mixture of Gaussians at `modes`, each of deviation `sd`: what is found, how well, how evenly.

        modes           how many have a sample within radius·sd, their nearest mode
        high_quality    share of samples that are there at all          (of the mixture itself in 2 dimensions: 98.9 %)
        mode_kl         Σ_m q_m log(q_m · M), q the good samples' share of each mode: 0 if even, log M if all in one

    Source: Srivastava et al. 2017, arXiv:1705.07761, section 5.1 (VEEGAN).

    >>> mode_coverage(np.array([[0.0, 0.0], [0.01, 0.0], [5.0, 5.0]]), np.array([[0.0, 0.0], [1.0, 0.0]]), sd=0.1)[
    ...     "modes"
    ... ]
    1.0
    """
    distance = _distances(np.asarray(made, np.float64), np.asarray(modes, np.float64))
    nearest, good = distance.argmin(1), distance.min(1) <= radius * sd
    count = np.bincount(nearest[good], minlength=len(modes))
    share = count[count > 0] / max(count.sum(), 1)
    return {
        "modes": float((count > 0).sum()),
        "high_quality": float(good.mean()),
        "mode_kl": float((share * np.log(share * len(modes))).sum()) if count.any() else float(np.log(len(modes))),
    }


def diversity(real: Vectors, made: Vectors) -> float:
    """How far apart made examples are beside real ones: the ratio of the mean squared distances within each set.

    1 for equal sets, 0 where all made examples are one. Arrays of any shape; the mean over pairs is twice the variance.

    >>> diversity(np.array([[0.0], [2.0]]), np.array([[5.0], [6.0]]))
    0.25
    """
    spread = [float(np.var(x.reshape(len(x), -1).astype(np.float64), axis=0).sum()) for x in (real, made)]
    return spread[1] / max(spread[0], 1e-30)


def distinguishable(real: Float[np.ndarray, "n"], made: Float[np.ndarray, "m"]) -> float:
    """The probability that a critic gives a real example more than a made one (the area under its ROC curve); ties half.

    >>> distinguishable(np.array([1.0, 2.0]), np.array([1.0, 0.0]))
    0.875
    """
    order = np.sort(made)
    below = np.searchsorted(order, real, side="left") + np.searchsorted(order, real, side="right")
    return float(below.mean() / (2 * len(made)))


# -- measures: what a task's report takes -----------------------------------------------------------------------------


@dataclass(frozen=True, eq=False)
class OnModes:
    """`mode_coverage` of made points, and a sentence on modes that are missing."""

    modes: Float[np.ndarray, "modes dim"]
    sd: float
    directions: ClassVar[Mapping[str, str]] = ON_MODES

    def __call__(self, real: Vectors, made: Vectors) -> dict[str, Any]:
        found = mode_coverage(made, self.modes, sd=self.sd)
        missing = len(self.modes) - round(found["modes"])
        notes = [f"modes missing: {missing} of {len(self.modes)} have no sample"] if missing else []
        return {**found, "notes": notes}


@dataclass(frozen=True, eq=False)
class OnFeatures:
    """FID, KID, precision and recall on what `features` makes of images; `name` says whose features they are.

    What looks at neighbours sees a fixed draw of `most` examples, since it takes most² numbers.
    """

    features: Callable[[np.ndarray], Vectors]
    name: str
    k: int = 5
    most: int = 2000
    directions: ClassVar[Mapping[str, str]] = ON_FEATURES

    def __call__(self, real: np.ndarray, made: np.ndarray) -> dict[str, Any]:
        a, b = self.features(real), self.features(made)
        few = some(len(a), self.most)
        notes = [f"FID, KID, precision, recall, density and coverage on features of {self.name}, of {len(a)} examples"]
        found = {"fid": fid(a, b), **kid(a, b), **precision_recall(a[few], b[few], k=self.k)}
        if found["coverage"] < 0.1:
            notes.append(f"made examples are near {100 * found['coverage']:.0f} % of the real ones only")
        return {**found, "notes": notes}


# -- distances --------------------------------------------------------------------------------------------------------


def _checked(real: Vectors, made: Vectors) -> tuple[Vectors, Vectors]:
    real, made = np.asarray(real, np.float64), np.asarray(made, np.float64)
    if real.ndim != 2 or made.ndim != 2 or real.shape[1] != made.shape[1] or min(len(real), len(made)) < 2:
        raise UserError(f"expected two sets (n > 1, dim) of one dim, got {real.shape} and {made.shape}")
    return real, made


def _distances(a: Vectors, b: Vectors) -> Float[np.ndarray, "n m"]:
    sizes = np.square(a).sum(1)[:, None] + np.square(b).sum(1)[None]
    squared = sizes - 2 * a @ b.T
    return np.sqrt(np.where(squared > 1e-13 * sizes, squared, 0))  # the same example twice: 0, not what rounding leaves


def _radii(x: Vectors, k: int) -> Float[np.ndarray, "n"]:
    """The distance of every example to its k-th neighbour."""
    distance = _distances(x, x)
    np.fill_diagonal(distance, 0)  # exactly, so that an example is the nearest to itself
    return np.partition(distance, k, axis=1)[:, k]
