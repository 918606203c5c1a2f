"""NaN losses for labels that do not exist, so that a mistake in the data is seen at once.

A compiled program cannot raise an error, and an index outside an array would silently read another entry: both -1 and K the
last class.
"""

import jax.numpy as jnp
from jax.typing import ArrayLike
from jaxtyping import Array, Bool, Float, Int, Num

from jaxdl.losses.precision import at_least_float32


def is_class(labels: Int[Array, "*batch"], classes: int) -> Bool[Array, "*batch"]:
    """Return whether each label is a class number, 0 to K - 1."""
    return (labels >= 0) & (labels.astype(jnp.int32) < classes)


def or_nan(exists: Bool[Array, "*batch"], values: Float[Array, "*batch"]) -> Float[Array, "*batch"]:
    """Return the values where `exists`, else NaN with a gradient of 0.

    The NaN comes from a division 0/0 in those places only. `--debug-nans` would stop at a constant NaN in every step.

    >>> or_nan(jnp.array([True, False]), jnp.array([1.0, 2.0])).tolist()
    [1.0, nan]
    """
    one = exists.astype(values.dtype)
    return jnp.where(exists, values, 0) + (1 - one / one)


def at_label(values: Float[Array, "*batch classes"], labels: Int[Array, "*batch"]) -> Float[Array, "*batch"]:
    """Return the value at each label, or NaN for a label that is not in [0, K).

    >>> at_label(jnp.array([[1.0, 2.0], [3.0, 4.0]]), jnp.array([1, -1])).tolist()
    [2.0, nan]
    """
    exists = is_class(labels, values.shape[-1])
    index = jnp.where(exists, labels.astype(jnp.int32), 0)
    return or_nan(exists, jnp.take_along_axis(values, index[..., None], axis=-1)[..., 0])


def zero_or_one(labels: ArrayLike) -> Num[Array, "*shape"]:
    """Convert binary labels to floats. An integer other than 0 and 1, such as -1 for "no", becomes NaN.

    Floats are probabilities and are returned unchanged.

    >>> zero_or_one(jnp.array([0, 1, -1])).tolist()
    [0.0, 1.0, nan]
    """
    labels, wide = jnp.asarray(labels), at_least_float32(labels)
    if not jnp.issubdtype(labels.dtype, jnp.integer):
        return wide
    return or_nan((labels == 0) | (labels == 1), wide)
