"""Activation functions with a learned parameter; their formulas are in `jaxdl.activations`."""

import flax.linen as nn
import jax.numpy as jnp
from jax.typing import ArrayLike
from jaxtyping import Array, Float

from jaxdl.activations import prelu, swish


class Swish(nn.Module):
    """Swish x·σ(βx) with a learned β: one number, or one per channel (the last axis).

    Parameter `beta`: `()` or `(channels,)`. For a fixed β use `jaxdl.activations.swish`.
    """

    per_channel: bool = False
    initial: ArrayLike = 1.0

    @nn.compact
    def __call__(self, x: Float[Array, "*batch channels"]) -> Float[Array, "*batch channels"]:
        shape = x.shape[-1:] if self.per_channel else ()
        return swish(x, self.param("beta", lambda key: jnp.full(shape, self.initial, jnp.float32)))


class PReLU(nn.Module):
    """PReLU: x for x > 0, otherwise slope·x with a learned slope: one number, or one per channel (the last axis).

    Parameter `slope`: `()` or `(channels,)`, initially 0.25. Exclude it from weight decay, which would make it a ReLU.
    Source: He et al. 2015, arXiv:1502.01852.
    """

    per_channel: bool = False
    initial: ArrayLike = 0.25

    @nn.compact
    def __call__(self, x: Float[Array, "*batch channels"]) -> Float[Array, "*batch channels"]:
        shape = x.shape[-1:] if self.per_channel else ()
        return prelu(x, self.param("slope", lambda key: jnp.full(shape, self.initial, jnp.float32)))
