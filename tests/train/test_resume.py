"""A resumed run is the run: parameters, optimizer, early stopping and the log, bit for bit, wherever it was cut."""

import os
import shutil
import signal
import subprocess
import sys
from dataclasses import replace

import chex
import jax
import pytest

from jaxdl import api
from jaxdl.api import with_overrides
from jaxdl.experiment import ExperimentError
from jaxdl.record.checkpoint import Checkpoints
from jaxdl.record.log import comparable, read
from jaxdl.train.loop import Limits
from tests.tables import rows

pytestmark = [pytest.mark.programs(40, "whole trainings"), pytest.mark.usefixtures("no_report")]
LIMITS = Limits(log_every=10)


def experiment(tiny, **knobs):
    """Everything that has a state: dropout, EMA, early stopping, a schedule."""
    return with_overrides(tiny.config(**{"steps": 40, "lr": 0.03, "rate": 0.3, **knobs}), {"ema": 0.9})


def same(a, b):
    chex.assert_trees_all_equal(*(jax.device_get(s.replace(key=jax.random.key_data(s.key))) for s in (a, b)))


def same_log(a, b):
    assert comparable(read(a.folder)) == comparable(read(b.folder))


@pytest.fixture(scope="module")
def undisturbed(tiny, tmp_path_factory, no_report):
    return api.train(experiment(tiny), run=tmp_path_factory.mktemp("undisturbed"), limits=LIMITS, quiet=True)


STOPS = {"on every grid": (30,), "on none": (17,), "twice": (12, 23), "before the first edge": (1,)}
"""Multiples of log_every and eval_every, or not."""


@rows(STOPS, default=["on none"], name="stops")
def test_a_resumed_run_is_the_run(tiny, tmp_path, undisturbed, stops):
    run = None
    for stop in (*stops, None):
        limits = replace(LIMITS, stop_at=stop)
        run = api.train(experiment(tiny), run=tmp_path, resume=run.folder if run else None, limits=limits, quiet=True)
        assert run.outcome.reason == ("paused" if stop else "finished")
        assert int(run.state.step) == (stop or 40)
    same(run.state, undisturbed.state)
    same_log(run, undisturbed)
    digests = [line["digest"] for line in run.history if line["kind"] == "checkpoint" and line["step"] == 40]
    expected = [line["digest"] for line in undisturbed.history if line["kind"] == "checkpoint" and line["step"] == 40]
    assert digests == expected
    assert len(expected) == 1


def test_a_run_stopped_by_a_signal_goes_on_the_same(tiny, tmp_path, undisturbed):
    def interrupt(line):
        if line["kind"] == "train" and line["step"] == 20:
            signal.raise_signal(signal.SIGINT)

    run = api.train(experiment(tiny), run=tmp_path, limits=LIMITS, quiet=True, callback=interrupt)
    assert run.outcome.reason == "interrupted"
    run = api.train(experiment(tiny), run=tmp_path, resume=run.folder, limits=LIMITS, quiet=True)
    same(run.state, undisturbed.state)
    same_log(run, undisturbed)


def test_other_options_give_the_same_run(tiny, tmp_path, undisturbed):
    limits = Limits(log_every=7, checkpoint_every=5)
    run = api.train(experiment(tiny), run=tmp_path, limits=limits, quiet=True)
    empty = {"metrics": {}}  # what was gathered since the last line depends on the lines
    same(run.state.replace(**empty), undisturbed.state.replace(**empty))


def test_early_stopping_goes_on_waiting(tiny, tmp_path):
    """Its counter is in the checkpoint: patience is not granted anew."""
    exp = tiny.config(patience=2, min_delta=2.0)
    whole = api.train(exp, run=tmp_path, limits=LIMITS, quiet=True)
    assert (whole.outcome.reason, int(whole.state.step)) == ("stopped early", 18)
    cut = api.train(exp, run=tmp_path, limits=replace(LIMITS, stop_at=12), quiet=True)
    assert int(cut.state.best.wait) == 1
    cut = api.train(exp, run=tmp_path, resume=cut.folder, limits=LIMITS, quiet=True)
    assert (cut.outcome.reason, int(cut.state.step)) == ("stopped early", 18)
    same(cut.state, whole.state)
    same_log(cut, whole)
    again = api.train(exp, run=tmp_path, resume=cut.folder, limits=LIMITS, quiet=True)
    assert (again.outcome.reason, int(again.state.step)) == ("stopped early", 18)
    same(again.state, whole.state)
    same_log(again, whole)


def test_a_finished_run_resumed_stays_as_it_is(tiny, tmp_path, undisturbed):
    folder = tmp_path / "copy"
    shutil.copytree(undisturbed.folder, folder)
    run = api.train(experiment(tiny), resume=folder, limits=LIMITS, quiet=True)
    assert run.outcome.reason == "finished"
    same(run.state, undisturbed.state)
    same_log(run, undisturbed)


def test_a_damaged_checkpoint_is_passed_over(tiny, tmp_path, undisturbed, capfd):
    exp = experiment(tiny)
    run = api.train(exp, run=tmp_path, limits=replace(LIMITS, stop_at=20, checkpoint_every=10), quiet=True)
    checkpoints = Checkpoints(run.folder / "checkpoints")
    steps = checkpoints.steps()
    for file in (run.folder / "checkpoints" / "20").rglob("*"):
        if file.is_file() and file.stat().st_size > 100:
            file.write_bytes(b"x" * file.stat().st_size)
    run = api.train(exp, run=tmp_path, resume=run.folder, limits=LIMITS, quiet=True)
    assert f"using step {steps[-2]} instead" in capfd.readouterr().err
    same(run.state, undisturbed.state)
    same_log(run, undisturbed)


def test_without_a_checkpoint_it_begins_again(tiny, tmp_path, undisturbed):
    run = api.train(experiment(tiny), run=tmp_path, limits=replace(LIMITS, stop_at=10), quiet=True)
    shutil.rmtree(run.folder / "checkpoints")
    run = api.train(experiment(tiny), run=tmp_path, resume=run.folder, limits=LIMITS, quiet=True)
    same(run.state, undisturbed.state)
    same_log(run, undisturbed)


REFUSED = {
    "a knob": (lambda tiny: experiment(tiny, lr=0.5), "lr was 0.03, now 0.5"),
    "two knobs": (lambda tiny: experiment(tiny, lr=0.5, width=4), "lr was 0.03, now 0.5; |width was 8, now 4"),
    "a recorded field": (lambda tiny: with_overrides(experiment(tiny), {"ema": 0.5}), "ema was 0.9, now 0.5"),
    "the seed": (lambda tiny: experiment(tiny, seed=1), "seed was 0, now 1"),
}


@pytest.mark.parametrize("what", REFUSED)
def test_a_changed_setting_is_refused(tiny, undisturbed, what):
    make, message = REFUSED[what]
    before = sorted((p, p.stat().st_mtime_ns) for p in undisturbed.folder.rglob("*") if p.is_file())
    with pytest.raises(ExperimentError, match=message):
        api.train(make(tiny), resume=undisturbed.folder, quiet=True)
    assert sorted((p, p.stat().st_mtime_ns) for p in undisturbed.folder.rglob("*") if p.is_file()) == before


@pytest.mark.slow
def test_killed_and_resumed(tiny, tiny_file, tmp_path, undisturbed):
    """kill -9 in the middle of a step of the log; another process goes on."""
    program = (
        "import os, sys; from pathlib import Path\n"
        "from jaxdl import api; from jaxdl.experiment import load_config; from jaxdl.train.loop import Limits\n"
        f"exp = api.with_overrides(load_config({str(tiny_file)!r})(steps=40, lr=0.03, rate=0.3), {{'ema': 0.9}})\n"
        "def kill(line):\n"
        "    if line['step'] >= 30: os.kill(os.getpid(), 9)\n"
        f"api.train(exp, run={str(tmp_path)!r}, quiet=True, limits=Limits(log_every=10, checkpoint_every=7), callback=kill)\n"
    )
    done = subprocess.run([sys.executable, "-c", program], env=os.environ, capture_output=True, text=True, check=False)
    assert done.returncode == -signal.SIGKILL, done.stderr
    (folder,) = tmp_path.glob("*/*/")
    with open(folder / "metrics.jsonl", "a") as file:
        file.write('{"kind": "train", "st')  # killed while writing
    run = api.train(experiment(tiny), resume=folder, limits=LIMITS, quiet=True)
    empty = {"metrics": {}}
    same(run.state.replace(**empty), undisturbed.state.replace(**empty))
    same_log(run, undisturbed)
