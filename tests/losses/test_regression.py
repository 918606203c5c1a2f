"""Regression losses: the constants they are minimised by, their relations, and the shapes they refuse."""

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from jaxdl.losses import regression as R

D = jnp.linspace(-3, 3, 13)
ZERO = jnp.zeros(13)


def best_constant(loss, targets, **knobs):
    grid = jnp.linspace(-2, 12, 1401)
    values = jax.vmap(lambda c: loss(jnp.full(targets.shape, c), targets, **knobs).mean())(grid)
    return grid[values.argmin()]


def test_the_best_constant_is_mean_median_or_quantile():
    targets = jnp.array([0.0, 1.0, 2.0, 3.0, 10.0])
    np.testing.assert_allclose(best_constant(R.squared_error, targets), 3.2, atol=6e-3)
    np.testing.assert_allclose(best_constant(R.absolute_error, targets), 2.0, atol=6e-3)
    np.testing.assert_allclose(best_constant(R.quantile, targets, level=0.7), 3.0, atol=6e-3)


def test_relations():
    np.testing.assert_allclose(R.squared_error(D, ZERO), 2 * optax.l2_loss(D), rtol=1e-6)  # the ½ that optax has
    np.testing.assert_allclose(R.huber(D, ZERO, delta=1e3), optax.l2_loss(D), rtol=1e-6)
    np.testing.assert_allclose(R.smooth_l1(D, ZERO, beta=2.0), R.huber(D, ZERO, delta=2.0) / 2, rtol=1e-6)
    np.testing.assert_allclose(R.quantile(D, ZERO), R.absolute_error(D, ZERO) / 2, rtol=1e-6)
    np.testing.assert_allclose(jax.grad(lambda d: R.log_cosh(d, ZERO).sum())(D), jnp.tanh(D), atol=1e-6)
    np.testing.assert_array_equal(jax.grad(lambda d: R.absolute_error(d, ZERO).sum())(D), jnp.sign(D))
    np.testing.assert_allclose(
        R.student_t_nll((D, ZERO), ZERO, df=1e4), R.gaussian_nll((D, ZERO), ZERO, full=True), rtol=2e-3
    )


def test_students_t_is_exact_for_any_degrees_of_freedom():
    """SciPy's density in float64; in float32 a difference of two log Γ is off by 0.005 at ten thousand degrees."""
    from scipy import stats

    df, d = np.meshgrid([1e-2, 0.5, 1, 2, 4, 30, 1e3, 1e4, 1e6], [0.0, 0.3, 2.0, 50.0])
    got = R.student_t_nll((jnp.float32(d), jnp.zeros(d.shape)), jnp.zeros(d.shape), df=jnp.float32(df))
    exact = -stats.t.logpdf(np.float64(np.float32(d)), np.float64(np.float32(df)))
    np.testing.assert_allclose(got, exact, rtol=3e-6, atol=3e-6)


def test_several_quantiles_at_once():
    levels = jnp.array([0.1, 0.5, 0.9])
    values = R.quantile(jnp.zeros((2, 3)), jnp.ones((2, 3)), level=levels)
    np.testing.assert_allclose(values, [[0.1, 0.5, 0.9]] * 2, rtol=1e-6)


def test_a_column_beside_a_row_is_refused():
    with pytest.raises(ValueError, match=r"\(4, 1\).*\(4,\)"):
        R.squared_error(jnp.zeros((4, 1)), jnp.zeros(4))
