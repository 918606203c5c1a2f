"""Learned activations: their parameter's shape, start and gradient."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxdl.activations import prelu, swish
from jaxdl.layers.activation import PReLU, Swish


@pytest.mark.parametrize("per_channel", [False, True])
@pytest.mark.parametrize(
    ("module", "name", "function", "start"), [(Swish, "beta", swish, 1), (PReLU, "slope", prelu, 0.25)]
)
def test_parameter_shape_start_and_formula(module, name, function, start, per_channel):
    x = jax.random.normal(jax.random.key(0), (2, 4, 3))
    layer = module(per_channel=per_channel)
    variables = layer.init(jax.random.key(1), x)
    parameter = variables["params"][name]
    assert parameter.shape == ((3,) if per_channel else ())
    np.testing.assert_allclose(parameter, start)
    np.testing.assert_allclose(layer.apply(variables, x), function(x, start), rtol=1e-6)
    assert layer.apply(variables, x.astype(jnp.bfloat16)).dtype == jnp.bfloat16


def test_prelu_matches_pytorch_in_value_and_gradient():
    torch = pytest.importorskip("torch")
    x = np.random.default_rng(0).normal(size=(5, 3)).astype(np.float32)
    slope = np.float32([0.1, 0.25, -0.3])
    reference = torch.nn.PReLU(3)
    reference.weight.data = torch.tensor(slope)
    expected = reference(torch.tensor(x))
    expected.square().sum().backward()
    layer = PReLU(per_channel=True)
    loss = lambda slope: (layer.apply({"params": {"slope": slope}}, jnp.asarray(x)) ** 2).sum()
    np.testing.assert_allclose(layer.apply({"params": {"slope": slope}}, x), expected.detach(), rtol=1e-6)
    np.testing.assert_allclose(jax.grad(loss)(jnp.asarray(slope)), reference.weight.grad, rtol=1e-5)


def test_the_start_may_be_traced_as_in_a_sweep():
    x = jnp.linspace(-2, 2, 6).reshape(2, 3)
    run = lambda start: Swish(initial=start).init_with_output(jax.random.key(0), x)[0]
    np.testing.assert_allclose(jax.jit(jax.vmap(run))(jnp.array([0.5, 2.0]))[1], swish(x, 2.0), rtol=1e-6)
