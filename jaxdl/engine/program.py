"""The compiled functions of one experiment, with the values of its traced knobs: init, chunk (many steps), evaluate, predict.

program = Program(exp, setup.build, {"lr": np.float32(1e-3), "seed": np.int32(0)})
state = program.init()
state, view = program.chunk(state, source, steps, max_bad)
"""

import copy
import traceback
from collections.abc import Callable, Mapping
from functools import cached_property
from pathlib import Path
from types import MappingProxyType
from typing import Any

import jax
import numpy as np

from jaxdl.engine.compiled import Compiled
from jaxdl.engine.parallel import Plan
from jaxdl.engine.placement import placed
from jaxdl.engine.traced import Knobs, Members, Traced, candidates
from jaxdl.types import Batch, Best, TrainState, Variables

DATA = Path(__file__).resolve().parents[1] / "data"


class Program(Traced):
    """The compiled functions of an experiment. The arguments are those of `Traced`.

    With `build=None` no knob is traced: all numbers of the experiment are constants of the compiled functions.
    """

    def __init__(
        self,
        exp: Any,
        build: Callable[[Knobs], Any] | None = None,
        knobs: Knobs = MappingProxyType({}),
        plan: Plan = Plan(),
        members: Members | None = None,
    ):
        super().__init__(exp, build or (lambda _: exp), knobs, plan, members)
        self.knobs = dict(knobs)
        self.functions: dict[str, Compiled] = {}
        self._placed: dict[int, tuple[Any, Any]] = {}

    def bound(self, knobs: Knobs) -> "Program":
        """Return a program with other values of some traced knobs and the same compiled functions."""
        other = copy.copy(self)
        other.knobs = {**self.knobs, **knobs}
        return other

    # -- what runs -----------------------------------------------------------------------------------------------------
    def init(self) -> TrainState:
        """Return the initial state, created on its devices."""
        return self.function("init")(self.knobs)

    def chunk(self, state: TrainState, source: Any, steps: Any, max_bad: Any) -> tuple[TrainState, dict[str, Any]]:
        """Run `steps` train steps, fewer if `max_bad` in a row are not finite. Return (state, view); the old state is donated."""
        return self.function("chunk")(self.knobs, state, source, steps, max_bad)

    def weights(self, state: TrainState) -> Variables:
        """Return the weights that are evaluated: the averaged ones if the experiment averages."""
        return self.function("weights")(self.knobs, state)

    def norms(self, state: TrainState) -> Any:
        """The norm of all parameters."""
        return self.function("norms")(self.knobs, state)

    def evaluate(self, weights: Variables, source: Any, index: Any, before: Any) -> Any:
        """Return (metric sums and weights, outputs with targets and masks, illustrations) over batches of a source."""
        return self.function("evaluate")(self.knobs, weights, source, index, before)

    def metrics(self, weights: Variables, source: Any, index: Any, before: Any) -> Any:
        """Return only the sums and weights of the metrics."""
        return self.function("metrics")(self.knobs, weights, source, index, before)

    def predict(self, weights: Variables, batch: Batch) -> Any:
        """The task's predictions for one raw batch."""
        return self.function("predict")(self.knobs, weights, batch)

    def stop(self, best: Best, value: Any, step: Any, weights: Variables) -> Best:
        """Update the state of early stopping after an evaluation."""
        return self.function("stop")(self.knobs, best, value, step, weights)

    def place(self, source: Any) -> Any:
        """Copy a source to the device. An in-memory split is copied once per process and stays there."""
        if not self.data.resident:
            return self.plan.put(source, rows=self.data.by_row)
        if id(source) not in self._placed:
            self._placed[id(source)] = (source, placed(self.plan, dict(source)))
        return self._placed[id(source)][1]

    # -- how it is compiled --------------------------------------------------------------------------------------------
    @cached_property
    def shapes(self) -> TrainState:
        """The shapes and shardings of the state, into which a checkpoint is restored."""
        shapes = jax.eval_shape(self.each_init(self._init), self.traced)
        if not self.plan.sharded:
            return shapes
        return jax.tree.map(
            lambda a, s: jax.ShapeDtypeStruct(a.shape, a.dtype, sharding=s), shapes, self.plan.shardings(shapes)
        )

    def predicted_shapes(self) -> Any:
        """What is predicted for one training batch, as shapes."""
        state, example = jax.eval_shape(self.one_init, self.traced), self.data.example()
        batch = jax.eval_shape(lambda: {name: jax.numpy.asarray(value) for name, value in example.items()})
        return jax.eval_shape(self.one_predict, self.traced, (state.params, state.model_state), batch)

    def sharding(self, function: Callable[..., Any], *arguments: Any) -> Any:
        """The shardings of the result of a function of the state (None on one device)."""
        return self.plan.shardings(jax.eval_shape(function, *arguments)) if self.plan.sharded else None

    def function(self, name: str) -> Compiled:
        """The compiled function of (knobs, ...) behind a method; made when it is first used."""
        if name not in self.functions:
            self.functions[name] = getattr(self, f"_{name}_function")()
        return self.functions[name]

    def _init_function(self) -> Compiled:
        one = self.each_init(self._init)
        return self.plan.compile(one, out=self.sharding(one, self.traced))

    def _chunk_function(self) -> Compiled:
        return self.plan.compile_chunk(self.run_chunk, self.shapes)

    def _weights_function(self) -> Compiled:
        one = self.each(self.one_weights)
        return self.plan.compile(one, out=self.sharding(one, self.traced, self.shapes))

    def _norms_function(self) -> Compiled:
        return self.plan.compile(self.each(self.one_norms))

    def _evaluate_function(self) -> Compiled:
        return self.plan.compile(self.each(self.one_evaluate, source=2, index=3, before=4))

    def _metrics_function(self) -> Compiled:
        return self.plan.compile(self.each(self.one_metrics, source=2, index=3, before=4))

    def _predict_function(self) -> Compiled:
        return self.plan.compile(self.each(self.one_predict, batch=2))

    def _stop_function(self) -> Compiled:
        out = jax.tree.map(lambda a: a.sharding, self.shapes.best) if self.plan.sharded else None
        return self.plan.compile(self.each(self.one_stop, step=3), out=out)

    @property
    def compile_seconds(self) -> float:
        """Seconds spent on tracing and compiling so far."""
        return sum(getattr(function, "seconds", 0.0) for function in self.functions.values())


def program_of(
    exp: Any, build: Callable[[Knobs], Any], knobs: Mapping[str, Any], as_numbers: TrainState, plan: Plan = Plan()
) -> Program:
    """Return the program of one run, in which every knob is traced that can be: usually all floats and the seed.

    Args:
        exp: the experiment, built with the knobs as Python numbers.
        build: some traced knobs -> the experiment.
        knobs: all of its knobs.
        as_numbers: its state as shapes, from the knobs as Python numbers (`step.rehearse`).
        plan: devices and compiler.
    """
    wanted = candidates(knobs)
    program = Program(exp, build, wanted, plan)
    if not problem_of(program, as_numbers):
        return program
    traced, _ = traceable(exp, build, knobs, as_numbers)
    program = Program(exp, build, traced, plan)
    _ = program.shapes  # what is wrong with the experiment itself is raised here
    return program


def traceable(
    exp: Any, build: Callable[[Knobs], Any], knobs: Knobs, as_numbers: TrainState
) -> tuple[dict[str, np.generic], dict[str, str]]:
    """Return the candidates that can be traced, and for each of the others the reason why it cannot.

    A knob that decides a shape, a number of steps, a branch in Python or the data cannot be traced. `jax.eval_shape` finds out.
    """
    wanted = candidates(knobs)
    if not problem_of(Program(exp, build, wanted), as_numbers):
        return wanted, {}
    problems = {name: problem_of(Program(exp, build, {name: value}), as_numbers) for name, value in wanted.items()}
    return {n: value for n, value in wanted.items() if not problems[n]}, {n: p for n, p in problems.items() if p}


def problem_of(program: Program, as_numbers: TrainState) -> str:
    """Return why the knobs of a program cannot be traced; "" if they can.

    The experiment was built with these knobs as Python numbers before, so an error here is caused by tracing them.
    """
    try:
        if any(isinstance(a, jax.core.Tracer) for a in program.data_leaves()):
            return "the data are made from it"
        shapes = jax.eval_shape(program._init, program.traced)
    except Exception as error:
        frames = [f for f in traceback.extract_tb(error.__traceback__) if "site-packages" not in f.filename]
        if frames and Path(frames[-1].filename).parent == DATA:
            return "the data are made from it"
        return (
            f"Python needs its value at {Path(frames[-1].filename).name}:{frames[-1].lineno}" if frames else str(error)
        )
    parts = ("params", "model_state", "opt_state", "ema", "best")
    same = all(shapes_and_types(getattr(shapes, part)) == shapes_and_types(getattr(as_numbers, part)) for part in parts)
    return "" if same else "Python looks at its type or value, and builds something else"


def shapes_and_types(shapes: Any) -> Any:
    leaves, structure = jax.tree.flatten(shapes)
    return structure, [(leaf.shape, leaf.dtype) for leaf in leaves]
