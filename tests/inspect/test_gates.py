"""Gates over time explain the state that the layer really has."""

from functools import partial

import jax
import numpy as np
import pytest

from jaxdl.inspect.gates import gates_over_time
from jaxdl.layers.recurrent import GRU, LSTM, RNN, Recurrent
from tests.programs import one_program

X = np.random.default_rng(0).normal(size=(2, 6, 3)).astype(np.float32)


def layer(cell):
    model = Recurrent(cell)
    shapes = jax.eval_shape(partial(model.init, train=False), jax.random.key(0), X)
    random = np.random.default_rng(0)
    variables = jax.tree.map(lambda s: random.normal(0, 0.7, s.shape).astype(s.dtype), shapes)

    def run(variables, x):
        return gates_over_time(cell, variables["params"]["layer_0"], x), model.apply(variables, x, train=False)[0]

    return one_program(run, variables, X)


def before(states):
    return np.concatenate([np.zeros_like(states[:, :1]), states[:, :-1]], 1)


def test_the_gates_of_an_lstm_make_its_memory():
    shown, outputs = layer(LSTM(4))
    np.testing.assert_allclose(shown["hidden"], outputs, atol=1e-6)
    cell = shown["forget"] * before(shown["cell"]) + shown["input"] * shown["candidate"]
    np.testing.assert_allclose(shown["cell"], cell, atol=1e-6)
    np.testing.assert_allclose(shown["hidden"], shown["output"] * np.tanh(cell), atol=1e-6)


@pytest.mark.parametrize("reset", ["after", "before"])
def test_the_gates_of_a_gru_bound_its_state(reset):
    shown, outputs = layer(GRU(4, reset=reset))
    np.testing.assert_allclose(shown["hidden"], outputs, atol=1e-6)
    z = shown["update"]
    new = (outputs - z * before(outputs)) / (1 - z)  # the candidate that the update gate implies is a tanh
    assert np.abs(new).max() <= 1 + 1e-4


@pytest.mark.parametrize(
    "cell", [RNN(4), LSTM(4, norm=True), LSTM(4, peephole=True)], ids=["rnn", "normalized", "peephole"]
)
def test_other_cells_are_refused(cell):
    with pytest.raises(ValueError, match="must be a plain LSTM or GRU"):
        gates_over_time(cell, {}, X)
