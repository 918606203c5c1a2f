"""Unrolled keys: the published test vectors of Threefry, and JAX's own numbers whatever is drawn, bit for bit."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxdl.engine.keys import threefry, unrolled
from tests.programs import one_program

# Random123's known answers for threefry2x32, 20 rounds: counter, key, result
KNOWN = [
    ((0x00000000, 0x00000000), (0x00000000, 0x00000000), (0x6B200159, 0x99BA4EFE)),
    ((0xFFFFFFFF, 0xFFFFFFFF), (0xFFFFFFFF, 0xFFFFFFFF), (0x1CB996FC, 0xBB002BE7)),
    ((0x243F6A88, 0x85A308D3), (0x13198A2E, 0x03707344), (0xC4923A9C, 0x483DF7A0)),
]


def test_known_answers():
    counters, keys, expected = np.array(KNOWN, np.uint32).transpose(1, 2, 0)
    np.testing.assert_array_equal(one_program(threefry, tuple(keys), *counters), expected)


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


@pytest.fixture(scope="module")
def drawn():
    """name -> what is drawn with unrolled keys, and with JAX's."""

    def draw(seed):
        key = jax.random.key(seed)
        return {name: (draw(unrolled(key)), draw(key)) for name, draw in DRAWS.items()}

    return one_program(draw, 7)


@pytest.mark.parametrize("name", DRAWS)
def test_bits_are_jaxs(name, drawn):
    jax.tree.map(np.testing.assert_array_equal, *drawn[name])


def test_other_keys_stay_what_they_are():
    kept = []

    def keys():
        for key in (jax.random.key(0, impl="rbg"), unrolled(jax.random.key(0))):
            kept.append(unrolled(key) is key)
        with jax.threefry_partitionable(False):
            key = jax.random.key(0)
            kept.append(unrolled(key) is key)

    jax.eval_shape(keys)
    assert kept == [True] * 3
