"""Recurrent layers beside PyTorch's numbers, states and gradients, and the normalised cells beside the paper's formulas."""

from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxdl.activations import relu
from jaxdl.layers.recurrent import GRU, LSTM, RNN, Recurrent
from jaxdl.layers.recurrent_weights import from_torch, to_torch
from jaxdl.types import UserError
from tests.programs import one_program
from tests.tables import rows

CELLS = {
    "rnn": RNN(5),
    "rnn_relu": RNN(5, act=relu),
    "lstm": LSTM(5),
    "lstm_projected": LSTM(5, project=3),
    "gru": GRU(5),
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


CASES = {
    f"{name}, {way}": (name, both) for name in CELLS for way, both in {"one way": False, "both ways": True}.items()
}


@pytest.mark.filterwarnings("ignore:LSTM with projections is not supported with oneDNN")  # it takes its own way there
@rows(CASES, default=["lstm_projected, both ways", "gru, both ways", "rnn, one way"], name="case")
def test_outputs_states_and_gradients_are_pytorchs(case, oracle):
    name, bidirectional = case
    cell, stack = CELLS[name], {"layers": 2, "bidirectional": bidirectional}
    layer = Recurrent(cell, **stack)

    @oracle
    def theirs(torch):
        kind, options = {
            "rnn_relu": ("RNN", {"nonlinearity": "relu"}),
            "lstm_projected": ("LSTM", {"proj_size": 3}),
        }.get(name, (name.upper(), {}))
        module = getattr(torch.nn, kind)(4, 5, num_layers=2, bidirectional=bidirectional, batch_first=True, **options)
        with torch.no_grad():
            for p in module.parameters():
                p.normal_(0, 0.5)
        said = {name: p.detach().clone() for name, p in module.named_parameters()}
        pack = torch.nn.utils.rnn.pack_padded_sequence
        y, state = module(pack(torch.tensor(X), torch.tensor(LENGTHS), batch_first=True, enforce_sorted=False))
        y, _ = torch.nn.utils.rnn.pad_packed_sequence(y, batch_first=True)
        h_n = state[0] if "lstm" in name else state
        (y.square().sum() + h_n.sin().sum()).backward()
        said |= {f"d {name}": p.grad.clone() for name, p in module.named_parameters()}
        said |= {"y": y, "h": h_n} | ({"c": state[1]} if "lstm" in name else {})
        back = to_torch(
            cell, from_torch(cell, {n: a.numpy() for n, a in module.state_dict().items()}, **stack), **stack
        )
        module.load_state_dict({n: torch.tensor(a) for n, a in back.items()})
        return said | {"back": module(torch.tensor(X))[0]}

    def loss(params, x, lengths):
        y, carry = run(layer, {"params": params}, x, None, lengths)
        h = jnp.stack([cell.output(c) for c in carry])
        memory = jnp.stack([c[1] for c in carry]) if "lstm" in name else h
        return (y**2).sum() + jnp.sin(h).sum(), (y, h, memory)

    params = from_torch(cell, theirs, **stack)
    both = lambda params, x, lengths: (
        jax.grad(loss, has_aux=True)(params, x, lengths),
        run(layer, {"params": params}, x)[0],
    )
    (grads, (y, h, memory)), whole = one_program(both, params, X, LENGTHS)
    np.testing.assert_allclose(y, theirs["y"], atol=2e-6)
    np.testing.assert_allclose(h, theirs["h"], atol=2e-6)
    if "lstm" in name:
        np.testing.assert_allclose(memory, theirs["c"], atol=2e-6)
    close = partial(np.testing.assert_allclose, rtol=1e-4, atol=1e-5)
    for ours_name, entry in grads.items():
        end = ours_name.replace("layer_", "l")
        close(entry["kernel"].T, theirs[f"d weight_ih_{end}"])
        close(entry["recurrent_kernel"].T, theirs[f"d weight_hh_{end}"])
        close(entry["bias"], theirs[f"d bias_ih_{end}"])
        if name == "lstm_projected":
            close(entry["projection"].T, theirs[f"d weight_hr_{end}"])
        if name == "gru":
            close(entry["recurrent_bias"], theirs[f"d bias_hh_{end}"][10:])
    np.testing.assert_allclose(whole, theirs["back"], atol=2e-6)
    again = from_torch(cell, to_torch(cell, params, **stack), **stack)
    jax.tree.map(np.testing.assert_array_equal, again, params)


@pytest.mark.parametrize(
    ("cell", "count"), [(RNN(128), 20224 - 128), (LSTM(128), 80896 - 512), (GRU(128), 60672 - 256)]
)
def test_parameter_counts_are_pytorchs_less_the_merged_biases(cell, count):
    shapes = jax.eval_shape(partial(Recurrent(cell).init, train=False), KEY, np.zeros((1, 2, 28), np.float32))
    assert sum(leaf.size for leaf in jax.tree.leaves(shapes)) == count


@pytest.mark.parametrize(
    ("call", "words"),
    [
        (lambda: from_torch(GRU(3, reset="before"), {}), "reset='before'"),
        (lambda: from_torch(LSTM(3), {}, layers=2), "weight_ih_l0"),
        (lambda: from_torch(LSTM(1, project=1), {"weight_ih_l0": [[1]], "weight_hh_l0": [[1]]}), "weight_hr_l0"),
    ],
)
def test_weights_that_do_not_fit_are_named(call, words):
    with pytest.raises(UserError, match=words):
        call()


# -- the normalised cells ---------------------------------------------------------------------------------------------


def normalised(v, gain):
    """LN(v; gain) of Ba et al. 2016, eq. 3 and 4, with a small number against dividing by zero."""
    return gain * (v - v.mean(-1, keepdims=True)) / np.sqrt(v.var(-1, keepdims=True) + 1e-5)


def sigmoid(v):
    return 1 / (1 + np.exp(-v))


def test_a_normalised_lstm_is_the_papers_formula():
    """Ba et al. 2016, appendix: f, i, o, g = LN(R·h) + LN(W·x) + b, c' = σ(f)⊙c + σ(i)⊙tanh(g), h' = σ(o)⊙tanh(LN(c'))."""
    layer = Recurrent(LSTM(5, norm=True))
    variables = filled(layer)
    p = {name: np.asarray(value, np.float64) for name, value in variables["params"]["layer_0"].items()}
    h, c, x = np.zeros((3, 5)), np.zeros((3, 5)), np.asarray(X, np.float64)
    y = one_program(partial(run, layer), variables, X)[0]
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
    y = one_program(partial(run, layer), variables, X)[0]
    for t in range(6):
        r, z = np.split(sigmoid(normalised(x[:, t] @ w, s) + normalised(h @ r_, u) + b), 2, -1)
        if reset == "after":
            read = r * (normalised(h @ r_n, u_n) + p["recurrent_bias"])
        else:
            read = normalised((r * h) @ r_n, u_n)
        h = (1 - z) * np.tanh(normalised(x[:, t] @ w_n, s_n) + b_n + read) + z * h
        np.testing.assert_allclose(y[:, t], h, atol=1e-5)
