"""Activations: one table; value, derivative and range of every entry, against PyTorch, ONNX and closed forms."""

import functools
import importlib
import math
from functools import partial
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxdl import activations as A
from tests.programs import one_program

INF = math.inf


class Row(NamedTuple):
    ours: object
    torch: str  # an expression in F (torch.nn.functional), torch and x
    low: float  # the true range, closed in float32
    high: float
    at_minus_one: float  # closed form


E1 = math.exp(-1)
SIGMOID1 = 1 / (1 + math.e)  # σ(-1)
ACTIVATIONS = {
    "relu": Row(A.relu, "F.relu(x)", 0, INF, 0),
    "relu6": Row(A.relu6, "F.relu6(x)", 0, 6, 0),
    "squared_relu": Row(A.squared_relu, "F.relu(x) ** 2", 0, INF, 0),
    "leaky_relu": Row(A.leaky_relu, "F.leaky_relu(x)", -INF, INF, -0.01),
    "leaky_relu_0.2": Row(partial(A.leaky_relu, slope=0.2), "F.leaky_relu(x, 0.2)", -INF, INF, -0.2),
    "prelu": Row(partial(A.prelu, slope=0.25), "F.prelu(x, torch.tensor([0.25]))", -INF, INF, -0.25),
    "elu": Row(A.elu, "F.elu(x)", -1, INF, E1 - 1),
    "elu_0.5": Row(partial(A.elu, alpha=0.5), "F.elu(x, 0.5)", -0.5, INF, 0.5 * (E1 - 1)),
    "celu": Row(partial(A.celu, alpha=2.0), "F.celu(x, 2.0)", -2, INF, 2 * (math.exp(-0.5) - 1)),
    "selu": Row(A.selu, "F.selu(x)", -1.7580994, INF, 1.0507009873554805 * 1.6732632423543772 * (E1 - 1)),
    "sigmoid": Row(A.sigmoid, "torch.sigmoid(x)", 0, 1, SIGMOID1),
    "log_sigmoid": Row(A.log_sigmoid, "F.logsigmoid(x)", -INF, 0, math.log(SIGMOID1)),
    "hard_sigmoid": Row(A.hard_sigmoid, "F.hardsigmoid(x)", 0, 1, 1 / 3),
    "tanh": Row(A.tanh, "torch.tanh(x)", -1, 1, math.tanh(-1)),
    "hard_tanh": Row(A.hard_tanh, "F.hardtanh(x)", -1, 1, -1),
    "softsign": Row(A.softsign, "F.softsign(x)", -1, 1, -0.5),
    "softplus": Row(A.softplus, "F.softplus(x)", 0, INF, math.log1p(E1)),
    "swish": Row(A.swish, "F.silu(x)", -0.27846455, INF, -SIGMOID1),
    "swish_2": Row(partial(A.swish, beta=2.0), "x * torch.sigmoid(2 * x)", -0.27846455 / 2, INF, -1 / (1 + math.e**2)),
    "silu": Row(A.silu, "F.silu(x)", -0.27846455, INF, -SIGMOID1),
    "hard_swish": Row(A.hard_swish, "F.hardswish(x)", -0.375, INF, -1 / 3),
    "gelu": Row(A.gelu, "F.gelu(x)", -0.16997122, INF, -0.5 * math.erfc(1 / math.sqrt(2))),
    "gelu_tanh": Row(
        A.gelu_tanh, "F.gelu(x, approximate='tanh')", -0.17004090, INF, -0.5 * (1 - math.tanh(0.7978845608 * 1.044715))
    ),
    "mish": Row(A.mish, "F.mish(x)", -0.30884302, INF, -math.tanh(math.log1p(E1))),
}
rows = pytest.mark.parametrize("row", ACTIVATIONS.values(), ids=ACTIVATIONS)
GRID = np.concatenate([np.linspace(-8, 8, 4001), [-1e4, -100, 100, 1e4], [-3, -1, 0, 1, 3, 6]]).astype(np.float32)
SMOOTH, STEP = np.float32(np.linspace(-5, 5, 41) + 0.013), 1e-3  # away from the corners
PLACES = np.concatenate([GRID, SMOOTH, SMOOTH + np.float32(STEP), SMOOTH - np.float32(STEP)])


@functools.cache
def value_and_derivative(function):
    """Of one activation at all PLACES, by one program."""
    return one_program(jax.vmap(jax.value_and_grad(function)), PLACES)


@rows
def test_closed_form_at_minus_one(row):
    value, _ = value_and_derivative(row.ours)
    np.testing.assert_allclose(value[PLACES == -1], row.at_minus_one, rtol=2e-6)


@rows
def test_range_is_reached_and_kept_and_nothing_overflows(row):
    value, derivative = value_and_derivative(row.ours)
    assert np.isfinite(value).all()
    assert np.isfinite(derivative).all()
    if math.isfinite(row.low):
        np.testing.assert_allclose(value.min(), row.low, atol=2e-6 if row.ours is not A.softsign else 1.1e-4)
    else:
        assert value.min() < -99
    if math.isfinite(row.high):
        np.testing.assert_allclose(value.max(), row.high, atol=2e-6 if row.ours is not A.softsign else 1.1e-4)
    else:
        assert value.max() > 9999


@rows
def test_derivative_is_the_slope_of_the_value(row):
    value, derivative = value_and_derivative(row.ours)
    _, above, below = np.split(value[len(GRID) :], 3)
    np.testing.assert_allclose(derivative[len(GRID) :][:41], (above - below) / (2 * STEP), atol=2e-3)


@rows
def test_bfloat16_stays_bfloat16(row):
    assert jax.eval_shape(row.ours, jax.ShapeDtypeStruct((3,), jnp.bfloat16)).dtype == jnp.bfloat16


@rows
@pytest.mark.parity
def test_matches_pytorch_in_value_and_derivative(row):
    torch = pytest.importorskip("torch")
    x = torch.tensor(GRID, requires_grad=True)  # the corners: subgradients too
    expected = eval(row.torch, {"F": torch.nn.functional, "torch": torch, "x": x})
    expected.sum().backward()
    value, derivative = (a[: len(GRID)] for a in value_and_derivative(row.ours))
    np.testing.assert_allclose(value, expected.detach(), rtol=2e-6, atol=1e-6)
    # atol: the tail of tanh in mish; gelu_tanh multiplies its rounding by 50, so one unit in the last place is 3e-6,
    # and a program that LLVM does not optimize is three units off
    np.testing.assert_allclose(derivative, x.grad, rtol=2e-6, atol=1e-5 if row.ours is A.gelu_tanh else 4e-6)


CORNERS = {  # at x = 0, or where it says so; PyTorch's choice, as everywhere
    "relu": (0, 0),
    "squared_relu": (0, 0),
    "leaky_relu": (0, 0.01),
    "prelu": (0, 0.25),
    "elu": (0, 1),
    "selu": (0, 1.0507009873554805 * 1.6732632423543772),
    "relu6": (6, 0),
    "hard_tanh": (1, 0),
    "hard_sigmoid": (3, 0),
    "hard_swish": (3, 1),
}


@pytest.mark.parametrize("name", CORNERS)
def test_derivative_at_the_corners(name):
    at, slope = CORNERS[name]
    derivative = value_and_derivative(ACTIVATIONS[name].ours)[1][: len(GRID)]
    np.testing.assert_allclose(derivative[at == GRID], slope, rtol=1e-6)


ONNX = {  # operator -> our function of the case's attributes
    "Elu": lambda a: partial(A.elu, alpha=a.get("alpha", 1.0)),
    "Celu": lambda a: partial(A.celu, alpha=a.get("alpha", 1.0)),
    "Gelu": lambda a: A.gelu_tanh if a.get("approximate") == b"tanh" else A.gelu,
    "HardSwish": lambda a: A.hard_swish,
    "LeakyRelu": lambda a: partial(A.leaky_relu, slope=a.get("alpha", 0.01)),
    "LogSoftmax": lambda a: partial(A.log_softmax, axis=a.get("axis", -1)),
    "Mish": lambda a: A.mish,
    "PRelu": lambda a: A.prelu,
    "Relu": lambda a: A.relu,
    "Sigmoid": lambda a: A.sigmoid,
    "Softmax": lambda a: partial(A.softmax, axis=a.get("axis", -1)),
    "Softplus": lambda a: A.softplus,
    "Softsign": lambda a: A.softsign,
    "Swish": lambda a: partial(A.swish, beta=a.get("alpha", 1.0)),
    "Tanh": lambda a: A.tanh,
}


@pytest.mark.parity
@pytest.mark.parametrize("operator", ONNX)
@pytest.mark.filterwarnings("ignore")  # of onnx, while it builds its cases
def test_matches_the_onnx_cases(operator):
    helper = pytest.importorskip("onnx").helper
    suite = importlib.import_module("onnx.backend.test.case.node")
    importlib.import_module(f"onnx.backend.test.case.node.{operator.lower()}")  # which registers its cases
    cases = [(c, c.model.graph.node[0]) for c in suite._NodeTestCases if len(c.model.graph.node) == 1]
    cases = [(c, node) for c, node in cases if node.op_type == operator]
    assert cases
    functions = [ONNX[operator]({a.name: helper.get_attribute_value(a) for a in node.attribute}) for _, node in cases]
    ours = lambda sets: [[f(*inputs) for inputs in many] for f, many in zip(functions, sets, strict=True)]
    got = one_program(ours, [[tuple(inputs) for inputs, _ in case.data_sets] for case, _ in cases])
    for values, (case, _) in zip(got, cases, strict=True):
        for value, (_, outputs) in zip(values, case.data_sets, strict=True):
            np.testing.assert_allclose(value, outputs[0], rtol=3e-6, atol=1e-6, err_msg=case.name)


def test_swish_goes_from_half_the_identity_to_relu_with_beta_per_channel_and_traced():
    x, betas = np.linspace(-3, 3, 12, dtype="f4").reshape(4, 3), np.float32([0.5, 1.0, 2.0])

    def everything(x, betas):
        swept = jax.vmap(A.swish, (None, 0))(x, betas)
        gradient = jax.grad(lambda beta: A.swish(x, beta).sum())(betas)
        return A.swish(x, 0.0), A.swish(x, 1e4), swept, A.swish(x, betas), gradient

    half, hard, swept, per_channel, gradient = one_program(everything, x, betas)
    np.testing.assert_allclose(half, x / 2)
    np.testing.assert_allclose(hard, np.maximum(x, 0), atol=1e-6)
    for channel in range(3):
        np.testing.assert_allclose(per_channel[:, channel], swept[channel, :, channel], rtol=1e-6)
    sigmoid = 1 / (1 + np.exp(-betas[None] * x))
    np.testing.assert_allclose(gradient, (x**2 * sigmoid * (1 - sigmoid)).sum(0), rtol=1e-5)


def test_gelu_names_differ_where_libraries_differ():
    gap = np.abs(value_and_derivative(A.gelu)[0] - value_and_derivative(A.gelu_tanh)[0]).max()
    assert 3e-4 < gap < 1e-3


def test_softmax_sums_to_one_and_ignores_a_shift():
    x = 5 * np.random.default_rng(0).normal(size=(4, 7)).astype("f4")

    def everything(x):
        cold, warm = A.log_softmax(x, temperature=2.0), A.softmax(x, temperature=2.0)
        limits = A.softmax(x, temperature=1e-3), A.softmax(x, temperature=1e6)
        return A.softmax(x), A.softmax(x + 100), A.softmax(x, axis=0), cold, warm, *limits

    plain, shifted, first, log_warm, warm, cold, hot = one_program(everything, x)
    np.testing.assert_allclose(plain.sum(-1), 1, rtol=1e-6)
    np.testing.assert_allclose(shifted, plain, rtol=2e-5)
    np.testing.assert_allclose(first.sum(0), 1, rtol=1e-6)
    np.testing.assert_allclose(log_warm, np.log(warm), rtol=1e-5)
    np.testing.assert_allclose(cold.max(-1), 1)
    np.testing.assert_allclose(hot, 1 / 7, rtol=1e-4)


def test_softmax_mask_gives_zero_and_a_row_without_entries_stays_finite():
    x = np.float32([[1e4, 0.0, -1e4], [1.0, 2.0, 3.0], [3e38, 1.0, 2.0]])
    mask = np.array([[True, True, True], [False, False, False], [False, True, True]])

    def everything(x):
        value, pullback = jax.vjp(lambda x: A.softmax(x, mask=mask), x)
        return value, pullback(jnp.ones_like(value))[0], A.softmax(x[:2]), jax.nn.softmax(x[:2])

    value, derivative, plain, theirs = one_program(everything, x)
    np.testing.assert_allclose(value[0], [1, 0, 0])
    np.testing.assert_allclose(value[1], 0)
    np.testing.assert_allclose(value[2], [0, 1 / (1 + math.e), math.e / (1 + math.e)], rtol=1e-6)
    assert np.isfinite(derivative).all()
    np.testing.assert_allclose(plain, theirs, rtol=1e-6)


@pytest.mark.parametrize(
    ("gated", "act"), [(A.glu, A.sigmoid), (A.reglu, A.relu), (A.geglu, A.gelu), (A.swiglu, A.silu)]
)
def test_gates_open_one_map_by_the_other(gated, act):
    gate, value = np.float32([-1.0, 0.5, 2.0]), np.float32([3.0, -1.0, 0.1])
    got, opened = one_program(lambda gate, value: (gated(gate, value), act(gate)), gate, value)
    np.testing.assert_allclose(got, opened * value, rtol=2e-7)


@pytest.mark.parity
def test_glu_is_pytorchs_with_the_halves_named():
    torch = pytest.importorskip("torch")
    x = np.random.default_rng(0).normal(size=(3, 8)).astype(np.float32)
    got = one_program(lambda x: A.glu(x[:, 4:], x[:, :4]), x)
    np.testing.assert_allclose(got, torch.nn.functional.glu(torch.tensor(x)), rtol=1e-6)
