"""A task whose report costs much makes it at every second evaluation: the others have the means, and wait for it to select."""

from dataclasses import dataclass, replace

import numpy as np
import pytest

from jaxdl.engine.loop import Limits, fit
from jaxdl.engine.program import Program
from jaxdl.engine.stopping import EarlyStopping
from jaxdl.tasks.classification import Classification


@dataclass(frozen=True, eq=False)
class Costly(Classification):
    """What each report gives for `score` stands in `scores`, in turn."""

    report_every: int = 2
    scores: tuple[float, ...] = (0.5, 0.25)

    def report(self, outputs, targets):
        self.made.append(len(targets))
        return {"score": self.scores[len(self.made) - 1]}


class Kept:
    def __init__(self):
        self.lines, self.drawn = [], []

    def line(self, line):
        self.lines.append(line)

    def progress(self, step, metrics): ...

    def pictures(self, step, report):
        self.drawn.append((step, report))


@pytest.fixture(scope="module")
def run(tiny):
    """24 steps with an evaluation every four, which stop at the first report that is no better than the one before."""
    task = Costly(tiny.config().task.model)
    object.__setattr__(task, "made", [])
    exp = replace(tiny.config(), task=task, eval_every=4, stop=EarlyStopping(metric="score", mode="max", patience=1))
    program, kept = Program(exp), Kept()
    return task, kept, fit(program, program.init(), events=kept)


def test_the_log_begins_with_powers_of_two(tiny):
    """Of 500 steps every tenth has a line, and so have 1, 2, 4 and 8; where the distance is given, only its multiples."""
    exp = replace(tiny.config(), steps=500, eval_every=500, stop=None)
    program, at = Program(exp), []
    for limits in (Limits(stop_at=24), Limits(stop_at=24, log_every=10)):
        kept = Kept()
        fit(program, program.init(), events=kept, limits=limits)
        at.append([line["step"] for line in kept.lines if line["kind"] == "train"])
    assert at == [[1, 2, 4, 8, 10, 20], [10, 20]]


def test_every_second_evaluation_has_a_report(run):
    task, kept, _ = run
    lines = {line["step"]: line for line in kept.lines if line["kind"] == "eval"}
    assert {step: line.get("score") for step, line in lines.items()} == {4: None, 8: 0.5, 12: None, 16: 0.25}
    assert task.made == [21, 21]
    assert all(np.isfinite([line["accuracy"], line["loss"]]).all() for line in lines.values())


def test_early_stopping_counts_reports(run):
    """At steps 4 and 12 there is nothing to compare; at 16 the score is worse than at 8."""
    _, _, outcome = run
    assert (outcome.reason, int(outcome.state.step)) == ("stopped early", 16)
    assert (float(outcome.state.best.value), int(outcome.state.best.step)) == (0.5, 8)
