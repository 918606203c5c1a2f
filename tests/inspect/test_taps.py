"""Taps: what layers give, in order, equal to the model computed by hand, and the model's own result unchanged."""

import jax
import numpy as np

from jaxdl.data.image import vision
from jaxdl.inspect.taps import layer_outputs, model_input
from jaxdl.layers.normalization import BatchNorm
from jaxdl.models.cnn import CNN
from jaxdl.models.mlp import MLP
from jaxdl.tasks.forward import initialise
from tests.programs import one_program

KEY = jax.random.key(0)


def test_taps_are_the_layers_in_order_with_their_shapes():
    model, x, order = CNN(features=(4, 6), norm=BatchNorm), np.ones((2, 8, 8, 1), np.float32), []

    def run(x):
        taps = layer_outputs(model, initialise(model, KEY, x), x)
        order.extend(taps)
        return taps

    assert {name: value.shape for name, value in jax.eval_shape(run, x).items()} == {
        "Conv_0": (2, 8, 8, 4),
        "BatchNorm_0": (2, 8, 8, 4),
        "Conv_1": (2, 4, 4, 6),
        "BatchNorm_1": (2, 4, 4, 6),
        "Dropout_0": (2, 24),
        "Dense_0": (2, 10),
    }
    assert order[::5] == ["Conv_0", "Dense_0"]


def test_taps_are_what_the_layers_compute():
    model, x = MLP(features=(5,), classes=3), np.random.default_rng(0).normal(size=(4, 6)).astype(np.float32)

    def run(x):
        weights = initialise(model, KEY, x)
        params = weights[0]
        own = layer_outputs(model, weights, x, depth=1)
        return params, layer_outputs(model, weights, x), own, model.apply({"params": params}, x, train=False)

    params, taps, own, y = one_program(run, x)
    first, last = params["Dense_0"], params["Dense_1"]
    np.testing.assert_allclose(taps["Dense_0"], x @ first["kernel"] + first["bias"], atol=1e-6)
    hidden = np.maximum(taps["Dense_0"], 0)
    np.testing.assert_allclose(taps["Dense_1"], hidden @ last["kernel"] + last["bias"], atol=1e-6)
    np.testing.assert_array_equal(taps["Dense_1"], y)
    assert "Dense_1" in own
    assert all("/" not in name for name in own)


def test_the_model_input_is_prepared_and_standardised():
    class Exp:
        data = vision.digits()

    x = one_program(lambda x: model_input(Exp, x), Exp.data.splits["train"]["x"])
    assert abs(x.mean(dtype=np.float64)) < 1e-5
    assert abs(x.std(dtype=np.float64) - 1) < 1e-5
