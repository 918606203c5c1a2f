"""Recurrent layers: how far a gradient reaches at the start of training, and what LSTM, GRU and attention cost.

A value is log10 of |∂h_T/∂x_1| / |∂h_T/∂x_T| after T = 40 steps of Gaussian noise, layers of 64 units. The LSTM's forget gates
start open (bias 1, `jaxdl`'s default; Jozefowicz et al. 2015) or half open (0, PyTorch's).
"""

from functools import cache, partial

import jax
import jax.numpy as jnp

from jaxdl.inspect.flops import multiply_adds
from jaxdl.layers.attention import MultiHead
from jaxdl.layers.recurrent import GRU, LSTM, RNN, Recurrent
from jaxdl.runs.claims import Comparison, Fact, Study

TIME, CHANNELS, HIDDEN = 40, 16, 64
CELLS = {
    "rnn": RNN(HIDDEN),
    "gru": GRU(HIDDEN),
    "lstm": LSTM(HIDDEN),
    "lstm, forget bias 0": LSTM(HIDDEN, forget_bias=0.0),
}


@cache
def reach(cell: str):
    """A compiled function of the seed."""
    layer = Recurrent(CELLS[cell])

    def ratio(key):
        first, second, third = jax.random.split(key, 3)
        x = jax.random.normal(first, (1, TIME, CHANNELS))
        variables = layer.init(second, x, train=False)
        direction = jax.random.normal(third, (HIDDEN,))
        grad = jax.grad(lambda x: layer.apply(variables, x, train=False)[0][0, -1] @ direction)(x)[0]
        size = jnp.linalg.norm(grad, axis=-1)
        return jnp.log10(size[0] / size[-1])

    return jax.jit(ratio)


def measure(*, cell: str, seed: int) -> float:
    return float(reach(cell)(jax.random.key(seed)))


def shapes(layer, time: int):
    x = jax.ShapeDtypeStruct((1, time, HIDDEN), jnp.float32)
    return x, jax.eval_shape(partial(layer.init, train=False), jax.random.key(0), x)


def cost(layer, time: int = TIME) -> tuple[int, int]:
    """(parameters, multiply-adds) of a layer on one sequence."""
    x, variables = shapes(layer, time)
    adds = multiply_adds(partial(layer.apply, train=False), variables, x)
    return sum(leaf.size for leaf in jax.tree.leaves(variables)), adds


def gates() -> tuple[str, str]:
    (lstm, lstm_adds), (gru, gru_adds) = (cost(Recurrent(cell)) for cell in (CELLS["lstm"], CELLS["gru"]))
    ratio, adds = gru / lstm, gru_adds / lstm_adds
    return ("holds" if ratio < 0.8 else "wrong"), f"GRU / LSTM: parameters {ratio:.3f}, multiply-adds {adds:.3f}"


def sequential() -> tuple[str, str]:
    """The longest chain of loops: a recurrent layer runs as many steps as the sequence has, attention none."""

    def steps(layer, time: int) -> int:
        x, variables = shapes(layer, time)
        jaxpr = jax.make_jaxpr(partial(layer.apply, train=False))(variables, x)
        return sum(eqn.params["length"] for eqn in jaxpr.eqns if eqn.primitive.name == "scan")

    attention = MultiHead(HIDDEN, 4)
    found = {time: (steps(Recurrent(CELLS["lstm"]), time), steps(attention, time)) for time in (50, 100)}
    held = all(found[time] == (time, 0) for time in found)
    return ("holds" if held else "wrong"), f"steps one after the other, {{length: (LSTM, attention)}}: {found}"


study = Study(
    measure=measure,
    settings={name: {"cell": name} for name in CELLS},
    comparisons=(
        Comparison("C5", "LSTM mitigates the vanishing gradient", "lstm", "rnn", 1.0, "forget gates open"),
        Comparison(
            "C5", "LSTM mitigates the vanishing gradient", "lstm, forget bias 0", "rnn", 1.0, "forget gates half open"
        ),
        Comparison("C5", "LSTM mitigates the vanishing gradient", "gru", "rnn", 1.0, "GRU instead of LSTM"),
    ),
    facts=(
        Fact("C7", "GRU is simpler than LSTM: two gates against three", gates),
        Fact("C8", "Transformers work in parallel where recurrence is sequential", sequential),
    ),
    unit="log10 of the gradient's ratio over 40 steps",
)
