"""Taps: what layers give, in order, equal to the model computed by hand, and the model's own result unchanged."""

import jax
import jax.numpy as jnp
import numpy as np

from jaxdl.data import vision
from jaxdl.inspect.taps import layer_outputs, model_input
from jaxdl.layers.normalization import BatchNorm
from jaxdl.models.cnn import CNN
from jaxdl.models.mlp import MLP
from jaxdl.tasks.forward import initialise

KEY = jax.random.key(0)


def test_taps_are_the_layers_in_order_with_their_shapes():
    model, x = CNN(features=(4, 6), norm=BatchNorm), jnp.ones((2, 8, 8, 1))
    taps = layer_outputs(model, initialise(model, KEY, x), x)
    assert {name: value.shape for name, value in taps.items()} == {
        "Conv_0": (2, 8, 8, 4),
        "BatchNorm_0": (2, 8, 8, 4),
        "Conv_1": (2, 4, 4, 6),
        "BatchNorm_1": (2, 4, 4, 6),
        "Dropout_0": (2, 24),
        "Dense_0": (2, 10),
    }
    assert list(taps)[::5] == ["Conv_0", "Dense_0"]


def test_taps_are_what_the_layers_compute():
    model, x = MLP(features=(5,), classes=3), jax.random.normal(KEY, (4, 6))
    weights = initialise(model, KEY, x)
    taps = layer_outputs(model, weights, x)
    dense = weights[0]["Dense_0"]
    np.testing.assert_allclose(taps["Dense_0"], x @ dense["kernel"] + dense["bias"][None], atol=1e-6)
    last = weights[0]["Dense_1"]
    hidden = jnp.maximum(taps["Dense_0"], 0)
    np.testing.assert_allclose(taps["Dense_1"], hidden @ last["kernel"] + last["bias"][None], atol=1e-6)
    np.testing.assert_array_equal(taps["Dense_1"], model.apply({"params": weights[0]}, x, train=False))
    assert all("/" not in name for name in layer_outputs(model, weights, x, depth=1))


def test_the_model_input_is_prepared_and_standardised():
    data = vision.digits()

    class Exp:
        pass

    exp = Exp()
    exp.data = data
    x = np.asarray(model_input(exp, data.splits["train"]["x"]), np.float64)
    assert abs(x.mean()) < 1e-5
    assert abs(x.std() - 1) < 1e-5
