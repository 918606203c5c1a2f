"""The sheet's CNN: its published parameter count, equality with PyTorch's Sequential, and its options."""

import importlib.util
from functools import partial
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxdl.layers.normalization import BatchNorm, GroupNorm
from jaxdl.models.cnn import CNN

spec = importlib.util.spec_from_file_location("parity", Path(__file__).with_name("parity.py"))
parity = importlib.util.module_from_spec(spec)
spec.loader.exec_module(parity)


def test_the_sheets_network_has_2_026_442_parameters():
    variables = jax.eval_shape(lambda: CNN().init(jax.random.key(0), jnp.zeros((1, 224, 224, 3)), train=False))
    assert sum(a.size for a in jax.tree.leaves(variables)) == 2_026_442


@pytest.mark.parametrize("live", [False, True], ids=["golden", "live"])
def test_trains_as_pytorchs_sequential(live):
    if live:
        pytest.importorskip("torch")
    arrays = parity.recorded("cnn", live)
    parity.assert_same_run(CNN(classes=5, features=(4, 6)), arrays, ("Conv_0", "Conv_1", "Dense_0"), (6, 2, 2))


@pytest.mark.parametrize("position", ["before", "after"])
def test_norm_before_or_after_the_activation(position):
    """After the activation a batch norm's input is never negative; before it, it is."""
    smallest = []

    class Watched(BatchNorm):
        def __call__(self, x, *, train, mask=None):
            smallest.append(x.min())
            return super().__call__(x, train=train, mask=mask)

    model = CNN(features=(4,), norm=Watched, norm_position=position)
    model.init(jax.random.key(0), jax.random.normal(jax.random.key(1), (2, 4, 4, 1)), train=False)
    assert (smallest[0] >= 0) == (position == "after")


def test_options():
    x = jax.random.normal(jax.random.key(0), (4, 8, 8, 1))
    model = CNN(classes=3, features=(4, 8), act=jnp.tanh, norm=partial(GroupNorm, groups=2), rate=0.5)
    variables = model.init(jax.random.key(1), x, train=False)
    assert variables["params"]["Dense_0"]["kernel"].shape == (2 * 2 * 8, 3)

    @jax.jit
    def run(seed):
        return model.apply(variables, x, train=True, rngs={"dropout": jax.random.key(seed)})

    assert float(jnp.abs(run(0) - run(1)).max()) > 0
    np.testing.assert_array_equal(run(0), run(0))


def test_unknown_norm_position():
    with pytest.raises(ValueError, match="norm_position='middle'"):
        CNN(norm_position="middle").init(jax.random.key(0), jnp.zeros((1, 8, 8, 1)), train=False)
