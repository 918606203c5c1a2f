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

import jaxdl
from jaxdl.engine.loop import Limits
from jaxdl.experiment import ExperimentError
from jaxdl.record.checkpoint import Checkpoints
from jaxdl.record.log import comparable, read
from tests.tables import rows

pytestmark = [pytest.mark.programs(40, "whole trainings"), pytest.mark.usefixtures("no_report")]
LIMITS = Limits(log_every=10)


VALUES = {"steps": 40, "lr": 0.03, "rate": 0.3, "ema": 0.9}
"""Everything that has a state: dropout, EMA, early stopping, a schedule."""


def run_of(tiny, *, limits=LIMITS, callback=None, run="runs", resume=None, **values):
    """A training with VALUES, of which some may be others."""
    values = {**VALUES, **values}
    return jaxdl.train(tiny.config, run=run, resume=resume, limits=limits, quiet=True, callback=callback, **values)


def same(a, b):
    chex.assert_trees_all_equal(*(jax.device_get(s.replace(key=jax.random.key_data(s.key))) for s in (a, b)))


def same_log(a, b):
    assert comparable(read(a.folder)) == comparable(read(b.folder))


@pytest.fixture(scope="module")
def undisturbed(tiny, tmp_path_factory, no_report):
    return run_of(tiny, run=tmp_path_factory.mktemp("undisturbed"))


STOPS = {"on every grid": (30,), "on none": (17,), "twice": (12, 23), "before the first edge": (1,)}
"""Multiples of log_every and eval_every, or not."""


@rows(STOPS, default=["twice"], name="stops")
def test_a_resumed_run_is_the_run(tiny, tmp_path, undisturbed, stops):
    run = None
    for stop in (*stops, None):
        limits = replace(LIMITS, stop_at=stop)
        run = run_of(tiny, run=tmp_path, resume=run.folder if run else None, limits=limits)
        assert run.outcome.reason == ("paused" if stop else "finished")
        assert int(run.state.step) == (stop or 40)
    same(run.state, undisturbed.state)
    same_log(run, undisturbed)
    digests = [line["digest"] for line in run.history if line["kind"] == "checkpoint" and line["step"] == 40]
    expected = [line["digest"] for line in undisturbed.history if line["kind"] == "checkpoint" and line["step"] == 40]
    assert digests == expected
    assert len(expected) == 1


@pytest.mark.slow
def test_a_run_stopped_by_a_signal_goes_on_the_same(tiny, tmp_path, undisturbed):
    def interrupt(line):
        if line["kind"] == "train" and line["step"] == 20:
            signal.raise_signal(signal.SIGINT)

    run = run_of(tiny, run=tmp_path, callback=interrupt)
    assert run.outcome.reason == "interrupted"
    run = run_of(tiny, run=tmp_path, resume=run.folder)
    same(run.state, undisturbed.state)
    same_log(run, undisturbed)


@pytest.mark.slow
def test_other_options_give_the_same_run(tiny, tmp_path, undisturbed):
    limits = Limits(log_every=7, checkpoint_every=5)
    run = run_of(tiny, run=tmp_path, limits=limits)
    empty = {"metrics": {}}  # what was gathered since the last line depends on the lines
    same(run.state.replace(**empty), undisturbed.state.replace(**empty))


@pytest.mark.slow
def test_early_stopping_goes_on_waiting(tiny, tmp_path):
    """Its counter is in the checkpoint: patience is not granted anew."""
    values = {"patience": 3, "min_delta": 2.0}
    whole = run_of(tiny, **values, run=tmp_path)
    assert (whole.outcome.reason, int(whole.state.step)) == ("stopped early", 24)
    cut = run_of(tiny, **values, run=tmp_path, limits=replace(LIMITS, stop_at=18))
    assert int(cut.state.best.wait) == 2
    cut = run_of(tiny, **values, run=tmp_path, resume=cut.folder)
    assert (cut.outcome.reason, int(cut.state.step)) == ("stopped early", 24)
    same(cut.state, whole.state)
    same_log(cut, whole)
    again = run_of(tiny, **values, run=tmp_path, resume=cut.folder)
    assert (again.outcome.reason, int(again.state.step)) == ("stopped early", 24)
    same(again.state, whole.state)
    same_log(again, whole)


def test_a_finished_run_resumed_stays_as_it_is(tiny, tmp_path, undisturbed):
    folder = tmp_path / "copy"
    shutil.copytree(undisturbed.folder, folder)
    run = run_of(tiny, resume=folder)
    assert run.outcome.reason == "finished"
    same(run.state, undisturbed.state)
    same_log(run, undisturbed)


@pytest.mark.slow
def test_a_damaged_checkpoint_is_passed_over(tiny, tmp_path, undisturbed, capfd):
    run = run_of(tiny, run=tmp_path, limits=replace(LIMITS, stop_at=20, checkpoint_every=10))
    checkpoints = Checkpoints(run.folder / "checkpoints")
    steps = checkpoints.steps()
    for file in (run.folder / "checkpoints" / "20").rglob("*"):
        if file.is_file() and file.stat().st_size > 100:
            file.write_bytes(b"x" * file.stat().st_size)
    run = run_of(tiny, run=tmp_path, resume=run.folder)
    assert f"using step {steps[-2]} instead" in capfd.readouterr().err
    same(run.state, undisturbed.state)
    same_log(run, undisturbed)


@pytest.mark.slow
def test_without_a_checkpoint_it_begins_again(tiny, tmp_path, undisturbed):
    run = run_of(tiny, run=tmp_path, limits=replace(LIMITS, stop_at=10))
    shutil.rmtree(run.folder / "checkpoints")
    run = run_of(tiny, run=tmp_path, resume=run.folder)
    same(run.state, undisturbed.state)
    same_log(run, undisturbed)


REFUSED = {
    "a knob": ({"lr": 0.5}, "lr was 0.03, now 0.5"),
    "two knobs": ({"lr": 0.5, "width": 4}, "width was 8, now 4; lr was 0.03, now 0.5"),
    "a recorded field": ({"ema": 0.5}, "ema was 0.9, now 0.5"),
    "the seed": ({"seed": 1}, "seed was 0, now 1"),
}


@pytest.mark.parametrize("what", REFUSED)
def test_a_changed_setting_is_refused(tiny, undisturbed, what):
    values, message = REFUSED[what]
    before = sorted((p, p.stat().st_mtime_ns) for p in undisturbed.folder.rglob("*") if p.is_file())
    with pytest.raises(ExperimentError, match=message):
        run_of(tiny, resume=undisturbed.folder, **values)
    assert sorted((p, p.stat().st_mtime_ns) for p in undisturbed.folder.rglob("*") if p.is_file()) == before


@pytest.mark.slow
def test_killed_and_resumed(tiny, tiny_file, tmp_path, undisturbed):
    """kill -9 in the middle of a step of the log; another process goes on."""
    program = (
        "import os, sys; from pathlib import Path\n"
        "import jaxdl; from jaxdl.experiment import load_config; from jaxdl.engine.loop import Limits\n"
        f"config, limits = load_config({str(tiny_file)!r}), Limits(log_every=10, checkpoint_every=7)\n"
        "def kill(line):\n"
        "    if line['step'] >= 30: os.kill(os.getpid(), 9)\n"
        f"jaxdl.train(config, run={str(tmp_path)!r}, quiet=True, limits=limits, callback=kill, **{VALUES!r})\n"
    )
    done = subprocess.run([sys.executable, "-c", program], env=os.environ, capture_output=True, text=True, check=False)
    assert done.returncode == -signal.SIGKILL, done.stderr
    (folder,) = tmp_path.glob("*/*/")
    with open(folder / "metrics.jsonl", "a", encoding="utf-8") as file:
        file.write('{"kind": "train", "st')  # killed while writing
    run = run_of(tiny, resume=folder)
    empty = {"metrics": {}}
    same(run.state.replace(**empty), undisturbed.state.replace(**empty))
    same_log(run, undisturbed)
