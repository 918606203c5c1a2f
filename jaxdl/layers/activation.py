"""Activations with a learned parameter; the formulas are in `jaxdl.activations`."""

import flax.linen as nn
import jax.numpy as jnp
from jax.typing import ArrayLike
from jaxtyping import Array, Float

from jaxdl.activations import prelu, swish


class Swish(nn.Module):
    """x·σ(βx) with β learned: one number, or one per channel (the last axis).

    Parameter `beta`: `()` or `(channels,)`. For a fixed β use the function `jaxdl.activations.swish`.
    """

    per_channel: bool = False
    initial: ArrayLike = 1.0

    @nn.compact
    def __call__(self, x: Float[Array, "*batch channels"]) -> Float[Array, "*batch channels"]:
        shape = x.shape[-1:] if self.per_channel else ()
        return swish(x, self.param("beta", lambda key: jnp.full(shape, self.initial, jnp.float32)))


class PReLU(nn.Module):
    """x for x > 0, slope·x otherwise, with the slope learned: one number, or one per channel (the last axis).

    Parameter `slope`: `()` or `(channels,)`, 0.25 at first (He et al. 2015, arXiv:1502.01852). Leave it out of
    weight decay, which would pull it to ReLU.
    """

    per_channel: bool = False
    initial: ArrayLike = 0.25

    @nn.compact
    def __call__(self, x: Float[Array, "*batch channels"]) -> Float[Array, "*batch channels"]:
        shape = x.shape[-1:] if self.per_channel else ()
        return prelu(x, self.param("slope", lambda key: jnp.full(shape, self.initial, jnp.float32)))
