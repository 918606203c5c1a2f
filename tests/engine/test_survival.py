"""Killed, preempted, corrupted, out of space: a run ends with the bits of an undisturbed one, and says what happened."""

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import jax
import numpy as np
import pytest

from jaxdl import load, train
from jaxdl.engine.loop import Limits
from jaxdl.experiment import ExperimentError
from jaxdl.optim import schedule_free_adamw
from jaxdl.record.checkpoint import Checkpoints
from jaxdl.record.leaves import digest
from jaxdl.record.log import comparable, read
from jaxdl.runs.prepare import prepare
from jaxdl.runs.weights import initialised_from
from jaxdl.setup import Setup

HERE = Path(__file__).parent
ROOT = str(HERE.parents[1])
pytestmark = [pytest.mark.programs(40, "whole trainings"), pytest.mark.usefixtures("no_report")]
EVERY_TEN = Limits(log_every=10, checkpoint_every=10)


def last_digest(run):
    return [line["digest"] for line in read(run) if line["kind"] == "checkpoint"][-1]


@pytest.fixture(scope="module")
def undisturbed(tiny, tmp_path_factory, no_report):
    """24 steps, of which 20 and 24 are kept."""
    return train(tiny.config, run=tmp_path_factory.mktemp("runs"), limits=EVERY_TEN, quiet=True).folder


# -- preempted ---------------------------------------------------------------------------------------------------------
@pytest.mark.slow
def test_a_signal_saves_and_a_resume_ends_with_the_same_bits(undisturbed, tiny, tmp_path, capfd):
    """SIGTERM; test_resume.py does the same with Ctrl-C."""

    def send(line):
        if line["kind"] == "train" and line["step"] == 10:
            os.kill(os.getpid(), signal.SIGTERM)

    run = train(tiny.config, run=tmp_path, limits=EVERY_TEN, quiet=True, callback=send)
    assert run.outcome.reason == "interrupted"
    assert run.outcome.signal == signal.SIGTERM
    assert int(run.state.step) == 10
    assert Checkpoints(run.folder / "checkpoints").steps()[-1] == 10
    assert "to go on: python -m jaxdl train --resume" in capfd.readouterr().err
    again = train(tiny.config, resume=run.folder, limits=EVERY_TEN, quiet=True)
    assert again.outcome.reason == "finished"
    assert last_digest(run.folder) == last_digest(undisturbed)
    assert comparable(read(run.folder)) == comparable(read(undisturbed))


@pytest.mark.slow
def test_the_command_line_leaves_with_75(tiny_file, tmp_path):
    words = [sys.executable, "-m", "jaxdl", "train", str(tiny_file), "--steps", "100000", "--run", str(tmp_path)]
    running = subprocess.Popen([*words, "--quiet"], stderr=subprocess.PIPE, text=True)
    try:
        while not any(p.read_text(encoding="utf-8").count("\n") > 2 for p in tmp_path.glob("*/*/metrics.jsonl")):
            assert running.poll() is None
            time.sleep(0.05)
        running.send_signal(signal.SIGTERM)
        said = running.communicate(timeout=600)[1]
    finally:
        running.kill()
    assert running.returncode == 75, said
    assert "interrupted at step" in said


# -- damaged -----------------------------------------------------------------------------------------------------------
def damaged(path, how):
    data = bytearray(path.read_bytes())
    if how == "truncated":
        path.write_bytes(data[: len(data) // 2])
    else:
        data[len(data) // 2] ^= 0x10
        path.write_bytes(data)


@pytest.mark.slow
def test_whatever_file_of_a_checkpoint_is_damaged_the_run_recovers(undisturbed, tiny, tmp_path, capfd):
    """Every file once, flipped or truncated in turn (tests/record/test_checkpoint.py does both to all)."""
    newest = undisturbed / "checkpoints" / "24"
    names = sorted(path.relative_to(newest) for path in newest.rglob("*") if path.is_file() and path.stat().st_size)
    assert len(names) >= 5
    for i, name in enumerate(names):
        run, how = tmp_path / f"{i}", "truncated" if i % 2 else "flipped"
        shutil.copytree(undisturbed, run)
        damaged(run / "checkpoints" / "24" / name, how)
        again = train(tiny.config, resume=run, limits=EVERY_TEN, quiet=True)
        said = capfd.readouterr().err
        assert "checkpoint damaged (step 24: " in said, f"{name} {how}"
        assert "using step 20 instead" in said
        assert again.outcome.reason == "finished"
        assert last_digest(run) == last_digest(undisturbed), f"{name} {how}"
        assert comparable(read(run)) == comparable(read(undisturbed))
        found = {step: fine for step, fine, _ in Checkpoints(run / "checkpoints").verify()}
        assert found == dict.fromkeys(Checkpoints(undisturbed / "checkpoints").steps(), True)  # 24 is written again


# -- no space ----------------------------------------------------------------------------------------------------------
FULL = """
import resource, sys
from jaxdl import train
from jaxdl.cli.errors import guarded
from jaxdl.experiment import load_config
from jaxdl.record import log
from jaxdl.engine.loop import Limits

def fill(line):
    if line["kind"] == "train" and line["step"] == 20:
        resource.setrlimit(resource.RLIMIT_FSIZE, (int(sys.argv[3]), resource.RLIM_INFINITY))

log._Events.put = lambda *_: None  # TensorBoard's file
config, limits = load_config(sys.argv[1]), Limits(log_every=10, checkpoint_every=10)
sys.exit(guarded(lambda: train(config, steps=40, width=512, run=sys.argv[2], limits=limits, quiet=True, callback=fill)))
"""


@pytest.mark.slow
@pytest.mark.parametrize("room", [20_000, 2_000])
def test_a_full_disk_is_said_and_the_last_good_step_stays(room, tiny, tiny_file, tmp_path):
    """Files may suddenly not grow any more, as if the disk were full: not those of arrays, or not even the log."""
    words = [sys.executable, "-c", FULL, str(tiny_file), str(tmp_path), str(room)]
    done = subprocess.run(words, capture_output=True, text=True, timeout=300, env={**os.environ, "PYTHONPATH": ROOT})
    assert done.returncode == 2, done.stderr
    (folder,) = (path.parent for path in tmp_path.glob("*/*/config.json"))
    checkpoints = Checkpoints(folder / "checkpoints")
    (*_, good) = checkpoints.steps()
    assert good <= 20
    assert all(fine for _, fine, _ in checkpoints.verify())
    _, found, rest = done.stderr.rpartition("error: cannot write ")  # other threads may write to the same line
    assert found, done.stderr
    assert f"step {good} is the last good one" in rest.splitlines()[0], done.stderr
    again = train(tiny.config, steps=40, width=512, resume=folder, limits=EVERY_TEN, quiet=True)
    calm = train(tiny.config, steps=40, width=512, run=tmp_path / "calm", limits=EVERY_TEN, quiet=True)
    assert digest(again.state) == digest(calm.state)
    assert comparable(read(folder)) == comparable(read(calm.folder))


# -- longer than planned -----------------------------------------------------------------------------------------------
@pytest.mark.slow
def test_a_longer_training_is_a_new_run_from_the_old_weights(undisturbed, tiny, tmp_path):
    old = load(undisturbed, config=tiny.config)
    # a learning rate of 0: what it began with is what it ends with
    run = train(tiny.config, lr=0.0, init_from=str(undisturbed), run=tmp_path, quiet=True)
    for a, b in zip(jax.tree.leaves(old.weights), jax.tree.leaves(run.state.params), strict=True):
        np.testing.assert_array_equal(a, b)
    assert json.loads((run.folder / "config.json").read_text(encoding="utf-8"))["recorded"]["init_from"] == str(
        undisturbed
    )
    with pytest.raises(ExperimentError, match="cannot resume with other settings: steps was 24, now 80"):
        train(tiny.config, steps=80, resume=undisturbed, quiet=True)
    with pytest.raises(ExperimentError, match="its parameters do not fit this model"):
        train(tiny.config, width=9, init_from=str(undisturbed), run=tmp_path, quiet=True)


@pytest.mark.slow
def test_an_optimizer_that_keeps_parameters_begins_from_the_old_ones_too(undisturbed, tiny):
    """Schedule-free AdamW evaluates an average that starts at the first parameters: those of the old run."""
    exp = replace(tiny.config(), init_from=str(undisturbed), optimizer=schedule_free_adamw(0.01))
    program = prepare(Setup.of(lambda: exp, {}))
    state = initialised_from(program, program.init())
    old = load(undisturbed, config=tiny.config).weights[0]
    for a, b in zip(jax.tree.leaves(old), jax.tree.leaves(exp.eval_weights(state)[0]), strict=True):
        np.testing.assert_allclose(a, b, atol=1e-6, rtol=0)
