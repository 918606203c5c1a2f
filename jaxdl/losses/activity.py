"""Penalties on the activations of a hidden layer, which make a code sparse: few units are active for each example.

An autoencoder whose code is wider than its input can copy the input. With a sparse code it must find parts instead.
"""

import jax
import jax.numpy as jnp
from jax.typing import ArrayLike
from jaxtyping import Array, Float

from jaxdl.counts import check_numbers
from jaxdl.losses.precision import at_least_float32
from jaxdl.tracing import data_axis


def l1_activity(code: Float[Array, "batch *units"]) -> Float[Array, "batch"]:
    """L1 norm Σ|z| of the code of each example. The derivative at 0 is 0.

    With an activation that can give 0, such as ReLU, most units become exactly 0.

    >>> l1_activity(jnp.array([[1.0, -2.0, 0.0]])).tolist()
    [3.0]
    """
    code = at_least_float32(code)
    return (code * jnp.sign(code)).sum(tuple(range(1, code.ndim)))


def kl_activity(
    code: Float[Array, "batch *units"], *, rate: ArrayLike, mask: Float[Array, "batch"] | None = None
) -> Float[Array, "batch"]:
    """KL divergence of the mean activation of each unit from the target `rate` ρ; for units in (0, 1), as after a sigmoid.

        Σ_j ρ·log ρ/ρ̂_j + (1 - ρ)·log (1 - ρ)/(1 - ρ̂_j)        ρ̂_j: mean of unit j over the batch, on all devices

    All examples of the batch get the same value, and its gradient reaches all of them. `mask` leaves padding out of the mean.
    With gradient accumulation the mean is over a micro-batch.
    Source: Ng 2011, Sparse autoencoder (CS294A), section 3.

    >>> print(f"{jax.jit(kl_activity)(jnp.array([[0.2], [0.8]]), rate=0.1).tolist()[0]:.4f}")  # KL(0.1 ‖ 0.5)
    0.3681
    """
    check_numbers(0, 1, rate=rate)
    code = at_least_float32(code)
    weight = jnp.ones(len(code)) if mask is None else mask
    total, count = jnp.tensordot(weight, code, 1), weight.sum()
    if data_axis() is not None:
        total, count = jax.lax.psum((total, count), data_axis())
    on = jnp.clip(total / jnp.maximum(count, 1), 1e-6, 1 - 1e-6)
    rate = jnp.asarray(rate, on.dtype)
    kl = rate * (jnp.log(rate) - jnp.log(on)) + (1 - rate) * (jnp.log1p(-rate) - jnp.log1p(-on))
    return jnp.broadcast_to(kl.sum(), (len(code),))
