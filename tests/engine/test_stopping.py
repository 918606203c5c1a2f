"""Early stopping: the rule on sequences of values, its directions, and the weights it goes back to."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxdl.engine import stopping
from jaxdl.engine.stopping import EarlyStopping
from tests.programs import one_program

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


@pytest.fixture(scope="module")
def states():
    """What each sequence's rule knows after every evaluation, by name; the weights are the evaluation's number."""

    def run(name, values):
        rule, mode = SEQUENCES[name][:2]

        def evaluate(state, evaluation):
            i, value = evaluation
            state = stopping.update(rule, mode, state, value, 10 * i, ({"w": i.astype(jnp.float32)}, {}))
            return state, state

        first = stopping.start(({"w": jnp.float32(0)}, {}), mode)
        return jax.lax.scan(evaluate, first, (jnp.arange(1, len(values) + 1), values))[1]

    values = {name: np.float32(row[2]) for name, row in SEQUENCES.items()}
    return one_program(lambda values: {name: run(name, values[name]) for name in SEQUENCES}, values)


@pytest.mark.parametrize("name", SEQUENCES)
def test_sequence(name, states):
    _, _, values, (stops, best) = SEQUENCES[name]
    after = states[name]
    assert after.stopped.tolist() == [stops is not None and i >= stops for i in range(1, len(values) + 1)]
    assert after.weights[0]["w"][-1] == best
    assert after.step[-1] == 10 * best
    if best:
        assert after.value[-1] == np.float32(values[best - 1])
    if stops:  # once stopped, nothing changes any more
        for leaf in jax.tree.leaves(after):
            np.testing.assert_array_equal(leaf[stops:], np.broadcast_to(leaf[stops - 1], leaf[stops:].shape))


def test_min_delta_may_be_traced():
    def best_after(delta):
        state = stopping.start(({}, {}), "max")
        for value in (0.5, 0.6):
            state = stopping.update(EarlyStopping(min_delta=delta), "max", state, value, jnp.int32(1), ({}, {}))
        return state.value

    np.testing.assert_allclose(one_program(jax.vmap(best_after), np.float32([0.05, 0.2])), [0.6, 0.5], rtol=1e-6)


def test_start_copies_the_weights():
    """Its own buffers, for the state is donated as a whole."""
    weight = jax.device_put(np.ones(3, np.float32))
    copied = stopping.start(({"w": weight}, {}), "max").weights[0]["w"]
    assert copied.unsafe_buffer_pointer() != weight.unsafe_buffer_pointer()


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
