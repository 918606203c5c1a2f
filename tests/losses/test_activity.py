"""The sparsity of a code belongs to the whole batch, also where it is cut over devices."""

import jax
import numpy as np
from scipy.special import rel_entr

from jaxdl.losses.activity import kl_activity
from tests.programs import one_program


def test_it_is_the_divergence_between_bernoulli_distributions():
    code = np.random.default_rng(1).uniform(0.05, 0.95, (8, 3)).astype("f4")
    on = code.mean(0, dtype=np.float64)
    expected = (rel_entr(0.2, on) + rel_entr(0.8, 1 - on)).sum()
    np.testing.assert_allclose(one_program(kl_activity, code, rate=0.2), np.full(8, expected), rtol=1e-5)


def test_the_mean_is_over_all_devices():
    code = np.random.default_rng(0).uniform(0.05, 0.95, (8, 3)).astype("f4")
    loss = lambda code: kl_activity(code, rate=0.2)
    over = jax.vmap(loss, axis_name="data")

    def both(code, parts):
        slopes = [jax.grad(lambda x, f=f: f(x).mean())(x) for f, x in ((loss, code), (over, parts))]
        return loss(code), over(parts), *slopes

    whole, cut, slope, cut_slope = one_program(both, code, code.reshape(2, 4, 3))
    np.testing.assert_allclose(cut.reshape(-1), whole, rtol=1e-6)
    np.testing.assert_allclose(cut_slope.reshape(8, 3), slope, rtol=1e-5)
