"""The sparsity of a code belongs to the whole batch, also where it is cut over devices."""

import jax
import jax.numpy as jnp
import numpy as np

from jaxdl.losses.activity import kl_activity


def test_the_mean_is_over_all_devices():
    code = jnp.asarray(np.random.default_rng(0).uniform(0.05, 0.95, (8, 3)), jnp.float32)
    loss = lambda code: kl_activity(code, rate=0.2)
    whole, slope = loss(code), jax.grad(lambda code: loss(code).mean())(code)
    over = jax.vmap(loss, axis_name="data")
    parts = code.reshape(2, 4, 3)
    np.testing.assert_allclose(over(parts).reshape(-1), whole, rtol=1e-6)
    cut = jax.grad(lambda parts: over(parts).mean())(parts)
    np.testing.assert_allclose(cut.reshape(8, 3), slope, rtol=1e-5)
