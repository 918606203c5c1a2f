"""The train step through the whole program: PyTorch's ten steps, micro-batches, phases, the guard, EMA, precision."""

from dataclasses import dataclass, replace
from typing import ClassVar

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from jaxdl import optim
from jaxdl.api import prepare, with_overrides
from jaxdl.data.stream import InMemory, rows_of_step
from jaxdl.experiment import Experiment
from jaxdl.layers.normalization import BatchNorm
from jaxdl.models.mlp import MLP
from jaxdl.tasks.classification import Classification
from jaxdl.train.step import rehearse
from jaxdl.types import Phase


def advance(exp, n, *, start=None, state=None):
    """The state after n more steps, through the compiled program; `start` replaces the initial parameters."""
    prepared = prepare(exp)
    program, knobs = prepared.program, dict(prepared.traced)
    state = program.init(knobs) if state is None else jax.tree.map(jnp.copy, state)  # the program takes its argument
    if start is not None:
        state = state.replace(params=jax.tree.map(jnp.asarray, start))
    source = program.place(exp.data.source(0, n, 0))
    return program.chunk(knobs, state, source, np.int32(n), np.int32(100))[0]


def mean_of(state, name):
    total, weight = state.metrics[name]
    return float(total / weight)


def close(a, b, **tolerance):
    jax.tree.map(lambda x, y: np.testing.assert_allclose(x, y, **tolerance), a, b)


def equal(a, b):
    jax.tree.map(np.testing.assert_array_equal, a, b)


def plain(tiny, **task):
    exp = tiny.config(rate=0.0)
    labels = exp.data.splits["train"]["y"].copy()
    labels[::5] = -100
    splits = {"train": {**exp.data.splits["train"], "y": labels}}
    return replace(
        exp,
        data=InMemory(splits, 16),
        task=replace(exp.task, **task),
        optimizer=optim.adamw(0.01),
        stop=None,
        origin=None,
    )


def with_weights(tiny):
    return plain(tiny, class_weights=(1.0, 5.0, 0.2))


EXPERIMENTS = {
    "dropout": lambda tiny: tiny.config(rate=0.5),
    "ignored labels and class weights": with_weights,
}


@pytest.mark.parametrize("which", EXPERIMENTS)
def test_micro_batches_change_nothing(tiny, which):
    """Also with dropout, whose masks belong to examples, and where micro-batches weigh differently."""
    exp = EXPERIMENTS[which](tiny)
    whole = advance(exp, 4)
    cut = advance(with_overrides(exp, {"accumulate": 4}) if exp.origin else replace(exp, accumulate=4), 4)
    close(cut.params, whole.params, rtol=0, atol=1e-6)
    assert mean_of(cut, "loss") == pytest.approx(mean_of(whole, "loss"), rel=1e-5)
    assert mean_of(cut, "accuracy") == pytest.approx(mean_of(whole, "accuracy"), rel=1e-6)
    assert mean_of(cut, "gradient_norm") == pytest.approx(mean_of(whole, "gradient_norm"), rel=1e-5)


def test_rematerialisation_changes_nothing(tiny):
    exp = tiny.config(rate=0.5)
    close(advance(with_overrides(exp, {"remat": True}), 4).params, advance(exp, 4).params, rtol=0, atol=1e-6)


# -- the guard ---------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, eq=False)
class Breaking(Classification):
    """Gives NaN at some steps, in the loss or in the gradient alone."""

    at: tuple[int, ...] = ()
    where: str = "loss"

    def objective(self, params, model_state, batch, key, step, *, train):
        loss, (state, metrics) = super().objective(params, model_state, batch, key, step, train=train)
        broken = jnp.isin(step, jnp.array(self.at))
        if self.where == "loss":
            loss = jnp.where(broken, jnp.nan, loss)
        else:  # √x has an infinite slope at zero
            x = sum(jnp.sum(p) for p in jax.tree.leaves(params))
            loss = loss + jnp.sqrt(jnp.where(broken, 0 * x, 1.0)) - 1
        state = jax.tree.map(lambda a: jnp.where(broken, jnp.nan, a), state)
        return loss, (state, metrics)


@pytest.mark.parametrize("where", ["loss", "gradient"])
def test_a_step_that_is_not_finite_changes_nothing_and_counts(tiny, where):
    exp = replace(
        tiny.config(),
        task=Breaking(MLP(features=(8,), classes=3, norm=BatchNorm), at=(2, 3, 5), where=where),
        ema=0.9,
        optimizer=optim.adamw(0.01),
        origin=None,
    )
    prepared = prepare(exp)
    states = [prepared.program.init({})]
    for _ in range(7):
        states.append(advance_with(prepared, states[-1]))
    kept = [(s.params, s.model_state, s.opt_state, s.ema) for s in states]
    assert "batch_stats" in states[0].model_state
    for before, after in ((2, 3), (3, 4), (5, 6)):
        equal(kept[before], kept[after])
    for before, after in ((1, 2), (4, 5), (6, 7)):
        assert not jax.tree.all(jax.tree.map(lambda a, b: bool((a == b).all()), kept[before][0], kept[after][0]))
    assert [int(s.step) for s in states] == list(range(8))
    assert [int(s.bad) for s in states] == [0, 0, 0, 1, 2, 0, 1, 0]
    assert [int(s.skipped) for s in states] == [0, 0, 0, 1, 2, 2, 3, 3]
    assert np.isfinite(mean_of(states[-1], "loss"))
    assert states[-1].metrics["gradient_norm"][1] == 4  # means are over the good steps


def advance_with(prepared, state, n=1, max_bad=100):
    source = prepared.program.place(prepared.experiment.data.source(0, n, 0))
    return prepared.program.chunk({}, jax.tree.map(jnp.copy, state), source, np.int32(n), np.int32(max_bad))[0]


def test_a_chunk_ends_at_too_many_bad_steps(tiny):
    exp = replace(tiny.config(), task=Breaking(MLP(features=(8,), classes=3), at=tuple(range(3, 30))), origin=None)
    prepared = prepare(exp)
    state = advance_with(prepared, prepared.program.init({}), n=20, max_bad=4)
    assert (int(state.step), int(state.bad)) == (7, 4)


# -- phases ------------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, eq=False)
class TwoPhases:
    """a is updated three times a step on batches of its own, then b once: losses whose gradients are known."""

    repeats: int = 3
    metric = ("loss", "min")
    reduce: ClassVar = {}

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
        prepare(exp).program.init({})


# -- EMA, precision, optimizers that look around -----------------------------------------------------------------------


def test_bfloat16_computes_low_keeps_high_and_learns(tiny):
    seen = []

    def act(x):
        seen.append(x.dtype)
        return jax.nn.relu(x)

    model = MLP(features=(16,), classes=3, act=act, norm=BatchNorm)
    exp = replace(tiny.config(), task=Classification(model), optimizer=optim.adamw(0.02), origin=None)
    low = replace(exp, precision="bfloat16")
    prepared = prepare(low)
    start = prepared.program.init({})
    first = advance_with(prepared, start)
    assert seen[-1] == jnp.bfloat16
    last = advance_with(prepared, first.replace(metrics=jax.tree.map(jnp.zeros_like, first.metrics)), n=30)
    assert mean_of(last, "loss") < 0.6 * mean_of(first, "loss")
    for leaf in jax.tree.leaves((last.params, last.model_state, last.opt_state, last.metrics)):
        assert leaf.dtype in (jnp.float32, jnp.int32)
    assert mean_of(first, "loss") == pytest.approx(mean_of(advance(exp, 1), "loss"), rel=0.02)


def test_sharpness_aware_step_uses_the_gradient_elsewhere(tiny):
    """SAM: the update is the gradient at p + ρ·g/‖g‖, of the same batch with the same dropout."""
    exp = replace(tiny.config(rate=0.5), optimizer=optim.sam(optax.sgd(0.1), rho=0.3), origin=None)
    prepared = prepare(exp)
    start = prepared.program.init({})
    batch = exp.data.train_batch(exp.data.splits["train"], 0, jnp.int32(0))
    key = jax.random.fold_in(jax.random.fold_in(jax.random.fold_in(start.key, 0), 0), 1)

    @jax.jit
    def gradient(params):
        return jax.grad(lambda p: exp.task.objective(p, {}, batch, key, jnp.int32(0), train=True)[0])(params)

    g = gradient(start.params)
    norm = optax.tree.norm(g)
    elsewhere = gradient(jax.tree.map(lambda p, g: p + 0.3 * g / norm, start.params, g))
    expected = jax.tree.map(lambda p, g: p - 0.1 * g, start.params, elsewhere)
    close(advance_with(prepared, start).params, expected, rtol=1e-5, atol=1e-6)


def test_reduce_on_plateau_reads_the_loss(tiny):
    """A learning rate of zero and whole batches: the loss stands still, the scale halves at steps 4, 7 and 10."""
    rule = optax.chain(optax.sgd(0.0), optim.reduce_on_plateau(patience=2, factor=0.5))
    exp = replace(tiny.config(rate=0.0, batch=64), optimizer=rule, origin=None)
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
