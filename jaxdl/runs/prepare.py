"""Building a checked program from a Setup: the first step of training, loading and inspecting."""

import jax
import numpy as np

from jaxdl.data.arrays import check_device, missing_names
from jaxdl.engine.parallel import Plan
from jaxdl.engine.program import Program, program_of
from jaxdl.engine.step import prepared_batch, rehearse
from jaxdl.experiment import Experiment, ExperimentError
from jaxdl.metrics.classification import MOST_CLASSES
from jaxdl.setup import Setup
from jaxdl.types import Task, TrainState, UserError

SOME = 1000
"""Examples of a split, evenly spread, whose values a task may look at before it trains."""


def prepare(setup: Setup, plan: Plan | None = None, *, exp: Experiment | None = None) -> Program:
    """Return the program of a setup, in which every knob is traced that can be.

    Args:
        setup: the setup to build.
        plan: devices and compiler; None: one device.
        exp: the result of `setup.build()`, if it was called before.
    """
    exp = exp or setup.build()
    return program_of(exp, setup.build, setup.knobs, rehearsed(setup, exp), plan or Plan())


def rehearsed(setup: Setup, exp: Experiment) -> TrainState:
    """Return the shapes of the first state, after tracing one initialization and one step with the knobs as numbers."""
    try:
        state = rehearse(exp)
    except ZeroDivisionError as error:
        raise ExperimentError(f"the model or the task divides by zero ({error}) with {setup}") from error
    except KeyError as error:
        names = exp.data.example()
        if error.args[0] not in ("x", "y") or error.args[0] in names:
            raise
        raise ExperimentError(f"{exp.data.name or 'data'}: {missing_names(n for n in names if n != 'mask')}") from error
    if exp.select[0] == "roc_auc":
        predicted = Program(exp).predicted_shapes()
        classes = (
            predicted["probability"].shape[-1] if isinstance(predicted, dict) and "probability" in predicted else 0
        )
        if classes > MOST_CLASSES:
            raise ExperimentError(
                f"metric = 'roc_auc' is computed for at most {MOST_CLASSES:,} classes, the model has {classes:,}"
            )
    for path, leaf in jax.tree_util.tree_leaves_with_path(state.params):
        if leaf.size == 0:
            name = jax.tree_util.keystr(path, simple=True, separator="/")
            raise ExperimentError(f"the model's parameter {name} of shape {leaf.shape} has no elements, with {setup}")
    return state


def check_data(exp: Experiment) -> None:
    """Raise UserError for inputs or labels that cannot be trained on, before anything is compiled or written."""
    for split, arrays in exp.data.splits.items():
        x, y = arrays.get("x"), arrays.get("y")
        try:
            for name, value in arrays.items():
                if isinstance(value, np.ndarray):
                    check_device(value, source=name, columns=exp.data.columns if name == "x" else ())
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
