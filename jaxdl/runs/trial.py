"""Training in memory, without folder, log or checkpoints: for tables over many seeds, and for notebooks."""

from collections.abc import Mapping
from typing import Any

from jaxdl import runtime
from jaxdl.engine.callbacks import Callbacks
from jaxdl.engine.loop import fit
from jaxdl.experiment import refuse_while_reading
from jaxdl.runs.prepare import check_data, prepare
from jaxdl.runs.run import Run
from jaxdl.setup import Config, Setup, refuse_reserved


class Silent:
    """Events of a loop that only the callbacks of the experiment receive."""

    def __init__(self, callbacks: Callbacks):
        self.line = callbacks

    def progress(self, step: int, metrics: Mapping[str, float]) -> None: ...

    def pictures(self, step: int, report: Mapping[str, Any]) -> None: ...


def trial(config: Config, /, **values: Any) -> Run:
    """Train to the end in memory and return the run: `trial(config, seed=3).evaluate("test").metrics`.

    Takes the same values by name as `train` and gives the same bits. A new seed or float knob compiles nothing. Ctrl-C raises
    KeyboardInterrupt, because there is no checkpoint to resume from.
    """
    refuse_while_reading("trial(...)")
    refuse_reserved(config)  # what trains in memory trains into a folder, too
    runtime.ensure()
    setup = Setup.of(config, values)
    exp = setup.build()
    check_data(exp)
    program = prepare(setup, exp=exp)
    callbacks = Callbacks(exp.callbacks, knobs=setup.knobs)
    outcome = fit(program, program.init(), events=Silent(callbacks), callbacks=callbacks).whole()
    run = Run(setup, program, outcome.state, outcome=outcome)
    callbacks.weights = lambda: run.weights
    callbacks({"kind": "end", "step": int(outcome.state.step), "reason": outcome.reason})
    return run
