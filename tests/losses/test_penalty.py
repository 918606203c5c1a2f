"""Penalties: which parameters count, gradients, and scikit-learn's elastic net as an optimum of ours."""

import jax
import jax.numpy as jnp
import numpy as np
from sklearn.linear_model import ElasticNet

from jaxdl.losses import elastic_net, l1, l2

PARAMS = {
    "Dense_0": {"kernel": jnp.array([[1.0, -2.0], [0.5, 0.0]]), "bias": jnp.array([7.0, 7.0])},
    "layers": {"norm": {"scale": jnp.ones((3, 4)), "bias": jnp.ones((3, 4))}, "embedding": jnp.ones((2, 2))},
}


def test_only_weights_count_unless_told_otherwise():
    np.testing.assert_allclose(l1(PARAMS), 3.5 + 4)
    np.testing.assert_allclose(l2(PARAMS), 5.25 + 4)
    np.testing.assert_allclose(l1(PARAMS, mask=None), 3.5 + 14 + 12 + 12 + 4)
    only = jax.tree.map(lambda leaf: False, PARAMS)
    only["Dense_0"]["bias"] = True
    np.testing.assert_allclose(l2(PARAMS, mask=only), 98)
    assert l1({}) == 0


def test_gradients_are_sign_and_twice_the_weight():
    kernel = PARAMS["Dense_0"]["kernel"]
    np.testing.assert_array_equal(jax.grad(l1)(PARAMS)["Dense_0"]["kernel"], jnp.sign(kernel))
    np.testing.assert_array_equal(jax.grad(l2)(PARAMS)["Dense_0"]["kernel"], 2 * kernel)
    np.testing.assert_array_equal(jax.grad(l2)(PARAMS)["Dense_0"]["bias"], 0)


def test_strengths_can_be_swept():
    both = jax.jit(jax.vmap(lambda a, b: elastic_net(PARAMS, lambda1=a, lambda2=b)))
    np.testing.assert_allclose(both(jnp.array([1.0, 0.0]), jnp.array([0.0, 2.0])), [l1(PARAMS), 2 * l2(PARAMS)])


def test_the_elastic_net_of_scikit_learn_is_a_minimum_of_ours():
    draw = np.random.default_rng(0)
    x = draw.normal(size=(60, 6))
    y = x @ [2.0, 0, 0, -1.0, 0, 0.3] + 0.1 * draw.normal(size=60)
    alpha, ratio = 0.2, 0.7
    w = ElasticNet(alpha=alpha, l1_ratio=ratio, fit_intercept=False, tol=1e-10).fit(x, y).coef_
    zero = w == 0
    assert 0 < zero.sum() < 6

    def objective(params):
        error = jnp.float32(x) @ params["kernel"][:, 0] - jnp.float32(y)
        return 0.5 * (error**2).mean() + elastic_net(params, lambda1=alpha * ratio, lambda2=0.5 * alpha * (1 - ratio))

    gradient = jax.grad(objective)({"kernel": jnp.float32(w)[:, None]})["kernel"][:, 0]
    np.testing.assert_allclose(gradient[~zero], 0, atol=1e-5)
    assert np.abs(gradient[zero]).max() < alpha * ratio  # inside the subgradient of |w| at 0
