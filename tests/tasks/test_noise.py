"""Noise by row in training and by content in an evaluation; what corruption does to an example."""

import jax
import jax.numpy as jnp
import numpy as np

from jaxdl.tasks import noise
from jaxdl.tracing import rows_from

KEY = jax.random.key(0)
X = (np.random.default_rng(0).random((500, 3, 3)) < 0.5).astype(np.float32)


def data_of(keys):
    return np.asarray(jax.random.key_data(keys))


def test_an_examples_checksum_is_its_own():
    numbers = np.asarray(noise.checksum(jnp.asarray(X)))
    distinct = len(np.unique(X.reshape(500, 9), axis=0))
    assert len(np.unique(numbers)) == distinct, "images that differ in one pixel differ"
    np.testing.assert_array_equal(noise.checksum(jnp.asarray(X[::-1])), numbers[::-1])
    assert noise.checksum(jnp.zeros((2, 3)))[0] != noise.checksum(jnp.zeros((2, 4)))[0]


def test_keys_follow_rows_in_training_and_examples_in_an_evaluation():
    whole = data_of(noise.keys_of(KEY, X, train=True))
    with rows_from(100):
        part = data_of(noise.keys_of(KEY, X[100:110], train=True))
    np.testing.assert_array_equal(part, whole[100:110])
    told = data_of(noise.keys_of(KEY, X, train=False))
    np.testing.assert_array_equal(data_of(noise.keys_of(jax.random.key(9), X[7:9], train=False)), told[7:9])


def test_corruption():
    keys = noise.keys_of(KEY, X, train=True)
    some = noise.corrupted(noise.masking(0.3), keys, jnp.ones(X.shape))
    assert set(np.unique(some)) == {0, 1}
    assert abs(float(some.mean()) - 0.7) < 0.03
    added = noise.corrupted(noise.gaussian(0.5), keys, jnp.asarray(X)) - X
    assert abs(float(added.std()) - 0.5) < 0.02
    assert not np.array_equal(added[0], added[1])
