"""Training in memory: no folder, no log, no checkpoints. For tables over many seeds, and for notebooks."""

from collections.abc import Mapping
from typing import Any

from jaxdl.api import Run, check, prepare
from jaxdl.experiment import Experiment, refuse_while_reading
from jaxdl.train.loop import fit


class Nobody:
    """Listens to a loop and does nothing."""

    def line(self, line: dict[str, Any]) -> None: ...

    def progress(self, step: int, metrics: Mapping[str, float]) -> None: ...

    def pictures(self, step: int, report: Mapping[str, Any]) -> None: ...


def trial(exp: Experiment) -> Run:
    """Train an experiment to its end and keep nothing but the result: `trial(config(seed=3)).evaluate("test").metrics`.

    The same program and the same bits as `train`. Another seed or another float knob compiles nothing. Ctrl-C raises
    `KeyboardInterrupt`: there is nothing to go on from, and half a training is no result.
    """
    refuse_while_reading("trial(...)")
    check(exp)
    prepared = prepare(exp)
    knobs = dict(prepared.traced)
    outcome = fit(prepared.program, prepared.experiment, knobs, prepared.program.init(knobs), events=Nobody()).whole()
    return Run(prepared, outcome.state, None, outcome)
