"""The program of an experiment: which knobs enter as scalars, and that another value of them compiles nothing."""

from dataclasses import replace

import jax
import numpy as np
import pytest

import jaxdl
from jaxdl import Experiment
from jaxdl.engine.program import candidates
from jaxdl.models.mlp import MLP
from jaxdl.optim import adamw, sgd
from jaxdl.runs.prepare import prepare
from jaxdl.setup import Setup
from jaxdl.tasks.classification import Classification

compiled = []
jax.monitoring.register_event_duration_secs_listener(
    lambda name, _, **__: compiled.append(name) if "to_mlir" in name or "backend_compile" in name else None
)


def test_floats_and_the_seed_are_candidates():
    found = candidates({"lr": 0.1, "steps": 3, "norm": "none", "wide": True, "seed": 4, "rates": (0.1,), "none": None})
    assert found == {"lr": np.float32(0.1), "seed": np.int32(4)}
    assert {type(value) for value in found.values()} == {np.float32, np.int32}


def test_all_float_knobs_of_the_tiny_experiment_are_traced(tiny):
    assert set(prepare(Setup.of(tiny.config, {})).traced) == {"lr", "rate", "min_delta", "seed"}


KNOBS = {
    "a number of steps": lambda tiny, value: {"steps": int(10 * value)},
    "a branch": lambda tiny, value: {"precision": "bfloat16" if value > 1 else "float32"},
    "NumPy": lambda tiny, value: {"optimizer": sgd(float(np.sqrt(value)))},
}


@pytest.mark.parametrize("what", KNOBS)
def test_a_knob_that_reaches_the_host_stays_a_number(tiny, what):
    def config(*, lr: float = 0.1, host: float = 0.5, seed: int = 0) -> Experiment:
        exp = replace(tiny.config(), seed=seed, optimizer=adamw(lr))
        return replace(exp, **KNOBS[what](tiny, host))

    exp = config()
    assert set(prepare(Setup.of(lambda: exp, {})).traced) == {"lr", "seed"}


def test_a_mistake_in_the_experiment_is_not_taken_for_an_untraceable_knob(tiny):
    def config(*, lr: float = 0.1) -> Experiment:
        return replace(tiny.config(), task=Classification(MLP(features=(8, -1), classes=3)))

    exp = config()
    with pytest.raises(Exception, match=r"[Nn]egative|-1|shape") as caught:
        prepare(Setup.of(lambda: exp, {}))
    assert not isinstance(caught.value, jax.errors.ConcretizationTypeError)


@pytest.mark.programs(40, "a whole training")
def test_another_learning_rate_compiles_nothing(tiny, tmp_path):
    """A whole second run, evaluation, checkpoints and report included, with other floats and another seed."""
    jaxdl.train(tiny.config, run=tmp_path, quiet=True)
    compiled.clear()
    run = jaxdl.train(tiny.config, lr=0.02, rate=0.3, min_delta=0.5, seed=5, run=tmp_path, quiet=True)
    assert compiled == []
    assert int(run.state.step) == 24
    jax.jit(lambda x: x + 1)(1.0)
    assert compiled  # the counter counts


def test_a_knob_gives_what_it_gives_as_a_constant(tiny):
    """Traced or written into the program: the same to rounding; and a traced value does change the run."""

    def params(exp, knobs):
        prepared = prepare(Setup.of(lambda: exp, {}))
        values = dict(prepared.traced) if knobs else {}
        state = prepared.program.init(values)
        source = prepared.program.place(exp.data.source(0, 20, 0))
        return prepared.program.chunk(values, state, source, np.int32(20), np.int32(10))[0].params

    traced = params(tiny.config(lr=0.03, rate=0.2, seed=3), True)
    constant = params(tiny.config(lr=0.03, rate=0.2, seed=3), False)
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, rtol=0, atol=3e-6), traced, constant)
    other = params(tiny.config(lr=0.031, rate=0.2, seed=3), True)
    pairs = zip(*map(jax.tree.leaves, jax.device_get((traced, other))), strict=True)
    assert any((np.abs(a - b) > 1e-4).any() for a, b in pairs)


def test_the_length_of_a_chunk_leaves_no_trace(tiny):
    prepared = prepare(Setup.of(tiny.config, {}))
    knobs = dict(prepared.traced)
    source = prepared.program.place(tiny.config().data.source(0, 12, 0))

    def run(*lengths):
        state = prepared.program.init(knobs)
        for n in lengths:
            state, _ = prepared.program.chunk(knobs, state, source, np.int32(n), np.int32(10))
        return jax.device_get(state.replace(key=jax.random.key_data(state.key)))

    jax.tree.map(np.testing.assert_array_equal, run(12), run(1, 4, 0, 7))


def test_predictions_do_not_depend_on_how_many_are_asked_for(trained):
    x = trained.experiment.data.splits["test"]["x"]
    whole = trained.predict(x)
    assert whole["probability"].shape == (12, 3)
    for n in (1, 5):
        np.testing.assert_array_equal(trained.predict(x[:n])["probability"], whole["probability"][:n])
    np.testing.assert_array_equal(trained.predict(x[3])["probability"], whole["probability"][3])
    many = trained.predict(np.concatenate([x, x, x]))
    np.testing.assert_array_equal(many["label"], np.tile(whole["label"], 3))
    with pytest.raises(ValueError, match=r"shape \(5,\) each, the model was trained on \(6,\)"):
        trained.predict(x[:, :5])
