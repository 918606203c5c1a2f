"""Penalties: which parameters count, gradients, and scikit-learn's elastic net as an optimum of ours."""

import jax
import numpy as np
from sklearn.linear_model import ElasticNet

from jaxdl.losses import elastic_net, l1, l2
from tests.programs import one_program

ONES = np.ones((3, 4), "f4")
PARAMS = {
    "Dense_0": {"kernel": np.float32([[1.0, -2.0], [0.5, 0.0]]), "bias": np.float32([7.0, 7.0])},
    "layers": {"norm": {"scale": ONES, "bias": ONES}, "embedding": np.ones((2, 2), "f4")},
}


def test_only_weights_count_unless_told_otherwise():
    only = jax.tree.map(lambda leaf: False, PARAMS)
    only["Dense_0"]["bias"] = True
    got = one_program(lambda p: [l1(p), l2(p), l1(p, mask=None), l2(p, mask=only), l1({})], PARAMS)
    np.testing.assert_allclose(got, [3.5 + 4, 5.25 + 4, 3.5 + 14 + 12 + 12 + 4, 98, 0])


def test_gradients_are_sign_and_twice_the_weight():
    kernel = PARAMS["Dense_0"]["kernel"]
    of_l1, of_l2 = one_program(lambda p: (jax.grad(l1)(p), jax.grad(l2)(p)), PARAMS)
    np.testing.assert_array_equal(of_l1["Dense_0"]["kernel"], np.sign(kernel))
    np.testing.assert_array_equal(of_l2["Dense_0"]["kernel"], 2 * kernel)
    np.testing.assert_array_equal(of_l2["Dense_0"]["bias"], 0)


def test_strengths_can_be_swept():
    both = jax.vmap(lambda a, b: elastic_net(PARAMS, lambda1=a, lambda2=b))
    np.testing.assert_allclose(one_program(both, np.float32([1, 0]), np.float32([0, 2])), [3.5 + 4, 2 * (5.25 + 4)])


def test_the_elastic_net_of_scikit_learn_is_a_minimum_of_ours():
    draw = np.random.default_rng(0)
    x = draw.normal(size=(60, 6))
    y = x @ [2.0, 0, 0, -1.0, 0, 0.3] + 0.1 * draw.normal(size=60)
    alpha, ratio = 0.2, 0.7
    w = ElasticNet(alpha=alpha, l1_ratio=ratio, fit_intercept=False, tol=1e-10).fit(x, y).coef_
    zero = w == 0
    assert 0 < zero.sum() < 6

    def objective(params):
        error = np.float32(x) @ params["kernel"][:, 0] - np.float32(y)
        return 0.5 * (error**2).mean() + elastic_net(params, lambda1=alpha * ratio, lambda2=0.5 * alpha * (1 - ratio))

    gradient = one_program(jax.grad(objective), {"kernel": np.float32(w)[:, None]})["kernel"][:, 0]
    np.testing.assert_allclose(gradient[~zero], 0, atol=1e-5)
    assert np.abs(gradient[zero]).max() < alpha * ratio  # inside the subgradient of |w| at 0
