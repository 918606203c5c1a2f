"""Noise by row in training and by content in an evaluation; what corruption does to an example."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxdl.tasks import noise
from jaxdl.tracing import rows_from
from tests.programs import one_program

X = (np.random.default_rng(0).random((500, 3, 3)) < 0.5).astype(np.float32)


@pytest.fixture(scope="module")
def found():
    """All that the tests look at, in one program."""

    def run(x, key, other):
        keys_of = lambda *args, train: jax.random.key_data(noise.keys_of(*args, train=train))
        with rows_from(100):
            part = keys_of(key, x[100:110], train=True)
        keys = noise.keys_of(key, x, train=True)
        return {
            "checksum": (noise.row_checksum(x), noise.row_checksum(x[::-1])),
            "shape": (noise.row_checksum(jnp.zeros((2, 3)))[0], noise.row_checksum(jnp.zeros((2, 4)))[0]),
            "trained": (jax.random.key_data(keys), part),
            "evaluated": (keys_of(key, x, train=False), keys_of(other, x[7:9], train=False)),
            "masked": noise.corrupted(noise.masking(0.3), keys, jnp.ones(x.shape)),
            "added": noise.corrupted(noise.gaussian(0.5), keys, x) - x,
        }

    return one_program(run, X, jax.random.key(0), jax.random.key(9))


def test_an_examples_checksum_is_its_own(found):
    numbers, reversed_numbers = found["checksum"]
    distinct = len(np.unique(X.reshape(500, 9), axis=0))
    assert len(np.unique(numbers)) == distinct, "images that differ in one pixel differ"
    np.testing.assert_array_equal(reversed_numbers, numbers[::-1])
    assert found["shape"][0] != found["shape"][1]


def test_keys_follow_rows_in_training_and_examples_in_an_evaluation(found):
    whole, part = found["trained"]
    np.testing.assert_array_equal(part, whole[100:110])
    told, other = found["evaluated"]
    np.testing.assert_array_equal(other, told[7:9])


def test_corruption(found):
    some, added = found["masked"], found["added"]
    assert set(np.unique(some)) == {0, 1}
    assert abs(some.mean() - 0.7) < 0.03
    assert abs(added.std() - 0.5) < 0.02
    assert not np.array_equal(added[0], added[1])
