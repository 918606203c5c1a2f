"""The loop on the host: its grid of edges, what it writes and saves and when, signals, and a run that diverges."""

import json
import multiprocessing
import os
import signal
import subprocess
import sys
import time
from dataclasses import dataclass, replace

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import jaxdl
from jaxdl.engine.loop import Diverged, Limits, next_edge
from jaxdl.engine.signals import Interruption, kill_children
from jaxdl.engine.stopping import EarlyStopping
from jaxdl.experiment import ExperimentError
from jaxdl.models.mlp import MLP
from jaxdl.record.checkpoint import Checkpoints, digest
from jaxdl.record.log import read
from jaxdl.tasks.classification import Classification

pytestmark = pytest.mark.programs(40, "whole trainings")
quietly = pytest.mark.usefixtures("no_report")


@pytest.mark.parametrize(
    ("step", "grids", "last", "expected"),
    [
        (0, (50, None, None), 200, 50),
        (49, (50, 7), 200, 50),
        (50, (50, 7), 200, 56),
        (56, (50,), 60, 60),
        (0, (), 5, 5),
    ],
)
def test_next_edge(step, grids, last, expected):
    assert next_edge(step, grids, last) == expected


def lines_of(run, kind):
    return [line for line in run.history if line["kind"] == kind]


@pytest.mark.slow
@quietly
def test_what_is_written_when(tiny, tmp_path):
    lines = []
    run = jaxdl.train(
        tiny.config,
        run=tmp_path,
        limits=Limits(log_every=10),
        quiet=True,
        callback=lambda line: lines.append(dict(line)),
    )
    assert [line["step"] for line in lines_of(run, "train")] == [10, 20, 24]
    assert [line["step"] for line in lines_of(run, "eval")] == [6, 12, 18, 24]
    (end,) = lines_of(run, "end")
    assert (end["step"], end["reason"]) == (24, "finished")
    assert set(end["results"]) == {"validation", "test"}
    assert [line["kind"] for line in lines] == [line["kind"] for line in run.history]
    for line in lines_of(run, "train"):
        assert {"loss", "accuracy", "gradient_norm", "parameter_norm", "learning_rate"} <= line.keys()
    norm = np.sqrt(sum(np.square(leaf).sum() for leaf in jax.tree.leaves(jax.device_get(run.state.params))))
    assert lines_of(run, "train")[-1]["parameter_norm"] == pytest.approx(float(norm), rel=1e-6)


@pytest.mark.slow
@quietly
def test_a_line_is_the_mean_since_the_last(tiny, tmp_path):
    one = jaxdl.train(tiny.config, run=tmp_path, limits=Limits(log_every=1), quiet=True)
    ten = jaxdl.train(tiny.config, run=tmp_path, limits=Limits(log_every=10), quiet=True)
    for name in ("loss", "gradient_norm", "learning_rate"):
        each = [line[name] for line in lines_of(one, "train")]
        expected = [np.mean(each[a:b]) for a, b in ((0, 10), (10, 20), (20, 24))]
        np.testing.assert_allclose([line[name] for line in lines_of(ten, "train")], expected, rtol=1e-5)
    jax.tree.map(np.testing.assert_array_equal, one.state.params, ten.state.params)  # an option changes no result


@pytest.mark.slow
@quietly
def test_checkpoints_are_the_best_and_the_latest(tiny, tmp_path):
    run = jaxdl.train(tiny.config, lr=0.05, run=tmp_path, quiet=True)
    checkpoints = Checkpoints(run.folder / "checkpoints")
    accuracy = {line["step"]: line["accuracy"] for line in lines_of(run, "eval")}
    best = max(accuracy, key=lambda step: (accuracy[step], -step))
    assert checkpoints.best == best
    assert checkpoints.steps()[-1] == 24
    digests = {line["step"]: line["digest"] for line in lines_of(run, "checkpoint")}
    assert digests[24] == digest(run.state)
    state, _, _ = checkpoints.restore(run.program.shapes, best)
    assert digests[best] == digest(state)


@pytest.mark.slow
@quietly
def test_checkpoint_every(tiny, tmp_path):
    run = jaxdl.train(tiny.config, run=tmp_path, quiet=True, limits=Limits(checkpoint_every=9))
    assert {9, 18, 24} <= {line["step"] for line in lines_of(run, "checkpoint")}


# -- early stopping in a run -------------------------------------------------------------------------------------------


@quietly
def test_stops_and_goes_back_to_the_best_weights(tiny, tmp_path):
    knobs = {"patience": 2, "min_delta": 2.0}  # no accuracy improves by 2: the first evaluation stays the best
    run = jaxdl.train(tiny.config, **knobs, run=tmp_path, quiet=True)
    assert run.outcome.reason == "stopped early"
    assert int(run.state.step) == 18
    assert int(run.state.best.step) == 6
    first = jaxdl.train(tiny.config, **knobs, run=tmp_path, quiet=True, limits=Limits(stop_at=6))
    jax.tree.map(np.testing.assert_array_equal, run.weights[0], first.state.params)
    assert run.evaluate("validation").metrics["accuracy"] == lines_of(run, "eval")[0]["accuracy"]
    assert lines_of(run, "end")[0]["results"]["validation"]["accuracy"] == lines_of(run, "eval")[0]["accuracy"]
    loaded = jaxdl.load(run.folder)
    jax.tree.map(np.testing.assert_array_equal, loaded.weights[0], first.state.params)
    last = jaxdl.load(run.folder, "last")
    jax.tree.map(np.testing.assert_array_equal, last.weights[0], run.state.params)


@pytest.mark.slow
@quietly
def test_an_unknown_metric_is_named(tiny, tmp_path):
    exp = replace(tiny.config(), stop=EarlyStopping(metric="acuracy", mode="max"))
    with pytest.raises(ValueError, match=r"'acuracy'.*accuracy"):
        jaxdl.train(lambda: exp, run=tmp_path, quiet=True)


# -- divergence --------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, eq=False)
class Breaking(Classification):
    """Its loss is NaN from a step on."""

    at: int = 0

    def objective(self, params, model_state, batch, key, step, *, train):
        loss, rest = super().objective(params, model_state, batch, key, step, train=train)
        return jnp.where(step >= self.at, jnp.nan, loss), rest


@quietly
def test_nan_stops_the_run_and_keeps_the_good_checkpoint(tiny, tmp_path):
    exp = replace(tiny.config(steps=100), task=Breaking(MLP(features=(8,), classes=3), at=14))
    with pytest.raises(Diverged) as caught:
        jaxdl.train(lambda: exp, run=tmp_path, quiet=True, limits=Limits(max_bad=5, checkpoint_every=12))
    (folder,) = tmp_path.glob("*/*/")
    message = str(caught.value)
    assert "5 steps in a row, up to step 19" in message
    steps = Checkpoints(folder / "checkpoints").steps()
    assert f"last good checkpoint is step {steps[-1]}" in message
    assert str(folder) in message
    assert "\n" not in message
    assert 12 in steps
    assert all(intact for _, intact, _ in Checkpoints(folder / "checkpoints").verify())
    lines = read(folder)
    assert {"kind": "diverged", "step": 19} in lines
    assert lines[-1] == {"kind": "end", "step": 19, "reason": "diverged", "results": {}}


def test_a_run_that_explodes_is_a_divergence_not_a_broken_report(tiny, tmp_path):
    with pytest.raises(Diverged, match="not finite"):
        jaxdl.train(tiny.config, lr=1e38, run=tmp_path, quiet=True, limits=Limits(max_bad=8))


# -- signals -----------------------------------------------------------------------------------------------------------


@quietly
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_saves_and_tells_how_to_go_on(tiny, tmp_path, capfd, number):
    before = signal.getsignal(number)

    def interrupt(line):
        if line["kind"] == "eval" and line["step"] == 12:
            signal.raise_signal(number)

    run = jaxdl.train(tiny.config, run=tmp_path, quiet=True, callback=interrupt)
    assert (run.outcome.reason, run.outcome.signal, int(run.state.step)) == ("interrupted", number, 12)
    assert Checkpoints(run.folder / "checkpoints").steps()[-1] == 12
    assert f"to go on: python -m jaxdl train --resume {run.folder}" in capfd.readouterr().err
    assert signal.getsignal(number) == before


def test_the_second_signal_stops_at_once():
    program = (
        "import signal\nfrom jaxdl.engine.signals import Interruption\n"
        "with Interruption() as i:\n"
        "    signal.raise_signal(signal.SIGINT); print(i.signal, flush=True)\n"
        "    signal.raise_signal(signal.SIGINT); print('still here')\n"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (130, "2\n")
    assert "saving, then stopping" in done.stderr
    assert "the last checkpoint is kept" in done.stderr


def test_two_signals_within_one_call_count_as_two():
    """Python calls a handler once for both, after the call: a chunk of steps would run to its end first."""
    program = (
        "import hashlib, os, signal, threading, time\nfrom jaxdl.engine.signals import Interruption\n"
        "def send():\n"
        "    for _ in range(2): time.sleep(0.2); os.kill(os.getpid(), signal.SIGTERM)\n"
        "with Interruption():\n"
        "    threading.Thread(target=send).start()\n"
        "    hashlib.pbkdf2_hmac('sha256', b'', b'', 10**9)\n"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False, timeout=300)
    assert done.returncode == 128 + signal.SIGTERM
    assert "stopped at once" in done.stderr


def test_a_child_that_is_stopped_does_not_stay_behind():
    child = multiprocessing.get_context("spawn").Process(target=time.sleep, args=(3600,))
    child.start()
    os.kill(child.pid, signal.SIGSTOP)
    kill_children()
    child.join(60)
    assert child.exitcode == -signal.SIGKILL


def test_ctrl_c_while_libraries_are_imported_ends_quietly():
    program = (
        "import signal\nfrom jaxdl.__main__ import ended_by_ctrl_c\n"
        "signal.signal(signal.SIGINT, signal.default_int_handler)\n"  # a shell ignores it for what it starts with &
        "with ended_by_ctrl_c(): pass\n"
        "try: signal.raise_signal(signal.SIGINT)\nexcept KeyboardInterrupt: print('as before', flush=True)\n"
        "with ended_by_ctrl_c(): signal.raise_signal(signal.SIGINT)\n"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout, done.stderr) == (-signal.SIGINT, "as before\n", "")


def test_signals_are_left_alone_in_other_threads():
    import threading

    found = []

    def work():
        with Interruption() as interruption:
            found.append(interruption.signal)

    before = signal.getsignal(signal.SIGINT)
    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    assert found == [None]
    assert signal.getsignal(signal.SIGINT) == before


def test_the_log_is_strict_json(trained):
    for line in (trained.folder / "metrics.jsonl").read_text(encoding="utf-8").splitlines():
        json.loads(line, parse_constant=lambda name: pytest.fail(f"{name} is not JSON"))


def test_that_no_knobs_are_recorded_is_told_and_a_checkpoint_is_best_or_last(tiny, tmp_path, capfd):
    exp = tiny.config()
    run = jaxdl.train(lambda: exp, run=tmp_path, limits=Limits(stop_at=2))
    assert "no knobs are recorded" in capfd.readouterr().err
    with pytest.raises(ValueError, match="checkpoint = 'first' must be 'best' or 'last'"):
        jaxdl.load(run.folder, checkpoint="first")
    # its file is another function's: a copy of it would give no experiment
    assert json.loads((run.folder / "config.json").read_text(encoding="utf-8"))["source"] is None
    with pytest.raises(ExperimentError, match="give its config function"):
        jaxdl.load(run.folder)
    assert int(jaxdl.load(run.folder, config=lambda: exp).state.step) == 2
