"""Where an experiment comes from, written down and read again: its knobs, its fields, its file; what a resume compares."""

import inspect
import json
import zlib
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import jax
import numpy as np

from jaxdl import formats
from jaxdl.data.tokenizers import at_home
from jaxdl.experiment import RECORDED, Experiment, ExperimentError
from jaxdl.record.run import Run, record_edit
from jaxdl.train.step import prepare, rehearse
from jaxdl.train.stopping import directions
from jaxdl.types import TrainState

SOME = 1000
"""Examples of a split, evenly spread, whose values a task may look at before it trains."""


def rebuild(config: Callable[..., Experiment], recorded: Mapping[str, Any], home: Path | None = None) -> Experiment:
    """The experiment that a run folder's config.json describes, with the tokenizers that lie beside it (`home`)."""
    knobs = {name: as_typed(value) for name, value in recorded["knobs"].items()}
    with at_home(home), formats.under(formats.recorded(recorded)):
        exp = config(**knobs)
    return with_overrides(exp, {n: v for n, v in recorded["recorded"].items() if n in RECORDED})


def as_typed(value: Any) -> Any:
    """JSON has no tuples."""
    return tuple(as_typed(item) for item in value) if isinstance(value, list) else value


def with_overrides(exp: Experiment, overrides: Mapping[str, Any]) -> Experiment:
    """The experiment with some recorded fields changed, here and wherever it is built again."""
    changed = {name: value for name, value in overrides.items() if getattr(exp, name) != value}
    if not changed:
        return exp
    origin = exp.origin and replace(exp.origin, overrides={**exp.origin.overrides, **changed})
    return replace(exp, **changed, origin=origin)


def following(exp: Experiment, rules: formats.Rules) -> Experiment:
    """The experiment under the rules of the run that it goes on with."""
    if exp.follows == rules:
        return exp
    return replace(exp, follows=rules, origin=exp.origin and replace(exp.origin, rules=rules))


def rules_of(exp: Experiment) -> dict[str, Any]:
    """What config.json says of how a run is judged: its format, the metric that selects, the directions of all."""
    return {"format": formats.FORMAT, "select": list(exp.select), "directions": directions(exp.task)}


def knobs_of(exp: Experiment) -> dict[str, Any]:
    return dict(exp.origin.knobs) if exp.origin else {}


def source_of(exp: Experiment) -> str | None:
    """The experiment file, if there is one (not in a notebook)."""
    if exp.origin is None:
        return None
    try:
        file = inspect.getsourcefile(exp.origin.config)
    except TypeError:
        return None
    return file if file and Path(file).suffix == ".py" and Path(file).is_file() and "ipykernel" not in file else None


def docstring_of(exp: Experiment) -> str:
    module = inspect.getmodule(exp.origin.config) if exp.origin else None
    return inspect.cleandoc((module and module.__doc__) or (exp.origin and exp.origin.config.__doc__) or "")


def refuse_changes(recorded: Mapping[str, Any], now: Mapping[str, Any]) -> None:
    """A resumed run must be the run that was begun."""
    changes = []
    plain = json.loads(json.dumps(now))
    for group in ("knobs", "recorded"):
        for name in {**recorded[group], **plain[group]}.keys() - {
            "workers"
        }:  # how many decode is not part of the result
            old, new = recorded[group].get(name), plain[group].get(name)
            if old != new:
                changes.append(f"{name} was {old}, now {new}")
    if changes:
        raise ExperimentError(
            f"cannot resume with other settings: {'; '.join(changes)}. Train a new run, or drop the change"
        )


def checksum(data: Any) -> str:
    """Of the shapes of all splits and of up to 1,000 evenly spread examples of each: quick, and other data have another."""
    total = 0
    for split, arrays in sorted(getattr(data, "splits", {}).items()):
        for name, array in sorted(arrays.items()):
            some = np.asarray(array[:: -(-len(array) // SOME) or 1])
            total = zlib.crc32(f"{split} {name} {some.dtype} {array.shape}".encode(), total)
            total = zlib.crc32(repr(some.tolist()).encode() if some.dtype.kind == "O" else some.tobytes(), total)
    return f"{total:08x}"


def notes_on_resume(folder: Run, exp: Experiment, state: TrainState, stop_at: int | None) -> list[str]:
    """What a person may not expect of a resume; an edited experiment file is recorded, if it will train any further."""
    step, source = int(state.step), source_of(exp)
    ended = step >= exp.steps or (state.best is not None and bool(state.best.stopped))
    notes = []
    if not ended and folder.config.get("data") not in (None, checksum(exp.data)):
        notes.append(
            f"{exp.data.name or 'the data'}: not the data this run began with; it trains on from step {step} with these"
        )
    if not ended and record_edit(folder, source, step):
        notes.append(f"{source} was edited since; from step {step} on the run is recorded with what it is now")
    if stop_at is not None and (ended or step >= stop_at):
        now = f"has ended, at step {step}" if ended else f"is already at step {step}"
        notes.append(f"the run {now}: stopping at step {stop_at} has no effect")
    return notes


def check(exp: Experiment) -> None:
    """What can be wrong, before anything compiles or is written: inputs, labels, `init_from`, the values of knobs."""
    if exp.init_from is not None:
        from jaxdl.transfer import check_source

        check_source(exp.init_from)
    for split, arrays in getattr(exp.data, "splits", {}).items():
        x, y = arrays.get("x"), arrays.get("y")
        try:
            if x is not None and x.dtype.kind == "f" and not np.isfinite(x).all():
                row = int(np.argmin(np.isfinite(x).reshape(len(x), -1).all(1)))
                raise ValueError(f"inputs must be finite: there is a NaN or an infinity in row {row}")
            closed = split == "train" or not getattr(exp.task, "open_set", False)
            if y is not None and closed and hasattr(exp.task, "check"):
                exp.task.check(y)
            if x is not None and hasattr(exp.task, "check_inputs"):
                some = {name: value[:: -(-len(x) // SOME)] for name, value in arrays.items()}
                exp.task.check_inputs(np.asarray(prepare(exp, some)["x"], np.float32))
        except ValueError as error:
            raise ValueError(f"{exp.data.name or 'data'}, {split} split: {error}") from None
    shown = ", ".join(f"{name} = {value}" for name, value in knobs_of(exp).items())
    try:
        params = rehearse(exp)
    except ZeroDivisionError as error:
        raise ExperimentError(f"the model or the task divides by zero ({error}) with {shown}") from error
    for path, leaf in jax.tree_util.tree_leaves_with_path(params):
        if leaf.size == 0:
            name = jax.tree_util.keystr(path, simple=True, separator="/")
            raise ExperimentError(f"the model's parameter {name} of shape {leaf.shape} has no elements, with {shown}")
