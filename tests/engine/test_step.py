"""The train step through the whole program: PyTorch's ten steps, micro-batches, phases, the guard, EMA, precision."""

from dataclasses import dataclass, replace
from itertools import pairwise

import chex
import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from jaxdl import optim
from jaxdl.data.order import rows_of_step
from jaxdl.data.source import InMemory
from jaxdl.engine.loop import nothing as zeros
from jaxdl.engine.step import init_state, rehearse
from jaxdl.experiment import Experiment
from jaxdl.layers.normalization import BatchNorm
from jaxdl.models.mlp import MLP
from jaxdl.runs.prepare import prepare
from jaxdl.setup import Setup
from jaxdl.tasks.classification import Classification
from jaxdl.types import Phase, Task
from tests.programs import one_program


def advance(exp, n, *, start=None):
    """The state after n steps, through the compiled program; `start` replaces the initial parameters."""
    program = prepare(Setup.of(lambda: exp, {}))
    state = program.init()
    if start is not None:
        state = state.replace(params=jax.device_put(start))
    return advance_with(program, state, n)


def advance_with(program, state, n=1, max_bad=100):
    """The state after n more steps; the program takes the one that it is given."""
    source = program.place(program.data.source(0, n, 0))
    return program.chunk(state, source, np.int32(n), np.int32(max_bad))[0]


def host(tree):
    """A copy of its own."""
    return jax.tree.map(np.array, tree)


def mean_of(state, name):
    total, weight = state.metrics[name]
    return float(total) / float(weight)


close = chex.assert_trees_all_close


def by_hand(tiny, rate, **task):
    """Every fifth label is ignored."""
    exp = tiny.config(rate=rate)
    labels = exp.data.splits["train"]["y"].copy()
    labels[::5] = -100
    splits = {"train": {**exp.data.splits["train"], "y": labels}}
    data, task = InMemory(splits, 16), replace(exp.task, **task)
    return replace(exp, data=data, task=task, optimizer=optim.adamw(0.01), stop=None)


def test_micro_batches_change_nothing(tiny):
    """With dropout, whose masks belong to examples, and labels and classes by which micro-batches weigh differently."""
    exp = by_hand(tiny, 0.5, class_weights=(1.0, 5.0, 0.2))
    whole = advance(exp, 4)
    cut = advance(replace(exp, accumulate=4), 4)
    close(cut.params, whole.params, rtol=0, atol=1e-6)
    assert mean_of(cut, "loss") == pytest.approx(mean_of(whole, "loss"), rel=1e-5)
    assert mean_of(cut, "accuracy") == pytest.approx(mean_of(whole, "accuracy"), rel=1e-6)
    assert mean_of(cut, "gradient_norm") == pytest.approx(mean_of(whole, "gradient_norm"), rel=1e-5)


@pytest.mark.slow
def test_rematerialisation_changes_nothing(tiny):
    """Through the whole program; test_memory.py compares the gradients."""
    exp = tiny.config(rate=0.5)
    close(advance(replace(exp, remat=True), 4).params, advance(exp, 4).params, rtol=0, atol=1e-6)


# -- the guard ---------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, eq=False)
class Breaking(Classification):
    """Gives NaN at some steps, in the loss or in the gradient alone."""

    losses: tuple[int, ...] = ()
    gradients: tuple[int, ...] = ()

    def objective(self, params, model_state, batch, key, step, *, train):
        loss, (state, metrics) = super().objective(params, model_state, batch, key, step, train=train)
        in_loss, in_gradient = (jnp.isin(step, jnp.array(at)) for at in (self.losses, self.gradients))
        x = sum(jnp.sum(p) for p in jax.tree.leaves(params))
        loss = loss + jnp.sqrt(jnp.where(in_gradient, 0 * x, 1.0)) - ~in_gradient  # √x has an infinite slope at zero
        state = jax.tree.map(lambda a: jnp.where(in_loss | in_gradient, jnp.nan, a), state)
        return jnp.where(in_loss, jnp.nan, loss), (state, metrics)


@pytest.fixture(scope="module")
def guarded(tiny):
    """A program with NaN in the loss of steps 2 and 3 and in the gradient of step 5, and its states 0 … 7."""
    exp = replace(
        tiny.config(),
        task=Breaking(MLP(features=(8,), classes=3, norm=BatchNorm), losses=(2, 3), gradients=(5,)),
        ema=0.75,
        optimizer=optim.adamw(0.05),
    )
    program = prepare(Setup.of(lambda: exp, {}))
    state, states = program.init(), []
    for _ in range(8):
        states.append(host(state.replace(key=None)))
        state = advance_with(program, state)
    return program, states


def test_a_step_that_is_not_finite_changes_nothing_and_counts(guarded):
    _, states = guarded
    kept = [(s.params, s.model_state, s.opt_state, s.ema) for s in states]
    assert "batch_stats" in states[0].model_state
    for before, after in ((2, 3), (3, 4), (5, 6)):
        chex.assert_trees_all_equal(kept[before], kept[after])
    for before, after in ((1, 2), (4, 5), (6, 7)):
        assert not jax.tree.all(jax.tree.map(np.array_equal, kept[before][0], kept[after][0]))
    assert [int(s.step) for s in states] == list(range(8))
    assert [int(s.bad) for s in states] == [0, 0, 0, 1, 2, 0, 1, 0]
    assert [int(s.skipped) for s in states] == [0, 0, 0, 1, 2, 2, 3, 3]
    assert np.isfinite(mean_of(states[-1], "loss"))
    assert states[-1].metrics["gradient_norm"][1] == 4  # means are over the good steps


def test_ema_is_its_formula(guarded):
    """Of parameters and batch statistics; its decay warms up with the steps that were applied (test_ema.py has more)."""
    program, states = guarded
    average, t = (states[0].params, states[0].model_state), 0
    for before, after in pairwise(states):
        if before.skipped == after.skipped:
            t += 1
            d = min(0.75, (1 + t) / (10 + t))
            average = jax.tree.map(lambda a, w, d=d: d * a + (1 - d) * w, average, (after.params, after.model_state))
        close((after.ema["params"], after.ema["model_state"]), average, rtol=1e-5, atol=1e-7)
    assert t == 4
    state = states[-1].replace(key=jax.random.key(0))
    chex.assert_trees_all_equal(program.exp.eval_weights(state), (state.ema["params"], state.ema["model_state"]))
    chex.assert_trees_all_equal(program.weights(state), (state.ema["params"], state.ema["model_state"]))


def test_a_chunk_ends_at_too_many_bad_steps(guarded):
    program, _ = guarded
    state = advance_with(program, program.init(), n=20, max_bad=2)
    assert (int(state.step), int(state.bad)) == (4, 2)


# -- phases ------------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, eq=False)
class TwoPhases(Task):
    """a is updated three times a step on batches of its own, then b once: losses whose gradients are known."""

    repeats: int = 3

    @property
    def phases(self):
        return (
            Phase(self.first, name="critic", params=("a",), repeats=self.repeats, optimizer="critic"),
            Phase(self.second, name="generator", params=("b",), optimizer="generator"),
        )

    def init(self, key, batch):
        return {"a": jnp.float32(0), "b": jnp.float32(0), "c": jnp.float32(7)}, {}

    def first(self, params, model_state, batch, key, step, *, train):
        mean = batch["x"].mean()
        return params["a"] * mean + params["b"], ({}, {"first": (mean, jnp.float32(1))})

    def second(self, params, model_state, batch, key, step, *, train):
        return params["b"] * params["a"] * batch["x"].mean(), ({}, {"second": (params["a"], jnp.float32(1))})

    objective = second


def test_phases_run_in_turn_on_their_own_parameters_and_batches():
    x = np.random.default_rng(0).normal(size=(20, 1)).astype(np.float32)
    exp = Experiment(
        data=InMemory({"train": {"x": x}}, 4),
        task=TwoPhases(),
        optimizer={"critic": optax.sgd(0.5), "generator": optax.sgd(0.25)},
        steps=3,
        seed=2,
    )
    state = advance(exp, 3)
    mean = [x[rows_of_step(2, draw, 4, 20)].mean() for draw in range(9)]  # step t reads draws 3t, 3t+1, 3t+2
    a = b = 0.0
    for step in range(3):
        a -= 0.5 * sum(mean[3 * step : 3 * step + 3])
        b -= 0.25 * a * mean[3 * step]
    assert float(state.params["a"]) == pytest.approx(a, abs=1e-6)
    assert float(state.params["b"]) == pytest.approx(b, abs=1e-6)
    assert float(state.params["c"]) == 7
    assert mean_of(state, "first") == pytest.approx(np.mean(mean), abs=1e-6)
    assert state.metrics["first"][1] == 9
    assert {"critic_gradient_norm", "generator_gradient_norm"} <= set(state.metrics)


def test_a_phase_of_absent_parameters_is_refused():
    @dataclass(frozen=True, eq=False)
    class Wrong(TwoPhases):
        @property
        def phases(self):
            return (Phase(self.first, params=("d",)),)

    exp = Experiment(
        data=InMemory({"train": {"x": np.ones((4, 1))}}, 2), task=Wrong(), optimizer=optax.sgd(1.0), steps=1
    )
    with pytest.raises(ValueError, match=r"updates \['d'\]"):
        prepare(Setup.of(lambda: exp, {})).program.init()


# -- precision, optimizers that look around -----------------------------------------------------------------------


def test_bfloat16_computes_low_keeps_high_and_learns(tiny):
    seen = []

    def act(x):
        seen.append(x.dtype)
        return jax.nn.relu(x)

    model = MLP(features=(16,), classes=3, act=act, norm=BatchNorm)
    exp = replace(tiny.config(), task=Classification(model), optimizer=optim.adamw(0.02))
    low = replace(exp, precision="bfloat16")
    program = prepare(Setup.of(lambda: low, {}))

    def in_float32(arrays):
        state, batch = init_state(exp), exp.data.train_batch(arrays, 0, jnp.int32(0))
        return exp.task.objective(state.params, state.model_state, batch, state.key, jnp.int32(0), train=True)[0]

    state = advance_with(program, program.init())
    assert seen[-1] == jnp.bfloat16
    first = mean_of(state, "loss")
    last = advance_with(program, state.replace(metrics=jax.tree.map(zeros, state.metrics)), n=30)
    assert mean_of(last, "loss") < 0.6 * first
    for leaf in jax.tree.leaves((last.params, last.model_state, last.opt_state, last.metrics)):
        assert leaf.dtype in (jnp.float32, jnp.int32)
    assert first == pytest.approx(one_program(in_float32, exp.data.splits["train"]), rel=0.02)


@pytest.mark.slow
def test_sharpness_aware_step_uses_the_gradient_elsewhere(tiny):
    """SAM: the update is the gradient at p + ρ·g/‖g‖, of the same batch with the same dropout."""
    exp = replace(tiny.config(rate=0.5), optimizer=optim.sam(optax.sgd(0.1), rho=0.3))
    program = prepare(Setup.of(lambda: exp, {}))
    start = program.init()

    def by_hand(params, key, arrays):
        batch = exp.data.train_batch(arrays, 0, jnp.int32(0))
        key = jax.random.fold_in(jax.random.fold_in(jax.random.fold_in(key, 0), 0), 1)
        gradient = jax.grad(lambda p: exp.task.objective(p, {}, batch, key, jnp.int32(0), train=True)[0])
        g = gradient(params)
        norm = optax.tree.norm(g)
        elsewhere = gradient(jax.tree.map(lambda p, g: p + 0.3 * g / norm, params, g))
        return jax.tree.map(lambda p, g: p - 0.1 * g, params, elsewhere)

    expected = one_program(by_hand, start.params, start.key, exp.data.splits["train"])
    close(advance_with(program, start).params, expected, rtol=1e-5, atol=1e-6)


def test_reduce_on_plateau_reads_the_loss(tiny):
    """A learning rate of zero and whole batches: the loss stands still, the scale halves at steps 4, 7 and 10."""
    rule = optax.chain(optax.sgd(0.0), optim.reduce_on_plateau(patience=2, factor=0.5))
    exp = replace(tiny.config(rate=0.0, batch=64), optimizer=rule)
    assert float(advance(exp, 12).opt_state[""][-1].scale) == 0.125


def nothing(key, batch):
    """Forgets to return."""


def half(key, batch):
    return {**batch, "x": batch["x"][::2]}


@pytest.mark.parametrize(
    ("augment", "message"),
    [
        (nothing, "augmentation nothing must give back the batch, a dict, got NoneType"),
        (half, "augmentation half must keep the 16 rows of 'x', got 8"),
        (lambda key, batch: {"x": batch["x"]}, "must keep 'y' in the batch"),
    ],
)
def test_an_augmentation_that_gives_no_batch_is_named(tiny, augment, message):
    with pytest.raises(ValueError, match=message):
        rehearse(replace(tiny.config(), augment=(augment,)))
