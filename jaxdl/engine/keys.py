"""Keys for initialization: the random bits of JAX, from a program that compiles faster.

On a CPU, JAX writes the rounds of threefry as a loop, which XLA compiles again for every parameter shape, a third of a second
each. Unrolled, the twenty rounds are one fused kernel that compiles in half the time or less. The bits are identical.

Source: Salmon et al. 2011, "Parallel random numbers: as easy as 1, 2, 3", table 2 (rotations) and section 3.3.
"""

from math import prod

import jax
import jax.numpy as jnp
from jax import lax
from jax.extend import random as extend

from jaxdl.types import Array, Key

ROTATIONS = ((13, 15, 26, 6), (17, 29, 16, 24))
PARITY = 0x1BD11BDA
JAX = extend.threefry_prng_impl


def rotate_left(x: Array, distance: int) -> Array:
    return (x << jnp.uint32(distance)) | (x >> jnp.uint32(32 - distance))


def threefry(key: tuple[Array, Array], x: Array, y: Array) -> tuple[Array, Array]:
    """Threefry-2x32 with 20 rounds, element by element.

    >>> [hex(int(word)) for word in threefry((jnp.uint32(0), jnp.uint32(0)), jnp.uint32(0), jnp.uint32(0))]
    ['0x6b200159', '0x99ba4efe']
    """
    keys = (*key, key[0] ^ key[1] ^ jnp.uint32(PARITY))
    x, y = x + keys[0], y + keys[1]
    for i in range(5):
        for distance in ROTATIONS[i % 2]:
            x = x + y
            y = rotate_left(y, distance) ^ x
        x, y = x + keys[(i + 1) % 3], y + keys[(i + 2) % 3] + jnp.uint32(i + 1)
    return x, y


def bits(key: Array, width: int, shape: tuple[int, ...]) -> Array:
    """Element i of the flattened result is both words of threefry(key, i), joined by exclusive or, as in JAX."""
    if width != 32 or prod(shape) >= 2**32:
        return JAX.random_bits(key, width, shape)
    index, stride = jnp.zeros(shape, jnp.uint32), 1
    for axis in reversed(range(len(shape))):  # never flattened: an array that is cut over devices is drawn in its parts
        index = index + lax.broadcasted_iota(jnp.uint32, shape, axis) * jnp.uint32(stride)
        stride *= shape[axis]
    x, y = threefry((key[0], key[1]), jnp.zeros_like(index), index)
    return x ^ y


UNROLLED = extend.define_prng_impl(
    key_shape=JAX.key_shape,
    seed=JAX.seed,
    split=JAX.split,
    random_bits=bits,
    fold_in=JAX.fold_in,
    name="threefry2x32 unrolled",
    tag="fry",
)


def unrolled(key: Key) -> Key:
    """The same key, whose bits are the same too; any other kind of key is given back as it is.

    So is every key where `jax_threefry_partitionable` is off: then JAX numbers the elements in another way.

    >>> float(jax.random.normal(unrolled(jax.random.key(3)))) == float(jax.random.normal(jax.random.key(3)))
    True
    """
    if jax.random.key_impl(key) != "threefry2x32" or not jax.config.jax_threefry_partitionable:
        return key
    return jax.random.wrap_key_data(jax.random.key_data(key), impl=UNROLLED)
