"""Noise that regularises: dropout and its kin. One mask per example, whatever the batch is cut into.

The mask of row r depends on the stream's key and on r alone (`row_numbers`): micro-batches and devices see
what the whole batch would have seen. The rate may be traced, so nothing here branches on its value; the one exception is a
Python zero, the default that means 'no dropout', whose result is the same either way.
"""

from collections.abc import Sequence

import flax.linen as nn
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from jaxdl.tracing import row_numbers
from jaxdl.types import Key, UserError

Rate = float | Float[Array, ""]


def keep_mask(key: Key, rate: Rate, shape: Sequence[int]) -> Array:
    """True with probability 1 - rate, drawn from 16 random bits (so rates are multiples of 2⁻¹⁶, exact at 0 and 1)."""
    size = 1
    for n in shape:
        size *= n
    words = jax.random.bits(key, (-(-size // 2),), jnp.uint32)
    halves = jax.lax.bitcast_convert_type(words, jnp.uint16).reshape(-1)[:size].reshape(tuple(shape))
    # compared in float32, which holds every 16-bit integer: at rate 1 the threshold is above them all
    return halves.astype(jnp.float32) >= jnp.round(jnp.asarray(rate, jnp.float32) * 65536)


def dropout(
    key: Key, x: Float[Array, "batch *axes"], rate: Rate, *, broadcast: Sequence[int] = ()
) -> Float[Array, "batch *axes"]:
    """Zeroes elements with probability `rate` and divides the others by 1 - rate, so that the mean stays.

        y = x · m / (1 - rate),    m ~ Bernoulli(1 - rate)

    One draw is shared along the `broadcast` axes: `(1, 2)` drops whole channels of an image (spatial dropout), `(1,)` the same
    features at every time (variational dropout). Axis 0 is the batch and has a key per row.
    Source: Srivastava et al. 2014, JMLR 15.
    """
    shape = tuple(1 if i in {a % x.ndim for a in broadcast} else n for i, n in enumerate(x.shape))
    keys = jax.vmap(jax.random.fold_in, (None, 0))(key, row_numbers(shape[0]))
    mask = jnp.broadcast_to(jax.vmap(lambda k: keep_mask(k, rate, shape[1:]))(keys), x.shape)
    return _scaled(mask, x, rate)


def _scaled(mask: Array, x: Array, rate: Rate) -> Array:
    """x / (1 - rate) where kept; at rate 1 nothing is kept, and the gradient must not be 0·∞."""
    kept = jnp.maximum(1 - jnp.asarray(rate, jnp.float32), 2.0**-16).astype(x.dtype)
    return jnp.where(mask, x / kept, jnp.zeros((), x.dtype))


def absent(rate: Rate) -> bool:
    """Is this the default, no dropout at all? True only for a Python number 0; a traced rate always takes part."""
    return isinstance(rate, (int, float)) and rate == 0


def check_rate(rate: Rate) -> None:
    if isinstance(rate, (int, float)) and not 0 <= rate <= 1:
        raise UserError(f"rate={rate}: the share of elements to drop, from 0 to 1")


class Dropout(nn.Module):
    """`dropout` while training, the identity otherwise. Randomness: the stream `dropout`.

    `broadcast=(1, 2)` is spatial dropout for images, `broadcast=(1,)` variational dropout for `(batch, time, features)`.
    """

    rate: Rate = 0.0
    broadcast: Sequence[int] = ()

    @nn.compact
    def __call__(self, x: Float[Array, "batch *axes"], *, train: bool) -> Float[Array, "batch *axes"]:
        check_rate(self.rate)
        if not train or absent(self.rate):
            return x
        return dropout(self.make_rng("dropout"), x, self.rate, broadcast=self.broadcast)


class DropPath(nn.Module):
    """Stochastic depth: drops a residual branch for whole examples, `x + DropPath(rate)(branch(x))`.

    The rate usually grows linearly with depth: `rate · l / L`. Source: Huang et al. 2016, arXiv:1603.09382.
    """

    rate: Rate = 0.0

    @nn.compact
    def __call__(self, x: Float[Array, "batch *axes"], *, train: bool) -> Float[Array, "batch *axes"]:
        check_rate(self.rate)
        if not train or absent(self.rate):
            return x
        return dropout(self.make_rng("dropout"), x, self.rate, broadcast=tuple(range(1, x.ndim)))


class DropConnect(nn.Module):
    """Dropout of weights: a `kernel_map`, `Dense(512, kernel_map=partial(DropConnect, rate=0.5))`.

    One mask for the whole batch (and the same on every device), since the weights are shared by it; on recurrent weights this
    is AWD-LSTM's weight drop. Source: Wan et al. 2013, ICML.
    """

    rate: Rate = 0.0

    @nn.compact
    def __call__(self, kernel: Float[Array, "*shape"], *, train: bool) -> Float[Array, "*shape"]:
        check_rate(self.rate)
        if not train or absent(self.rate):
            return kernel
        mask = keep_mask(self.make_rng("dropout"), self.rate, kernel.shape)
        return _scaled(mask, kernel, self.rate)
