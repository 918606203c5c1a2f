"""Regression losses: the constants they are minimised by, their relations, and the shapes they refuse."""

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from jaxdl.losses import regression as R
from tests.programs import one_program

D = np.linspace(-3, 3, 13, dtype="f4")


def test_the_best_constant_is_mean_median_or_quantile():
    targets, grid = np.float32([0.0, 1.0, 2.0, 3.0, 10.0]), np.linspace(-2, 12, 1401, dtype="f4")

    def values(targets, grid):
        of = lambda loss, **knobs: jax.vmap(lambda c: loss(jnp.full(5, c), targets, **knobs).mean())(grid)
        return of(R.squared_error), of(R.absolute_error), of(R.quantile, level=0.7)

    best = [grid[v.argmin()] for v in one_program(values, targets, grid)]
    np.testing.assert_allclose(best, [3.2, 2.0, 3.0], atol=6e-3)


def test_relations():
    def everything(d):
        zero = jnp.zeros_like(d)
        return {
            "squared": R.squared_error(d, zero),
            "optax": optax.l2_loss(d),
            "huber": R.huber(d, zero, delta=1e3),
            "smooth": R.smooth_l1(d, zero, beta=2.0),
            "huber of 2": R.huber(d, zero, delta=2.0),
            "median": R.quantile(d, zero),
            "absolute": R.absolute_error(d, zero),
            "slope of log_cosh": jax.grad(lambda d: R.log_cosh(d, zero).sum())(d),
            "slope of absolute": jax.grad(lambda d: R.absolute_error(d, zero).sum())(d),
            "student": R.student_t_nll((d, zero), zero, df=1e4),
            "gaussian": R.gaussian_nll((d, zero), zero, full=True),
        }

    got = one_program(everything, D)
    np.testing.assert_allclose(got["squared"], 2 * got["optax"], rtol=1e-6)  # the ½ that optax has
    np.testing.assert_allclose(got["huber"], got["optax"], rtol=1e-6)
    np.testing.assert_allclose(got["smooth"], got["huber of 2"] / 2, rtol=1e-6)
    np.testing.assert_allclose(got["median"], got["absolute"] / 2, rtol=1e-6)
    np.testing.assert_allclose(got["slope of log_cosh"], np.tanh(D), atol=1e-6)
    np.testing.assert_array_equal(got["slope of absolute"], np.sign(D))
    np.testing.assert_allclose(got["student"], got["gaussian"], rtol=2e-3)


def test_students_t_is_exact_for_any_degrees_of_freedom():
    """SciPy's density in float64; in float32 a difference of two log Γ is off by 0.005 at ten thousand degrees."""
    from scipy import stats

    df, d = np.float32(np.meshgrid([1e-2, 0.5, 1, 2, 4, 30, 1e3, 1e4, 1e6], [0.0, 0.3, 2.0, 50.0]))
    got = one_program(lambda d, df: R.student_t_nll((d, jnp.zeros_like(d)), jnp.zeros_like(d), df=df), d, df)
    np.testing.assert_allclose(got, -stats.t.logpdf(np.float64(d), np.float64(df)), rtol=3e-6, atol=3e-6)


def test_several_quantiles_at_once():
    levels = np.float32([0.1, 0.5, 0.9])
    values = one_program(lambda levels: R.quantile(jnp.zeros((2, 3)), jnp.ones((2, 3)), level=levels), levels)
    np.testing.assert_allclose(values, [[0.1, 0.5, 0.9]] * 2, rtol=1e-6)


def test_a_column_beside_a_row_is_refused():
    with pytest.raises(ValueError, match=r"\(4, 1\).*\(4,\)"):
        R.squared_error(np.zeros((4, 1)), np.zeros(4))


def test_students_t_at_the_target_itself_depends_on_the_scale_alone():
    """z = 0 whatever σ is: the loss is log σ and a constant, also where σ is far below what float32 can hold."""

    at = np.float32([-1e4, -100.0, 0.0])
    means = np.float32([1e4, 3.0, 0.0])
    both = jax.vmap(jax.value_and_grad(lambda m, s: R.student_t_nll((m, s), jax.lax.stop_gradient(m), df=4.0), (0, 1)))
    values, (by_mean, by_scale) = one_program(both, means, at)
    np.testing.assert_allclose(values - at, np.full(3, 0.5 * np.log(4) + np.log(4 / 3)), rtol=1e-2)
    np.testing.assert_array_equal(by_mean, 0)
    np.testing.assert_array_equal(by_scale, 1)
