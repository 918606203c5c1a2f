"""The dense layer against Linen's, whose parameters fit it."""

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxdl.layers.dense import Dense


def test_equals_linens_dense_from_the_same_key_and_parameters():
    x = jax.random.normal(jax.random.key(1), (2, 3, 8))
    theirs, mine = nn.Dense(5), Dense(5)
    params = theirs.init(jax.random.key(0), x)
    jax.tree.map(np.testing.assert_array_equal, mine.init(jax.random.key(0), x), params)
    np.testing.assert_allclose(mine.apply(params, x), theirs.apply(params, x), rtol=1e-6)


@pytest.mark.parametrize(("use_bias", "count"), [(True, (8 + 1) * 5), (False, 8 * 5)])
def test_parameters(use_bias, count):
    params = jax.eval_shape(Dense(5, use_bias=use_bias).init, jax.random.key(0), jnp.zeros((1, 8)))
    assert sum(a.size for a in jax.tree.leaves(params)) == count


def test_bfloat16_in_bfloat16_out():
    x = jnp.ones((2, 8), jnp.bfloat16)
    params = jax.tree.map(lambda a: a.astype(jnp.bfloat16), Dense(5).init(jax.random.key(0), x))
    assert Dense(5).apply(params, x).dtype == jnp.bfloat16
