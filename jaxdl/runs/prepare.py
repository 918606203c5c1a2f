"""From a Setup to a checked program: the first step of everything that trains, loads or looks inside."""

import jax
import numpy as np

from jaxdl.engine.parallel import Plan
from jaxdl.engine.program import Program, program_of
from jaxdl.engine.step import prepared_batch, rehearse
from jaxdl.experiment import Experiment, ExperimentError
from jaxdl.setup import Setup
from jaxdl.tasks.classification import Classification
from jaxdl.types import Task, TrainState, UserError

SOME = 1000
"""Examples of a split, evenly spread, whose values a task may look at before it trains."""


def prepare(setup: Setup, plan: Plan | None = None, *, exp: Experiment | None = None) -> Program:
    """The program of a setup, with every knob traced that can be.

    Args:
        setup: what is built.
        plan: devices and compiler; None: one device.
        exp: what `setup.build()` returned, where that is known already.
    """
    exp = exp or setup.build()
    return program_of(exp, setup.build, setup.knobs, rehearsed(setup, exp), plan or Plan())


def rehearsed(setup: Setup, exp: Experiment) -> TrainState:
    """The first state as shapes, after one initialization and one loss with the knobs as Python numbers."""
    try:
        state = rehearse(exp)
    except ZeroDivisionError as error:
        raise ExperimentError(f"the model or the task divides by zero ({error}) with {setup}") from error
    for path, leaf in jax.tree_util.tree_leaves_with_path(state.params):
        if leaf.size == 0:
            name = jax.tree_util.keystr(path, simple=True, separator="/")
            raise ExperimentError(f"the model's parameter {name} of shape {leaf.shape} has no elements, with {setup}")
    return state


def check_data(exp: Experiment) -> None:
    """ValueError for inputs or labels that cannot be trained on, before anything compiles or is written."""
    for split, arrays in exp.data.splits.items():
        x, y = arrays.get("x"), arrays.get("y")
        try:
            if x is not None and x.dtype.kind == "f" and not np.isfinite(x).all():
                row = int(np.argmin(np.isfinite(x).reshape(len(x), -1).all(1)))
                raise UserError(f"inputs must be finite: there is a NaN or an infinity in row {row}")
            closed = split == "train" or not exp.task.open_set
            if y is not None and closed:
                exp.task.check(y)
            if x is not None and type(exp.task).check_inputs is not Task.check_inputs:
                some = {name: value[:: -(-len(x) // SOME)] for name, value in arrays.items()}
                # in one program: eagerly, a spectrogram alone is thirty
                read = jax.jit(lambda batch: prepared_batch(exp, batch)["x"])
                exp.task.check_inputs(np.asarray(read(some), np.float32))
        except ValueError as error:
            raise UserError(f"{exp.data.name or 'data'}, {split} split: {error}") from None


def spare_outputs(program: Program) -> str:
    """A note where a classifier has more outputs than the training labels and the names of classes have classes, else ""."""
    exp = program.exp
    y = exp.data.splits["train"].get("y")
    if not isinstance(exp.task, Classification) or y is None or np.ndim(y) != 1 or y.dtype.kind not in "iu":
        return ""
    outputs = getattr(exp.task.network, "classes", None)
    if outputs is None:
        weights, one = jax.eval_shape(program.one_weights, program.traced, program.shapes), exp.data.example()
        outputs = jax.eval_shape(program.one_predict, program.traced, weights, one)["probability"].shape[-1]
    top = int(np.max(y))
    if outputs <= max(top + 1, len(exp.data.classes), 2):
        return ""
    return f"the model has {outputs} outputs, but the training labels lie in 0 … {top}: no example trains the other outputs"
