"""The MLP: parameter counts, equality with PyTorch's Sequential, and its options."""

from itertools import pairwise

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxdl.layers.normalization import BatchNorm, LayerNorm
from jaxdl.models.mlp import MLP
from tests.models import parity
from tests.programs import one_program


def count(model, shape):
    variables = jax.eval_shape(lambda: model.init(jax.random.key(0), jnp.zeros(shape), train=False))
    return sum(a.size for a in jax.tree.leaves(variables["params"]))


@pytest.mark.parametrize(
    ("features", "shape", "classes"),
    [((512, 512), (1, 28, 28, 1), 10), ((300,), (1, 784), 10), ((), (1, 30), 1), ((64, 32, 16), (1, 8, 8), 10)],
)
def test_parameters_are_the_sum_of_in_plus_one_times_out(features, shape, classes):
    widths = (int(np.prod(shape)), *features, classes)
    expected = sum((i + 1) * o for i, o in pairwise(widths))
    assert count(MLP(features=features, classes=classes), shape) == expected


@pytest.mark.parametrize("live", [False, pytest.param(True, marks=pytest.mark.parity)], ids=["golden", "live"])
def test_trains_as_pytorchs_sequential(live):
    arrays = parity.recorded("mlp", live)
    parity.assert_same_run(MLP(features=(16, 12), classes=5), arrays, ("Dense_0", "Dense_1", "Dense_2"), (3, 4, 4))


def test_options():
    x = np.random.default_rng(0).normal(size=(4, 6)).astype(np.float32)
    model = MLP(features=(8, 8), classes=3, act=jnp.tanh, norm=BatchNorm, rate=0.5)

    def run(x):
        variables = model.init(jax.random.key(1), x, train=False)
        rngs = {"dropout": jax.random.key(2)}
        trained = model.apply(variables, x, train=True, rngs=rngs, mutable=["batch_stats"])
        return variables, trained, [model.apply(variables, part, train=False) for part in (x, x[:2])]

    variables, (y, new), (evaluated, part) = one_program(run, x)
    assert set(variables["params"]) == {"Dense_0", "Dense_1", "Dense_2", "BatchNorm_0", "BatchNorm_1"}
    assert y.shape == (4, 3)
    assert all(np.abs(s["mean"]).max() > 0 for s in new["batch_stats"].values())
    np.testing.assert_allclose(evaluated[:2], part, rtol=1e-6)  # evaluation sees one example at a time
    assert count(MLP(features=(8,), classes=3, norm=LayerNorm), (1, 6)) == 7 * 8 + 9 * 3 + 16
