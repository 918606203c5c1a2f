"""Learned activations: their parameter's shape, start and gradient."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxdl.activations import prelu, swish
from jaxdl.layers.activation import PReLU, Swish
from tests.programs import one_program

KEY = jax.random.key(0)


@pytest.mark.parametrize("per_channel", [False, True])
@pytest.mark.parametrize(
    ("module", "name", "function", "start"), [(Swish, "beta", swish, 1), (PReLU, "slope", prelu, 0.25)]
)
def test_parameter_shape_start_and_formula(module, name, function, start, per_channel):
    x = np.random.default_rng(0).normal(size=(2, 4, 3)).astype(np.float32)
    layer = module(per_channel=per_channel)

    def run(key, x):
        y, variables = layer.init_with_output(key, x)
        return y, variables["params"][name], function(x, start)

    y, parameter, expected = one_program(run, KEY, x)
    assert parameter.shape == ((3,) if per_channel else ())
    np.testing.assert_allclose(parameter, start)
    np.testing.assert_allclose(y, expected, rtol=1e-6)
    narrow = jax.eval_shape(lambda x: layer.init_with_output(KEY, x)[0], jax.ShapeDtypeStruct(x.shape, jnp.bfloat16))
    assert narrow.dtype == jnp.bfloat16


def test_prelu_matches_pytorch_in_value_and_gradient(oracle):
    x = np.random.default_rng(0).normal(size=(5, 3)).astype(np.float32)
    slope = np.float32([0.1, 0.25, -0.3])

    @oracle
    def theirs(torch):
        reference = torch.nn.PReLU(3)
        reference.weight.data = torch.tensor(slope)
        expected = reference(torch.tensor(x))
        expected.square().sum().backward()
        return {"y": expected, "slope": reference.weight.grad}

    def loss(slope, x):
        y = PReLU(per_channel=True).apply({"params": {"slope": slope}}, x)
        return (y**2).sum(), y

    gradient, y = one_program(jax.grad(loss, has_aux=True), slope, x)
    np.testing.assert_allclose(y, theirs["y"], rtol=1e-6)
    np.testing.assert_allclose(gradient, theirs["slope"], rtol=1e-5)


def test_the_start_may_be_traced_as_in_a_sweep():
    x = np.linspace(-2, 2, 6, dtype=np.float32).reshape(2, 3)
    run = lambda start: Swish(initial=start).init_with_output(KEY, x)[0]
    got = one_program(jax.vmap(run), np.float32([0.5, 2.0]))
    np.testing.assert_allclose(got[1], x / (1 + np.exp(-2 * x)), rtol=1e-6)
