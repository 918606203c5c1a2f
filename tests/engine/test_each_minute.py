"""A crash costs a minute: a checkpoint is written by the clock, also between evaluations."""

from pathlib import Path

import jax
import numpy as np
import pytest

from jaxdl.engine.loop import Limits, fit
from jaxdl.record.checkpoint import Checkpoints
from jaxdl.runs.prepare import prepare
from jaxdl.setup import Setup


class Kept:
    """The lines of a run."""

    def __init__(self):
        self.lines = []

    def line(self, line):
        self.lines.append(line)

    def progress(self, step, metrics): ...

    def pictures(self, step, report): ...


class Clock:
    """A clock that goes on by some seconds whenever it is read."""

    def __init__(self, seconds):
        self.now, self.seconds = 0.0, seconds

    def __call__(self):
        self.now += self.seconds
        return self.now


@pytest.fixture(scope="module")
def program(tiny):
    return prepare(Setup.of(tiny.config, {"eval_every": 24}))


def run(program, folder: Path, seconds: float):
    kept = Kept()
    limits = Limits(log_every=1)  # one step a chunk
    with Checkpoints(folder) as checkpoints:
        fit(program, program.init(), events=kept, checkpoints=checkpoints, limits=limits, clock=Clock(seconds))
        metrics = {step: checkpoints.meta(step)["metric"] for step in checkpoints.steps()}
    return [line["step"] for line in kept.lines if line["kind"] == "checkpoint"], metrics


@pytest.fixture(scope="module")
def by_the_clock(program, tmp_path_factory):
    """A folder of checkpoints, and what `run` says of them: several readings of seven seconds are a minute."""
    folder = tmp_path_factory.mktemp("by_the_clock")
    return folder, *run(program, folder, seconds=7.0)


@pytest.fixture(scope="module")
def whole_again(program, by_the_clock):
    """The state at the end, and that which a checkpoint between two evaluations comes to."""
    folder, steps, _ = by_the_clock
    with Checkpoints(folder) as checkpoints:
        between = [step for step in checkpoints.steps() if step != 24][-1]
        assert between in steps
        state, _, _ = checkpoints.restore(program.shapes, between)
        whole, _, _ = checkpoints.restore(program.shapes, 24)
    return whole, fit(program, state, events=Kept(), limits=Limits(log_every=1)).state


def test_a_checkpoint_each_minute_between_evaluations(by_the_clock):
    _, steps, metrics = by_the_clock
    assert steps[-1] == 24
    assert len(steps) >= 4, "24 steps of several readings of 7 seconds are more than four minutes"
    metrics = dict(metrics)
    assert metrics.pop(24) is not None
    assert set(metrics.values()) == {None}, "what was not evaluated is never the best"


def test_within_a_minute_the_evaluation_alone_saves(program, tmp_path):
    assert run(program, tmp_path, seconds=0.01)[0] == [24]


def test_such_a_checkpoint_goes_on_to_the_same_end(whole_again):
    whole, again = whole_again
    jax.tree.map(np.testing.assert_array_equal, again.params, whole.params)
