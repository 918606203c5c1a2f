"""Recurrent layers: PyTorch's numbers and gradients, padded batches, dropout, carried state."""

from functools import partial
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxdl.activations import relu
from jaxdl.layers.dropout import DropConnect
from jaxdl.layers.recurrent import GRU, LSTM, RNN, Recurrent
from jaxdl.layers.recurrent_weights import from_torch, to_torch

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
X = jax.random.normal(KEY, (3, 6, 4))
LENGTHS = jnp.array([6, 2, 4])


def run(layer, variables, *args, train=False, seed=0):
    return layer.apply(variables, *args, train=train, rngs={"dropout": jax.random.key(seed)})


def filled(layer, x=X, seed=1):
    """Random parameters in every leaf (also those that start at 0 or 1), without compiling the initializers."""
    random = np.random.default_rng(seed)
    shapes = jax.eval_shape(partial(layer.init, train=False), KEY, x)
    return jax.tree.map(lambda s: jnp.asarray(random.normal(0, 0.5, s.shape), s.dtype), shapes)


def h_of(cell, carry):
    return cell.output(carry)


# -- outside oracles --------------------------------------------------------------------------------------------------


@pytest.mark.filterwarnings("ignore:LSTM with projections is not supported with oneDNN")  # it takes its own way there
@pytest.mark.parametrize("bidirectional", [False, True])
@pytest.mark.parametrize("name", ["rnn", "rnn_relu", "lstm", "lstm_projected", "gru"])
def test_outputs_states_and_gradients_are_pytorchs(name, bidirectional):
    torch = pytest.importorskip("torch")
    cell = CELLS[name]
    kinds = {
        "rnn": torch.nn.RNN,
        "rnn_relu": partial(torch.nn.RNN, nonlinearity="relu"),
        "lstm": torch.nn.LSTM,
        "lstm_projected": partial(torch.nn.LSTM, proj_size=3),
        "gru": torch.nn.GRU,
    }
    torch.manual_seed(0)
    theirs = kinds[name](4, 5, num_layers=2, bidirectional=bidirectional, batch_first=True)
    with torch.no_grad():
        for p in theirs.parameters():
            p.normal_(0, 0.5)
    stack = {"layers": 2, "bidirectional": bidirectional}
    layer = Recurrent(cell, **stack)
    params = from_torch(cell, theirs.state_dict(), **stack)

    packed = torch.nn.utils.rnn.pack_padded_sequence(
        torch.tensor(np.asarray(X)), torch.tensor([6, 2, 4]), batch_first=True, enforce_sorted=False
    )
    y, state = theirs(packed)
    y, _ = torch.nn.utils.rnn.pad_packed_sequence(y, batch_first=True)
    h_n = state[0] if "lstm" in name else state
    (y.square().sum() + h_n.sin().sum()).backward()

    def loss(params):
        y, carry = run(layer, {"params": params}, X, None, LENGTHS)
        return (y**2).sum() + sum(jnp.sin(h_of(cell, c)).sum() for c in carry), (y, carry)

    (_, (ours, carry)), grads = jax.value_and_grad(loss, has_aux=True)(params)
    np.testing.assert_allclose(ours, y.detach(), atol=2e-6)
    np.testing.assert_allclose(jnp.stack([h_of(cell, c) for c in carry]), h_n.detach(), atol=2e-6)
    if "lstm" in name:
        np.testing.assert_allclose(jnp.stack([c[1] for c in carry]), state[1].detach(), atol=2e-6)
    expected = dict(theirs.named_parameters())
    for ours_name, entry in grads.items():
        end = ours_name.replace("layer_", "l")
        np.testing.assert_allclose(entry["kernel"].T, expected[f"weight_ih_{end}"].grad, rtol=1e-4, atol=1e-5)
        np.testing.assert_allclose(entry["recurrent_kernel"].T, expected[f"weight_hh_{end}"].grad, rtol=1e-4, atol=1e-5)
        np.testing.assert_allclose(entry["bias"], expected[f"bias_ih_{end}"].grad, rtol=1e-4, atol=1e-5)
        if name == "lstm_projected":
            expect = expected[f"weight_hr_{end}"].grad
            np.testing.assert_allclose(entry["projection"].T, expect, rtol=1e-4, atol=1e-5)
        if name == "gru":
            np.testing.assert_allclose(
                entry["recurrent_bias"], expected[f"bias_hh_{end}"].grad[10:], rtol=1e-4, atol=1e-5
            )

    theirs.load_state_dict({k: torch.tensor(v) for k, v in to_torch(cell, params, **stack).items()})
    back, _ = theirs(torch.tensor(np.asarray(X)))
    np.testing.assert_allclose(run(layer, {"params": params}, X)[0], back.detach(), atol=2e-6)


@pytest.mark.parametrize("name", ["lstm", "gru"])
def test_pytorchs_numbers_without_pytorch(name):
    golden = np.load(Path(__file__).parents[1] / "golden" / "recurrent.npz")
    cell = {"lstm": LSTM(3), "gru": GRU(3)}[name]
    state = {key.removeprefix(f"{name}/"): golden[key] for key in golden.files if key.startswith(f"{name}/")}
    params = from_torch(cell, state, layers=2, bidirectional=True)
    layer = Recurrent(cell, layers=2, bidirectional=True)
    y, carry = run(layer, {"params": params}, golden["x"], None, jnp.asarray(golden["lengths"]))
    np.testing.assert_allclose(y, state["y"], atol=2e-6)
    np.testing.assert_allclose(jnp.stack([h_of(cell, c) for c in carry]), state["h_n"], atol=2e-6)


@pytest.mark.parametrize(
    ("cell", "count"), [(RNN(128), 20224 - 128), (LSTM(128), 80896 - 512), (GRU(128), 60672 - 256)]
)
def test_parameter_counts_are_pytorchs_less_the_merged_biases(cell, count):
    shapes = jax.eval_shape(partial(Recurrent(cell).init, train=False), KEY, jnp.zeros((1, 2, 28)))
    assert sum(leaf.size for leaf in jax.tree.leaves(shapes)) == count


def normalised(v, gain):
    """LN(v; gain) of Ba et al. 2016, eq. 3 and 4, with a small number against dividing by zero."""
    return gain * (v - v.mean(-1, keepdims=True)) / np.sqrt(v.var(-1, keepdims=True) + 1e-5)


def sigmoid(v):
    return 1 / (1 + np.exp(-v))


def test_a_normalised_lstm_is_the_papers_formula():
    """Ba et al. 2016, appendix: f, i, o, g = LN(R·h) + LN(W·x) + b, c' = σ(f)⊙c + σ(i)⊙tanh(g), h' = σ(o)⊙tanh(LN(c'))."""
    layer = Recurrent(CELLS["lstm_norm"])
    variables = filled(layer)
    p = {name: np.asarray(value, np.float64) for name, value in variables["params"]["layer_0"].items()}
    h, c, x = np.zeros((3, 5)), np.zeros((3, 5)), np.asarray(X, np.float64)
    y = run(layer, variables, X)[0]
    for t in range(6):
        reads = normalised(h @ p["recurrent_kernel"], p["recurrent_scale"])
        i, f, g, o = np.split(normalised(x[:, t] @ p["kernel"], p["kernel_scale"]) + reads + p["bias"], 4, -1)
        c = sigmoid(f) * c + sigmoid(i) * np.tanh(g)
        h = sigmoid(o) * np.tanh(normalised(c, p["cell_scale"]) + p["cell_bias"])
        np.testing.assert_allclose(y[:, t], h, atol=1e-5)


@pytest.mark.parametrize("reset", ["after", "before"])
def test_a_normalised_gru_is_the_papers_formula(reset):
    """Ba et al. 2016, appendix: r, z = LN(R·h) + LN(W·x), n = tanh(LN(W·x) + r⊙LN(R·h)): the gates apart from the candidate.

    z is PyTorch's, h' = (1 - z)⊙n + z⊙h; "before" reads r⊙h instead of r⊙(R·h).
    """
    layer = Recurrent(GRU(5, norm=True, reset=reset))
    variables = filled(layer)
    p = {name: np.asarray(value, np.float64) for name, value in variables["params"]["layer_0"].items()}
    (w, w_n), (r_, r_n), (b, b_n) = (np.split(p[k], [10], -1) for k in ("kernel", "recurrent_kernel", "bias"))
    (s, s_n), (u, u_n) = (np.split(p[k], [10]) for k in ("kernel_scale", "recurrent_scale"))
    h, x = np.zeros((3, 5)), np.asarray(X, np.float64)
    y = run(layer, variables, X)[0]
    for t in range(6):
        r, z = np.split(sigmoid(normalised(x[:, t] @ w, s) + normalised(h @ r_, u) + b), 2, -1)
        if reset == "after":
            read = r * (normalised(h @ r_n, u_n) + p["recurrent_bias"])
        else:
            read = normalised((r * h) @ r_n, u_n)
        h = (1 - z) * np.tanh(normalised(x[:, t] @ w_n, s_n) + b_n + read) + z * h
        np.testing.assert_allclose(y[:, t], h, atol=1e-5)


# -- properties -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", CELLS)
def test_scan_is_the_loop_and_padding_changes_nothing(name):
    cell = CELLS[name]
    layer, w = Recurrent(cell, bidirectional=True), cell.width
    variables = filled(layer)
    y, carry = jax.jit(partial(run, layer))(variables, X, None, LENGTHS)
    for row, n in enumerate([6, 2, 4]):
        ends = []
        for half, direction in ((slice(w), "layer_0"), (slice(w, 2 * w), "layer_0_reverse")):
            params = cell.prepare(variables["params"][direction])
            state = cell.start(1)
            for t in range(n) if direction == "layer_0" else reversed(range(n)):
                state, h = cell.step(params, state, X[row : row + 1, t])
                np.testing.assert_allclose(y[row, t, half], h[0], atol=2e-6)
            ends.append(cell.output(state)[0])
        np.testing.assert_array_equal(y[row, n:], 0)
        np.testing.assert_allclose(layer.last(carry)[row], jnp.concatenate(ends), atol=2e-6)


def test_carried_state_continues_a_sequence():
    layer = Recurrent(LSTM(5), layers=2)
    variables = filled(layer)
    whole, end = run(layer, variables, X)
    first, carry = run(layer, variables, X[:, :2])
    second, carry = run(layer, variables, X[:, 2:], carry)
    np.testing.assert_allclose(jnp.concatenate([first, second], 1), whole, atol=1e-6)
    jax.tree.map(partial(np.testing.assert_allclose, atol=1e-6), carry, end)
    assert jax.tree.structure(layer.start(3)) == jax.tree.structure(end)
    with pytest.raises(ValueError, match="carry has 1 cell states, wanted 2"):
        run(layer, variables, X, carry[:1])


def test_residual_layers_with_zero_weights_are_the_identity():
    layer = Recurrent(GRU(4), layers=2, residual=True)
    variables = jax.tree.map(jnp.zeros_like, filled(layer))
    np.testing.assert_array_equal(run(layer, variables, X)[0], X)


@pytest.mark.parametrize("variational", [False, True])
def test_dropout_between_layers_is_off_in_evaluation_and_shared_over_time_if_variational(variational):
    layer = Recurrent(RNN(4, act=lambda x: x), layers=2, rate=0.5, variational=variational)
    variables = filled(layer)
    eye, params = jnp.eye(4), variables["params"]
    for entry in params.values():  # each layer is the identity: the output shows the mask
        entry.update(kernel=eye, recurrent_kernel=jnp.zeros((4, 4)), bias=jnp.zeros(4))
    ones = jnp.ones((3, 6, 4))
    np.testing.assert_array_equal(run(layer, {"params": params}, ones)[0], ones)
    mask = np.asarray(run(layer, {"params": params}, ones, train=True)[0])
    assert set(np.unique(mask)) == {0, 2}
    assert (mask == mask[:, :1]).all() == variational


def test_recurrent_dropout_and_weight_drop_act_on_the_state_only():
    once, later = X[:, :1], X
    for layer in (
        Recurrent(GRU(5), recurrent_rate=0.5),
        Recurrent(GRU(5), kernel_map=partial(DropConnect, rate=0.5)),
    ):
        variables = filled(layer)
        np.testing.assert_allclose(
            run(layer, variables, once, train=True)[0], run(layer, variables, once)[0], atol=1e-6
        )
        noisy = [run(layer, variables, later, train=True, seed=s)[0] for s in (0, 0, 1)]
        np.testing.assert_array_equal(noisy[0], noisy[1])
        assert jnp.abs(noisy[0] - noisy[2]).max() > 1e-3


def test_recurrent_kernels_start_orthogonal_per_gate():
    params = Recurrent(GRU(4)).init(KEY, X, train=False)["params"]["layer_0"]
    for gate in jnp.split(params["recurrent_kernel"], 3, -1):
        np.testing.assert_allclose(gate @ gate.T, jnp.eye(4), atol=1e-5)


def test_rates_and_forget_bias_may_be_traced_and_vary_over_a_population():
    def member(rate, bias, key):
        layer = Recurrent(LSTM(3, forget_bias=bias), layers=2, rate=rate, recurrent_rate=rate)
        variables = layer.init(key, X, train=False)
        return variables["params"]["layer_0"]["bias"], run(layer, variables, X, train=True)[0]

    bias, y = jax.jit(jax.vmap(member))(jnp.array([0.0, 0.5]), jnp.array([0.0, 2.0]), jax.random.split(KEY, 2))
    np.testing.assert_array_equal(bias[1], [0] * 3 + [2] * 3 + [0] * 6)
    assert jnp.isfinite(y).all()


def test_an_lstm_passes_gradients_that_a_small_rnn_loses():
    """With f = 1 the cell state is a straight line through time (the reason for the gate)."""
    long = jnp.zeros((1, 60, 1))

    def reach(cell, params):
        params = {"layer_0": params}
        out = lambda x: Recurrent(cell).apply({"params": params}, x, train=False)[0][0, -1].sum()
        return jnp.abs(jax.grad(out)(long)[0, 0, 0])

    kernel = jnp.ones((1, 4))
    lstm = {"kernel": kernel, "recurrent_kernel": jnp.zeros((1, 4)), "bias": jnp.array([0.0, 30.0, 0.0, 0.0])}
    rnn = {"kernel": kernel[:, :1], "recurrent_kernel": jnp.full((1, 1), 0.5), "bias": jnp.zeros(1)}
    assert reach(LSTM(1), lstm) > 0.1
    assert reach(RNN(1), rnn) < 1e-12


def test_bfloat16_stays_bfloat16():
    layer = Recurrent(LSTM(5))
    variables = jax.tree.map(lambda a: a.astype(jnp.bfloat16), filled(layer))
    y, carry = run(layer, variables, X.astype(jnp.bfloat16))
    assert {y.dtype, carry[0][0].dtype} == {jnp.dtype(jnp.bfloat16)}


@pytest.mark.parametrize(
    ("call", "words"),
    [
        (lambda: GRU(3, reset="never"), "reset='never'"),
        (lambda: from_torch(GRU(3, reset="before"), {}), "only GRU"),
        (lambda: from_torch(LSTM(3), {}, layers=2), "weight_ih_l0"),
        (lambda: from_torch(LSTM(1, project=1), {"weight_ih_l0": [[1]], "weight_hh_l0": [[1]]}), "weight_hr_l0"),
    ],
)
def test_errors_name_the_argument(call, words):
    with pytest.raises(ValueError, match=words):
        call()


def test_residual_layers_say_nothing_beyond_a_sequence():
    x = jnp.ones((2, 4, 3))
    layer = Recurrent(GRU(3), layers=2, residual=True)
    params = layer.init(jax.random.key(0), x, train=False)
    y, _ = layer.apply(params, x, lengths=jnp.array([2, 4]), train=False)
    assert not np.asarray(y[0, 2:]).any()
    assert np.asarray(y[1]).all()
