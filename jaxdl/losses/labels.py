"""Labels that do not exist: their loss is NaN, so that a mistake in the data shows at once.

Inside a compiled program nothing can be refused, and an index outside an array would otherwise read another entry: -1 the
last class, K the last one too.
"""

import jax.numpy as jnp
from jax.typing import ArrayLike
from jaxtyping import Array, Bool, Float, Int, Num

from jaxdl.losses.precision import at_least_float32


def is_class(labels: Int[Array, "*batch"], classes: int) -> Bool[Array, "*batch"]:
    """True for a class number, 0 to K - 1."""
    return (labels >= 0) & (labels.astype(jnp.int32) < classes)


def or_nan(exists: Bool[Array, "*batch"], values: Float[Array, "*batch"]) -> Float[Array, "*batch"]:
    """The values where something exists, else NaN, with a gradient of 0.

    The NaN is made by a division 0/0 where there is something wrong. A constant NaN in every step would be what `--debug-nans`
    finds first.

    >>> or_nan(jnp.array([True, False]), jnp.array([1.0, 2.0])).tolist()
    [1.0, nan]
    """
    one = exists.astype(values.dtype)
    return jnp.where(exists, values, 0) + (1 - one / one)


def at_label(values: Float[Array, "*batch classes"], labels: Int[Array, "*batch"]) -> Float[Array, "*batch"]:
    """The value at each label, and NaN for a label below 0 or at or above K.

    >>> at_label(jnp.array([[1.0, 2.0], [3.0, 4.0]]), jnp.array([1, -1])).tolist()
    [2.0, nan]
    """
    exists = is_class(labels, values.shape[-1])
    index = jnp.where(exists, labels.astype(jnp.int32), 0)
    return or_nan(exists, jnp.take_along_axis(values, index[..., None], axis=-1)[..., 0])


def zero_or_one(labels: ArrayLike) -> Num[Array, "*shape"]:
    """Answers to yes-or-no questions as floats; an integer other than 0 and 1 (a -1 for "no") becomes NaN.

    Floats are probabilities and stay as they are.

    >>> zero_or_one(jnp.array([0, 1, -1])).tolist()
    [0.0, 1.0, nan]
    """
    labels, wide = jnp.asarray(labels), at_least_float32(labels)
    if not jnp.issubdtype(labels.dtype, jnp.integer):
        return wide
    return or_nan((labels == 0) | (labels == 1), wide)
