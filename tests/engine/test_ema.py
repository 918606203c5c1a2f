"""The moving average that is evaluated: parameters with their statistics, a decay that warms up, and who takes part."""

from dataclasses import replace
from types import SimpleNamespace

import jax
import numpy as np
import pytest

from jaxdl import optim
from jaxdl.engine import average
from jaxdl.engine.program import Program
from jaxdl.formats import Rules
from jaxdl.layers.normalization import BatchNorm
from jaxdl.models.mlp import MLP
from jaxdl.tasks.classification import Classification
from jaxdl.types import Task, TrainState

OLD = Rules(format=1, select=("accuracy", "max"))
DECAY = 0.25


def state(step, params, model_state, ema=None, skipped=0):
    empty = dict(opt_state={}, key=None, bad=0, metrics={}, best=None)
    return TrainState(
        step=np.int32(step), params=params, model_state=model_state, ema=ema, skipped=np.int32(skipped), **empty
    )


def experiment(decay, rules=Rules(), **task):
    return SimpleNamespace(ema=decay, follows=rules, task=type("Averaged", (Task,), task)())


def weights(value, count=0):
    number = np.float32(value)
    stats = {
        "batch_stats": {"mean": number},
        "seen": {"n": number},
        "carry": {"h": number},
        "turn": {"i": np.int32(count)},
    }
    return {"w": number}, stats


REDUCE = {"seen": "sum", "carry": "example"}


def test_the_decay_warms_up_over_the_applied_steps():
    exp = experiment(0.9, reduce=REDUCE)
    start, update = state(0, *weights(0.0)), jax.jit(lambda old, new: average.next_average(exp, old, new))
    ema, expected = average.first_average(exp, start.params, start.model_state), 0.0
    # (step, skipped before it, value): the update of step 2 was not finite, so that of step 3 is the third that is applied
    for step, skipped, value, t in [(0, 0, 1.0, 1), (1, 0, 3.0, 2), (3, 1, -2.0, 3), (200, 1, 4.0, 200)]:
        old, new = state(step, *weights(0.0), ema=ema, skipped=skipped), state(step + 1, *weights(value))
        ema = jax.device_get(update(old, new))
        decay = {1: 2 / 11, 2: 3 / 12, 3: 4 / 13, 200: 0.9}[t]  # (1 + t) / (10 + t), and 0.9 where that is more
        expected = decay * expected + (1 - decay) * value
        assert ema["params"]["w"] == pytest.approx(expected, rel=1e-5)


def test_the_given_decay_is_the_highest():
    exp = experiment(DECAY, reduce=REDUCE)
    old = state(1000, *weights(0.0), ema=average.averaged(exp, *weights(1.0)))
    ema = average.next_average(exp, old, state(1001, *weights(0.0)))
    assert float(ema["params"]["w"]) == pytest.approx(DECAY)  # and (1 + 1001) / (10 + 1001) is more


def test_statistics_are_averaged_and_sums_examples_and_whole_numbers_are_not():
    exp = experiment(DECAY, reduce=REDUCE)
    raw = state(1000, *weights(8.0, count=7))
    ema = average.next_average(exp, raw.replace(ema=average.averaged(exp, *weights(0.0))), raw)
    params, model_state = average.evaluated(exp, raw.replace(ema=ema))
    numbers = {name: float(*tree.values()) for name, tree in model_state.items()}
    assert (float(params["w"]), numbers) == (6.0, {"batch_stats": 6.0, "seen": 8.0, "carry": 8.0, "turn": 7.0})
    assert set(ema["model_state"]) == {"batch_stats", "turn"}


def test_of_a_gan_the_generator_alone_is_averaged():
    exp = experiment(DECAY, reduce={"batch_stats": "mean"}, averaged=("generator",))
    players = lambda value: {name: {"w": np.float32(value)} for name in ("generator", "critic")}
    start = average.averaged(exp, players(0.0), {"batch_stats": players(0.0)})
    assert set(start["params"]) == {"generator"} == set(start["model_state"]["batch_stats"])
    raw = state(1000, players(8.0), {"batch_stats": players(8.0)})
    params, model_state = average.evaluated(
        exp, raw.replace(ema=average.next_average(exp, raw.replace(ema=start), raw))
    )
    for tree in (params, model_state["batch_stats"]):
        assert {name: float(tree[name]["w"]) for name in tree} == {"generator": 6.0, "critic": 8.0}


def test_a_run_of_format_1_keeps_its_rule():
    exp = experiment(DECAY, OLD, reduce=REDUCE)
    old = state(0, *weights(0.0), ema=average.averaged(exp, *weights(0.0)))
    new = state(1, *weights(8.0))
    ema = average.next_average(exp, old, new)
    assert float(ema["w"]) == pytest.approx(6.0)  # at the full decay from the first step on
    params, model_state = average.evaluated(exp, new.replace(ema=ema))
    assert float(params["w"]) == pytest.approx(6.0)
    assert float(model_state["batch_stats"]["mean"]) == 8.0


@pytest.fixture(scope="module")
def normed(tiny):
    """An experiment with batch norm, and its states over four steps."""
    task = Classification(MLP(features=(8,), classes=3, norm=BatchNorm))
    exp = replace(tiny.config(), task=task, ema=0.9, stop=None, optimizer=optim.adamw(0.05))
    program = Program(exp)
    states = [program.init()]
    for step in range(4):
        source = program.place(exp.data.source(step, step + 1, 0))
        after, _ = program.chunk(jax.tree.map(lambda a: a.copy(), states[-1]), source, np.int32(1), np.int32(10))
        states.append(after)
    return exp, [jax.device_get(one.replace(key=None)) for one in states]


def test_in_a_run_the_average_is_its_formula(normed):
    exp, states = normed
    held = lambda one: {"params": one.params, "model_state": one.model_state}
    expected = held(states[0])
    for t, one in enumerate(states[1:], 1):
        d = min(0.9, (1 + t) / (10 + t))
        expected = jax.tree.map(lambda e, w, d=d: d * e + (1 - d) * w, expected, held(one))
    for found in (states[-1].ema, dict(zip(held(states[0]), exp.eval_weights(states[-1]), strict=True))):
        jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-5, atol=1e-6), found, expected)
    assert "batch_stats" in states[-1].ema["model_state"]


def test_schedule_free_is_evaluated_at_its_average_with_the_statistics_as_they_are(tiny):
    exp = replace(tiny.config(), stop=None, optimizer=optim.schedule_free_adamw(0.1))
    raw, z = {"w": np.float32(5.0)}, {"w": np.float32(-4.0)}
    opt_state = jax.tree.map(np.asarray, exp.optimizer.init(z))
    stats = {"batch_stats": {"mean": np.float32(2.0)}}
    one = replace(state(3, raw, stats), opt_state={"": opt_state})
    params, model_state = exp.eval_weights(one)
    assert float(params["w"]) == pytest.approx((5.0 - 0.1 * -4.0) / 0.9)  # x of y = b₁ x + (1 - b₁) z
    assert model_state is stats
    assert exp.eval_weights(one.replace(ema={"params": raw, "model_state": stats}))[0] == raw
