"""The dense layer against Linen's, whose parameters fit it."""

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxdl.layers.dense import Dense
from tests.programs import one_program


def test_equals_linens_dense_from_the_same_key_and_parameters():
    x = np.random.default_rng(1).normal(size=(2, 3, 8)).astype(np.float32)
    theirs, mine = nn.Dense(5), Dense(5)

    def both(key, x):
        params = theirs.init(key, x)
        return params, mine.init(key, x), theirs.apply(params, x), mine.apply(params, x)

    params, my_params, expected, y = one_program(both, jax.random.key(0), x)
    jax.tree.map(np.testing.assert_array_equal, my_params, params)
    np.testing.assert_allclose(y, expected, rtol=1e-6)


@pytest.mark.parametrize(("use_bias", "count"), [(True, (8 + 1) * 5), (False, 8 * 5)])
def test_parameters(use_bias, count):
    params = jax.eval_shape(Dense(5, use_bias=use_bias).init, jax.random.key(0), np.zeros((1, 8), np.float32))
    assert sum(a.size for a in jax.tree.leaves(params)) == count


def test_bfloat16_in_bfloat16_out():
    def run(x):
        params = jax.tree.map(lambda a: a.astype(jnp.bfloat16), Dense(5).init(jax.random.key(0), x))
        return Dense(5).apply(params, x)

    assert jax.eval_shape(run, jax.ShapeDtypeStruct((2, 8), jnp.bfloat16)).dtype == jnp.bfloat16
