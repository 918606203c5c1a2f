"""Metrics of generative models: FID, KID, precision and recall, mode coverage. NumPy on the host.

They compare a real and a generated set of vectors `(n, dim)`: points, or features of images from a fixed classifier. State the
classifier with the result, because values on features of different networks are not comparable. FID of few examples is biased
upwards (n should be much larger than dim); KID is unbiased.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
from jaxtyping import Float

from jaxdl.counts import check_count
from jaxdl.metrics.curves import binary_roc_auc
from jaxdl.metrics.reduction import some
from jaxdl.types import UserError

Vectors = Float[np.ndarray, "n dim"]

ON_FEATURES = {"fid": "min", "kid": "min", "precision": "max", "recall": "max", "density": "max", "coverage": "max"}
ON_MODES = {"modes": "max", "high_quality": "max", "mode_kl": "min"}
"""Whether more or less of each number is better."""


def fid(real: Vectors, made: Vectors) -> float:
    """Fréchet distance (FID) of the Gaussians with the means and covariances of the two sets.

        FID = ‖μ - ν‖² + tr(Σ + T - 2·(Σ·T)^½)

    It is 0 for equal moments, in squared units of the features. Covariances are unbiased (n - 1), as usual. The trace of the root
    is Σ_i √λ_i with the eigenvalues λ of the symmetric √Σ·T·√Σ, which are real for a singular Σ, too.
    Source: Heusel et al. 2017, arXiv:1706.08500; Dowson and Landau 1982.

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
    """Fréchet distance from the difference of the means and the two covariances."""
    one, two = np.atleast_2d(one), np.atleast_2d(two)
    values, vectors = np.linalg.eigh(one)
    root = (vectors * np.sqrt(np.maximum(values, 0))) @ vectors.T
    both = np.sqrt(np.maximum(np.linalg.eigvalsh(root @ two @ root), 0)).sum()
    return float(round(gap @ gap + np.trace(one) + np.trace(two) - 2 * both, 12))


def kid(real: Vectors, made: Vectors, *, subset: int = 1000, subsets: int = 20, seed: int = 0) -> dict[str, float]:
    """Kernel inception distance: MMD² with the kernel (x·y/dim + 1)³; `kid` is the mean over subsets, `kid_sd` the deviation.

        MMD² = mean_{i≠j} k(x_i, x_j) + mean_{i≠j} k(y_i, y_j) - 2·mean_{i,j} k(x_i, y_j)

    It is unbiased, hence may be negative. Sets of at most `subset` examples are used as a whole, once.
    Source: Bińkowski et al. 2018, arXiv:1801.01401, section 4.
    """
    check_count("subset", subset, 2)
    check_count("subsets", subsets)
    real, made = _checked(real, made)
    rng, n = np.random.default_rng(seed), min(subset, len(real), len(made))
    if max(len(real), len(made)) <= subset:
        return {"kid": mmd(real, made), "kid_sd": 0.0}
    values = [mmd(*(x[rng.choice(len(x), n, replace=False)] for x in (real, made))) for _ in range(subsets)]
    return {"kid": float(np.mean(values)), "kid_sd": float(np.std(values))}


def mmd(x: Vectors, y: Vectors) -> float:
    """Unbiased squared maximum mean discrepancy (MMD²) with the kernel of `kid`.

    >>> round(mmd(np.array([[0.0], [1.0]]), np.array([[0.0], [2.0]])), 6)  # 1 + 1 - (1 + 1 + 1 + 27) / 2
    -13.0
    """

    def kernel(a: Vectors, b: Vectors) -> Float[np.ndarray, "n m"]:
        return (a @ b.T / a.shape[1] + 1) ** 3

    def others(k: Float[np.ndarray, "n n"]) -> float:
        return (k.sum() - np.trace(k)) / (len(k) * (len(k) - 1))

    return float(others(kernel(x, x)) + others(kernel(y, y)) - 2 * kernel(x, y).mean())


def precision_recall(real: Vectors, made: Vectors, *, k: int = 5) -> dict[str, float]:
    """Precision and recall, density and coverage, from the balls around examples that reach their k-th neighbour.

        precision   share of generated examples inside the ball of any real one
        recall      share of real examples inside the ball of any generated one
        density     mean number of real balls that contain a generated example, over k; robust to outliers, may exceed 1
        coverage    share of real balls that contain a generated example; about 1 - 1/2^k for equal distributions

    Memory: n² numbers. Source: Kynkäänniemi et al. 2019, arXiv:1904.06991; density and coverage Naeem et al. 2020,
    arXiv:2002.09797.
    """
    check_count("k", k)
    real, made = _checked(real, made)
    if min(len(real), len(made)) <= k:
        raise UserError(f"k = {k} must be less than the number of examples, {len(real)} real and {len(made)} generated")
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
    """Coverage of the M modes of a mixture of Gaussians with the standard deviation `sd`.

        modes           number of modes with a sample within radius·sd that is nearest to this mode
        high_quality    share of samples within radius·sd of a mode; 98.9 % of the mixture itself in 2 dimensions
        mode_kl         Σ_m q_m log(q_m · M), with the share q_m of these samples: 0 if even, log M if all are at one mode

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
    """Ratio of the mean squared distance between generated examples to that between real ones.

    It is 1 for equal sets and 0 if all generated examples are equal. For arrays of any shape.

    >>> diversity(np.array([[0.0], [2.0]]), np.array([[5.0], [6.0]]))
    0.25
    """
    spread = [float(np.var(x.reshape(len(x), -1).astype(np.float64), axis=0).sum()) for x in (real, made)]
    return spread[1] / max(spread[0], 1e-30)


def distinguishable(real: Float[np.ndarray, "n"], made: Float[np.ndarray, "m"]) -> float:
    """Area under the ROC curve of a critic: the probability that a real example scores higher than a generated one.

    >>> distinguishable(np.array([1.0, 2.0]), np.array([1.0, 0.0]))
    0.875
    """
    return binary_roc_auc(np.concatenate([real, made]), np.arange(len(real)))


# -- measures of a task's report --------------------------------------------------------------------------------------


@dataclass(frozen=True, eq=False)
class OnModes:
    """`mode_coverage` of generated points, with a note on missing modes."""

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
    """FID, KID, precision and recall of images on `features`, of the network called `name`.

    Precision and recall use a fixed draw of at most `most` examples, because they need most² numbers.
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
            notes.append(f"generated examples are near only {100 * found['coverage']:.0f} % of the real ones")
        return {**found, "notes": notes}


# -- distances --------------------------------------------------------------------------------------------------------


def _checked(real: Vectors, made: Vectors) -> tuple[Vectors, Vectors]:
    real, made = np.asarray(real, np.float64), np.asarray(made, np.float64)
    if real.ndim != 2 or made.ndim != 2 or real.shape[1] != made.shape[1] or min(len(real), len(made)) < 2:
        raise UserError(f"both sets must be (n > 1, dim) with one dim, got {real.shape} and {made.shape}")
    return real, made


def _distances(a: Vectors, b: Vectors) -> Float[np.ndarray, "n m"]:
    sizes = np.square(a).sum(1)[:, None] + np.square(b).sum(1)[None]
    squared = sizes - 2 * a @ b.T
    return np.sqrt(np.where(squared > 1e-13 * sizes, squared, 0))  # exactly 0 for equal examples


def _radii(x: Vectors, k: int) -> Float[np.ndarray, "n"]:
    """The distance of each example to its k-th neighbour."""
    distance = _distances(x, x)
    np.fill_diagonal(distance, 0)  # exactly 0, so that each example is nearest to itself
    return np.partition(distance, k, axis=1)[:, k]
