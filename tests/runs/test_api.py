"""What a script or a notebook calls: train(config, lr=...), load(RUN), the callback; experiments built by hand."""

import json
from dataclasses import replace

import jax
import numpy as np
import pytest

import jaxdl
from jaxdl import Experiment, Setup, load, train
from jaxdl.engine.loop import Diverged, Limits
from jaxdl.experiment import ExperimentError
from jaxdl.formats import FORMAT
from jaxdl.record.log import read
from jaxdl.setup import as_typed

pytestmark = pytest.mark.programs(
    35, "whole runs are the subject: alone, one compiles about 20 programs; together, tests share them"
)


def equal(a, b):
    jax.tree.map(np.testing.assert_array_equal, a, b)


def test_what_the_package_offers():
    assert {"Experiment", "main", "load", "configure"} <= set(dir(jaxdl))
    for name in jaxdl.__all__:
        assert callable(getattr(jaxdl, name)), name
    assert jaxdl.load is load
    with pytest.raises(AttributeError, match="no attribute 'lod'"):
        jaxdl.lod  # noqa: B018 (reading it is the test)


@pytest.mark.slow
def test_a_notebook_and_the_command_line_run_the_same(tiny, tiny_file, tmp_path, unreported):
    from jaxdl.__main__ import main

    ours = train(tiny.config, lr=0.02, run=tmp_path / "a", quiet=True)
    assert main(["train", str(tiny_file), "--lr", "0.02", "--run", str(tmp_path / "b"), "--quiet"]) == 0
    (folder,) = (tmp_path / "b" / "tiny").iterdir()
    theirs = load(folder, "last")
    equal(ours.state.params, theirs.state.params)
    equal(ours.state.opt_state, theirs.state.opt_state)


def test_load_predicts_and_evaluates_as_the_run_did(trained):
    loaded = load(trained.folder)
    x = trained.experiment.data.splits["test"]["x"]
    equal(loaded.predict(x), trained.predict(x))
    assert loaded.evaluate("test").metrics == trained.evaluate("test").metrics
    assert loaded.history == trained.history
    assert int(loaded.state.step) == 24
    assert str(trained.folder) in repr(loaded)


@pytest.mark.slow
def test_the_best_checkpoint_without_early_stopping(tiny, tmp_path, unreported):
    exp = replace(tiny.config(lr=0.5), stop=None)

    def config():
        return exp

    run = train(config, run=tmp_path, quiet=True)
    accuracy = {line["step"]: line["accuracy"] for line in run.history if line["kind"] == "eval"}
    with pytest.raises(ExperimentError, match="trained from a notebook: give its config"):
        load(run.folder)  # the copy of this file would not give it back
    best, last = load(run.folder, config=config), load(run.folder, "last", config=config)
    assert int(best.state.step) == max(accuracy, key=lambda step: (accuracy[step], -step))
    assert int(last.state.step) == 24
    assert best.evaluate("validation").metrics["accuracy"] == max(accuracy.values())


@pytest.mark.slow
def test_weights_are_the_averaged_ones(tiny, tmp_path, unreported):
    run = train(lambda: replace(tiny.config(), stop=None), ema=0.9, run=tmp_path, quiet=True, limits=Limits(stop_at=2))
    average = run.state.ema["params"]
    equal(run.weights[0], average)
    moved = jax.tree.map(lambda a, b: (a != b).any(), *jax.device_get((average, run.state.params)))
    assert all(jax.tree.leaves(moved))


def test_the_callback_sees_every_line(tiny, tmp_path, unreported):
    lines = []
    run = train(tiny.config, run=tmp_path, quiet=True, callback=lambda line: lines.append((line["kind"], line["step"])))
    assert lines == [(line["kind"], line["step"]) for line in run.history]


def test_a_run_that_diverged_has_an_end_and_a_report(tiny, tmp_path):
    lines, limits = [], Limits(max_bad=2, log_every=3)
    with pytest.raises(Diverged, match="not finite in 2 steps in a row"):
        train(tiny.config, lr=1e38, run=tmp_path, quiet=True, limits=limits, callback=lines.append)
    (folder,) = (tmp_path / "tiny").iterdir()
    end = read(folder)[-1]
    assert (end["kind"], end["reason"]) == ("end", "diverged")
    assert 2 <= end["step"] < 24
    assert lines[-1]["reason"] == "diverged"
    assert f"**Diverged** at step {end['step']}" in (folder / "report.md").read_text(encoding="utf-8")
    assert (folder / "plots" / "learning_curves.png").stat().st_size > 1000


@pytest.mark.slow
def test_init_from_another_run(tiny, trained, tmp_path, unreported):
    values = {"seed": 4, "init_from": str(trained.folder), "ema": 0.5}
    run = train(tiny.config, **values, run=tmp_path, quiet=True, limits=Limits(stop_at=1, log_every=1))
    start = trained.weights[0]  # one step of Adam moves each parameter by about the (warming-up) learning rate
    for now in jax.device_get((run.state.params, run.state.ema["params"])):
        assert max(np.abs(a - b).max() for a, b in zip(*map(jax.tree.leaves, (now, start)), strict=True)) < 0.02
    fresh = train(tiny.config, seed=4, run=tmp_path, quiet=True, limits=Limits(stop_at=1))
    assert (
        max(np.abs(a - b).max() for a, b in zip(*map(jax.tree.leaves, (fresh.state.params, start)), strict=True)) > 0.1
    )
    with pytest.raises(ExperimentError, match="its parameters do not fit this model"):
        train(tiny.config, width=5, init_from=str(trained.folder), run=tmp_path, quiet=True)


def test_a_run_remembers_what_it_was_called_with(tiny, trained):
    assert trained.setup.knobs["lr"] == 0.01
    assert load(trained.folder).setup.knobs == trained.setup.knobs
    setup = Setup.of(tiny.config, {"lr": 0.5, "accumulate": 2})
    assert (setup.knobs["lr"], setup.knobs["width"]) == (0.5, 8)
    assert setup.build({"lr": 0.25}).steps == setup.build().steps
    assert setup.build().accumulate == 2
    assert setup.build({"lr": 0.1}).accumulate == 2  # inside a trace too
    assert setup.with_values({"lr": 0.1}).build().accumulate == 2


def test_config_json_gives_the_experiment_back(tiny):
    knobs = Setup.of(tiny.config, {"lr": 0.3, "width": 5}).knobs
    recorded = {"format": FORMAT, "knobs": dict(knobs), "recorded": {"ema": 0.5, "precision": "bfloat16"}}
    setup = Setup.from_json(tiny.config, recorded)
    assert setup.knobs == knobs
    exp = setup.build()
    assert (exp.ema, exp.precision) == (0.5, "bfloat16")
    assert exp.task.model.features == (5,)
    assert as_typed([1, [2, 3]]) == (1, (2, 3))


def test_numpy_scalars_are_numbers(tiny):
    knobs = Setup.of(tiny.config, {"seed": np.int64(3), "lr": np.float32(0.5)}).knobs
    assert (type(knobs["seed"]), type(knobs["lr"])) == (int, float)
    assert json.loads(json.dumps(dict(knobs))) == knobs


def test_a_function_knows_its_file_where_its_copy_gives_it_back(tiny, tiny_file):
    """The copy in a run folder is read for its `config`: another function of a file is as one from a notebook."""
    setup = Setup.of(tiny.config, {})
    assert (setup.source, setup.stem) == (str(tiny_file), "tiny")
    assert setup.docstring.startswith("The smallest experiment with everything in it")
    by_hand = Setup.of(lambda: tiny.config(), {})
    assert (by_hand.source, by_hand.stem) == (None, "test_api")


WRONG = {
    "steps = 0 must be 1": {"steps": 0},
    "eval_every = 0": {"eval_every": 0},
    "accumulate = 3 must divide the batch of 16": {"accumulate": 3},
    "precision = 'half'": {"precision": "half"},
    "ema = 1.0 is a decay": {"ema": 1.0},
    "seed = 2147483648 must be between": {"seed": 2**31},
    "data_seed = -1 must be between": {"data_seed": -1},
}


@pytest.mark.parametrize("message", WRONG)
def test_an_experiment_refuses(tiny, message):
    with pytest.raises(ValueError, match=message):
        replace(tiny.config(), **WRONG[message])


def test_defaults_of_an_experiment(tiny):
    exp = tiny.config()
    plain = Experiment(data=exp.data, task=exp.task, optimizer=exp.optimizer, steps=3)
    assert plain.evaluation_step == exp.data.steps_per_epoch == 4
    assert list(plain.optimizers) == [""]
    assert plain.select == ("accuracy", "max")


def test_the_learning_rate_is_shown(tiny, trained):
    rates = [line["learning_rate"] for line in trained.history if line["kind"] == "train"]
    assert 0 < rates[-1] < 0.01  # the mean of a warm-up and a cosine
