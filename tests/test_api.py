"""What a script or a notebook calls: train(config(...)), load(RUN), the callback; experiments built by hand."""

import json
from dataclasses import replace

import jax
import numpy as np
import pytest

import jaxdl
from jaxdl import Experiment, api, load, train, with_overrides
from jaxdl.engine.loop import Diverged, Limits
from jaxdl.experiment import ExperimentError, load_config
from jaxdl.record.log import read
from jaxdl.runs.provenance import as_typed, rebuild

pytestmark = pytest.mark.programs(
    35, "whole runs are the subject: alone, one compiles about 20 programs; together, tests share them"
)


@pytest.fixture
def unreported(monkeypatch):
    """Runs end without their report, whose pictures are most of what a small run costs."""
    monkeypatch.setattr("jaxdl.record.report.write_report", lambda *_: None)


def equal(a, b):
    jax.tree.map(np.testing.assert_array_equal, a, b)


def test_what_the_package_offers():
    assert {"Experiment", "main", "load", "configure"} <= set(dir(jaxdl))
    for name in jaxdl._LAZY:
        assert callable(getattr(jaxdl, name)), name
    assert jaxdl.load is load
    with pytest.raises(AttributeError, match="no attribute 'lod'"):
        jaxdl.lod  # noqa: B018 (reading it is the test)


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


def test_the_best_checkpoint_without_early_stopping(tiny, tmp_path, unreported):
    exp = replace(tiny.config(lr=0.5), stop=None)
    run = train(lambda: exp, run=tmp_path, quiet=True)
    accuracy = {line["step"]: line["accuracy"] for line in run.history if line["kind"] == "eval"}
    with pytest.raises(ExperimentError, match="trained from a notebook: give its config"):
        load(run.folder)

    def config():
        return exp

    best, last = load(run.folder, config=config), load(run.folder, "last", config=config)
    assert int(best.state.step) == max(accuracy, key=lambda step: (accuracy[step], -step))
    assert int(last.state.step) == 24
    assert best.evaluate("validation").metrics["accuracy"] == max(accuracy.values())


def test_weights_are_the_averaged_ones(tiny, tmp_path, unreported):
    exp = replace(with_overrides(tiny.config(), {"ema": 0.9}), stop=None)
    run = train(lambda: exp, run=tmp_path, quiet=True, limits=Limits(stop_at=2))
    equal(run.weights[0], run.state.ema)
    moved = jax.tree.map(lambda a, b: (a != b).any(), *jax.device_get((run.state.ema, run.state.params)))
    assert all(jax.tree.leaves(moved))


def test_the_callback_sees_every_line(tiny, tmp_path, unreported):
    lines = []
    run = train(tiny.config, run=tmp_path, quiet=True, callback=lambda line: lines.append((line["kind"], line["step"])))
    assert lines == [(line["kind"], line["step"]) for line in run.history]


def test_a_run_that_diverged_has_an_end_and_a_report(tiny, tmp_path):
    exp = tiny.config(lr=1e38)
    lines = []
    with pytest.raises(Diverged, match="not finite in 2 steps in a row"):
        train(lambda: exp, run=tmp_path, quiet=True, limits=Limits(max_bad=2, log_every=3), callback=lines.append)
    (folder,) = (tmp_path / "tiny").iterdir()
    end = read(folder)[-1]
    assert (end["kind"], end["reason"]) == ("end", "diverged")
    assert 2 <= end["step"] < 24
    assert lines[-1]["reason"] == "diverged"
    assert f"**Diverged** at step {end['step']}" in (folder / "report.md").read_text()
    assert (folder / "plots" / "learning_curves.png").stat().st_size > 1000


def test_init_from_another_run(tiny, trained, tmp_path, unreported):
    exp = with_overrides(tiny.config(seed=4), {"init_from": str(trained.folder), "ema": 0.5})
    run = train(lambda: exp, run=tmp_path, quiet=True, limits=Limits(stop_at=1, log_every=1))
    start = trained.weights[0]  # one step of Adam moves each parameter by about the (warming-up) learning rate
    for now in jax.device_get((run.state.params, run.state.ema)):
        assert max(np.abs(a - b).max() for a, b in zip(*map(jax.tree.leaves, (now, start)), strict=True)) < 0.02
    fresh = train(tiny.config, seed=4, run=tmp_path, quiet=True, limits=Limits(stop_at=1))
    assert (
        max(np.abs(a - b).max() for a, b in zip(*map(jax.tree.leaves, (fresh.state.params, start)), strict=True)) > 0.1
    )
    other = with_overrides(tiny.config(width=5), {"init_from": str(trained.folder)})
    with pytest.raises(ExperimentError, match="its parameters do not fit this model"):
        train(lambda: other, run=tmp_path, quiet=True)


def test_an_experiment_remembers_its_knobs(tiny):
    exp = tiny.config(lr=0.5)
    assert exp.origin.knobs["lr"] == 0.5
    assert exp.origin.knobs["width"] == 8
    assert exp.origin.build({"lr": 0.25}).steps == exp.steps
    changed = with_overrides(exp, {"accumulate": 2, "remat": False})
    assert changed.accumulate == 2
    assert changed.origin.overrides == {"accumulate": 2}
    assert changed.origin.build({"lr": 0.1}).accumulate == 2  # inside a trace too
    assert with_overrides(exp, {"remat": False}) is exp


def test_config_json_gives_the_experiment_back(tiny):
    recorded = {"knobs": tiny.config(lr=0.3, width=5).origin.knobs, "recorded": {"ema": 0.5, "precision": "bfloat16"}}
    exp = rebuild(tiny.config, recorded)
    assert exp.origin.knobs == recorded["knobs"]
    assert (exp.ema, exp.precision) == (0.5, "bfloat16")
    assert as_typed([1, [2, 3]]) == (1, (2, 3))


def test_numpy_scalars_are_numbers(tiny):
    knobs = tiny.config(seed=np.int64(3), lr=np.float32(0.5)).origin.knobs
    assert (type(knobs["seed"]), type(knobs["lr"])) == (int, float)
    assert json.loads(json.dumps(knobs)) == knobs


def test_the_decorator_is_idempotent_and_strict(tiny):
    assert experiment(tiny.config) is tiny.config
    with pytest.raises(TypeError, match="unexpected keyword argument 'learning_rate'"):
        tiny.config(learning_rate=1)
    with pytest.raises(TypeError, match="must return an Experiment, got int"):
        experiment(lambda: 3)()


def test_a_file_without_the_decorator_works_too(tmp_path, tiny_file):
    path = tmp_path / "plain.py"
    path.write_text(tiny_file.read_text().replace("@experiment\n", ""))
    assert load_config(path)(lr=0.5).origin.knobs["lr"] == 0.5


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


def test_what_api_exports():
    for name in api.__all__:
        assert hasattr(api, name)
