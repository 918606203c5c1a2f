"""Recurrent layers: the scan is a loop over the cell, padded batches, dropout, carried state."""

import re
from functools import partial

import chex
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxdl.activations import relu
from jaxdl.layers.dropout import DropConnect
from jaxdl.layers.recurrent import GRU, LSTM, RNN, Recurrent
from jaxdl.types import UserError
from tests.programs import one_program
from tests.tables import rows

CELLS = {
    "rnn": RNN(5),
    "rnn_relu": RNN(5, act=relu),
    "lstm": LSTM(5),
    "lstm_peephole": LSTM(5, peephole=True),
    "lstm_norm": LSTM(5, norm=True),
    "lstm_projected": LSTM(5, project=3),
    "gru": GRU(5),
    "gru_before": GRU(5, reset="before"),
    "gru_norm": GRU(5, norm=True),
}
KEY = jax.random.key(0)
X = np.random.default_rng(0).normal(size=(3, 6, 4)).astype(np.float32)
LENGTHS = np.array([6, 2, 4])


def run(layer, variables, *args, train=False, seed=0):
    return layer.apply(variables, *args, train=train, rngs={"dropout": jax.random.key(seed)})


def filled(layer, x=X, seed=1):
    """Random parameters in every leaf (also those that start at 0 or 1), without compiling the initializers."""
    random = np.random.default_rng(seed)
    shapes = jax.eval_shape(partial(layer.init, train=False), KEY, x)
    return jax.tree.map(lambda s: random.normal(0, 0.5, s.shape).astype(s.dtype), shapes)


@rows(CELLS, default=["rnn", "lstm_peephole", "gru_before"], name="cell")  # the others have outside numbers by default
def test_scan_is_the_loop_and_padding_changes_nothing(cell):
    layer, w = Recurrent(cell, bidirectional=True), cell.width
    variables = filled(layer)
    y, last = one_program(
        lambda v, x, n: (lambda y, carry: (y, layer.last(carry)))(*run(layer, v, x, None, n)), variables, X, LENGTHS
    )

    @jax.jit
    def step(params, state, x):
        state, h = cell.step(cell.prepare(params), state, x)
        return state, h, cell.output(state)

    start = jax.tree.map(lambda s: np.zeros(s.shape, s.dtype), jax.eval_shape(lambda: cell.start(1)))
    for row, n in enumerate(LENGTHS):
        ends = []
        for half, direction in ((slice(w), "layer_0"), (slice(w, 2 * w), "layer_0_reverse")):
            state = start
            for t in range(n) if direction == "layer_0" else reversed(range(n)):
                state, h, said = step(variables["params"][direction], state, X[row : row + 1, t])
                np.testing.assert_allclose(y[row, t, half], np.asarray(h)[0], atol=2e-6)
            ends.append(np.asarray(said)[0])
        np.testing.assert_array_equal(y[row, n:], 0)
        np.testing.assert_allclose(last[row], np.concatenate(ends), atol=2e-6)


def test_carried_state_continues_a_sequence():
    layer = Recurrent(LSTM(5), layers=2)
    variables = filled(layer)

    def parts(variables, x):
        first, carry = run(layer, variables, x[:, :2])
        second, end = run(layer, variables, x[:, 2:], carry)
        return run(layer, variables, x), (jnp.concatenate([first, second], 1), end)

    whole, pieces = one_program(parts, variables, X)
    chex.assert_trees_all_close(pieces, whole, atol=1e-6, rtol=0)
    start = jax.eval_shape(lambda: layer.start(3))
    chex.assert_trees_all_equal_shapes_and_dtypes(start, whole[1])
    with pytest.raises(UserError, match=r"^carry .*2.*1\b"):
        jax.eval_shape(partial(run, layer), variables, X, whole[1][:1])


def test_residual_layers_with_zero_weights_are_the_identity():
    layer = Recurrent(GRU(4), layers=2, residual=True)
    variables = jax.tree.map(np.zeros_like, filled(layer))
    np.testing.assert_array_equal(one_program(partial(run, layer), variables, X)[0], X)


@pytest.mark.parametrize("variational", [False, True])
def test_dropout_between_layers_is_off_in_evaluation_and_shared_over_time_if_variational(variational):
    layer = Recurrent(RNN(4, act=lambda x: x), layers=2, rate=0.5, variational=variational)
    params = filled(layer)["params"]
    for entry in params.values():  # each layer is the identity: the output shows the mask
        entry.update(
            kernel=np.eye(4, dtype=np.float32),
            recurrent_kernel=np.zeros((4, 4), np.float32),
            bias=np.zeros(4, np.float32),
        )
    ones = np.ones((3, 6, 4), np.float32)
    both = lambda v, x: [run(layer, v, x, train=train)[0] for train in (False, True)]
    y, mask = one_program(both, {"params": params}, ones)
    np.testing.assert_array_equal(y, ones)
    assert set(np.unique(mask)) == {0, 2}
    assert (mask == mask[:, :1]).all() == variational


@pytest.mark.parametrize(
    "options", [{"recurrent_rate": 0.5}, {"kernel_map": partial(DropConnect, rate=0.5)}], ids=["dropout", "weight drop"]
)
def test_recurrent_dropout_and_weight_drop_act_on_the_state_only(options):
    layer = Recurrent(GRU(5), **options)

    def noise(variables, x):
        once = [run(layer, variables, x[:, :1], train=train)[0] for train in (True, False)]
        return once, [run(layer, variables, x, train=True, seed=s)[0] for s in (0, 0, 1)]

    once, noisy = one_program(noise, filled(layer), X)
    np.testing.assert_allclose(*once, atol=1e-6)
    np.testing.assert_array_equal(noisy[0], noisy[1])
    assert np.abs(noisy[0] - noisy[2]).max() > 1e-3


def test_recurrent_kernels_start_orthogonal_per_gate():
    start = lambda key: Recurrent(GRU(4)).init(key, X, train=False)["params"]["layer_0"]["recurrent_kernel"]
    for gate in np.split(one_program(start, KEY), 3, -1):
        np.testing.assert_allclose(gate @ gate.T, np.eye(4), atol=1e-5)


def test_no_start_factorizes_several_matrices_in_one_call():
    """Two such calls at once never end on two cores (jaxlib 0.10): their parts wait for the threads on which they wait."""
    layer = Recurrent(LSTM(4), layers=2)
    start = jax.vmap(lambda key: layer.init(key, X, train=False))
    text = jax.jit(start).lower(jax.random.split(KEY, 3)).as_text()
    calls = re.findall(r"@lapack_sgeqrf_ffi\((.*?)\).*?-> \(tensor<([0-9x]+)xf32>", text)
    assert calls
    assert {shape for _, shape in calls} == {"4x4"}


def test_rates_and_forget_bias_may_be_traced_and_vary_over_a_population():
    def member(rate, bias, key):
        layer = Recurrent(LSTM(3, forget_bias=bias), layers=2, rate=rate, recurrent_rate=rate)
        variables = layer.init(key, X, train=False)
        return variables["params"]["layer_0"]["bias"], run(layer, variables, X, train=True)[0]

    population = lambda rates, biases: jax.vmap(member)(rates, biases, jax.random.split(KEY, 2))
    bias, y = one_program(population, np.float32([0.0, 0.5]), np.float32([0.0, 2.0]))
    np.testing.assert_array_equal(bias[1], [0] * 3 + [2] * 3 + [0] * 6)
    assert np.isfinite(y).all()


def test_an_lstm_passes_gradients_that_a_small_rnn_loses():
    """With f = 1 the cell state is a straight line through time (the reason for the gate)."""

    def reach(cell, params, x):
        out = lambda x: Recurrent(cell).apply({"params": {"layer_0": params}}, x, train=False)[0][0, -1].sum()
        return jnp.abs(jax.grad(out)(x)[0, 0, 0])

    kernel, none = np.ones((1, 4), np.float32), np.zeros((1, 4), np.float32)
    lstm = {"kernel": kernel, "recurrent_kernel": none, "bias": np.float32([0.0, 30.0, 0.0, 0.0])}
    rnn = {"kernel": kernel[:, :1], "recurrent_kernel": none[:, :1] + np.float32(0.5), "bias": none[0, :1]}
    both = lambda lstm, rnn, x: (reach(LSTM(1), lstm, x), reach(RNN(1), rnn, x))
    passed, lost = one_program(both, lstm, rnn, np.zeros((1, 60, 1), np.float32))
    assert passed > 0.1
    assert lost < 1e-12


def test_bfloat16_stays_bfloat16():
    layer = Recurrent(LSTM(5))
    narrow = lambda tree: jax.tree.map(lambda a: jax.ShapeDtypeStruct(a.shape, jnp.bfloat16), tree)
    y, carry = jax.eval_shape(partial(run, layer), narrow(filled(layer)), narrow(X))
    assert {y.dtype, carry[0][0].dtype} == {jnp.dtype(jnp.bfloat16)}


def test_an_unknown_reset_is_named():
    with pytest.raises(UserError, match=r"^reset = 'never' "):
        GRU(3, reset="never")


def test_residual_layers_say_nothing_beyond_a_sequence():
    x, layer = np.ones((2, 4, 3), np.float32), Recurrent(GRU(3), layers=2, residual=True)
    start = lambda key, x, n: layer.init_with_output(key, x, None, n, train=False)[0][0]
    y = one_program(start, KEY, x, np.array([2, 4]))
    assert not y[0, 2:].any()
    assert y[1].all()


def test_peepholes_are_graves_formula_written_out():
    """Graves 2013, arXiv:1308.0850, equations 7 to 11: i and f look at the old cell, o at the new one."""
    layer = Recurrent(CELLS["lstm_peephole"])
    variables = filled(layer)
    p = variables["params"]["layer_0"]
    sigmoid = lambda z: 1 / (1 + np.exp(-z))
    h, c = np.zeros((3, 5)), np.zeros((3, 5))
    for t in range(2):
        i, f, g, o = np.split(X[:, t] @ p["kernel"] + h @ p["recurrent_kernel"] + p["bias"], 4, -1)
        old, (p_i, p_f, p_o) = c, p["peephole"]
        c = sigmoid(f + p_f * old) * old + sigmoid(i + p_i * old) * np.tanh(g)
        h = sigmoid(o + p_o * c) * np.tanh(c)
    y, _ = one_program(partial(run, layer), variables, X[:, :2])
    np.testing.assert_allclose(y[:, 1], h, atol=1e-6)
