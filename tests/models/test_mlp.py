"""The MLP: parameter counts, equality with PyTorch's Sequential, and its options."""

import importlib.util
from itertools import pairwise
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxdl.layers.normalization import BatchNorm, LayerNorm
from jaxdl.models.mlp import MLP

spec = importlib.util.spec_from_file_location("parity", Path(__file__).with_name("parity.py"))
parity = importlib.util.module_from_spec(spec)
spec.loader.exec_module(parity)


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


@pytest.mark.parametrize("live", [False, True], ids=["golden", "live"])
def test_trains_as_pytorchs_sequential(live):
    if live:
        pytest.importorskip("torch")
    arrays = parity.recorded("mlp", live)
    parity.assert_same_run(MLP(features=(16, 12), classes=5), arrays, ("Dense_0", "Dense_1", "Dense_2"), (3, 4, 4))


def test_options():
    x = jax.random.normal(jax.random.key(0), (4, 6))
    model = MLP(features=(8, 8), classes=3, act=jnp.tanh, norm=BatchNorm, rate=0.5)
    variables = model.init(jax.random.key(1), x, train=False)
    assert set(variables["params"]) == {"Dense_0", "Dense_1", "Dense_2", "BatchNorm_0", "BatchNorm_1"}
    rngs = {"dropout": jax.random.key(2)}
    train = jax.jit(lambda: model.apply(variables, x, train=True, rngs=rngs, mutable=["batch_stats"]))
    y, new = train()
    assert y.shape == (4, 3)
    assert all(float(jnp.abs(s["mean"]).max()) > 0 for s in new["batch_stats"].values())
    evaluate = jax.jit(lambda x: model.apply(variables, x, train=False))
    np.testing.assert_allclose(evaluate(x)[:2], evaluate(x[:2]), rtol=1e-6)  # evaluation sees one example at a time
    assert count(MLP(features=(8,), classes=3, norm=LayerNorm), (1, 6)) == 7 * 8 + 9 * 3 + 16
