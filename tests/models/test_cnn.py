"""The sheet's CNN: its published parameter count, equality with PyTorch's Sequential, and its options."""

from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxdl.layers.normalization import BatchNorm, GroupNorm
from jaxdl.models.cnn import CNN
from jaxdl.types import UserError
from tests.models import parity
from tests.programs import one_program


def test_the_sheets_network_has_2_026_442_parameters():
    variables = jax.eval_shape(lambda: CNN().init(jax.random.key(0), jnp.zeros((1, 224, 224, 3)), train=False))
    assert sum(a.size for a in jax.tree.leaves(variables)) == 2_026_442


@pytest.mark.parametrize("live", [False, pytest.param(True, marks=pytest.mark.parity)], ids=["golden", "live"])
def test_trains_as_pytorchs_sequential(live):
    arrays = parity.recorded("cnn", live)
    parity.assert_same_run(CNN(classes=5, features=(4, 6)), arrays, ("Conv_0", "Conv_1", "Dense_0"), (6, 2, 2))


@pytest.mark.parametrize("position", ["before", "after"])
def test_norm_before_or_after_the_activation(position):
    """After the activation a batch norm's input is never negative; before it, it is."""

    seen = []

    class Watched(BatchNorm):
        def __call__(self, x, *, train, mask=None):
            seen.append(x.min())
            return super().__call__(x, train=train, mask=mask)

    model = CNN(features=(4,), norm=Watched, norm_position=position)

    def run(x):
        model.init(jax.random.key(0), x, train=False)
        return seen[0]

    smallest = one_program(run, np.random.default_rng(1).normal(size=(2, 4, 4, 1)).astype(np.float32))
    assert (smallest >= 0) == (position == "after")


def test_options():
    x = np.random.default_rng(0).normal(size=(4, 8, 8, 1)).astype(np.float32)
    model = CNN(classes=3, features=(4, 8), act=jnp.tanh, norm=partial(GroupNorm, groups=2), rate=0.5)

    def run(x, seeds):
        variables = model.init(jax.random.key(1), x, train=False)
        one = lambda seed: model.apply(variables, x, train=True, rngs={"dropout": jax.random.key(seed)})
        return variables["params"]["Dense_0"]["kernel"], jax.lax.map(one, seeds)

    kernel, y = one_program(run, x, np.array([0, 1, 0]))
    assert kernel.shape == (2 * 2 * 8, 3)
    assert np.abs(y[0] - y[1]).max() > 0
    np.testing.assert_array_equal(y[0], y[2])


def test_unknown_norm_position():
    with pytest.raises(UserError, match="norm_position='middle'"):
        CNN(norm_position="middle").init(jax.random.key(0), np.zeros((1, 8, 8, 1), np.float32), train=False)
