"""Early stopping: the rule on sequences of values, its directions, and the weights it goes back to."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxdl.train import stopping
from jaxdl.train.stopping import EarlyStopping

NAN = float("nan")

SEQUENCES = {
    # (rule, mode, values) -> (stopped after so many evaluations or None, best evaluation counted from 1, or 0)
    "max": (EarlyStopping(patience=2), "max", [0.1, 0.5, 0.4, 0.3, 0.9], (4, 2)),
    "min": (EarlyStopping(patience=2), "min", [0.9, 0.5, 0.6, 0.7, 0.1], (4, 2)),
    "patience 1 stops at the first": (EarlyStopping(patience=1), "max", [0.5, 0.5, 0.9], (2, 1)),
    "patience 0 too": (EarlyStopping(patience=0), "max", [0.1, 0.5, 0.5, 0.9], (3, 2)),
    "patience 3 at the third in a row": (EarlyStopping(patience=3), "max", [0.5, 0.4, 0.6, 0.5, 0.5, 0.5, 0.9], (6, 3)),
    "an equal value is no improvement": (EarlyStopping(patience=2), "max", [0.5, 0.5, 0.5, 0.9], (3, 1)),
    "waiting begins anew": (EarlyStopping(patience=2), "max", [0.1, 0.0, 0.2, 0.1, 0.3, 0.2, 0.1], (7, 5)),
    "min_delta, max": (EarlyStopping(patience=2, min_delta=0.1), "max", [0.5, 0.55, 0.59, 0.9], (3, 1)),
    "min_delta, min": (EarlyStopping(patience=2, min_delta=0.1), "min", [0.5, 0.45, 0.35, 0.34], (None, 3)),
    "small steps add up": (EarlyStopping(patience=6, min_delta=0.1), "max", [0.5, 0.56, 0.62], (None, 3)),
    "NaN is no improvement": (EarlyStopping(patience=2), "max", [NAN, 0.5, NAN, NAN, 0.9], (4, 2)),
    "NaN from the start": (EarlyStopping(patience=2), "min", [NAN, NAN, 0.1], (2, 0)),
    "an infinite loss is no improvement": (EarlyStopping(patience=1), "min", [float("inf"), 1.0], (1, 0)),
    "start_from": (EarlyStopping(patience=1, start_from=30), "max", [0.9, 0.1, 0.2, 0.3, 0.2], (5, 4)),
    "never": (EarlyStopping(patience=10), "max", [0.9, 0.1, 0.2], (None, 1)),
}


@pytest.mark.parametrize("name", SEQUENCES)
def test_sequence(name):
    rule, mode, values, (stops, best) = SEQUENCES[name]
    update = jax.jit(lambda *a: stopping.update(rule, mode, *a))
    state = stopping.start(({"w": jnp.float32(0)}, {}), mode)
    stopped = None
    for i, value in enumerate(values, 1):
        state = update(state, np.float32(value), np.int32(10 * i), ({"w": jnp.float32(i)}, {}))
        if bool(state.stopped) and stopped is None:
            stopped, at_the_stop = i, state
    assert stopped == stops
    assert float(state.weights[0]["w"]) == best
    assert int(state.step) == 10 * best
    if best:
        assert float(state.value) == np.float32(values[best - 1])
    if stopped:  # once stopped, nothing changes any more
        jax.tree.map(np.testing.assert_array_equal, state, at_the_stop)


def test_min_delta_may_be_traced():
    def best_after(delta):
        state = stopping.start(({}, {}), "max")
        for value in (0.5, 0.6):
            state = stopping.update(EarlyStopping(min_delta=delta), "max", state, value, jnp.int32(1), ({}, {}))
        return state.value

    np.testing.assert_allclose(jax.vmap(best_after)(jnp.array([0.05, 0.2])), [0.6, 0.5], rtol=1e-6)


def test_start_copies_the_weights():
    weights = {"w": jnp.ones(3)}
    assert stopping.start((weights, {}), "max").weights[0]["w"] is not weights["w"]


def test_the_experiment_selects_by_the_rule(tiny):
    from dataclasses import replace

    exp = tiny.config()
    assert exp.select == ("accuracy", "max")
    assert replace(exp, stop=EarlyStopping(metric="loss")).select == ("loss", "min")
    assert replace(exp, stop=EarlyStopping(metric="f1", mode="min")).select == ("f1", "min")
    assert replace(exp, stop=None).select == ("accuracy", "max")


@pytest.mark.parametrize(("wrong", "message"), [({"mode": "up"}, "mode = 'up'"), ({"patience": -1}, "patience = -1")])
def test_refuses(wrong, message):
    with pytest.raises(ValueError, match=message):
        EarlyStopping(**wrong)
