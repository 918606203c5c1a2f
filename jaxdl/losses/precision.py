"""The precision that losses are computed in."""

import jax.numpy as jnp
from jax.typing import ArrayLike
from jaxtyping import Array


def at_least_float32(x: ArrayLike) -> Array:
    """The same numbers, bfloat16, float16 and integers widened: a sum of logarithms needs more than 8 bits."""
    x = jnp.asarray(x)
    return x.astype(jnp.promote_types(x.dtype, jnp.float32))
