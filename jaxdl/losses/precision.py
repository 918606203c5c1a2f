"""The precision in which losses are computed."""

import jax.numpy as jnp
from jax.typing import ArrayLike
from jaxtyping import Array


def at_least_float32(x: ArrayLike) -> Array:
    """Convert to float32, or keep a wider type: a sum of logarithms needs more than the 8 bits of bfloat16."""
    x = jnp.asarray(x)
    return x.astype(jnp.promote_types(x.dtype, jnp.float32))
