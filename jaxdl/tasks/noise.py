"""Noise that does not depend on how a batch is divided.

In training the key of an example comes from the number of its row, in an evaluation from its values. So the latent that an
evaluation draws does not depend on the batch size, the order or the number of devices, and is the same every time.
"""

from collections.abc import Callable

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Shaped, UInt32

from jaxdl.tracing import row_numbers
from jaxdl.types import Key

Corruption = Callable[[Key, Shaped[Array, "..."]], Shaped[Array, "..."]]
"""(key, one example) -> the corrupted example that a denoising autoencoder encodes in training."""


def row_checksum(x: Shaped[Array, "batch *shape"]) -> UInt32[Array, "batch"]:
    """A hash of all values of each example, in integer arithmetic, so that it does not depend on the example's place."""
    bits = jax.lax.bitcast_convert_type(x.astype(jnp.float32), jnp.uint32).reshape(len(x), -1)
    place = jnp.arange(bits.shape[1], dtype=jnp.uint32) * jnp.uint32(0x9E3779B9)
    h = bits ^ place[None]
    h = (h ^ (h >> 16)) * jnp.uint32(0x85EBCA6B)
    h = (h ^ (h >> 13)) * jnp.uint32(0xC2B2AE35)  # MurmurHash3's mixing: a pixel that is 0 or 1 has two bit patterns
    return jnp.sum(h ^ (h >> 16), axis=1, dtype=jnp.uint32)


def keys_of(key: Key, x: Shaped[Array, "batch *shape"], *, train: bool) -> Key:
    """One key per example, `(batch,)`: from its row in the global batch in training, from its values in an evaluation."""
    if train:
        return jax.vmap(jax.random.fold_in, (None, 0))(key, row_numbers(len(x)))
    return jax.vmap(jax.random.fold_in, (None, 0))(jax.random.key(0), row_checksum(x))


def normal_rows(keys: Key, shape: tuple[int, ...], draw: int | Array = 0) -> Float[Array, "batch *shape"]:
    """Standard normal noise for each example; another `draw` gives other noise."""
    return jax.vmap(lambda key: jax.random.normal(jax.random.fold_in(key, draw), shape))(keys)


def gaussian(scale: float) -> Corruption:
    """x + N(0, scale²). Source: Vincent et al. 2010, Stacked denoising autoencoders, section 3.3."""
    return lambda key, x: x + jnp.asarray(scale, x.dtype) * jax.random.normal(key, x.shape, x.dtype)


def masking(rate: float) -> Corruption:
    """Set each value to 0 with probability `rate` (the same source)."""
    return lambda key, x: jnp.where(jax.random.uniform(key, x.shape) < rate, jnp.zeros((), x.dtype), x)


def corrupted(corrupt: Corruption, keys: Key, x: Shaped[Array, "batch *shape"]) -> Shaped[Array, "batch *shape"]:
    """Apply a corruption to each example with its own key."""
    return jax.vmap(corrupt)(keys, x)
