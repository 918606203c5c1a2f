"""Dropout and related regularizers.

The mask of row r of the batch depends on the key of the stream and on r only (`row_numbers`), so micro-batches and devices have
the masks of the whole batch. The rate may be traced. A rate of Python's 0, the default, draws nothing.
"""

from collections.abc import Sequence

import flax.linen as nn
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from jaxdl.counts import check_numbers
from jaxdl.tracing import row_numbers
from jaxdl.types import Key

Batches = Float[Array, "batch *axes"]

Rate = float | Float[Array, ""]


def keep_mask(key: Key, rate: Rate, shape: Sequence[int]) -> Array:
    """Return a mask that is True with probability 1 - rate, from 16 random bits: rates are multiples of 2⁻¹⁶."""
    size = 1
    for n in shape:
        size *= n
    words = jax.random.bits(key, (-(-size // 2),), jnp.uint32)
    halves = jax.lax.bitcast_convert_type(words, jnp.uint16).reshape(-1)[:size].reshape(tuple(shape))
    # float32 holds every 16-bit integer exactly; at rate 1 the threshold is above all of them
    return halves.astype(jnp.float32) >= jnp.round(jnp.asarray(rate, jnp.float32) * 65536)


def dropout(key: Key, x: Batches, rate: Rate, *, broadcast: Sequence[int] = ()) -> Batches:
    """Set elements to zero with probability `rate` and divide the others by 1 - rate, which keeps the mean.

        y = x · m / (1 - rate),    m ~ Bernoulli(1 - rate)

    The mask is constant along the `broadcast` axes: `(1, 2)` drops whole channels of an image (spatial dropout), `(1,)` the same
    features at every time step (variational dropout). Axis 0 is the batch.
    Source: Srivastava et al. 2014, JMLR 15.
    """
    shape = tuple(1 if i in {a % x.ndim for a in broadcast} else n for i, n in enumerate(x.shape))
    keys = jax.vmap(jax.random.fold_in, (None, 0))(key, row_numbers(shape[0]))
    mask = jnp.broadcast_to(jax.vmap(lambda k: keep_mask(k, rate, shape[1:]))(keys), x.shape)
    return _scaled(mask, x, rate)


def _scaled(mask: Array, x: Array, rate: Rate) -> Array:
    """x / (1 - rate) where kept, with a divisor above 0, so that the gradient at rate 1 is not 0·∞."""
    kept = jnp.maximum(1 - jnp.asarray(rate, jnp.float32), 2.0**-16).astype(x.dtype)
    return jnp.where(mask, x / kept, jnp.zeros((), x.dtype))


def absent(rate: Rate) -> bool:
    """Return whether the rate is Python's 0: no dropout. A traced rate of 0 draws its masks."""
    return isinstance(rate, (int, float)) and rate == 0


class Dropout(nn.Module):
    """Dropout layer: `dropout` in training, the identity otherwise. It draws from the random stream `dropout`.

    `broadcast=(1, 2)` is spatial dropout for images, `broadcast=(1,)` variational dropout for `(batch, time, features)`.
    """

    rate: Rate = 0.0
    broadcast: Sequence[int] = ()

    @nn.compact
    def __call__(self, x: Batches, *, train: bool) -> Batches:
        check_numbers(0, 1, rate=self.rate)
        if not train or absent(self.rate):
            return x
        return dropout(self.make_rng("dropout"), x, self.rate, broadcast=self.broadcast)


class DropPath(nn.Module):
    """Stochastic depth: drops a residual branch for whole examples, `x + DropPath(rate)(branch(x))`.

    The rate usually grows linearly with the depth of the layer, rate · l / L. Source: Huang et al. 2016, arXiv:1603.09382.
    """

    rate: Rate = 0.0

    @nn.compact
    def __call__(self, x: Batches, *, train: bool) -> Batches:
        check_numbers(0, 1, rate=self.rate)
        if not train or absent(self.rate):
            return x
        return dropout(self.make_rng("dropout"), x, self.rate, broadcast=tuple(range(1, x.ndim)))


class DropConnect(nn.Module):
    """Dropout of weights, as a `kernel_map`: `Dense(512, kernel_map=partial(DropConnect, rate=0.5))`.

    One mask serves the whole batch on all devices. On recurrent kernels it is the weight drop of AWD-LSTM.
    Source: Wan et al. 2013, ICML.
    """

    rate: Rate = 0.0

    @nn.compact
    def __call__(self, kernel: Float[Array, "*shape"], *, train: bool) -> Float[Array, "*shape"]:
        check_numbers(0, 1, rate=self.rate)
        if not train or absent(self.rate):
            return kernel
        mask = keep_mask(self.make_rng("dropout"), self.rate, kernel.shape)
        return _scaled(mask, kernel, self.rate)
