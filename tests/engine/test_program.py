"""The program of an experiment: which knobs enter as scalars, and that another value of them compiles nothing."""

from dataclasses import replace
from functools import partial

import jax
import numpy as np
import pytest

import jaxdl
from jaxdl import Experiment
from jaxdl.data.source import InMemory
from jaxdl.engine import compiled as programs
from jaxdl.engine.loop import Limits
from jaxdl.engine.program import Program, candidates, traceable
from jaxdl.models.mlp import MLP
from jaxdl.optim import adamw, sgd
from jaxdl.runs.prepare import prepare, rehearsed
from jaxdl.setup import Setup
from jaxdl.tasks.classification import Classification

EVENTS = {"lowered": "jaxpr_to_mlir_module_duration", "compiled": "backend_compile_duration"}
seen = []
jax.monitoring.register_event_duration_secs_listener(
    lambda name, _, **__: seen.extend(short for short, event in EVENTS.items() if name.endswith(event))
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

    assert set(prepare(Setup.of(config, {})).traced) == {"lr", "seed"}


def peeking(*, lr: float = 1e-2, decay: float = 0.1, noise: float = 0.0, seed: int = 0) -> Experiment:
    """Looks at the type of one knob, prints another, and makes data of a third and, on the host, of the seed."""
    optimizer = adamw(1e-3) if isinstance(lr, float) else sgd(1e-3)
    assert f"{decay:.2f}"
    x = np.random.default_rng(seed).normal(size=(40, 4)).astype(np.float32)
    x = x + np.float32(noise) if isinstance(noise, float) else x + noise
    data = InMemory({"train": {"x": x, "y": np.arange(40) % 2}}, batch=20)
    task = Classification(MLP(features=(8,), classes=2))
    return Experiment(data=data, task=task, optimizer=optimizer, steps=2, seed=seed)


def test_why_a_knob_is_not_traced_is_told():
    setup = Setup.of(peeking, {})
    exp = setup.build()
    traced, reasons = traceable(exp, setup.build, setup.knobs, rehearsed(setup, exp))
    assert traced == {}
    assert "builds something else" in reasons["lr"]
    assert "Python needs its value at test_program.py" in reasons["decay"]
    assert reasons["noise"] == "the data are made from it"
    assert "Python needs its value" in reasons["seed"]
    assert prepare(setup).knobs == {}


def test_a_mistake_in_the_experiment_is_not_taken_for_an_untraceable_knob(tiny):
    def config(*, lr: float = 0.1) -> Experiment:
        return replace(tiny.config(), task=Classification(MLP(features=(8, -1), classes=3)))

    with pytest.raises(Exception, match=r"[Nn]egative|-1|shape") as caught:
        prepare(Setup.of(config, {}))
    assert not isinstance(caught.value, jax.errors.ConcretizationTypeError)


@pytest.mark.slow
@pytest.mark.programs(60, "whole trainings")
def test_no_step_compiles_twice(tiny, tmp_path, no_report):
    """A run, here one that is stopped and resumed, has one program of each kind and shape of its data.

    A second with other floats and another seed makes none: it asks `config` anew, and lowers its programs.
    """
    lrs = []

    def config(*, lr: float = 0.01, rate: float = 0.1, min_delta: float = 0.0, seed: int = 0) -> Experiment:
        lrs.append(lr)
        return tiny.config(lr=lr, rate=rate, min_delta=min_delta, seed=seed)

    def stopped_and_resumed(**values):
        seen.clear()
        lrs.clear()
        half = jaxdl.train(config, run=tmp_path, limits=Limits(stop_at=11), quiet=True, **values)
        return half, jaxdl.train(config, resume=half.folder, quiet=True, **values)

    half, run = stopped_and_resumed()
    parts = [{name: len(function.known) for name, function in one.program.functions.items()} for one in (half, run)]
    assert parts[0] == {"init": 1, "chunk": 1, "weights": 1, "stop": 1, "evaluate": 1, "norms": 1}
    assert parts[1] == {"chunk": 1, "weights": 1, "stop": 1, "evaluate": 2, "norms": 1}  # two splits are evaluated
    known = len(programs._programs)
    _, run = stopped_and_resumed(lr=0.02, rate=0.3, min_delta=0.5, seed=5)
    assert int(run.state.step) == 24
    assert "compiled" not in seen
    assert "lowered" in seen
    assert lrs[0] == 0.02
    assert any(isinstance(lr, jax.core.Tracer) for lr in lrs)
    assert len(programs._programs) == known
    jax.jit(lambda x: x + 1)(1.0)
    assert "compiled" in seen  # the counter counts


def test_a_knob_gives_what_it_gives_as_a_constant(tiny):
    """Traced or written into the program: the same to rounding; and a traced value does change the run."""

    def params(program):
        source = program.place(program.data.source(0, 20, 0))
        return program.chunk(program.init(), source, np.int32(20), np.int32(10))[0].params

    program = prepare(Setup.of(tiny.config, {"lr": 0.03, "rate": 0.2, "seed": 3}))
    traced = params(program)
    constant = params(Program(tiny.config(lr=0.03, rate=0.2, seed=3)))
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, rtol=0, atol=3e-6), traced, constant)
    other = params(program.bound({"lr": np.float32(0.031)}))
    pairs = zip(*map(jax.tree.leaves, jax.device_get((traced, other))), strict=True)
    assert any((np.abs(a - b) > 1e-4).any() for a, b in pairs)


def test_the_length_of_a_chunk_leaves_no_trace(tiny):
    program = prepare(Setup.of(tiny.config, {}))
    source = program.place(program.data.source(0, 12, 0))

    def run(*lengths):
        state = program.init()
        for n in lengths:
            state, _ = program.chunk(state, source, np.int32(n), np.int32(10))
        return jax.device_get(state.replace(key=jax.random.key_data(state.key)))

    jax.tree.map(np.testing.assert_array_equal, run(12), run(1, 4, 0, 7))


def test_predictions_do_not_depend_on_how_many_are_asked_for(trained):
    x = trained.experiment.data.splits["test"]["x"]
    whole = trained.predict(x)
    assert whole["probability"].shape == (12, 3)
    np.testing.assert_array_equal(trained.predict(x[:9])["probability"], whole["probability"][:9])  # 16 rows, too
    close = partial(
        np.testing.assert_allclose, rtol=1e-6
    )  # of 1 and 8 rows: other programs, some bits of float32 apart
    for n in (1, 5):
        close(trained.predict(x[:n])["probability"], whole["probability"][:n])
    close(trained.predict(x[3])["probability"], whole["probability"][3])
    many = trained.predict(np.concatenate([x, x, x]))
    np.testing.assert_array_equal(many["label"], np.tile(whole["label"], 3))
    with pytest.raises(ValueError, match=r"shape \(5,\) each, the model was trained on \(6,\)"):
        trained.predict(x[:, :5])
