"""Losses for regression: elementwise, in the shape of the targets, without reduction.

For vectors or images `per_example` takes the mean over all axes but the batch. With the error d = ŷ - y:

    squared d²    absolute |d|    Huber and smooth L1: squared near 0, absolute for large d    log-cosh: a smooth Huber
"""

import jax
import jax.numpy as jnp
from jax.typing import ArrayLike
from jaxtyping import Array, Float

from jaxdl.counts import check_numbers
from jaxdl.types import UserError

Values = Float[Array, "*shape"]


def _error(predictions: ArrayLike, targets: ArrayLike) -> Array:
    """ŷ - y in float32 or wider. Shapes must be equal: (n, 1) and (n,) would broadcast to n² errors."""
    predictions, targets = jnp.asarray(predictions), jnp.asarray(targets)
    if predictions.shape != targets.shape:
        raise UserError(f"predictions {predictions.shape} and targets {targets.shape} must have the same shape")
    dtype = jnp.promote_types(jnp.promote_types(predictions.dtype, targets.dtype), jnp.float32)
    return predictions.astype(dtype) - targets.astype(dtype)


def per_example(values: Float[Array, "batch *shape"]) -> Float[Array, "batch"]:
    """Return the mean over all axes but the first: one value per example.

    >>> per_example(jnp.array([[1.0, 3.0], [0.0, 0.0]])).tolist()
    [2.0, 0.0]
    """
    return values.mean(tuple(range(1, values.ndim)))


def squared_error(predictions: Values, targets: Values) -> Values:
    """Squared error (ŷ - y)², without the factor ½ of `optax.l2_loss`. Its mean is the MSE.

    >>> squared_error(jnp.array(1.0), jnp.array(4.0)).tolist()
    9.0
    """
    return jnp.square(_error(predictions, targets))


def absolute_error(predictions: Values, targets: Values) -> Values:
    """Absolute error |ŷ - y|, with the derivative 0 at 0. Its mean is the MAE, which is robust to outliers.

    >>> absolute_error(jnp.array(1.0), jnp.array(4.0)).tolist()
    3.0
    """
    d = _error(predictions, targets)
    return d * jnp.sign(d)  # jnp.abs has the derivative 1 at 0


def huber(predictions: Values, targets: Values, *, delta: ArrayLike = 1.0) -> Values:
    """Huber loss: squared for small errors, linear for large ones, hence robust to outliers.

        ½·d² for |d| ≤ δ,   δ·(|d| - ½·δ) otherwise

    PyTorch's `HuberLoss(delta)`; δ times `smooth_l1` with β = δ. Source: Huber 1964.

    >>> huber(jnp.array([0.5, 3.0]), jnp.zeros(2), delta=2.0).tolist()
    [0.125, 4.0]
    """
    check_numbers(delta=delta)
    d = jnp.abs(_error(predictions, targets))
    delta = jnp.asarray(delta, d.dtype)
    near = jnp.minimum(d, delta)
    return near * (d - near / 2)  # both cases in one formula, so that none can overflow


def smooth_l1(predictions: Values, targets: Values, *, beta: ArrayLike = 1.0) -> Values:
    """Smooth L1 loss: ½·d²/β for |d| < β, |d| - ½·β otherwise, as PyTorch's `SmoothL1Loss(beta)`.

    It is the Huber loss divided by β, which must be positive. Source: Girshick 2015, arXiv:1504.08083.

    >>> smooth_l1(jnp.array([0.5, 3.0]), jnp.zeros(2), beta=2.0).tolist()
    [0.0625, 2.0]
    """
    check_numbers(beta=beta)
    loss = huber(predictions, targets, delta=beta)
    return loss / jnp.asarray(beta, loss.dtype)


def log_cosh(predictions: Values, targets: Values) -> Values:
    """Log-cosh loss log cosh(ŷ - y): ½·d² near 0, |d| - log 2 for large errors, with the derivative tanh(d).

    >>> print(f"{log_cosh(jnp.array(1.0), jnp.array(0.0)):.4f}")
    0.4338
    """
    d = _error(predictions, targets)
    return d + jax.nn.softplus(-2 * d) - jnp.log(jnp.asarray(2, d.dtype))


def quantile(predictions: Values, targets: Values, *, level: ArrayLike = 0.5) -> Values:
    """Pinball loss of quantile regression: the best constant is the quantile `level` of the targets.

        max(τ·(y - ŷ), (τ - 1)·(y - ŷ))

    `level` is τ in (0, 1): a number, or an array that broadcasts, such as one quantile for each output. 0.5 is half of the
    absolute error.
    Source: Koenker & Bassett 1978.

    >>> [round(v, 2) for v in quantile(jnp.array([0.0, 0.0]), jnp.array([1.0, -1.0]), level=0.9).tolist()]
    [0.9, 0.1]
    """
    check_numbers(0, 1, level=level)
    d = -_error(predictions, targets)
    level = jnp.broadcast_to(jnp.asarray(level, d.dtype), d.shape)
    return jnp.maximum(level * d, (level - 1) * d)


def gaussian_nll(
    predictions: tuple[Values, Values], targets: Values, *, floor: ArrayLike = 1e-6, full: bool = False
) -> Values:
    """Negative log-likelihood of a normal distribution whose mean and variance the model predicts.

        ½·(log σ² + (y - μ)²/σ²)        + ½·log 2π if `full`

    `predictions` is the pair (μ, log σ²). σ² is at least `floor`, so that an exact fit does not drive it to 0. Equal to
    PyTorch's `GaussianNLLLoss(eps=floor)` of the variance. Source: Nix & Weigend 1994.

    >>> print(f"{gaussian_nll((jnp.array(1.0), jnp.array(0.0)), jnp.array(3.0)):.4f}")
    2.0000
    """
    check_numbers(floor=floor)
    mean, log_variance = predictions
    d = _error(mean, targets)
    log_variance = jnp.maximum(log_variance.astype(d.dtype), jnp.log(jnp.asarray(floor, d.dtype)))
    constant = jnp.log(2 * jnp.pi) if full else 0.0
    return 0.5 * (log_variance + jnp.square(d) * jnp.exp(-log_variance) + jnp.asarray(constant, d.dtype))


def student_t_nll(predictions: tuple[Values, Values], targets: Values, *, df: ArrayLike = 4.0) -> Values:
    """Negative log-likelihood of Student's t distribution, which is more robust to outliers than `gaussian_nll`.

        ½·(ν + 1)·log(1 + z²/ν) + log σ + ½·log ν + log B(½, ν/2)        z = (y - μ)/σ

    `predictions` is the pair (μ, log σ). ν is `df`, the degrees of freedom; ν → ∞ is the normal distribution.
    """
    check_numbers(df=df)
    mean, log_scale = predictions
    d = _error(mean, targets)
    df, log_scale = jnp.asarray(df, d.dtype), log_scale.astype(d.dtype)
    none = d == 0  # log 0 has no derivative; z is 0 there for every σ
    log_z2 = jnp.where(none, -jnp.inf, 2 * (jnp.log(jnp.abs(jnp.where(none, 1, d))) - log_scale) - jnp.log(df))
    return (
        0.5 * (df + 1) * jax.nn.softplus(log_z2)  # log(1 + z²/ν) without ever forming z²
        + log_scale
        + 0.5 * jnp.log(df)
        + jax.scipy.special.betaln(0.5, df / 2)  # more accurate in float32 than a difference of log Γ
    )
