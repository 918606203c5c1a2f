"""A trained experiment: weights, predictions, metrics and folder."""

from collections.abc import Sequence
from functools import cached_property
from pathlib import Path
from typing import Any

import jax
import numpy as np

from jaxdl.engine.evaluate import Evaluation, evaluate
from jaxdl.engine.loop import Outcome, chosen_weights
from jaxdl.engine.program import Program
from jaxdl.experiment import Experiment
from jaxdl.record.log import read
from jaxdl.setup import Setup
from jaxdl.types import TrainState, UserError, Variables


class Run:
    """A trained experiment, as `train`, `trial` and `load` return it.

    Attributes:
        setup: the function, the knobs and the recorded fields that it was trained with.
        experiment: the Experiment that they build.
        program: its compiled functions.
        state: the training state at the last step.
        folder: the run folder; None for a training in memory.
        outcome: how the training ended; None for a run that was loaded.
    """

    def __init__(
        self,
        setup: Setup,
        program: Program,
        state: TrainState,
        folder: Path | None = None,
        outcome: Outcome | None = None,
    ):
        self.setup, self.program, self.state, self.folder, self.outcome = setup, program, state, folder, outcome

    @property
    def experiment(self) -> Experiment:
        return self.program.exp

    @cached_property
    def weights(self) -> Variables:
        """The chosen (params, model_state): the best of early stopping, else the last, averaged if the experiment averages."""
        return chosen_weights(self.program, self.state)

    def evaluate(self, split: str = "test") -> Evaluation:
        """Evaluate all metrics on a whole split: "train", "validation" or "test"."""
        return evaluate(self.program, self.weights, split)

    @property
    def history(self) -> list[dict[str, Any]]:
        """The lines of metrics.jsonl."""
        return read(self.folder / "metrics.jsonl") if self.folder else []

    def __repr__(self) -> str:
        return f"{type(self).__name__}({str(self.folder)!r}, step={int(self.state.step)})"

    def predict(self, x: Any) -> Any:
        """Predictions of the task for raw inputs `x`, of which one or any number may be given.

        They have the training data's form and values (images as uint8); the axis of one channel may be left out. They are
        computed in batches of the training's size, a few of them in a smaller one (`rows_for`). Where the classes have names,
        `name` holds that of every `label`. Texts are encoded where the data can; `text` then holds what a person reads.
        """
        data = self.experiment.data
        if isinstance(x, str) or (isinstance(x, (list, tuple)) and x and all(isinstance(one, str) for one in x)):
            return self._predict_texts(x)
        like = data.inputs()
        x, one = as_rows(data.as_inputs(x), like)
        if not x.size:
            raise UserError(f"there are no inputs to predict for: their shape is {x.shape}")
        if x.shape[1:] != like.shape[1:]:
            raise UserError(f"inputs have shape {x.shape[1:]} each, the model was trained on {like.shape[1:]}")
        dtype = jax.dtypes.canonicalize_dtype(like.dtype)  # what the device holds of 64 bits
        check_values(x, dtype, data.maximum)
        self.experiment.task.check_tokens(x)
        parts, size = [], rows_for(len(x), data.batch)
        for start in range(0, len(x), size):
            part = x[start : start + size]
            rows = np.minimum(np.arange(size), len(part) - 1)
            batch = {"x": part[rows].astype(dtype), "mask": (np.arange(size) < len(part)).astype(np.float32)}
            out = jax.device_get(self.program.predict(self.weights, batch))
            parts.append(data.in_units(jax.tree.map(lambda a, n=len(part): a[:n], out)))
        outputs = with_names(jax.tree.map(lambda *a: np.concatenate(a), *parts), data.classes)
        return jax.tree.map(lambda a: a[0], outputs) if one else outputs

    def _predict_texts(self, texts: str | Sequence[str]) -> Any:
        data = self.experiment.data
        one = isinstance(texts, str)
        outputs = self.predict(data.encode([texts] if one else list(texts)))
        if isinstance(outputs, dict):
            outputs = {**outputs, **data.decode(outputs)}
        return jax.tree.map(lambda a: a[0], outputs, is_leaf=lambda a: isinstance(a, list)) if one else outputs


def as_rows(x: np.ndarray, like: Any) -> tuple[np.ndarray, bool]:
    """Inputs of one row an example, and whether a single example was given without that axis.

    >>> [
    ...     as_rows(np.zeros(shape), np.zeros((1, 4, 4, 1)))[0].shape
    ...     for shape in ((4, 4), (4, 4, 1), (9, 4, 4), (9, 4, 4, 1))
    ... ]
    [(1, 4, 4, 1), (1, 4, 4, 1), (9, 4, 4, 1), (9, 4, 4, 1)]
    """
    each = like.shape[1:]
    if each[-1:] == (1,) and each not in (x.shape, x.shape[1:]) and each[:-1] in (x.shape, x.shape[1:]):
        x = x[..., None]
    return (x[None], True) if x.ndim == like.ndim - 1 else (x, False)


def with_names(outputs: Any, classes: Sequence[str]) -> Any:
    """The outputs, with the `name` of each `label` (one class an example) where the classes have names."""
    label = outputs.get("label") if isinstance(outputs, dict) else None
    if not classes or label is None or label.ndim != 1 or not 0 <= label.min() <= label.max() < len(classes):
        return outputs
    return {**outputs, "name": np.asarray(classes)[label]}


def rows_for(count: int, batch: int) -> int:
    """Return the batch size for predicting `count` examples: a power of two, at most the training batch.

    So a single example is cheap, and few programs are compiled for all possible counts.

    >>> [rows_for(count, 100) for count in (1, 3, 64, 65, 1000)]
    [1, 4, 64, 100, 100]
    """
    return min(batch, 1 << (count - 1).bit_length())


def check_values(x: np.ndarray, dtype: np.dtype, maximum: float | None = None) -> None:
    """Raise UserError if raw inputs are outside the values of the data set, which a cast would change silently."""
    if x.dtype.kind not in "buif":
        raise UserError(f"inputs must be numbers like the training data's ({dtype}), got {x.dtype}")
    if x.dtype.kind == "f" and not np.isfinite(x).all():
        raise UserError("inputs must be finite: there is a NaN or an infinity among them")
    low, high = x.min(), x.max()
    if dtype.kind in "ui":
        if x.dtype.kind == "f" and (x != np.floor(x)).any():
            raise UserError(
                f"inputs must be whole numbers like the training data's ({dtype}), got {x[x != np.floor(x)][0]}"
            )
        if maximum is not None and (low < 0 or high > maximum):
            beyond = f"reach {high:g}" if high > maximum else f"begin at {low:g}"
            raise UserError(f"values {beyond}, this set's go from 0 to {maximum:g}")
    elif maximum is not None and x.dtype.kind in "ui" and high > maximum:
        raise UserError(f"values reach {high:g}, this set's go from 0 to {maximum:g}")
    if dtype.kind in "uif":
        limits = np.finfo(dtype) if dtype.kind == "f" else np.iinfo(dtype)
        if low < limits.min or high > limits.max:
            raise UserError(f"inputs from {low:g} to {high:g} do not fit the training data's {dtype}")
