"""How a module's mode is passed: by its signature, whatever the argument is called."""

from functools import partial
from pathlib import Path

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxdl.calling import called, takes
from jaxdl.inspect.summary import layer_table
from jaxdl.inspect.taps import layer_outputs
from jaxdl.tasks.forward import forward, initialise
from jaxdl.types import UserError
from tests.programs import one_program

X = np.random.default_rng(0).normal(1, 2, (8, 6)).astype(np.float32)


def body(x, train):
    x = nn.BatchNorm(use_running_average=not train, momentum=0.5)(nn.Dense(5)(x))
    return nn.Dropout(0.5, deterministic=not train)(x)


class Keyword(nn.Module):
    @nn.compact
    def __call__(self, x, *, train):
        return body(x, train)


class Positional(nn.Module):
    @nn.compact
    def __call__(self, x, train: bool):
        return body(x, train)


class Training(nn.Module):
    @nn.compact
    def __call__(self, x, training=False):
        return body(x, training)


class Deterministic(nn.Module):
    @nn.compact
    def __call__(self, x, *, deterministic=True):
        return body(x, not deterministic)


class Anything(nn.Module):
    @nn.compact
    def __call__(self, x, **options):
        return body(x, options["train"])


class Field(nn.Module):
    train: bool = True

    @nn.compact
    def __call__(self, x):
        return body(x, self.train)


class Averaging(nn.Module):
    use_running_average: bool | None = None

    @nn.compact
    def __call__(self, x):
        return body(x, not self.use_running_average)


class Without(nn.Module):
    @nn.compact
    def __call__(self, x):
        return nn.Dense(5)(x)


class TwoInputs(nn.Module):
    @nn.compact
    def __call__(self, x, y, *, train):
        return x + y


SEQUENTIAL = nn.Sequential(
    [nn.Dense(5), nn.BatchNorm(momentum=0.5), jnp.tanh, nn.Sequential([nn.Dropout(0.5), Without(), lambda x: 2 * x])]
)
STYLES = (Keyword(), Positional(), Training(), Deterministic(), Anything(), Field(), Averaging(), SEQUENTIAL)


def both(model):
    """Outputs in evaluation and in training, the running mean after training, and Flax's own evaluation by the layers."""
    params, state = initialise(model, jax.random.key(0), X)
    run = lambda train: forward(model, params, state, X, key=jax.random.key(1), train=train)
    (calm, same), (wild, new) = run(False), run(True)
    return params, calm, same, wild, new


@pytest.mark.parametrize("model", STYLES, ids=lambda m: type(m).__name__)
def test_every_style_gets_the_mode(model):
    params, calm, same, wild, new = one_program(partial(both, model))
    first = params["layers_0"] if model is SEQUENTIAL else params["Dense_0"]
    hidden = X @ np.asarray(first["kernel"]) + np.asarray(first["bias"])
    mean = jax.tree.leaves(new["batch_stats"])[0]
    np.testing.assert_allclose(mean, 0.5 * hidden.mean(0), rtol=1e-5)  # moved half of the way from zero
    np.testing.assert_array_equal(jax.tree.leaves(same["batch_stats"])[0], 0)
    if model is not SEQUENTIAL:
        np.testing.assert_allclose(calm, hidden / np.sqrt(1 + 1e-5), rtol=1e-5)
        normed = (hidden - hidden.mean(0)) / np.sqrt(hidden.var(0) + 1e-5)
        dropped = np.asarray(wild) == 0
        assert 0 < dropped.sum() < dropped.size
        np.testing.assert_allclose(np.asarray(wild)[~dropped], 2 * normed[~dropped], rtol=1e-4, atol=1e-5)
    else:
        inner = params["layers_3"]["layers_1"]["Dense_0"]
        expected = 2 * (np.tanh(hidden / np.sqrt(1 + 1e-5)) @ np.asarray(inner["kernel"]) + np.asarray(inner["bias"]))
        np.testing.assert_allclose(calm, expected, rtol=1e-5)
        assert np.abs(np.asarray(wild) - calm).max() > 0.1


def test_a_model_without_a_mode_and_a_single_layer():
    for model in (Without(), nn.Dense(5)):
        params, _, _, out, _ = one_program(partial(both, model))
        kernel = jax.tree.leaves(params)[1]
        np.testing.assert_allclose(out, X @ np.asarray(kernel), rtol=1e-5, atol=1e-6)


def test_what_cannot_be_called_names_its_class_and_line():
    line = Path(__file__).read_text(encoding="utf-8").splitlines().index("class TwoInputs(nn.Module):") + 1
    with pytest.raises(UserError) as caught:
        called(TwoInputs(), X, train=False)
    assert "TwoInputs" in str(caught.value)
    assert "'y'" in str(caught.value)
    assert "(8, 6)" in str(caught.value)
    assert f"test_calling.py:{line})" in str(caught.value)
    with pytest.raises(UserError) as caught:
        called(Without(), X, train=True, features=True)
    assert "'features'" in str(caught.value)
    with pytest.raises(UserError) as caught:
        called(Without(), X, train=True, method="encode")
    assert "encode" in str(caught.value)


class NeedsMode(nn.Module):
    @nn.compact
    def __call__(self, x):
        return nn.Dropout(0.5)(nn.Dense(5)(x))


@pytest.mark.programs(15, "the class is looked for by eager calls")
def test_a_layer_that_is_not_told_the_mode_is_reported_with_the_class():
    with pytest.raises(UserError) as caught:
        initialise(NeedsMode(), jax.random.key(0), X)
    assert "NeedsMode" in str(caught.value)
    assert "deterministic" in str(caught.value)
    assert "\n" not in str(caught.value)


def test_what_a_model_takes():
    assert takes(TwoInputs(), "y")
    assert takes(Anything(), "lengths")
    assert not takes(Without(), "lengths")
    assert not takes(SEQUENTIAL, "lengths")


@pytest.mark.parametrize("model", [Deterministic(), SEQUENTIAL], ids=lambda m: type(m).__name__)
def test_layers_are_shown_and_tapped(model):
    weights = jax.jit(lambda: initialise(model, jax.random.key(0), X))()
    table = layer_table(model, X)
    assert "BatchNorm" in table
    assert "Dropout" in table
    first = "layers_0" if model is SEQUENTIAL else "Dense_0"
    out = jax.jit(lambda weights: layer_outputs(model, weights, X))(weights)[first]
    np.testing.assert_allclose(out, X @ np.asarray(weights[0][first]["kernel"]), rtol=1e-5, atol=1e-6)
