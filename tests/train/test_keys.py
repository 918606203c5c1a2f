"""Unrolled keys: the published test vectors of Threefry, and JAX's own numbers whatever is drawn, bit for bit."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxdl.train.keys import threefry, unrolled

# Random123's known answers for threefry2x32, 20 rounds: counter, key, result
KNOWN = [
    ((0x00000000, 0x00000000), (0x00000000, 0x00000000), (0x6B200159, 0x99BA4EFE)),
    ((0xFFFFFFFF, 0xFFFFFFFF), (0xFFFFFFFF, 0xFFFFFFFF), (0x1CB996FC, 0xBB002BE7)),
    ((0x243F6A88, 0x85A308D3), (0x13198A2E, 0x03707344), (0xC4923A9C, 0x483DF7A0)),
]


@pytest.mark.parametrize(("counter", "key", "expected"), KNOWN)
def test_known_answers(counter, key, expected):
    words = threefry(tuple(map(jnp.uint32, key)), *map(jnp.uint32, counter))
    assert tuple(int(word) for word in words) == expected


DRAWS = {
    "bits": lambda key: jax.random.bits(key, (3, 5, 7)),
    "bytes": lambda key: jax.random.bits(key, (9,), jnp.uint8),
    "scalar": lambda key: jax.random.uniform(key),
    "nothing": lambda key: jax.random.normal(key, (0, 3)),
    "truncated": lambda key: jax.random.truncated_normal(key, -2.0, 2.0, (4, 3)),
    "orthogonal": lambda key: jax.random.orthogonal(key, 4),
    "permutation": lambda key: jax.random.permutation(key, 11),
    "folded and split": lambda key: [jax.random.normal(k, (2,)) for k in jax.random.split(jax.random.fold_in(key, 5))],
    "mapped": lambda key: jax.vmap(lambda i: jax.random.bernoulli(jax.random.fold_in(key, i), 0.3, (6,)))(
        jnp.arange(4)
    ),
}


@pytest.mark.parametrize("draw", DRAWS.values(), ids=DRAWS)
def test_bits_are_jaxs(draw):
    key = jax.random.key(7)
    jax.tree.map(np.testing.assert_array_equal, jax.jit(draw)(unrolled(key)), jax.jit(draw)(key))


def test_other_keys_stay_what_they_are():
    for key in (jax.random.key(0, impl="rbg"), unrolled(jax.random.key(0))):
        assert unrolled(key) is key
    with jax.threefry_partitionable(False):
        key = jax.random.key(0)
        assert unrolled(key) is key
